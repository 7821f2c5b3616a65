from __future__ import annotations

from pathlib import Path

import pytest

from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.listing import list_files
from inference_service.models.repository.onnx_file import require_onnx
from tests.model_folders import write_onnx


def check(folder: Path, content: bytes | None = None) -> None:
    if content is not None:
        (folder / "model.onnx").write_bytes(content)
    require_onnx(list_files(folder), "model.onnx")


def test_a_whole_file_passes_and_every_cut_is_noticed(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "m")
    check(folder)
    whole = (folder / "model.onnx").read_bytes()
    check(folder, whole + b"\x15\x00\x00\x00\x00\x11" + bytes(8))  # fields of fixed lengths
    for length in range(len(whole)):
        with pytest.raises(InvalidModel, match=r"no whole ONNX file|no graph"):
            check(folder, whole[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\x08\x0a",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80" * 20,
        b"\x3b\x00",
        b"\x08\x01" * 100_001,
    ],
)
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidModel, match=r"model\.onnx is no"):
        check(write_onnx(tmp_path / "m"), content)
