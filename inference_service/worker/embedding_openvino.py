"""Embedding and rerank models on OpenVINO.

They are run directly, not by `TextEmbeddingPipeline` and `TextRerankPipeline` of OpenVINO GenAI,
which take no token ids, cut what is too long without a word, and count no tokens.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino_genai as genai

from inference_service.engine.settings import ModelSettings, Pooling
from inference_service.worker.embedding import Tokens, Vectors, to_unit_length
from inference_service.worker.engine_settings import plugin_properties
from inference_service.worker.failures import LoadFailure
from inference_service.worker.interface import RequestRefused

_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
_PROBE = "a probe"
_NUMPY = {"i32": np.int32, "i64": np.int64}


class OpenVinoEmbeddingModel:
    """A model that OpenVINO runs; see `EmbeddingModel`.

    Args:
        model_dir: A folder with an OpenVINO IR and its tokenizer.
        kind: `embedding` makes vectors, `rerank` scores pairs.
        settings: The model's settings; an embedding model's `pooling` is set.

    Raises:
        LoadFailure: The model is none of this kind.
        RuntimeError: The model can't be loaded for another reason.

    """

    def __init__(
        self, model_dir: str, kind: Literal["embedding", "rerank"], settings: ModelSettings
    ) -> None:
        core = ov.Core()
        model = core.read_model(Path(model_dir) / "openvino_model.xml")
        self._kind = kind
        self._pooling = settings.pooling
        self._inputs = {port.get_any_name(): _numpy_type(port) for port in model.inputs}
        if unknown := self._inputs.keys() - _INPUTS:
            raise LoadFailure(
                "unsupported", f"the model has inputs of another kind: {', '.join(sorted(unknown))}"
            )
        self._output = _output(model, rank=3 if kind == "embedding" else 2)
        self._compiled = core.compile_model(model, settings.device, plugin_properties(settings))
        self._tokenizer = genai.Tokenizer(model_dir, add_second_input=kind == "rerank")
        self._vocabulary_size = 1 + int(max(self._tokenizer.get_vocab().values()))
        self._dimensions = self._probe()

    @property
    def dimensions(self) -> int | None:
        """See `EmbeddingModel`."""
        return self._dimensions

    @property
    def vocabulary_size(self) -> int:
        """See `EmbeddingModel`."""
        return self._vocabulary_size

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = True) -> list[list[int]]:
        """See `EmbeddingModel`."""
        return self._encode(list(texts), add_special_tokens=add_special_tokens)

    def encode_pairs(self, first: str, seconds: Sequence[str]) -> list[Tokens]:
        """See `EmbeddingModel`."""
        (alone,) = self._encode([first])
        pairs = self._encode([[first, second] for second in seconds])
        return [Tokens(ids, len(alone)) for ids in pairs]

    def _encode(
        self, texts: list[str] | list[list[str]], *, add_special_tokens: bool = True
    ) -> list[list[int]]:
        try:
            inputs = self._tokenizer.encode(
                texts, add_special_tokens=add_special_tokens, truncation=False
            )
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")  # its text names files of the engine; not for callers
            raise RequestRefused("the tokenizer can't read it") from error
        # The mask leaves out what pads all to one length, at whichever side.
        rows = zip(inputs.input_ids.data, inputs.attention_mask.data != 0, strict=True)
        return [ids[own].tolist() for ids, own in rows]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """See `EmbeddingModel`."""
        if not token_ids:
            return ""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=skip_special_tokens))

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        """See `EmbeddingModel`."""
        longest = max(len(tokens.ids) for tokens in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            length = len(tokens.ids)
            ids[row, :length] = tokens.ids
            mask[row, :length] = 1
            if tokens.second is not None:
                types[row, tokens.second : length] = 1
        positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
        given = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": types,
            "position_ids": positions,
        }
        result = self._compiled(
            {name: given[name].astype(type_) for name, type_ in self._inputs.items()}
        )[self._output]
        if self._kind == "rerank":
            return np.asarray(1 / (1 + np.exp(-result.astype(np.float64))), dtype=np.float32)
        assert self._pooling is not None
        return to_unit_length(pool(result, mask, self._pooling))

    def _probe(self) -> int | None:
        """Run the model once, to find at once what is wrong with it.

        Returns:
            The components of a vector.

        """
        if self._kind == "embedding":
            row = self.run([Tokens(self.encode([_PROBE])[0])])
        else:
            (pair,), (first,) = self.encode_pairs(_PROBE, [_PROBE]), self.encode([_PROBE])
            # What the pair's parts are is told by where the first text ends.
            if list(pair.ids[: len(first)]) != first or len(pair.ids) == len(first):
                raise LoadFailure("unsupported", "its tokenizer makes no pairs of texts")
            row = self.run([pair])
            if row.shape[1] != 1:
                raise LoadFailure(
                    "unsupported", f"it gives {row.shape[1]} scores for a pair, not one"
                )
        if not np.isfinite(row).all():
            raise LoadFailure("invalid_files", "it gives numbers that are not finite")
        return row.shape[1] if self._kind == "embedding" else None


def pool(hidden: npt.NDArray[Any], mask: npt.NDArray[np.int64], pooling: Pooling) -> Vectors:
    """Make one vector of those of the tokens.

    Args:
        hidden: The tokens' vectors: inputs, tokens, components.
        mask: 1 for each token, 0 for padding, which is at the right.
        pooling: How.

    """
    match pooling:
        case "mean":
            weights = mask[:, :, None].astype(np.float32)
            return np.asarray((hidden * weights).sum(axis=1) / weights.sum(axis=1))
        case "cls":
            return np.asarray(hidden[:, 0])
        case "last":
            return np.asarray(hidden[np.arange(len(hidden)), mask.sum(axis=1) - 1])


def _output(model: Any, rank: int) -> int:
    """Find the output that has a vector for each token, or the score of each input."""
    for index, port in enumerate(model.outputs):
        if port.get_partial_shape().rank.get_length() == rank:
            return index
    what = "vector for each token" if rank == 3 else "score"
    raise LoadFailure("unsupported", f"the model has no output with a {what}")


def _numpy_type(port: Any) -> Any:
    name = port.get_element_type().get_type_name()
    if name not in _NUMPY:
        raise LoadFailure("unsupported", f"the model's input {port.get_any_name()} has type {name}")
    return _NUMPY[name]
