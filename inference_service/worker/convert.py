"""Turns a GGUF or ONNX file into OpenVINO IR: `python -m inference_service.worker.convert FILE`.

Of GGUF, the engine writes the model and its tokenizer beside the file. What it does not write
comes from the file's metadata: the chat template as its authors wrote it (the engine patches its
own copy), and the configuration under the names that Hugging Face models use.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference_service.worker import convert_onnx
from inference_service.worker.convert_onnx import Refused

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""What the engine builds from GGUF; it crashes or makes nonsense of others."""

REFUSED_EXIT_CODE = 3

_CONFIG_KEYS = {
    "max_position_embeddings": "context_length",
    "vocab_size": "vocab_size",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
}
_SPECIAL_TOKENS = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}


class Metadata:
    """What a GGUF file says of its model.

    Raises:
        Refused: It is not a GGUF file, or not of a model that the engine can run.

    """

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        try:
            self._fields = GGUFReader(path).fields
        except (ValueError, IndexError, OverflowError) as error:
            raise Refused(f"it is no GGUF file, or a damaged one: {error}") from error
        self.architecture = self._get("general.architecture")
        if self.architecture not in ARCHITECTURES:
            raise Refused(
                f"GGUF files of architecture {self.architecture!r} are not supported; these are: "
                f"{', '.join(ARCHITECTURES)}"
            )
        if (self._get("split.count") or 1) > 1:
            raise Refused("the model is split over several GGUF files; merge them first")
        if self._get(f"{self.architecture}.context_length") is None:
            raise Refused("the GGUF file does not say how long the model's context is")
        if "tokenizer.ggml.tokens" not in self._fields:
            raise Refused("the GGUF file has no tokenizer")

    def _get(self, key: str) -> Any:
        field = self._fields.get(key)
        return None if field is None else field.contents()

    def _tokens(self) -> dict[str, int]:
        """Give the ids of the special tokens, by their short names."""
        ids = {
            name: self._get(f"tokenizer.ggml.{key}_token_id")
            for name, key in _SPECIAL_TOKENS.items()
        }
        return {name: token for name, token in ids.items() if token is not None}

    def config(self) -> dict[str, Any]:
        """Give `config.json`."""
        config: dict[str, Any] = {"model_type": self.architecture}
        for name, key in _CONFIG_KEYS.items():
            if (value := self._get(f"{self.architecture}.{key}")) is not None:
                config[name] = value
        config.setdefault("vocab_size", len(self._fields["tokenizer.ggml.tokens"].data))
        tokens = self._tokens()
        config |= {f"{name}_token_id": tokens[name] for name in tokens if name != "unk"}
        return config

    def generation_config(self) -> dict[str, Any]:
        """Give `generation_config.json`: a completion ends at the end of text or of a turn."""
        tokens = self._tokens()
        config: dict[str, Any] = {
            f"{name}_token_id": tokens[name] for name in ("bos", "pad") if name in tokens
        }
        ends = [tokens.get("eos"), self._get("tokenizer.ggml.eot_token_id")]
        distinct = list(dict.fromkeys(end for end in ends if end is not None))
        if distinct:
            config["eos_token_id"] = distinct[0] if len(distinct) == 1 else distinct
        return config

    def tokenizer_config(self) -> dict[str, Any]:
        """Give `tokenizer_config.json`: chat templates write the special tokens by name."""
        texts = self._fields["tokenizer.ggml.tokens"]
        config: dict[str, Any] = {
            f"{name}_token": texts.contents(token) for name, token in self._tokens().items()
        }
        for name in ("add_bos_token", "add_eos_token"):
            if (value := self._get(f"tokenizer.ggml.{name}")) is not None:
                config[name] = value
        return config

    def chat_template(self) -> str | None:
        """Give the chat template, which models that don't chat lack."""
        template: str | None = self._get("tokenizer.chat_template")
        return template

    def write(self, folder: Path) -> None:
        """Write the files that stand beside the IR."""
        files = {
            "config.json": self.config(),
            "generation_config.json": self.generation_config(),
            "tokenizer_config.json": self.tokenizer_config(),
        }
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if (template := self.chat_template()) is not None:
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")


def write_ir(gguf: Path) -> None:
    """Let the engine load a GGUF file and write the IR of model and tokenizer beside it."""
    import openvino_genai

    tokenizer = openvino_genai.Tokenizer(gguf, enable_save_ov_model=True)
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 1
    openvino_genai.ContinuousBatchingPipeline(
        gguf, tokenizer, scheduler, "CPU", enable_save_ov_model=True
    )


def uncut_tokenizer(folder: Path) -> None:
    """Let the tokenizer give all tokens of a text.

    The engine's GGUF tokenizers silently keep the last 8,192 tokens, so that a prompt that is too
    long could not be told from one that fits.
    """
    import numpy as np
    import openvino as ov
    import openvino_tokenizers  # noqa: F401  teaches OpenVINO the tokenizers' operations
    from openvino import opset13

    tokenizer = ov.Core().read_model(folder / "openvino_tokenizer.xml")
    no_limit = opset13.constant(np.int32(np.iinfo(np.int32).max))
    for operation in tokenizer.get_ops():
        if operation.get_type_name() != "Minimum":
            continue
        for port in operation.inputs():
            if port.get_source_output().get_node().get_type_name() == "Constant":
                port.replace_source_output(no_limit.output(0))
    # The constants are mapped from the old file until the new one is whole.
    ov.save_model(tokenizer, folder / "uncut.xml", compress_to_fp16=False)
    for suffix in ("xml", "bin"):
        (folder / f"uncut.{suffix}").replace(folder / f"openvino_tokenizer.{suffix}")


def main(arguments: Sequence[str]) -> int:
    """Convert one file; the last line of the errors is for the user.

    Returns:
        0, or `REFUSED_EXIT_CODE` when the file is not one that the engine can run.

    """
    file = Path(arguments[0])
    try:
        if file.suffix == ".onnx":
            convert_onnx.write_ir(file)
        else:
            _convert_gguf(file)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED_EXIT_CODE
    return 0


def _convert_gguf(gguf: Path) -> None:
    metadata = Metadata(gguf)
    write_ir(gguf)
    uncut_tokenizer(gguf.parent)
    metadata.write(gguf.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
