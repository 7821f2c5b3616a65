"""Chat templates: a conversation becomes a prompt.

Rendered by transformers' own renderer, the one that templates are written for: Jinja in a sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from transformers.utils.chat_template_utils import render_jinja_template

from inference_service.chat.syntax import check_template
from inference_service.chat.traits import Traits, probe
from inference_service.errors import ChatTemplateError, InvalidArgument

Entry: TypeAlias = dict[str, Any]

# What the renderer takes for itself, or gets from elsewhere in the request.
_RESERVED = frozenset(
    {
        *("add_generation_prompt", "chat_template", "continue_final_message", "conversations"),
        *("documents", "messages", "return_assistant_tokens_mask", "tools"),
    }
)


class ChatTemplate:
    """A model's chat template.

    Args:
        source: The Jinja source.
        special_tokens: What the template may name, such as `bos_token`, as text.
        model: The model's name, for errors.

    """

    def __init__(self, source: str, special_tokens: Mapping[str, str], model: str) -> None:
        self.source = source
        self._special_tokens = special_tokens
        self._model = model

    def check(self) -> None:
        """Check that the template can be compiled; it is not run.

        Raises:
            jinja2.TemplateSyntaxError: It is no Jinja.

        """
        check_template(self.source)

    def check_variables(self, variables: Mapping[str, Any]) -> None:
        """Check that a request's own variables are not the renderer's.

        Raises:
            InvalidArgument: One is.

        """
        if taken := (_RESERVED | self._special_tokens.keys()) & variables.keys():
            raise InvalidArgument("chat.template_kwargs_json", f"can't set {min(taken)!r}")

    def render(
        self,
        messages: Sequence[Entry],
        tools: Sequence[Entry] | None = None,
        *,
        continue_final_message: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """Render a conversation, with the opening of the answer unless its end is the opening.

        Args:
            messages: As templates take them.
            tools: As templates take them; `None` is none.
            continue_final_message: Whether the prompt ends where the last message does.
            variables: Further ones for the template.

        Raises:
            ChatTemplateError: The template refused the conversation.

        """
        try:
            prompts, _ = render_jinja_template(
                conversations=[list(messages)],
                tools=None if tools is None else list(tools),
                chat_template=self.source,
                continue_final_message=continue_final_message,
                add_generation_prompt=not continue_final_message,
                **self._special_tokens,
                **(variables or {}),
            )
        except Exception as error:  # a template is code, and may raise whatever code may
            raise ChatTemplateError(
                f"the model's chat template refused the messages: {error}", model=self._model
            ) from error
        return str(prompts[0])

    @cached_property
    def traits(self) -> Traits:
        """What the template makes use of, found by rendering."""

        def rendered(messages: Sequence[Entry], tools: Sequence[Entry] | None = None) -> str:
            try:
                return self.render(messages, tools)
            except ChatTemplateError:
                return ""

        return probe(rendered, self.source)
