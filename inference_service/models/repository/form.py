"""What a model's files are, and whether all that it needs is there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference_service.domain import LoadFailureCause, ModelFormat, ModelKind
from inference_service.engine.settings import ModelSettings
from inference_service.models.repository.files import InvalidModel, ModelFiles
from inference_service.models.repository.ir import Ir, require_ir
from inference_service.models.repository.layout import GGUF_SUFFIX, IR_FILE, ONNX_FILE
from inference_service.models.repository.onnx_file import require_onnx
from inference_service.models.repository.settings import SETTINGS_STEM, settings_files
from inference_service.models.sources.folder import TOKENIZER_FILES

_MODEL, _TOKENIZER, _DETOKENIZER = "openvino_model", "openvino_tokenizer", "openvino_detokenizer"
_PARTS = ("openvino_language_model.xml", "openvino_encoder_model.xml")
_TORCH = re.compile(r"(pytorch_)?model\b.*\.(safetensors|bin|pth?)")


@dataclass(frozen=True, slots=True)
class Form:
    """What a model's files are.

    Attributes:
        format: Their format.
        main: The file that it stands and falls with; `None` of a fake model without any.

    """

    format: ModelFormat
    main: str | None

    @property
    def is_converted(self) -> bool:
        """Whether the main file is to be converted before it is loaded."""
        return self.format in (ModelFormat.GGUF, ModelFormat.ONNX)


def form_of(files: ModelFiles, settings: ModelSettings) -> Form:
    """Tell what a model's files are.

    Raises:
        InvalidModel: They are none that can be used, or more than one.

    """
    if settings.engine == "fake":
        found = (name for name in settings_files(SETTINGS_STEM) if name in files)
        return Form(ModelFormat.FAKE, next(found, None))
    if IR_FILE in files:
        return Form(ModelFormat.OPENVINO_IR, IR_FILE)
    if ONNX_FILE in files:
        return Form(ModelFormat.ONNX, ONNX_FILE)
    gguf = [name for name in files.stats if "/" not in name and name.endswith(GGUF_SUFFIX)]
    if len(gguf) > 1:
        raise InvalidModel(f"it has {len(gguf)} GGUF files; leave the one that is to be loaded")
    if gguf:
        return Form(ModelFormat.GGUF, gguf[0])
    if parts := [name for name in _PARTS if name in files]:
        raise InvalidModel(
            f"it has {parts[0]}, so it is of several parts, which is not supported",
            LoadFailureCause.UNSUPPORTED,
        )
    if any(_TORCH.fullmatch(name) for name in files.stats):
        raise InvalidModel(
            f"no {IR_FILE}; export the model with `optimum-cli export openvino`",
            LoadFailureCause.UNSUPPORTED,
        )
    raise InvalidModel(f"no {IR_FILE}, {ONNX_FILE} or GGUF file")


def require_whole(files: ModelFiles, kind: ModelKind | None) -> Ir:
    """Check that nothing that the engine reads of an IR is missing or cut short.

    Raises:
        InvalidModel: Something is.

    """
    ir = require_ir(files, _MODEL)
    require_ir(files, _TOKENIZER)
    if kind is ModelKind.GENERATION or f"{_DETOKENIZER}.xml" in files:
        require_ir(files, _DETOKENIZER)
    return ir


def require_convertible_onnx(files: ModelFiles) -> None:
    """Check that an ONNX file is whole and has beside it what it is converted with.

    Raises:
        InvalidModel: It isn't.

    """
    require_onnx(files, ONNX_FILE)
    if "config.json" not in files:
        raise InvalidModel(f"no config.json beside {ONNX_FILE}")
    if not any(name in files for name in TOKENIZER_FILES):
        raise InvalidModel(f"no tokenizer beside {ONNX_FILE}: none of {', '.join(TOKENIZER_FILES)}")
