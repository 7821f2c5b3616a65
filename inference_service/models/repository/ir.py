"""OpenVINO IR as its XML describes it, read without OpenVINO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.parsers import expat

from inference_service.models.repository.files import FileStat, InvalidModel, ModelFiles, open_file

_CHUNK_BYTES = 64 << 10  # between two of them other threads run
_LONGEST_XML_BYTES = 256 << 20
_LONGEST_NUMBER = 20
_LONGEST_TOKEN_BYTES = 4 << 20  # expat may read a token again for each chunk of it
# Names that people use; a type that is not here holds no weights.
_PRECISIONS: Mapping[str, str] = {
    **{name: name for name in ("f64", "f32", "f16", "bf16", "nf4", "f4e2m1", "f8e4m3", "f8e5m2")},
    **dict.fromkeys(("i8", "u8"), "int8"),
    **dict.fromkeys(("i4", "u4"), "int4"),
    **dict.fromkeys(("i2", "u2"), "int2"),
}


@dataclass(frozen=True, slots=True)
class Ir:
    """What the XML says of its weights.

    Attributes:
        precision: What most bytes of the weights are stored in; `None` if it has none.
        weights_bytes: Bytes that the file of weights must have at least.

    """

    precision: str | None
    weights_bytes: int


def require_ir(files: ModelFiles, name: str) -> Ir:
    """Check that one graph of a model is whole, and tell what it says.

    Args:
        files: The model's.
        name: That of its files, without the suffix.

    Raises:
        InvalidModel: A file is missing or cut short, or the XML is none.

    """
    xml, weights = f"{name}.xml", f"{name}.bin"
    for file in (xml, weights):
        if file not in files:
            raise InvalidModel(f"no {file}")
    state = files.stats[xml]
    ir = (_parse if state.settled else _parse.__wrapped__)(files.folder / xml, state)
    size = files.stats[weights].size
    if size < ir.weights_bytes:
        raise InvalidModel(
            f"{weights} is cut short: it has {size} of the {ir.weights_bytes} bytes that {xml} "
            "names"
        )
    return ir


@lru_cache(maxsize=16384)
def _parse(file: Path, _stat: FileStat) -> Ir:
    """Read the XML, which may be of tens of megabytes, once for each state of the file."""
    reader = _Reader()
    try:
        with open_file(file) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                reader.take(chunk)
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InvalidModel(f"{file.name} is no whole XML: {error}") from error
    except LookupError as error:
        raise InvalidModel(f"{file.name} can't be read: {error}") from error
    except ValueError as error:
        raise InvalidModel(f"{file.name} has a constant that can't be read: {error}") from error
    except OSError as error:
        raise InvalidModel(f"{file.name}: {error.strerror}") from error
    if reader.root != "net":
        raise InvalidModel(
            f"{file.name} is no OpenVINO IR: it begins with <{str(reader.root)[:100]}>"
        )
    heaviest = reader.bytes_by_precision.most_common(1)
    return Ir(heaviest[0][0] if heaviest else None, reader.weights_bytes)


class _Reader:
    """Takes what is of use from the elements of an IR, those of nested graphs too."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.root: str | None = None
        self.weights_bytes = 0
        self.bytes_by_precision: Counter[str] = Counter()
        self._in_constant = False
        self._taken_bytes = 0

    def take(self, chunk: bytes) -> None:
        """Take the next part of the file."""
        self.parser.Parse(chunk, False)
        self._taken_bytes += len(chunk)
        unread = self._taken_bytes - self.parser.CurrentByteIndex
        if unread > _LONGEST_TOKEN_BYTES or self._taken_bytes > _LONGEST_XML_BYTES:
            raise InvalidModel("an OpenVINO IR's XML is not so long; its weights are beside it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.root is None:
            self.root = name
        if name == "layer":
            self._in_constant = attributes.get("type") == "Const"
        elif name == "data" and self._in_constant:
            self._in_constant = False
            size = _bytes(attributes, "size")
            self.weights_bytes = max(self.weights_bytes, _bytes(attributes, "offset") + size)
            if precision := _PRECISIONS.get(attributes["element_type"]):
                self.bytes_by_precision[precision] += size

    def _refuse(self, *_declaration: object) -> None:
        raise InvalidModel("an OpenVINO IR declares no document type; this one does")


def _bytes(attributes: Mapping[str, str], name: str) -> int:
    if len(attributes[name]) > _LONGEST_NUMBER:
        raise ValueError(f"its {name} is no number of bytes")
    return int(attributes[name])
