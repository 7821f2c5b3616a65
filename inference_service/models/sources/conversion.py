"""Turns a GGUF or ONNX file among the models into IR, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from inference_service.domain import LoadFailureCause
from inference_service.models.sources import child
from inference_service.models.sources.cache import cached
from inference_service.models.sources.errors import ModelRefused, PullError, SourceNotFound
from inference_service.models.sources.messages import ConvertOrder
from inference_service.models.sources.progress import Progress


class ConversionError(Exception):
    """A file couldn't be turned into IR. The message is one line for the operator.

    Attributes:
        cause: UNSUPPORTED: the engine has no way to run such a model; INVALID_FILES: the file is
            gone; CONVERSION: anything else, such as a full disk or too little memory.

    """

    def __init__(self, cause: LoadFailureCause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


async def converted(weights: Path, cache_root: Path, on_stage: Callable[[str], None]) -> Path:
    """Give a folder with the IR of a file, which is made the first time.

    A process of its own converts. It appears whole or not at all, one process of all servers that
    share the folder converts while the others wait, and cancelling ends it. What an older state of
    the file gave is deleted.

    Args:
        weights: A GGUF file, or an ONNX file with its tokenizer and configuration beside it. It and
            its folder may be read-only.
        cache_root: The folder of converted files; made if it is not there.
        on_stage: Takes what happens now, in words for the user; called only if there is work to do.

    Returns:
        The folder: IR, tokenizer and configuration, as `openvino-server models pull` makes them.

    Raises:
        ConversionError: It couldn't be converted.

    """
    try:
        if folder := await asyncio.to_thread(cached, cache_root, weights):
            return folder
        order = ConvertOrder(weights=str(weights), cache_root=str(cache_root))
        return await child.run(order, _told_once(on_stage))
    except SourceNotFound as error:
        raise ConversionError(LoadFailureCause.INVALID_FILES, str(error)) from error
    except ModelRefused as error:
        raise ConversionError(LoadFailureCause.UNSUPPORTED, str(error)) from error
    except PullError as error:
        raise ConversionError(LoadFailureCause.CONVERSION, str(error)) from error
    except child.ProcessDied as error:
        raise ConversionError(
            LoadFailureCause.CONVERSION, f"the conversion's process died ({error})"
        ) from error


def _told_once(on_stage: Callable[[str], None]) -> Callable[[Progress], None]:
    last: str | None = None

    def tell(progress: Progress) -> None:
        nonlocal last
        if progress.stage != last:
            last = progress.stage
            on_stage(last)

    return tell
