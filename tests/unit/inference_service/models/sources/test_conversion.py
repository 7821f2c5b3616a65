from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.models.sources.conversion import ConversionError, converted

AnyCall = Callable[..., Any]


def whole(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def copied(file: Path, target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    return Path(shutil.copy(file, target))


@pytest.fixture
def gguf(tiny_gguf: Path, tmp_path: Path) -> Path:
    """A GGUF file in a folder of its own."""
    return copied(tiny_gguf, tmp_path / "repository" / "tiny.gguf")


async def test_a_gguf_becomes_ir_the_first_time(
    gguf: Path, tmp_path: Path, new_children: AnyCall
) -> None:
    stages: list[str] = []
    folder = await converted(gguf, tmp_path / ".converted", stages.append)
    assert whole(folder) >= {
        *("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"),
        *("config.json", "chat_template.jinja"),
    }
    assert stages == ["converting to OpenVINO IR"]
    assert await converted(gguf, tmp_path / ".converted", stages.append) == folder
    assert len(stages) == 1
    assert whole(gguf.parent) == {"tiny.gguf"}
    assert not new_children()


async def test_cancelling_ends_the_conversion(
    gguf: Path, tmp_path: Path, new_children: AnyCall
) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(converted(gguf, tmp_path / "cache", lambda _stage: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not new_children()
    assert not list((tmp_path / "cache").glob("[!.]*"))


@pytest.mark.parametrize(
    ("name", "data", "cause", "message"),
    [
        ("gone.gguf", None, LoadFailureCause.INVALID_FILES, r"^no file gone\.gguf$"),
        ("bad.gguf", b"GGUF", LoadFailureCause.UNSUPPORTED, "no GGUF file, or a damaged one"),
        ("bad.onnx", b"onnx", LoadFailureCause.UNSUPPORTED, "can't read the ONNX file"),
    ],
)
async def test_why_not(
    tmp_path: Path, name: str, data: bytes | None, cause: LoadFailureCause, message: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConversionError, match=message) as raised:
        await converted(tmp_path / name, tmp_path / "cache", lambda _stage: None)
    assert raised.value.cause is cause
    assert str(tmp_path) not in str(raised.value)


async def test_a_folder_that_can_not_be_written(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConversionError) as raised:
        await converted(gguf, tmp_path / "cache", lambda _stage: None)
    assert raised.value.cause is LoadFailureCause.CONVERSION
