from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from inference_service.models.sources.errors import ModelRefused
from inference_service.models.sources.wheel import opened_wheel

# Where the central directory of a ZIP file has what.
_VERSION, _FLAGS, _METHOD, _OFFSET = 6, 8, 10, 42
_CENTRAL = b"PK\x01\x02"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.gguf", b"GGUF" * 1000)
    return path


def test_what_is_whole_is_read(wheel: Path) -> None:
    with opened_wheel(wheel) as archive:
        assert archive.read("m.gguf") == b"GGUF" * 1000


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (_FLAGS, b"\x01\x00", "password required"),
        (_METHOD, b"\x63\x00", "compression method is not supported"),
        (_OFFSET, b"\x10\x00\x00\x00", "Bad magic number"),
        (_VERSION, b"\xff\x00", "zip file version"),
    ],
)
def test_what_can_not_be_read_is_refused(
    wheel: Path, place: int, value: bytes, problem: str
) -> None:
    content = bytearray(wheel.read_bytes())
    begin = content.index(_CENTRAL) + place
    content[begin : begin + len(value)] = value
    wheel.write_bytes(content)
    with pytest.raises(ModelRefused, match=f"is damaged: .*{problem}"), opened_wheel(wheel) as a:
        a.read("m.gguf")


def test_compressed_bytes_that_are_none_are_refused(wheel: Path) -> None:
    content = bytearray(wheel.read_bytes())
    content[36:40] = b"\xff" * 4  # just after the name of the first file
    wheel.write_bytes(content)
    with pytest.raises(ModelRefused, match="is damaged"), opened_wheel(wheel) as archive:
        archive.read("m.gguf")
