from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause, ModelKind
from inference_service.models.repository.consistency import require_consistent
from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.listing import list_files
from inference_service.models.repository.settings import Layer, overlaid
from tests.model_folders import write

TEXT = ModelKind.GENERATION


def check(folder: Path, kind: ModelKind = TEXT, **values: Any) -> None:
    settings = overlaid([Layer("model.toml", values)])
    require_consistent(settings, list_files(folder), kind, "m@2", "m")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "secret", **{"x.safetensors": ""})
    write(tmp_path / "m" / "lora", **{"sql.safetensors": ""})
    return write(tmp_path / "m", own__jinja="")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"cache_eviction": {}},
        {"cache_eviction": {}, "enable_prefix_caching": False},
        {"enable_prefix_caching": True},
        {"adapters": {"sql": {"file": "lora/sql.safetensors"}}},
        {"chat_template": "own.jinja"},
        {"speculation": {"draft_model": "m-small"}},
        {"speculation": {}},
        {"cpus": ["0"]},
    ],
)
def test_settings_that_go_together(folder: Path, values: dict[str, Any]) -> None:
    check(folder, **values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"cache_eviction": {}, "enable_prefix_caching": True},
            "cache_eviction and enable_prefix_caching can't be used together",
        ),
        (
            {"adapters": {"a": {"file": "lora/sql.safetensors"}}, "enable_prefix_caching": True},
            "adapters and enable_prefix_caching can't be used together",
        ),
        ({"speculation": {"draft_model": "m"}}, "names the model itself"),
        ({"speculation": {"draft_model": "m@2"}}, "names the model itself"),
        ({"adapters": {"a:b": {"file": "lora/sql.safetensors"}}}, "'a:b' can't be a name"),
        ({"adapters": {"a": {"file": "own.jinja"}}}, r"adapters\.a\.file: .*no safetensors"),
        ({"adapters": {"a": {"file": "b.safetensors"}}}, "there is no 'b.safetensors' in"),
        ({"adapters": {"a": {"file": "../secret/x.safetensors"}}}, "in the model's folder"),
        ({"chat_template": "none.jinja"}, "there is no 'none.jinja' in the model's folder"),
        ({"chat_template": "/etc/passwd"}, "there is no '/etc/passwd' in the model's folder"),
        ({"chat_template": "../m/own.jinja"}, "in the model's folder"),
        ({"cpus": ["0-"]}, "no list of processors"),
        ({"cpus": ["7-2"]}, "no range of processors"),
        ({"cpus": ["0", "0"]}, "cpus has 2 entries for 1 replicas"),
        ({"numa_nodes": [0, 0]}, "numa_nodes has 2 entries for 1 replicas"),
        ({"numa_nodes": [999]}, "no node 999"),
        ({"context_length": 1 << 40}, "context_length can't be more than"),
    ],
)
def test_settings_that_contradict_are_refused(
    folder: Path, values: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidModel, match=why) as raised:
        check(folder, **values)
    assert raised.value.cause is LoadFailureCause.INVALID_SETTINGS


def test_all_problems_are_told_at_once(folder: Path) -> None:
    with pytest.raises(InvalidModel, match=r"x\.jinja.*; cpus") as raised:
        check(folder, chat_template="x.jinja", cpus=["x"])
    assert str(raised.value).count(";") == 1


@pytest.mark.parametrize("kind", [ModelKind.EMBEDDING, ModelKind.RERANK])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speculation", {}),
        ("cache_eviction", {}),
        ("adapters", {"sql": {"file": "lora/sql.safetensors"}}),
    ],
)
def test_settings_of_text_are_refused_elsewhere(
    folder: Path, kind: ModelKind, key: str, value: Any
) -> None:
    with pytest.raises(InvalidModel, match=f"{key} is for .* this is one for {kind.value}"):
        check(folder, kind, **{key: value})
