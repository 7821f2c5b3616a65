from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from inference_service.models.sources import converter
from inference_service.worker import convert
from inference_service.worker.convert import Metadata, Refused

TEMPLATE = "{{ bos_token }}{% for m in messages %}\r\n{{ m.content }} é{% endfor %}"


def write_gguf(path: Path, architecture: str = "llama", **changes: object) -> Path:
    """Write a GGUF file without tensors."""
    values = {"context_length": 4096, "eot": None, "template": TEMPLATE, "tokens": True} | changes
    writer = gguf.GGUFWriter(path, architecture)
    if values["context_length"]:
        writer.add_context_length(values["context_length"])
    writer.add_embedding_length(8)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    if values["tokens"]:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(["<unk>", "<s>", "</s>", "<eot>", "é"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    if values["eot"]:
        writer.add_eot_token_id(values["eot"])
    if values["template"]:
        writer.add_chat_template(values["template"])
    if "split" in values:
        writer.add_uint16("split.count", values["split"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_writes_what_stands_beside_the_ir(file: Path) -> None:
    Metadata(write_gguf(file)).write(file.parent)
    folder = file.parent
    assert (folder / "chat_template.jinja").read_bytes() == TEMPLATE.encode()
    assert json.loads((folder / "config.json").read_text()) == {
        "model_type": "llama",
        "max_position_embeddings": 4096,
        "vocab_size": 5,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    assert json.loads((folder / "generation_config.json").read_text()) == {
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    assert json.loads((folder / "tokenizer_config.json").read_text()) == {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_bos_token": True,
    }


def test_a_turn_may_end_by_a_token_of_its_own(file: Path) -> None:
    assert Metadata(write_gguf(file, eot=3)).generation_config()["eos_token_id"] == [2, 3]


def test_a_model_that_does_not_chat_has_no_template(file: Path) -> None:
    Metadata(write_gguf(file, template=None)).write(file.parent)
    assert not (file.parent / "chat_template.jinja").exists()


@pytest.mark.parametrize("architecture", ["mamba", "gemma3", "phi3"])
def test_other_architectures_are_refused(file: Path, architecture: str) -> None:
    write_gguf(file, architecture)
    message = f"'{architecture}' are not supported; these are: llama, qwen2, qwen3"
    with pytest.raises(Refused, match=message):
        Metadata(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": 3}, "split over several"),
        ({"context_length": None}, "context"),
        ({"tokens": False}, "no tokenizer"),
    ],
)
def test_incomplete_files_are_refused(file: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(Refused, match=message):
        Metadata(write_gguf(file, **changes))


@pytest.mark.parametrize("content", [b"", b"GG", b"not a model at all", b"GGUF\x03\0\0\0\xff\xff"])
def test_what_is_no_gguf_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(Refused, match="it is no GGUF file, or a damaged one"):
        Metadata(file)


def test_a_cut_file_is_refused(file: Path) -> None:
    whole = write_gguf(file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match="it is no GGUF file, or a damaged one"):
        Metadata(file)


def test_the_command_refuses_before_openvino_is_loaded(file: Path) -> None:
    write_gguf(file, "mamba")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "inference_service.worker.convert", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == convert.REFUSED_EXIT_CODE == converter.REFUSED_EXIT_CODE
    assert "'mamba' are not supported" in done.stderr
    assert "openvino" not in done.stderr.replace("openvino_server", "")
