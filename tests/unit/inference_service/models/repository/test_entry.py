from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailure, LoadFailureCause, ModelFormat, ModelKind
from inference_service.models.repository import Repository
from inference_service.models.repository.entry import ModelEntry, folder_of
from inference_service.models.repository.files import InvalidModel
from tests.model_folders import GRAPHS, age, graph, write, write_gguf, write_ir, write_onnx

FILES, SETTINGS = LoadFailureCause.INVALID_FILES, LoadFailureCause.INVALID_SETTINGS
UNSUPPORTED = LoadFailureCause.UNSUPPORTED


def entry(folder: Path, **overrides: dict[str, Any]) -> ModelEntry:
    """Give the one entry of a folder of models."""
    (found,) = Repository(folder.parent, overrides=overrides).scan().values()
    return found


def test_an_exported_model_tells_of_itself(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m@2", {"u4": 90, "u8": 50, "f16": 30})
    age(folder)
    found = entry(folder)
    assert found.problem is None
    assert (found.name, found.base, found.version) == ("m@2", "m", "2")
    assert (found.path, found.weights, found.is_file) == (folder, None, False)
    assert (found.format, found.precision) == (ModelFormat.OPENVINO_IR, "int4")
    assert (found.kind, found.architecture) == (ModelKind.GENERATION, "llama")
    assert (found.context_length, found.reproducible, found.adapters) == (2048, False, ())
    mtime = (folder / "openvino_model.xml").stat().st_mtime
    assert found.created == datetime.fromtimestamp(mtime, UTC)
    assert found.size_bytes == sum(f.stat().st_size for f in folder.iterdir())
    assert not found.read_only


def test_a_model_of_the_real_engine_is_whole(tiny_model: Path) -> None:
    found = entry(tiny_model)
    assert found.problem is None
    assert (found.kind, found.precision) == (ModelKind.GENERATION, "f16")
    assert found.context_length == 2048
    assert folder_of(found).path == tiny_model


def test_embedding_and_rerank_models(tmp_path: Path) -> None:
    config = {"architectures": ["BertModel"], "max_position_embeddings": 512}
    embedding = write_ir(tmp_path / "embedding", config__json=config)
    (embedding / "openvino_detokenizer.xml").unlink()  # needed for text alone
    write(embedding / "1_Pooling", config__json={"pooling_mode": "mean"})
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "x"}}
    write_ir(tmp_path / "rerank", config__json=config | {"max_position_embeddings": 256})
    models = Repository(tmp_path).scan()
    kinds = {name: (model.kind, model.context_length) for name, model in models.items()}
    assert kinds == {"embedding": (ModelKind.EMBEDDING, 512), "rerank": (ModelKind.RERANK, 256)}
    assert folder_of(models["embedding"]).settings.pooling == "mean"


@pytest.mark.parametrize("alone", [True, False])
def test_gguf_is_a_file_or_in_a_folder(tmp_path: Path, alone: bool) -> None:
    file = write_gguf(tmp_path / "m@1.gguf" if alone else tmp_path / "m@1" / "x.gguf", "qwen3")
    found = entry(file if alone else file.parent)
    assert found.problem is None
    assert (found.name, found.weights, found.is_file) == ("m@1", file, alone)
    assert found.path == (file if alone else file.parent)
    assert (found.format, found.precision) == (ModelFormat.GGUF, "q8_0")
    assert (found.kind, found.architecture) == (ModelKind.GENERATION, "qwen3")
    assert (found.context_length, found.size_bytes) == (4096, file.stat().st_size)


def test_onnx_is_in_a_folder(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "m")
    found = entry(folder)
    assert found.problem is None
    assert (found.format, found.weights) == (ModelFormat.ONNX, folder / "model.onnx")
    assert (found.kind, found.context_length) == (ModelKind.EMBEDDING, 512)
    assert found.precision is None


def test_fake_models_have_settings_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model__toml='engine = "fake"\ncontext_length = 7')
    found = entry(folder)
    assert found.problem is None
    assert (found.format, found.context_length) == (ModelFormat.FAKE, 7)
    (folder / "model.toml").unlink()
    found = entry(folder, m={"engine": "fake", "context_length": 8})
    assert (found.problem, found.format, found.context_length) == (None, ModelFormat.FAKE, 8)


def test_ir_comes_before_what_it_was_made_of(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m")
    write_gguf(folder / "a.gguf")
    write_gguf(folder / "b.gguf")
    assert entry(folder).format is ModelFormat.OPENVINO_IR


def cut(name: str, size: int = -1) -> Any:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:size])

    return damage


