"""The small model that tests make."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.convert import Metadata
from inference_service.worker.pipeline import OpenVinoPipeline
from tests import tiny_llama

SAMPLING = frames.Sampling(
    temperature=0.0,
    top_p=1.0,
    top_k=None,
    min_p=0.0,
    seed=7,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    repetition_penalty=1.0,
    max_tokens=40,
    min_tokens=0,
    stop=(),
    ignore_eos=False,
)


def completion(batch: Batch, prompt: str, sampling: frames.Sampling) -> str:
    messages = batch.submit(frames.Submit(1, prompt, sampling))
    while batch.busy:
        messages += batch.step()
    return "".join(message.text for message in messages if isinstance(message, frames.Delta))


def test_same_arguments_make_the_same_file(tiny_gguf: Path, tmp_path: Path) -> None:
    again = tiny_llama.write_gguf(tmp_path / "again.gguf")
    assert again.read_bytes() == tiny_gguf.read_bytes()
    other = tiny_llama.write_gguf(tmp_path / "other.gguf", seed=1)
    assert other.read_bytes() != tiny_gguf.read_bytes()
    assert other.stat().st_size < 1 << 20


def test_gguf_says_what_a_real_one_says(tiny_gguf: Path) -> None:
    metadata = Metadata(tiny_gguf)
    config = metadata.config()
    assert config["model_type"] == "llama"
    assert config["max_position_embeddings"] == tiny_llama.CONTEXT_LENGTH
    assert config["vocab_size"] == tiny_llama.VOCABULARY_SIZE
    assert metadata.chat_template() == tiny_llama.CHAT_TEMPLATE
    assert metadata.tokenizer_config()["eos_token"] == "<|im_end|>"


def test_model_has_all_files_and_answers_varied_text(tiny_model: Path) -> None:
    assert json.loads((tiny_model / "config.json").read_text())["num_hidden_layers"] == 2
    assert not list(tiny_model.glob("*.gguf"))
    pipeline = OpenVinoPipeline(
        str(tiny_model), ModelSettings(reproducible=True), tiny_llama.CONTEXT_LENGTH
    )
    text = "na\u00efve \u4e2d\u6587 <|im_end|>"
    token_ids = pipeline.encode(text, add_special_tokens=False)
    assert pipeline.decode(token_ids, skip_special_tokens=False) == text
    prompt = "<|im_start|>user\nHello {}<|im_end|>\n<|im_start|>assistant\n"
    batch = Batch(pipeline, tiny_llama.CONTEXT_LENGTH)
    texts = [completion(batch, prompt.format(number), SAMPLING) for number in range(4)]
    assert len(set(texts)) == 4
    assert all(len(text) > 40 for text in texts)
    assert completion(batch, prompt.format(0), SAMPLING) == texts[0]
    sampled = msgspec.structs.replace(SAMPLING, temperature=1.0)
    assert completion(batch, prompt.format(0), sampled) != texts[0]


def test_converter_that_refuses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"refused: .* of architecture 'gpt2'"):
        tiny_llama.write_ir(tmp_path / "refused", architecture="gpt2")
