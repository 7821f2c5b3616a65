"""A small model for tests: a Llama of random weights with a real tokenizer, made without torch.

It loads in about a second, answers with varied nonsense, and is the same for the same arguments.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from inference_service.worker.convert import REFUSED_EXIT_CODE

CONTEXT_LENGTH = 2048
VOCABULARY_SIZE = 1024
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Ends of words, signs and scripts that the licence, which is all the rest, doesn't have.
_CORPUS = Path(__file__).parents[1] / "LICENSE"
_MORE = "Hello, world! na\u00efve \u4e2d\u6587 \U0001f600 def f(x): return {'a': [1, 2.5]}\n\t"
_HEADS = 4
_KEY_VALUE_HEADS = 2


def write_gguf(
    path: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    hidden: int = 64,
    mixing: float = 1.0,
    context_length: int = CONTEXT_LENGTH,
    chat_template: str | None = CHAT_TEMPLATE,
    architecture: str = "llama",
) -> Path:
    """Write a model as one GGUF file.

    Args:
        path: The file.
        seed: Of the weights; models of the same arguments are the same.
        layers: Its depth.
        hidden: The width of its layers, a multiple of 32. With 2 layers of 64 it has 0.3 million
            weights, and a token of its key-value cache 128 numbers.
        mixing: How much a token depends on others than the one before it. With 0 a completion soon
            goes in a circle, and the less it is, the more it repeats itself.
        context_length: What it says of itself.
        chat_template: ChatML, if not told otherwise; `None` for a model that doesn't chat.
        architecture: What it says of itself.

    """
    tokenizer = _tokenizer()
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(context_length)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * hidden)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(hidden // _HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY_SIZE)
    writer.add_file_type(int(GGMLQuantizationType.F16))
    _add_tokenizer(writer, tokenizer)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for name, weights in _weights(seed, layers, hidden, mixing).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_ir(folder: Path, **options: Any) -> Path:
    """Write a model's folder: what the converter makes of a GGUF file, without that file.

    Args:
        folder: It is made.
        options: See `write_gguf`.

    Raises:
        RuntimeError: The converter failed; the message is all that it wrote.

    """
    folder.mkdir(parents=True)
    gguf = write_gguf(folder / "model.gguf", **options)
    command = [sys.executable, "-m", "inference_service.worker.convert", str(gguf)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        how = "refused" if done.returncode == REFUSED_EXIT_CODE else f"died ({done.returncode})"
        raise RuntimeError(f"the converter {how}: {done.stdout}{done.stderr}")
    gguf.unlink()
    _name_layers(folder / "openvino_model.xml")
    return folder


def write_adapter(
    path: Path, *, seed: int = 0, layers: int = 2, hidden: int = 64, rank: int = 4
) -> Path:
    """Write a LoRA adapter of random weights, strong enough to change most completions.

    Args:
        path: The safetensors file.
        seed: Of the weights.
        layers: The model's depth.
        hidden: The width of its layers.
        rank: Of the adapter.

    """
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for name, rows in (("self_attn.q_proj", hidden), ("mlp.up_proj", 2 * hidden)):
            place = f"base_model.model.model.layers.{layer}.{name}"
            for part, shape in (("A", (rank, hidden)), ("B", (rows, rank))):
                drawn = random.standard_normal(shape) / np.sqrt(shape[1])
                tensors[f"{place}.lora_{part}.weight"] = drawn.astype(np.float32)
    save_file(tensors, path)
    return path


def _name_layers(xml: Path) -> None:
    """Name what multiplies by weights as exports from Hugging Face do: adapters are told by that.

    The converter's names are numbers; only the weights themselves have the names of their layers.
    """
    tree = ElementTree.parse(xml)
    layers = {layer.get("id"): layer for layer in tree.iterfind("layers/layer")}
    source = {
        (edge.get("to-layer"), edge.get("to-port")): layers[edge.get("from-layer")]
        for edge in tree.iterfind("edges/edge")
    }
    for number, layer in layers.items():
        if layer.get("type") != "MatMul":
            continue
        weights = source[source[number, "1"].get("id"), "0"].get("name", "")
        if weights.endswith(".weight"):
            name = re.sub(r"\[(\d+)\]", r".\1", weights.removesuffix(".weight"))
            layer.set("name", f"__module.{name}/ov_ext::linear/MatMul")
    tree.write(xml)


def _tokenizer() -> Tokenizer:
    """Train a byte-level BPE, as those of Llama 3 and SmolLM are."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_CORPUS.read_text(encoding="utf-8"), _MORE], trainer)
    return tokenizer


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    assert len(tokens) == VOCABULARY_SIZE, "the corpus is too small for the vocabulary"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    ids = {text: tokens.index(text) for text in SPECIAL_TOKENS}
    writer.add_bos_token_id(ids["<|im_start|>"])
    writer.add_eos_token_id(ids["<|im_end|>"])
    writer.add_pad_token_id(ids["<|endoftext|>"])
    writer.add_unk_token_id(ids["<|endoftext|>"])
    writer.add_add_bos_token(False)


def _weights(
    seed: int, layers: int, hidden: int, mixing: float
) -> dict[str, npt.NDArray[np.generic]]:
    """Draw weights of such size that each layer matters and no token is much the likeliest."""
    random = np.random.default_rng(seed)
    key_value = hidden // _HEADS * _KEY_VALUE_HEADS

    def matrix(rows: int, columns: int, scale: float = 1.0) -> npt.NDArray[np.generic]:
        drawn = random.standard_normal((rows, columns)) * scale / np.sqrt(columns)
        return drawn.astype(np.float16)

    def norm() -> npt.NDArray[np.generic]:
        return np.ones(hidden, dtype=np.float32)

    weights = {"token_embd.weight": matrix(VOCABULARY_SIZE, hidden, np.sqrt(hidden))}
    for layer in range(layers):
        weights |= {
            f"blk.{layer}.{name}.weight": tensor
            for name, tensor in {
                "attn_norm": norm(),
                "attn_q": matrix(hidden, hidden, 2.0),
                "attn_k": matrix(key_value, hidden, 2.0),
                "attn_v": matrix(key_value, hidden),
                "attn_output": matrix(hidden, hidden, mixing),
                "ffn_norm": norm(),
                "ffn_gate": matrix(2 * hidden, hidden),
                "ffn_up": matrix(2 * hidden, hidden),
                "ffn_down": matrix(hidden, 2 * hidden, mixing),
            }.items()
        }
    return weights | {
        "output_norm.weight": norm(),
        "output.weight": matrix(VOCABULARY_SIZE, hidden, 2.0),
    }
