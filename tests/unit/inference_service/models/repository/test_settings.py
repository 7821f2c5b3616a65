from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.engine.settings import Adapter, SamplingSettings
from inference_service.models.repository.files import InvalidModel
from inference_service.models.repository.listing import list_files
from inference_service.models.repository.settings import Layer, file_layer, overlaid, override_layer
from tests.model_folders import write


def layer(folder: Path) -> Layer | None:
    return file_layer(list_files(folder))


def test_settings_are_toml_or_yaml(tmp_path: Path) -> None:
    assert layer(write(tmp_path / "none")) is None
    toml = write(tmp_path / "t", model__toml='device = "GPU"\n[sampling]\ntop_p = 0.5')
    yaml = write(tmp_path / "y", model__yaml="device: GPU\nsampling:\n  top_p: 0.5")
    values = {"device": "GPU", "sampling": {"top_p": 0.5}}
    assert layer(toml) == Layer("model.toml", values)
    assert layer(yaml) == Layer("model.yaml", values)
    assert layer(write(tmp_path / "empty", model__yaml="# nothing yet")) == Layer("model.yaml", {})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"model__toml": "", "model__yaml": ""}, r"there are model\.toml and model\.yaml; one"),
        ({"model__toml": "device = "}, r"model\.toml: "),
        ({"model__yaml": "a: ["}, r"model\.yaml: "),
        ({"model__yaml": "- a"}, r"model\.yaml: not a table"),
        ({"model__yaml": "!!python/object/apply:os.system [ls]"}, r"model\.yaml: .*constructor"),
        ({"model__yaml": "a: " + "[" * 5000}, r"model\.yaml: "),
        ({"model__toml": "a = " + "[" * 5000}, r"model\.toml: "),
    ],
)
def test_files_that_cannot_be_read_are_named(
    tmp_path: Path, files: dict[str, object], why: str
) -> None:
    with pytest.raises(InvalidModel, match=why) as raised:
        layer(write(tmp_path / "m", **files))
    assert raised.value.cause is LoadFailureCause.INVALID_SETTINGS
    assert "\n" not in str(raised.value)


def test_later_layers_count_key_by_key() -> None:
    settings = overlaid(
        [
            Layer("model.toml", {"device": "GPU", "sampling": {"top_p": 0.5, "top_k": 3}}),
            Layer("override", {"replicas": 2, "sampling": {"top_k": 4}, "pinned": True}),
        ]
    )
    assert (settings.device, settings.replicas, settings.pinned) == ("GPU", 2, True)
    assert settings.sampling == SamplingSettings(top_p=0.5, top_k=4)


def test_an_adapter_is_changed_or_added_by_the_configuration() -> None:
    settings = overlaid(
        [
            Layer("model.toml", {"adapters": {"sql": {"file": "s.safetensors"}}}),
            Layer("over", {"adapters": {"sql": {"alpha": 2}, "law": {"file": "l.safetensors"}}}),
        ]
    )
    assert settings.adapters == {
        "sql": Adapter(file="s.safetensors", alpha=2.0),
        "law": Adapter(file="l.safetensors"),
    }


def test_a_table_may_be_unset() -> None:
    below = Layer("model.toml", {"speculation": {"tokens": 3}})
    assert overlaid([below, Layer("over", {"speculation": None})]).speculation is None


FILE = {"device": "CPU", "max_num_seqs": 4}


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([{"no_such": 1}, {}], r"^model\.toml: .*unknown field `no_such`"),
        ([FILE, {"no_such": 1}], r"^\[models\.m\].*unknown field `no_such`"),
        ([FILE, {"sampling": {"heat": 1}}], r"^\[models\.m\].*`heat` - at `\$\.sampling`"),
        ([{"adapters": {"a": {"path": "x"}}}, {}], r"^model\.toml: .*`\$\.adapters"),
        ([{"max_num_seqs": 0}, {"max_num_seqs": 4}], r"^model\.toml: .*max_num_seqs"),
        ([FILE, {"max_num_seqs": "4"}], r"^\[models\.m\].*max_num_seqs"),
        ([{"reproducible": 1}, {}], r"^model\.toml: .*reproducible"),
        ([{"sampling": {"temperature": float("nan")}}, {}], r"^model\.toml: .*temperature"),
        ([{1: 2}, {}], r"^model\.toml: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_key_and_place(
    layers: list[dict[Any, Any]], why: str
) -> None:
    places = ("model.toml", "[models.m] of the server's configuration")
    with pytest.raises(InvalidModel, match=why) as raised:
        overlaid([Layer(place, values) for place, values in zip(places, layers, strict=True)])
    assert raised.value.cause is LoadFailureCause.INVALID_SETTINGS


def test_what_the_configuration_says_of_a_version_comes_before_what_it_says_of_the_name() -> None:
    overrides = {"m": {"replicas": 2, "versions": "all"}, "m@2": {"device": "GPU"}}
    assert override_layer(overrides, "m@1", "m") == Layer(
        "[models.m] of the server's configuration", {"replicas": 2}
    )
    of_version = override_layer(overrides, "m@2", "m")
    assert of_version is not None
    assert of_version.values == {"device": "GPU"}
    assert override_layer(overrides, "other", "other") is None
