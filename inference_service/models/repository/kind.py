"""What a model does, as its files tell, and what they say of its vectors.

Source of the layouts: the configurations of transformers (`architectures`), and sentence-
transformers' `modules.json`, `N_Pooling/config.json` and `sentence_bert_config.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from inference_service.domain import LoadFailureCause, ModelKind
from inference_service.engine.settings import Pooling
from inference_service.models.repository.files import InvalidModel, ModelFiles

_GENERATION = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
_CLASSIFIER = "ForSequenceClassification"
_MODULES = "modules.json"
_POOLING_CONFIG = "1_Pooling/config.json"
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_POOLING_FLAG = "pooling_mode_"
# By the values of `pooling_mode`, and by what follows `pooling_mode_` in the older form.
_POOLINGS: Mapping[str, Pooling] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "cls": "cls",
    "cls_token": "cls",
    "lasttoken": "last",
}


def kind_of(files: ModelFiles, config: Mapping[str, Any]) -> ModelKind:
    """Tell what a model does.

    Args:
        files: The model's.
        config: Its `config.json`.

    Raises:
        InvalidModel: The files name an architecture whose use they don't tell, or one that does
            nothing that this server offers.

    """
    architectures = config.get("architectures")
    names = [str(name) for name in architectures] if isinstance(architectures, list) else []
    if any(name.endswith(_CLASSIFIER) for name in names):
        _require_one_label(config)
        return ModelKind.RERANK
    if _MODULES in files or _POOLING_CONFIG in files:
        return ModelKind.EMBEDDING
    if (
        not names  # what a GGUF file is converted to has none
        or any(name.endswith(_GENERATION) for name in names)
        or "generation_config.json" in files
    ):
        return ModelKind.GENERATION
    if all(name.endswith("Model") for name in names):
        return ModelKind.EMBEDDING
    raise InvalidModel(
        f"config.json says {', '.join(names)}, which does not tell what the model is for; set kind "
        "in model.toml to generation, embedding or rerank"
    )


def _require_one_label(config: Mapping[str, Any]) -> None:
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, dict) else config.get("num_labels", 2)
    if count != 1:
        raise InvalidModel(
            f"config.json says that it is a classifier with {count} labels; only those with one, "
            "which score a pair of texts, can be used",
            LoadFailureCause.UNSUPPORTED,
        )


def pooling_of(files: ModelFiles) -> Pooling:
    """Tell how an embedding model makes one vector of those of its tokens.

    Raises:
        InvalidModel: The files don't say, or say what can't be done here.

    """
    config = files.read_object(_pooling_place(files))
    if name := config.get("pooling_mode"):
        chosen = [str(name)]
    else:
        flags = (flag for flag, on in config.items() if on and flag.startswith(_POOLING_FLAG))
        chosen = [flag.removeprefix(_POOLING_FLAG) for flag in flags]
    if not chosen:
        raise InvalidModel(
            f"no {_POOLING_CONFIG} says how the vectors of its tokens become one; set pooling in "
            "model.toml to mean, cls or last"
        )
    if len(chosen) > 1 or chosen[0] not in _POOLINGS:
        raise InvalidModel(
            f"pooling by {' and '.join(chosen)} is not supported", LoadFailureCause.UNSUPPORTED
        )
    return _POOLINGS[chosen[0]]


def _pooling_place(files: ModelFiles) -> str:
    """Find the pooling's file, and refuse models that go on where pooling ends."""
    modules = files.read_json(_MODULES)
    if modules is None:
        return _POOLING_CONFIG
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise InvalidModel(f"{_MODULES}: not a list of objects")
    place = _POOLING_CONFIG
    for module in modules:
        kind = str(module.get("type")).rpartition(".")[2]
        if kind not in _KNOWN_MODULES:
            raise InvalidModel(
                f"{_MODULES} has a module {kind[:100]}, which is not supported",
                LoadFailureCause.UNSUPPORTED,
            )
        if kind == "Pooling":
            place = PurePosixPath(str(module.get("path")), "config.json").as_posix()
            if place not in files:
                raise InvalidModel(f"{_MODULES} names {place[:200]!r}, which is not in the folder")
    return place


def longest_input(files: ModelFiles, config: Mapping[str, Any]) -> int | None:
    """Tell how many tokens an embedding or rerank model takes at once; None if no file says.

    The positions that a model has may be more than it takes, and its tokenizer's limit may be a
    number that means none; the least is what it was made for.
    """
    limits = (
        files.read_object("sentence_bert_config.json").get("max_seq_length"),
        files.read_object("tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"),
    )
    return min((cast("int", limit) for limit in limits if _is_count(limit)), default=None)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
