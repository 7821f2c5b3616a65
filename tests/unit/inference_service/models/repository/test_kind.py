from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelKind
from inference_service.models.repository import read_model
from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.kind import kind_of, longest_input, pooling_of
from inference_service.models.repository.listing import list_files

ST = "sentence_transformers.models."


def put(folder: Path, name: str, content: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("config", "files", "kind"),
    [
        ({}, [], ModelKind.GENERATION),
        ({"architectures": ["LlamaForCausalLM"]}, [], ModelKind.GENERATION),
        ({"architectures": ["GPT2LMHeadModel"]}, [], ModelKind.GENERATION),
        ({"architectures": ["ChatGLMModel"]}, ["generation_config.json"], ModelKind.GENERATION),
        ({"architectures": ["BertModel"]}, [], ModelKind.EMBEDDING),
        ({"architectures": ["XLMRobertaModel"]}, ["modules.json"], ModelKind.EMBEDDING),
        ({"architectures": ["Qwen3ForCausalLM"]}, ["modules.json"], ModelKind.EMBEDDING),
        ({"architectures": ["BertForMaskedLM"]}, ["1_Pooling/config.json"], ModelKind.EMBEDDING),
        (
            {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}},
            ["modules.json"],
            ModelKind.RERANK,
        ),
        (
            {"architectures": ["XLMRobertaForSequenceClassification"], "num_labels": 1},
            [],
            ModelKind.RERANK,
        ),
    ],
)
def test_kind_is_told_by_the_files(
    tmp_path: Path, config: dict[str, Any], files: list[str], kind: ModelKind
) -> None:
    for name in files:
        put(tmp_path, name, {})
    assert kind_of(list_files(tmp_path), config) is kind


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM, which does not tell"),
        ({"architectures": ["BertForSequenceClassification"]}, "a classifier with 2 labels"),
        (
            {
                "architectures": ["BertForSequenceClassification"],
                "id2label": {"0": 1, "1": 2, "2": 3},
            },
            "a classifier with 3 labels",
        ),
    ],
)
def test_what_is_of_no_kind_is_refused(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        kind_of(list_files(tmp_path), config)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "word_embedding_dimension": 3}, "cls"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": "mean"}, "mean"),
    ],
)
def test_pooling(tmp_path: Path, config: dict[str, Any], pooling: str) -> None:
    put(tmp_path, "1_Pooling/config.json", config)
    assert pooling_of(list_files(tmp_path)) == pooling


def test_pooling_is_where_the_modules_say(tmp_path: Path) -> None:
    put(tmp_path, "2_Pool/config.json", {"pooling_mode": "cls"})
    modules = [{"type": ST + "Transformer", "path": ""}, {"type": ST + "Pooling", "path": "2_Pool"}]
    put(tmp_path, "modules.json", modules)
    assert pooling_of(list_files(tmp_path)) == "cls"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "set pooling in model.toml to mean, cls or last"),
        ({"1_Pooling/config.json": {"pooling_mode_max_tokens": True}}, "by max_tokens is not"),
        (
            {
                "1_Pooling/config.json": {
                    "pooling_mode_mean_tokens": True,
                    "pooling_mode_cls_token": True,
                }
            },
            "by mean_tokens and cls_token is not",
        ),
        ({"modules.json": [{"type": ST + "Dense", "path": "2_Dense"}]}, "a module Dense"),
        (
            {"modules.json": [{"type": ST + "Pooling", "path": "../x"}]},
            "names '../x/config.json', which is not in the folder",
        ),
        ({"modules.json": {}}, "not a list"),
        ({"1_Pooling/config.json": []}, "not an object"),
    ],
)
def test_pooling_that_cannot_be_done_is_refused(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    for name, content in files.items():
        put(tmp_path, name, content)
    with pytest.raises(InvalidModel, match=message):
        pooling_of(list_files(tmp_path))


def test_longest_input_is_the_least_that_is_said(tmp_path: Path) -> None:
    assert longest_input(list_files(tmp_path), {}) is None
    assert longest_input(list_files(tmp_path), {"max_position_embeddings": 514}) == 514
    put(tmp_path, "tokenizer_config.json", {"model_max_length": int(1e30)})
    assert longest_input(list_files(tmp_path), {"max_position_embeddings": 514}) == 514
    put(tmp_path, "tokenizer_config.json", {"model_max_length": 512})
    assert longest_input(list_files(tmp_path), {"max_position_embeddings": 514}) == 512
    put(tmp_path, "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})
    assert longest_input(list_files(tmp_path), {"max_position_embeddings": 514}) == 256


def embedding_folder(folder: Path) -> Path:
    put(folder, "config.json", {"architectures": ["BertModel"], "max_position_embeddings": 512})
    put(folder, "1_Pooling/config.json", {"pooling_mode": "cls"})
    (folder / "openvino_model.xml").write_text("")
    return folder


def test_a_folder_tells_all_of_it(tmp_path: Path) -> None:
    model = read_model(embedding_folder(tmp_path))
    assert (model.kind, model.context_length) == (ModelKind.EMBEDDING, 512)
    assert model.settings.pooling == "cls"


def test_the_models_own_settings_come_first(tmp_path: Path) -> None:
    folder = embedding_folder(tmp_path)
    (folder / "model.toml").write_text('pooling = "last"\ncontext_length = 9')
    model = read_model(folder)
    assert (model.settings.pooling, model.context_length) == ("last", 9)
    (folder / "model.toml").write_text('kind = "generation"')
    assert read_model(folder).kind is ModelKind.GENERATION
    (folder / "model.toml").write_text('kind = "reranking"')
    with pytest.raises(InvalidModel, match="kind"):
        read_model(folder)
