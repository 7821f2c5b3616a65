"""Whether an ONNX file is whole, as far as the lengths of its parts tell.

Source: `ModelProto` of onnx.proto, and the encoding of protocol buffers.
"""

from __future__ import annotations

from typing import BinaryIO

from inference_service.models.repository.files import InvalidModel, ModelFiles, open_file

_GRAPH = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 100_000
_LONGEST_VARINT = 10


def require_onnx(files: ModelFiles, name: str) -> None:
    """Check that a file is an ONNX model that is not cut short.

    Raises:
        InvalidModel: It isn't.

    """
    try:
        with open_file(files.folder / name) as file:
            fields = _fields(file, files.stats[name].size)
    except ValueError as error:
        raise InvalidModel(f"{name} is no whole ONNX file: {error}") from error
    except OSError as error:
        raise InvalidModel(f"{name}: {error.strerror}") from error
    if _GRAPH not in fields:
        raise InvalidModel(f"{name} is no ONNX file: it has no graph")


def _fields(file: BinaryIO, size: int) -> set[int]:
    """Step over the message's fields, which must end where the file does."""
    fields: set[int] = set()
    for _ in range(_MOST_FIELDS):
        if file.tell() == size:
            return fields
        tag = _varint(file)
        wire = tag & 7
        if wire == _VARINT:
            _varint(file)
        elif wire in (_FIXED64, _BYTES, _FIXED32):
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire) or _varint(file)
            if length > size - file.tell():
                raise ValueError(f"it is cut short by {length - size + file.tell()} bytes")
            file.seek(length, 1)
        else:
            raise ValueError("it is no protocol buffer")
        fields.add(tag >> 3)
    raise ValueError("it has too many fields")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it is cut short")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("it is no protocol buffer")