def gone(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def has(**files: object) -> Any:
    return lambda folder: write(folder, **files)


@pytest.mark.parametrize(
    ("damage", "cause", "why"),
    [
        *((gone(f"{name}.bin"), FILES, rf"no {name}\.bin") for name in GRAPHS),
        *((gone(f"{name}.xml"), FILES, rf"no {name}\.xml") for name in GRAPHS[1:]),
        *((cut(f"{name}.xml", 90), FILES, rf"{name}\.xml is no whole XML") for name in GRAPHS),
        *((cut(f"{name}.bin"), FILES, rf"{name}\.bin is cut short") for name in GRAPHS),
        (gone("openvino_model.xml"), FILES, r"no openvino_model\.xml, model\.onnx or GGUF file"),
        (cut("config.json"), FILES, r"config\.json: "),
        (gone("config.json"), FILES, "no max_position_embeddings"),
        (has(config__json={"architectures": ["BertForMaskedLM"]}), FILES, "does not tell what"),
        (
            has(config__json={"architectures": ["BertForSequenceClassification"]}),
            UNSUPPORTED,
            "a classifier with 2 labels",
        ),
        (has(model__toml="no_such_setting = 1"), SETTINGS, r"model\.toml: .*no_such_setting"),
        (has(model__toml="", model__yaml=""), SETTINGS, "one of them must go"),
        (has(model__toml='chat_template = "x"'), SETTINGS, "there is no 'x'"),
        (has(chat_template__jinja="{% if %}"), FILES, "the chat template is no Jinja"),
    ],
)
def test_what_cannot_be_used_is_listed_with_the_reason(
    tmp_path: Path, damage: Any, cause: LoadFailureCause, why: str
) -> None:
    folder = write_ir(tmp_path / "m")
    damage(folder)
    found = entry(folder)
    assert found.problem is not None
    assert found.problem.cause is cause
    with pytest.raises(InvalidModel, match=why) as raised:
        folder_of(found)
    assert raised.value.cause is cause


@pytest.mark.parametrize(
    ("files", "cause", "why"),
    [
        ({}, FILES, "no openvino_model.xml, model.onnx or GGUF file"),
        ({"pytorch_model.bin": ""}, UNSUPPORTED, "`optimum-cli export openvino`"),
        ({"model-00001-of-00002.safetensors": ""}, UNSUPPORTED, "optimum-cli"),
        ({"openvino_language_model.xml": ""}, UNSUPPORTED, "of several parts"),
        ({"a.gguf": "", "b.gguf": ""}, FILES, "it has 2 GGUF files"),
        ({"a.gguf": ""}, FILES, r"a\.gguf is no GGUF file"),
        ({"model.onnx": "", "config.json": "{}"}, FILES, "."),
    ],
)
def test_folders_of_other_kinds_are_listed_with_the_reason(
    tmp_path: Path, files: dict[str, str], cause: LoadFailureCause, why: str
) -> None:
    found = entry(write(tmp_path / "m", **files))
    assert found.problem is not None
    assert found.problem.cause is cause
    with pytest.raises(InvalidModel, match=why):
        folder_of(found)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model.onnx", r"model\.onnx is no whole"),
        ("config.json", "no config|config.json"),
        ("tokenizer.json", "no tokenizer beside model.onnx"),
    ],
)
def test_onnx_is_invalid_without_what_it_needs(tmp_path: Path, name: str, why: str) -> None:
    folder = write_onnx(tmp_path / "m")
    if name == "model.onnx":
        cut(name)(folder)
    else:
        (folder / name).unlink()
    with pytest.raises(InvalidModel, match=why):
        folder_of(entry(folder))


def test_gguf_without_a_context_length_needs_the_setting(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", context_length=None)
    assert entry(file).problem == LoadFailure(
        FILES, "m.gguf does not say how long its context is; set context_length"
    )
    write(tmp_path, **{"m.toml": "context_length = 99"})
    assert (entry(file).problem, entry(file).context_length) == (None, 99)


def test_chat_template_of_gguf_is_checked(tmp_path: Path) -> None:
    found = entry(write_gguf(tmp_path / "m.gguf", chat_template="{% if %}"))
    assert found.problem is not None
    assert "no Jinja" in found.problem.message


def test_what_is_known_of_an_invalid_model_is_told(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m", model__toml="pinned = true")
    (folder / "openvino_model.bin").unlink()
    found = entry(folder)
    assert found.problem is not None
    assert (found.format, found.kind) == (ModelFormat.OPENVINO_IR, ModelKind.GENERATION)
    assert found.settings is not None
    assert found.settings.pinned
    assert found.size_bytes > 0


def test_folder_of_a_converted_model_is_that_of_its_ir(tmp_path: Path) -> None:
    models = tmp_path / "models"
    toml = '[adapters.sql]\nfile = "a.safetensors"'
    folder = write_gguf(models / "m" / "m.gguf").parent
    write(folder, model__toml=toml, **{"a.safetensors": ""})
    ir = write_ir(tmp_path / "cache" / "x", chat_template__jinja="converted")
    found = entry(folder)
    assert found.adapters == ("sql",)
    loaded = folder_of(found, ir)
    assert (loaded.name, loaded.path, loaded.chat_template) == ("m", ir, "converted")
    assert loaded.settings.adapters["sql"].file == str(folder / "a.safetensors")
    cut("openvino_model.bin")(ir)
    with pytest.raises(InvalidModel, match="cut short"):
        folder_of(found, ir)


def test_configuration_of_onnx_is_beside_it(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "models" / "m")
    ir = write_ir(tmp_path / "ir")
    (ir / "config.json").unlink()
    (ir / "openvino_detokenizer.xml").unlink()
    loaded = folder_of(entry(folder), ir)
    assert (loaded.kind, loaded.context_length) == (ModelKind.EMBEDDING, 512)
    assert (loaded.path, loaded.settings.pooling) == (ir, "cls")


def test_folder_is_read_as_it_is_now(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m", chat_template__jinja="old")
    found = entry(folder)
    write(folder, chat_template__jinja="new")
    assert folder_of(found).chat_template == "new"
    write(folder, openvino_model__xml=graph({"f32": 1000}))
    with pytest.raises(InvalidModel, match="cut short"):
        folder_of(found)
    with pytest.raises(InvalidModel, match="its files are gone"):
        folder_of(replace(found, path=tmp_path / "gone"))
