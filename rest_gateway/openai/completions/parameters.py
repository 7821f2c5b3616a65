"""What becomes of each parameter of text completions.

Source: https://platform.openai.com/docs/api-reference/completions/create, and what clients of vLLM
and llama.cpp send besides.
"""

from __future__ import annotations

from collections.abc import Mapping

from rest_gateway.openai.chat.parameters import SHARED
from rest_gateway.openai.parameters import Parameter, ignored, refused, supported

PARAMETERS: Mapping[str, Parameter] = {
    **SHARED,
    "add_special_tokens": supported(
        "vLLM's, true if left out: whether the tokenizer adds its own to each text, such as a "
        "beginning-of-sequence token; token ids go to the model as they are"
    ),
    "best_of": ignored("it may only be `n`, or 1: all completions are given, none thrown away"),
    "echo": refused("the prompt is not repeated; you have it", False),
    "logprobs": supported(
        "0 gives the chosen tokens'; more is refused, as the engine gives no others"
    ),
    "max_tokens": supported("16 if left out, as OpenAI has it"),
    "prompt": supported(
        "a text, a list of texts, token ids, or a list of lists of them; at most 128 completions "
        "in all. It goes to the model without a template"
    ),
    "suffix": refused("the models here don't fill in", ""),
}
