"""What the header of a GGUF file says, and whether the file is whole.

The reader of the package `gguf` turns whole vocabularies into Python objects and maps the file into
memory, where a file that is cut meanwhile ends the process. This one skips what it doesn't need.

Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from inference_service.domain import LoadFailureCause
from inference_service.models.repository.files import FileStat, InvalidModel, ModelFiles, open_file

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""What the engine builds from GGUF; see `worker.convert`."""

_VERSIONS = (2, 3)
_SCALARS: Mapping[int, str] = dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"))) | {
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_DEEPEST_ARRAY = 4
_MOST_DIMENSIONS = 8
_LONGEST_HEADER_BYTES = 64 << 20
_MOST_ENTRIES = 1 << 16  # values, and tensors
_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What is of use of a GGUF file's header; `None` is not said.

    Attributes:
        architecture: Such as `llama`.
        context_length: Tokens.
        precision: What its weights are stored in, such as `q4_k_m`.
        chat_template: Jinja source.

    """

    architecture: str | None
    context_length: int | None
    precision: str | None
    chat_template: str | None


def require_gguf(files: ModelFiles, name: str) -> GgufHeader:
    """Check that a GGUF file is whole and one that the engine can run, and tell what it says.

    Raises:
        InvalidModel: It isn't.

    """
    state = files.stats[name]
    return (_read if state.settled else _read.__wrapped__)(files.folder / name, state)


@lru_cache(maxsize=4096)
def _read(path: Path, state: FileStat) -> GgufHeader:
    """Read the header once for each state of the file."""
    try:
        with open_file(path) as file:
            reader = _Reader(file, min(state.size, _LONGEST_HEADER_BYTES))
            values, needed_bytes, types = reader.header()
    except (ValueError, struct.error) as error:
        raise InvalidModel(f"{path.name} is no GGUF file, or a damaged one: {error}") from error
    except OSError as error:
        raise InvalidModel(f"{path.name}: {error.strerror}") from error
    if state.size < needed_bytes:
        raise InvalidModel(
            f"{path.name} is cut short: it has {state.size} of the {needed_bytes} bytes that its "
            "header names"
        )
    return _checked(path.name, values, types)


def _checked(name: str, values: Mapping[str, Any], types: Counter[str]) -> GgufHeader:
    architecture = values.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise InvalidModel(
            f"GGUF files of architecture {architecture!r:.102} are not supported; these are: "
            f"{', '.join(ARCHITECTURES)}",
            LoadFailureCause.UNSUPPORTED,
        )
    if _count(values.get("split.count", 1)) != 1:
        raise InvalidModel(
            f"{name} is one of several parts of a model; merge them first",
            LoadFailureCause.UNSUPPORTED,
        )
    if _TOKENS not in values:
        raise InvalidModel(f"{name} has no tokenizer")
    template = values.get("tokenizer.chat_template")
    return GgufHeader(
        architecture,
        _count(values.get(f"{architecture}.context_length")),
        _precision(values.get("general.file_type"), types),
        template if isinstance(template, str) else None,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _precision(file_type: object, bytes_by_type: Counter[str]) -> str | None:
    from gguf.constants import LlamaFileType

    try:
        known = LlamaFileType(file_type)
    except ValueError:
        known = LlamaFileType.GUESSED
    if known is not LlamaFileType.GUESSED:
        return str(known.name.removeprefix("MOSTLY_").removeprefix("ALL_").lower())
    heaviest = bytes_by_type.most_common(1)
    return heaviest[0][0].lower() if heaviest else None


class _Reader:
    """Reads a header front to back, and never past its bound."""

    def __init__(self, file: BinaryIO, bound: int) -> None:
        self._file = file
        self._bound = bound

    def header(self) -> tuple[dict[str, Any], int, Counter[str]]:
        """Give the values by key, the bytes that the file must have, and its weights' by type."""
        if self._take(4) != b"GGUF":
            raise ValueError("it doesn't begin with GGUF")
        if (version := self._number("<I")) not in _VERSIONS:
            raise ValueError(f"its version is {version}, not 2 or 3")
        tensors, values = self._number("<Q"), self._number("<Q")
        if max(tensors, values) > _MOST_ENTRIES:
            raise ValueError(f"it has {tensors} tensors and {values} values")
        read = {self._string(): self._value(self._number("<I")) for _ in range(values)}
        end, types = self._tensors(tensors)
        alignment = read.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its alignment is {alignment!r}")
        begin = -(-self._file.tell() // alignment) * alignment
        return read, begin + end if tensors else 0, types

    def _tensors(self, count: int) -> tuple[int, Counter[str]]:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        end, types = 0, Counter[str]()
        for _ in range(count):
            name = self._string()
            dimensions = self._number("<I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError(f"tensor {name[:100]!r} has {dimensions} dimensions")
            elements = 1
            for _ in range(dimensions):
                elements *= self._number("<Q")
            kind = GGMLQuantizationType(self._number("<I"))
            block, block_bytes = GGML_QUANT_SIZES[kind]
            size = -(-elements // block) * block_bytes
            end = max(end, self._number("<Q") + size)
            types[kind.name] += size
        return end, types

    def _value(self, kind: int, depth: int = 0) -> Any:
        """Read a value; of an array only that it is there."""
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_scalar(kind))
        if depth == _DEEPEST_ARRAY:
            raise ValueError("its arrays are nested too deep")
        kind, count = self._number("<I"), self._number("<Q")
        if kind == _STRING:
            for _ in range(count):
                self._skip(self._number("<Q"))
        elif kind == _ARRAY:
            for _ in range(count):
                self._value(kind, depth + 1)
        else:
            self._skip(count * struct.calcsize(_scalar(kind)))
        return None

    def _string(self) -> str:
        return self._take(self._number("<Q")).decode("utf-8", "replace")

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, size: int) -> bytes:
        self._require(size)
        return self._file.read(size)

    def _skip(self, size: int) -> None:
        self._require(size)
        self._file.seek(size, 1)

    def _require(self, size: int) -> None:
        if size > self._bound:
            raise ValueError("it ends within its header")
        self._bound -= size


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"it has a value of the unknown type {kind}")
    return _SCALARS[kind]
