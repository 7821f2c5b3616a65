"""Which of a repository's files make a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from inference_service.models.sources.errors import ModelRefused
from inference_service.models.sources.folder import COMPANION_FILES, IR_FILES

_IR_PATTERNS = (
    *("openvino_*.xml", "openvino_*.bin"),
    *("*.json", "*.jinja", "*.model", "*.txt", "1_Pooling/*"),
)
_LONGEST_PART = 255
_LONGEST_PATH = 1024  # what is too long for a message is no name
_LISTED = 20


def select(paths: Iterable[str], patterns: Sequence[str], source: str) -> list[str]:
    """Choose the files to fetch.

    Args:
        paths: All files of the repository.
        patterns: What they must match, as `fnmatch` has it: `*` may be several folders. None:
            the files of an OpenVINO export; where there is none, its one GGUF file, or its one
            ONNX file with tokenizer and configuration.
        source: The repository, for errors.

    Returns:
        The paths, sorted; each is one that can be in a folder, and none is inside another.

    Raises:
        ModelRefused: There is no model among them, or several are.

    """
    chosen = _matching(paths, patterns) if patterns else _default(set(paths), source)
    if not chosen:
        raise ModelRefused(f"{source} has no file that matches {' or '.join(patterns)}")
    _check_paths(chosen, source)
    if not is_ir(chosen) and weights_among(chosen) is None:
        raise ModelRefused(_no_model(chosen, source))
    return sorted(chosen)


def select_companions(paths: Iterable[str], source: str) -> list[str]:
    """Choose tokenizer and configuration alone.

    Raises:
        ModelRefused: Their paths can't be in a folder.

    """
    chosen = set(paths) & set(COMPANION_FILES)
    _check_paths(chosen, source)
    return sorted(chosen)


def is_ir(paths: Iterable[str]) -> bool:
    """Say whether files are an OpenVINO export."""
    return set(IR_FILES) <= set(paths)


def weights_among(paths: Iterable[str]) -> str | None:
    """Give the one GGUF or ONNX file; None if there is none or several are."""
    found = [path for path in paths if path.endswith((".gguf", ".onnx"))]
    return found[0] if len(found) == 1 else None


def data_of(onnx: str, paths: Iterable[str]) -> list[str]:
    """Give the files in which an ONNX file has its weights: `model.onnx_data` and the like."""
    return [path for path in paths if path.startswith((f"{onnx}_data", f"{onnx}.data"))]


def _matching(paths: Iterable[str], patterns: Sequence[str]) -> set[str]:
    return {path for path in paths if any(fnmatchcase(path, pattern) for pattern in patterns)}


def _default(paths: set[str], source: str) -> set[str]:
    if is_ir(paths):
        return {
            path
            for path in _matching(paths, _IR_PATTERNS)
            if "/" not in path or path.startswith("1_Pooling/")
        }
    gguf = {path for path in paths if path.endswith(".gguf")}
    if len(gguf) == 1:
        return gguf
    onnx = {path for path in paths if path.endswith(".onnx")}
    if gguf or len(onnx) != 1:
        raise ModelRefused(_no_model(gguf or onnx, source))
    return onnx | set(data_of(next(iter(onnx)), paths)) | (paths & set(COMPANION_FILES))


def _no_model(paths: Iterable[str], source: str) -> str:
    weights = sorted(path for path in paths if path.endswith((".gguf", ".onnx")))
    if not weights:
        return (
            f"{source} has no OpenVINO export ({', '.join(IR_FILES)}), no .gguf and no .onnx file"
            " to take"
        )
    more = f" and {len(weights) - _LISTED} more" if len(weights) > _LISTED else ""
    return (
        f"{source} has several files with weights; choose one by a pattern of files to allow: "
        f"{', '.join(weights[:_LISTED])}{more}"
    )


def _check_paths(paths: set[str], source: str) -> None:
    """Refuse names that could lead out of a folder, or that can't all be in one."""
    for path in paths:
        if len(path) > _LONGEST_PATH:
            raise ModelRefused(f"{source} has a file named {path[:100]!r}… which is too long")
        parts = path.split("/")
        parents = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if (
            not all(_is_name(part) for part in parts)
            or not path.isprintable()
            or "\\" in path
            or parents & paths
            or PurePosixPath(path).is_absolute()
        ):
            raise ModelRefused(f"{source} has a file named {path!r}, which can't be in a folder")


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..") and len(part.encode(errors="replace")) <= _LONGEST_PART
