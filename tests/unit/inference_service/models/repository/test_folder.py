from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.engine.settings import ModelSettings
from inference_service.models.repository import InvalidModel, SamplingDefaults, read_model
from tests.model_folders import write, write_gguf

CONTEXT = {"max_position_embeddings": 2048}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the least that a model needs."""
    return write(tmp_path / "small", openvino_model__xml="<net/>", config__json=CONTEXT)


def test_least_of_a_model(model: Path) -> None:
    os.utime(model / "openvino_model.xml", (0, 1_700_000_000))
    folder = read_model(model)
    assert (folder.name, folder.path) == ("small", model)
    assert folder.created == datetime.fromtimestamp(1_700_000_000, UTC)
    assert folder.settings == ModelSettings()
    assert folder.context_length == 2048
    assert (folder.architecture, folder.chat_template) == (None, None)
    assert folder.special_tokens == {}
    assert folder.sampling == SamplingDefaults()


def test_every_field_comes_from_its_file(model: Path) -> None:
    write(
        model,
        model__toml='device = "GPU"\nreproducible = true\nkv_cache_bytes = 2\nmax_num_seqs = 3',
        config__json=CONTEXT | {"model_type": "llama"},
        generation_config__json={
            "do_sample": True,
            "temperature": 0.0,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "repetition_penalty": 1.1,
        },
        tokenizer_config__json={
            "chat_template": "T",
            "bos_token": "<s>",
            "eos_token": {"content": "</s>", "lstrip": False},
            "pad_token": None,
        },
    )
    folder = read_model(model)
    assert folder.settings == ModelSettings(
        device="GPU", reproducible=True, kv_cache_bytes=2, max_num_seqs=3
    )
    assert folder.architecture == "llama"
    assert folder.chat_template == "T"
    assert folder.special_tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert folder.sampling == SamplingDefaults(0.0, 0.9, 40, 0.05, 1.1)


def test_settings_override_the_context_length(model: Path) -> None:
    write(model, model__toml="context_length = 512")
    assert read_model(model).context_length == 512


def test_fake_model_needs_its_settings_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "fake", model__toml='engine = "fake"\ncontext_length = 9')
    assert read_model(folder).context_length == 9


def test_chat_template_is_taken_from_the_newest_place(model: Path) -> None:
    assert read_model(model).chat_template is None
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "named"}]
    write(model, tokenizer_config__json={"chat_template": named})
    assert read_model(model).chat_template == "named"
    write(model, chat_template__json={"chat_template": "of its own"})
    assert read_model(model).chat_template == "of its own"
    write(model, chat_template__jinja="newest é")
    assert read_model(model).chat_template == "newest é"


@pytest.mark.parametrize(
    "template", [[], [{"name": "rag", "template": "x"}], [{"name": "default"}], ["default"], 5]
)
def test_chat_template_of_no_known_form_is_none(model: Path, template: object) -> None:
    write(model, tokenizer_config__json={"chat_template": template})
    assert read_model(model).chat_template is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, SamplingDefaults()),
        ({"do_sample": False, "temperature": 0.7, "top_k": 5}, SamplingDefaults()),
        (
            {"do_sample": False, "repetition_penalty": 1.2},
            SamplingDefaults(repetition_penalty=1.2),
        ),
        ({"temperature": 0.7}, SamplingDefaults(temperature=0.7)),
        ({"top_k": 0}, SamplingDefaults()),
        ({"top_k": -1}, SamplingDefaults()),
        ({"top_k": 50.0}, SamplingDefaults(top_k=50)),
        ({"temperature": None, "top_p": "0.9"}, SamplingDefaults()),
        ({"do_sample": True, "temperature": 0}, SamplingDefaults(temperature=0)),
    ],
)
def test_sampling_defaults(
    model: Path, config: dict[str, object], expected: SamplingDefaults
) -> None:
    write(model, generation_config__json=config)
    sampling = read_model(model).sampling
    assert sampling == expected
    assert isinstance(sampling.top_k, int | None)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"config__json": "{"}, "config.json"),
        ({"config__json": "[1]"}, "config.json: not an object"),
        ({"config__json": {}}, "set context_length in model.toml"),
        ({"config__json": {"max_position_embeddings": 0}}, "max_position_embeddings"),
        ({"config__json": {"max_position_embeddings": "9"}}, "max_position_embeddings"),
        ({"generation_config__json": "no"}, "generation_config.json"),
        ({"tokenizer_config__json": "no"}, "tokenizer_config.json"),
        ({"chat_template__json": "no"}, "chat_template.json"),
        ({"model__toml": "device = "}, "model.toml"),
        ({"model__toml": "no_such_setting = 1"}, "model.toml: .*no_such_setting"),
        ({"model__toml": "max_num_seqs = 0"}, "model.toml: .*max_num_seqs"),
        ({"model__toml": 'reproducible = "yes"'}, "model.toml: .*reproducible"),
    ],
)
def test_file_that_cannot_be_used_is_named(model: Path, files: dict[str, object], why: str) -> None:
    write(model, **files)
    with pytest.raises(InvalidModel, match=why):
        read_model(model)


@pytest.mark.parametrize(
    "name",
    [
        *("model.toml", "config.json", "generation_config.json", "tokenizer_config.json"),
        *("chat_template.json", "chat_template.jinja"),
    ],
)
def test_file_that_is_not_text_is_named(model: Path, name: str) -> None:
    (model / name).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidModel, match=name):
        read_model(model)


def test_folder_without_a_model_is_invalid(tmp_path: Path) -> None:
    write(tmp_path / "empty")
    for name in ("empty", "missing"):
        with pytest.raises(InvalidModel, match=r"no openvino_model\.xml"):
            read_model(tmp_path / name)


def test_files_that_are_to_be_converted_are_no_folder_to_load(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m" / "m.gguf")
    with pytest.raises(InvalidModel, match=r"m\.gguf is to be converted first"):
        read_model(tmp_path / "m")


def test_settings_of_sampling_lie_over_the_models_own(model: Path) -> None:
    write(
        model,
        generation_config__json={"do_sample": True, "temperature": 0.7, "top_p": 0.9},
        model__toml="[sampling]\ntemperature = 0.0\nmax_tokens = 100\ntop_k = 7",
    )
    expected = SamplingDefaults(temperature=0.0, top_p=0.9, top_k=7, max_tokens=100)
    assert read_model(model).sampling == expected


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "true", "1" * 4000])
def test_numbers_that_are_none_are_left_out(model: Path, number: str) -> None:
    write(model, generation_config__json=f'{{"temperature": {number}, "top_k": {number}}}')
    assert read_model(model).sampling == SamplingDefaults()


@pytest.mark.parametrize("length", ["1e3", "3000000000", "true", "-1", '"8"'])
def test_context_length_that_is_none_is_refused(model: Path, length: str) -> None:
    write(model, config__json=f'{{"max_position_embeddings": {length}}}')
    with pytest.raises(InvalidModel, match=r"set context_length in model\.toml"):
        read_model(model)


def test_chat_template_of_the_settings_is_in_place_of_the_models_own(model: Path) -> None:
    write(model, chat_template__jinja="own", mine__jinja="mine")
    write(model, model__toml='chat_template = "mine.jinja"')
    assert read_model(model).chat_template == "mine"
    write(model, model__toml='chat_template = "../small/mine.jinja"')
    with pytest.raises(InvalidModel, match="in the model's folder") as raised:
        read_model(model)
    assert raised.value.cause is LoadFailureCause.INVALID_SETTINGS


@pytest.mark.parametrize(
    ("template", "why"),
    [("{% if %}", "no Jinja"), ("{{ messages[ }}", "no Jinja"), ("\ud800", "no Unicode")],
)
def test_chat_template_that_is_none_is_refused(model: Path, template: str, why: str) -> None:
    write(model, tokenizer_config__json={"chat_template": template})
    with pytest.raises(InvalidModel, match=why):
        read_model(model)


def test_chat_template_that_refuses_a_conversation_is_one(model: Path) -> None:
    write(model, chat_template__jinja="{{ raise_exception('never') }}")
    assert read_model(model).chat_template == "{{ raise_exception('never') }}"


def test_adapters_have_absolute_paths(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(model, model__toml='[adapters.sql]\nfile = "lora/a.safetensors"')
    monkeypatch.chdir(model.parent)
    for path in (model, Path("small")):
        adapter = read_model(path).settings.adapters["sql"]
        assert adapter.file == str(model / "lora/a.safetensors")


@pytest.mark.parametrize("architecture", ["a" * 101, "a\nb", "\ud800", 5, None])
def test_architecture_that_is_no_word_is_none(model: Path, architecture: object) -> None:
    write(model, config__json=CONTEXT | {"model_type": architecture})
    assert read_model(model).architecture is None
