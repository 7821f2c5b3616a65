"""The requests that tokenize and detokenize, checked.

Source: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#tokenizer-api. What
is `prompt` there is `content` in llama.cpp; clients may use either.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.chat.schema import ConversationFields
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_TOKEN_IDS = 1 << 20
UINT32_MAX = 2**32 - 1


class TokenizeRequest(ConversationFields):
    """The body of `POST /v1/tokenize`: one of `prompt`, `content` and `messages`.

    `add_special_tokens` is true if left out, as it is for completions; of `messages` the template
    writes the special tokens.
    """

    model: str = Field(min_length=1)
    prompt: str | None = None
    content: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None

    @property
    def text(self) -> str:
        """The text, where there are no messages."""
        return self.prompt or self.content or ""

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        inputs = ("prompt", "content", "messages")
        given = [name for name in inputs if getattr(self, name) is not None]
        if not given:
            raise PydanticCustomError("missing", "is missing", on("prompt"))
        if len(given) > 1:
            raise PydanticCustomError("input", f"can't be together with {given[0]}", on(given[1]))
        if self.messages is None:
            for name in ("tools", "chat_template_kwargs", "continue_final_message"):
                if getattr(self, name):
                    raise PydanticCustomError("chat", "is allowed only with messages", on(name))
        elif self.add_special_tokens:
            raise PydanticCustomError(
                UNSUPPORTED,
                "the chat template writes the special tokens; it may only be false with messages",
                on("add_special_tokens"),
            )
        if self.return_token_strs:
            raise PydanticCustomError(
                UNSUPPORTED,
                "only ids are given; detokenize gives the text of each",
                on("return_token_strs"),
            )
        return self


class DetokenizeRequest(StrictModel):
    """The body of `POST /v1/detokenize`."""

    model: str = Field(min_length=1)
    tokens: Annotated[
        list[Annotated[int, Field(ge=0, le=UINT32_MAX)]],
        Field(max_length=MAX_TOKEN_IDS, fail_fast=True),
    ]
