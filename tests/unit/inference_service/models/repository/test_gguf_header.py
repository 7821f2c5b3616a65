from __future__ import annotations

import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gguf import GGUFWriter, LlamaFileType
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_service.domain import LoadFailureCause
from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.gguf_header import ARCHITECTURES, GgufHeader, require_gguf
from inference_service.models.repository.listing import list_named, real_paths
from inference_service.worker import convert
from tests.model_folders import write_gguf

WORDS = 200_000


def header(file: Path) -> GgufHeader:
    return require_gguf(list_named(file.parent, [file.name], real_paths([file.parent])), file.name)


def test_header_tells_of_the_model(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", "qwen2")
    assert header(file) == GgufHeader("qwen2", 4096, "q8_0", "{{ messages[0].content }}")


@pytest.mark.parametrize(
    ("file_type", "precision"),
    [
        (LlamaFileType.ALL_F32, "f32"),
        (LlamaFileType.MOSTLY_F16, "f16"),
        (LlamaFileType.MOSTLY_Q4_K_M, "q4_k_m"),
        (LlamaFileType.MOSTLY_BF16, "bf16"),
        (None, "q8_0"),  # of most bytes
        (LlamaFileType.GUESSED, "q8_0"),
        (999, "q8_0"),
    ],
)
def test_precision(tmp_path: Path, file_type: int | None, precision: str) -> None:
    value = None if file_type is None else int(file_type)
    assert header(write_gguf(tmp_path / "m.gguf", file_type=value)).precision == precision


def test_what_is_not_said_is_none(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", context_length=None, chat_template=None)
    assert header(file) == GgufHeader("llama", None, "q8_0", None)


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "m.gguf").read_bytes()
    file = tmp_path / "cut.gguf"
    end = len(whole) - 24  # the last tensor has 136 bytes, and is filled up to a multiple of 32
    for length in (*range(0, end, 7), end - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(InvalidModel, match=r"cut short|no GGUF file"):
            header(file)
    file.write_bytes(whole[:end])
    assert header(file) == header(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("architecture", "values", "cause", "why"),
    [
        ("bert", {}, LoadFailureCause.UNSUPPORTED, "architecture 'bert' are not supported"),
        ("llama", {"token_list": None}, LoadFailureCause.INVALID_FILES, "no tokenizer"),
    ],
)
def test_what_the_engine_cannot_run_is_refused(
    tmp_path: Path, architecture: str, values: dict[str, None], cause: LoadFailureCause, why: str
) -> None:
    with pytest.raises(InvalidModel, match=why) as raised:
        header(write_gguf(tmp_path / "m.gguf", architecture, **values))
    assert raised.value.cause is cause


def test_parts_of_a_model_are_refused(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(InvalidModel, match="one of several parts") as raised:
        header(tmp_path / "m.gguf")
    assert raised.value.cause is LoadFailureCause.UNSUPPORTED


def test_architectures_are_those_that_can_be_converted() -> None:
    assert ARCHITECTURES == convert.ARCHITECTURES


def raw(*values: bytes, version: int = 3, tensors: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(values)) + b"".join(values)


def value(kind: int, content: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"k" + struct.pack("<I", kind) + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(100),
        raw(version=1),
        raw(version=3 << 24),  # big-endian
        raw(value(99, b"")),
        raw(value(8, struct.pack("<Q", 1 << 62))),
        raw(value(9, struct.pack("<IQ", 0, 1 << 62))),
        raw(value(9, struct.pack("<IQ", 8, 1 << 62))),
        raw(value(9, struct.pack("<IQ", 9, 1) * 1000)),
        raw(tensors=1 << 62),
        raw(tensors=1) + struct.pack("<QI", 0, 1 << 31),
        raw(tensors=1) + struct.pack("<QIIQ", 0, 0, 12345, 0),
    ],
)
def test_headers_that_lie_are_refused_at_once(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(InvalidModel, match=r"m\.gguf is no GGUF file, or a damaged one"):
        header(file)


@given(st.data())
@settings(deadline=None)
def test_damage_never_goes_unnamed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("gguf")
    content = bytearray(write_gguf(folder / "m.gguf").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 500))] = data.draw(st.integers(0, 255))
    (folder / "m.gguf").write_bytes(content)
    with suppress(InvalidModel):
        header(folder / "m.gguf")


def test_a_large_vocabulary_is_skipped_quickly(tmp_path: Path) -> None:
    """The package's reader takes 5 seconds for each 100,000 words."""
    text = struct.pack("<Q", 5) + b"hello"
    words = value(9, struct.pack("<IQ", 8, WORDS) + text * WORDS)
    file = tmp_path / "m.gguf"
    file.write_bytes(raw(words))
    before = time.process_time()
    with pytest.raises(InvalidModel, match="architecture None"):
        header(file)
    assert time.process_time() - before < 5
