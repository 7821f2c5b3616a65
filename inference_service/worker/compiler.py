"""The grammar compiler of OpenVINO GenAI, without a model.

GenAI has no way to its compiler but through a pipeline. So this makes one around a model whose
logits are a constant: it costs the tokenizer's load and nothing else, and what a first token takes
is the grammar's parse, its compilation and the first mask. The masks of further tokens may be slow
though the grammar compiled fast, so a check makes a few.
"""

from __future__ import annotations

import json
from pathlib import Path

import openvino_genai as genai

from inference_service.engine import frames
from inference_service.worker.constant import constant_pipeline
from inference_service.worker.messages import cleaned
from inference_service.worker.warming import structured_output

_CHECKED_TOKENS = 16


class OpenVinoCompiler:
    """The grammar compiler for the tokenizer of a model; see `Compiler`.

    Args:
        model_dir: The model's folder; only its tokenizer and `config.json` are read.

    Raises:
        RuntimeError: The tokenizer can't be loaded, or the compiler can't work with it.

    """

    def __init__(self, model_dir: str) -> None:
        tokenizer = genai.Tokenizer(model_dir)
        vocabulary = tokenizer.get_vocab()
        if not vocabulary:
            raise RuntimeError("the tokenizer doesn't tell its vocabulary, which grammars need")
        size = max(max(vocabulary.values()) + 1, _logits_size(Path(model_dir)))
        self._eos_token_id = tokenizer.get_eos_token_id()
        self._pipeline = constant_pipeline(tokenizer, size)
        problem = self.problem(frames.Grammar("ebnf", 'root ::= "a"'))
        if problem is not None:
            raise RuntimeError(problem)

    def problem(self, grammar: frames.Grammar) -> str | None:
        """See `Compiler`."""
        try:
            self.sample(grammar, seed=0, max_tokens=_CHECKED_TOKENS)
        except (RuntimeError, ValueError) as error:
            return cleaned(str(error)) or "the grammar doesn't compile"
        except MemoryError:
            return "it needs too much memory to compile"
        return None

    def sample(self, grammar: frames.Grammar, *, seed: int, max_tokens: int) -> str:
        """Return a random text of a grammar, cut at `max_tokens`.

        Raises:
            RuntimeError: The grammar doesn't compile.

        """
        config = genai.GenerationConfig()
        config.max_new_tokens = max_tokens
        config.apply_chat_template = False
        config.eos_token_id = self._eos_token_id
        config.do_sample = True
        config.rng_seed = seed
        config.structured_output_config = structured_output(grammar)
        return str(self._pipeline.generate("a", config))


def _logits_size(model_dir: Path) -> int:
    """Return the vocabulary of the model's output, which may be padded; 0 if it isn't told."""
    try:
        config = json.loads((model_dir / "config.json").read_bytes())
    except FileNotFoundError:
        return 0
    return int(config.get("vocab_size") or config.get("text_config", {}).get("vocab_size") or 0)
