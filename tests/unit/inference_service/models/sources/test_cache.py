from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference_service.models.sources.cache import cached, fill, place_of
from inference_service.models.sources.errors import ConversionFailed, ModelRefused, SourceNotFound
from inference_service.models.sources.progress import Progress

CONVERTER = [
    sys.executable,
    "-S",
    "-c",
    "import sys, pathlib; p = pathlib.Path(sys.argv[1]); "
    "[(p.parent / f'openvino_{n}').write_bytes(p.read_bytes()) "
    "for n in ('model.xml', 'model.bin', 'tokenizer.xml')]",
]
FAILING = [sys.executable, "-S", "-c", "import sys; sys.exit('no such luck')"]


def ignore(_progress: Progress) -> None:
    pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    file = folder / "m q4.gguf"
    file.write_bytes(b"GGUF")
    folder.chmod(0o555)
    return file


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name[0] != ".")


def test_a_file_is_converted_once(file: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert cached(root, file) is None
    stages: list[str] = []
    folder = fill(root, file, lambda p: stages.append(p.stage), CONVERTER)
    assert folder == root / place_of(file)
    assert folder.name.startswith("m-q4-")
    assert (folder / "openvino_model.bin").read_bytes() == b"GGUF"
    assert not list(folder.glob("*.gguf"))
    assert set(stages) == {"converting to OpenVINO IR"}
    assert cached(root, file) == folder
    assert fill(root, file, ignore, FAILING) == folder
    assert names(file.parent) == ["m q4.gguf"]


def test_a_changed_file_is_converted_again_and_the_old_one_forgotten(
    file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    old = fill(root, file, ignore, CONVERTER)
    other = tmp_path / "m q4.gguf"
    other.write_bytes(b"another of the same name")
    beside = fill(root, other, ignore, CONVERTER)
    file.write_bytes(b"GGUF2")
    assert cached(root, file) is None
    new = fill(root, file, ignore, CONVERTER)
    assert names(root) == sorted([new.name, beside.name])
    assert old.name not in names(root)
    os.utime(file, (1, 1))
    assert cached(root, file) is None


def test_a_failure_leaves_nothing(file: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with pytest.raises(ConversionFailed, match="no such luck"):
        fill(root, file, ignore, FAILING)
    assert names(root) == []
    assert not list(root.glob(".partial-*"))


def test_an_onnx_file_takes_its_tokenizer_along(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    files = {"m.onnx": b"onnx", "m.onnx_data": b"d", "tokenizer.json": b"{}", "other": b"x"}
    for name, data in files.items():
        (source / name).write_bytes(data)
    seen = [
        *CONVERTER[:-1],
        CONVERTER[-1] + "; assert (p.parent / 'm.onnx_data').read_bytes() == b'd'",
    ]
    folder = fill(tmp_path / "cache", source / "m.onnx", ignore, seen)
    assert "tokenizer.json" in names(folder)
    assert "m.onnx" not in names(folder)
    assert "m.onnx_data" not in names(folder)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"^no file gone\.gguf$"):
        fill(tmp_path, tmp_path / "gone.gguf", ignore, CONVERTER)
    with pytest.raises(ModelRefused):
        fill(tmp_path, tmp_path / "a.bin", ignore, CONVERTER)


FILL = """
import sys
from pathlib import Path
from inference_service.models.sources.cache import fill
root, file, count = map(Path, sys.argv[1:4])
script = ("import sys, pathlib, time; p = pathlib.Path(sys.argv[1]); "
          f"open({str(count)!r}, 'a').write('x'); "
          "[(p.parent / f'openvino_{n}').touch() "
          "for n in ('model.xml', 'model.bin', 'tokenizer.xml')]")
print(fill(root, file, lambda p: None, [sys.executable, "-S", "-c", script]).name)
"""


def test_of_several_processes_one_converts(file: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    command = [sys.executable, "-c", FILL, str(tmp_path / "cache"), str(file), str(count)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    results = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert results == {f"{place_of(file)}\n".encode()}
    assert count.read_text() == "x"


@pytest.mark.parametrize("beside", ["tokenizer.json", "config.json", "model.onnx_data"])
def test_what_an_onnx_file_is_converted_with_counts(tmp_path: Path, beside: str) -> None:
    file = tmp_path / "model.onnx"
    for name in ("model.onnx", "tokenizer.json", "config.json", "model.onnx_data"):
        (tmp_path / name).write_bytes(b"1")
    root = tmp_path / "cache"
    old = fill(root, file, ignore, CONVERTER)
    assert cached(root, file) == old
    (tmp_path / beside).write_bytes(b"22")
    assert cached(root, file) is None
    assert fill(root, file, ignore, CONVERTER) != old
    assert not old.exists()
