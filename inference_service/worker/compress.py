"""Compresses the weights of a model: `python -m inference_service.worker.compress FOLDER FORMAT`.

FORMAT is int8, int4_sym or int4_asym; for the latter two a third argument is the group size. The
folder's `openvino_model.xml` and `.bin` are replaced. Nothing is calibrated with data: each weight
is rounded by itself. The method is NNCF's, and so are the defaults: with 4 bits, embeddings and the
last layer have 8.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference_service.worker.convert import REFUSED_EXIT_CODE
from inference_service.worker.convert_onnx import Refused

GROUP_SIZE = 128
"""Weights that share a scale, where nobody says otherwise."""

_MODEL = "openvino_model"


def compress(folder: Path, weight_format: str, group_size: int | None) -> None:
    """Compress the weights of the model in a folder.

    Args:
        folder: Where its IR is.
        weight_format: int8, int4_sym or int4_asym.
        group_size: Weights that share a scale, of 4-bit formats; layers whose size it does not
            divide get the largest power of two that does, of at least 32.

    Raises:
        Refused: NNCF is not installed, or the model can't be compressed.

    """
    nncf = _nncf()
    import openvino as ov

    model = ov.Core().read_model(folder / f"{_MODEL}.xml")
    before = _float_bytes(model)
    options: dict[str, Any] = {"mode": nncf.CompressWeightsMode.INT8_ASYM}
    if weight_format != "int8":
        options = {
            "mode": nncf.CompressWeightsMode(weight_format),
            "group_size": group_size or GROUP_SIZE,
            "ratio": 1.0,
            "advanced_parameters": nncf.AdvancedCompressionParameters(
                group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
            ),
        }
    try:
        compressed = nncf.compress_weights(model, **options)
    except (nncf.ValidationError, nncf.UnsupportedModelError, nncf.InvalidGroupSizeError) as error:
        raise Refused(f"NNCF can't compress the model: {error}") from error
    if _float_bytes(compressed) >= before:
        raise Refused("the model has no weights to compress, or they are compressed already")
    # The constants that stay are mapped from the old file until the new one is whole.
    ov.save_model(compressed, folder / "compressed.xml", compress_to_fp16=False)
    for suffix in ("bin", "xml"):
        (folder / f"compressed.{suffix}").replace(folder / f"{_MODEL}.{suffix}")


def _nncf() -> Any:
    # It would send its maker what it is used for, and this is how it is told not to.
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    except ImportError as error:
        raise Refused(
            "weights are compressed by NNCF, which is not installed: "
            "pip install 'openvino-server[compression]'"
        ) from error
    return nncf


def _float_bytes(model: Any) -> int:
    """Add up the constants in floating point that could be weights."""
    return sum(
        operation.get_byte_size()
        for operation in model.get_ops()
        if operation.get_type_name() == "Constant"
        and operation.get_element_type().is_real()
        and len(operation.get_output_shape(0)) > 1
    )


def main(arguments: Sequence[str]) -> int:
    """Compress one model; the last line of the errors is for the user.

    Returns:
        0, or `REFUSED_EXIT_CODE` when the model can't be compressed.

    """
    folder, weight_format, *group_size = arguments
    try:
        compress(Path(folder), weight_format, int(group_size[0]) if group_size else None)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED_EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
