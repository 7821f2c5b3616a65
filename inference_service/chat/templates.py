"""Chat templates: a conversation becomes a prompt.

Rendered by transformers' own renderer, the one that templates are written for: Jinja in a sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

from inference_service.domain import Message, Role
from inference_service.errors import ChatTemplateError

_INLINE_CHARACTERS = 20_000  # about a millisecond of rendering; more is done off the event loop

_MESSAGE_CHARACTERS = 100  # what a message costs by itself, in characters


class ChatTemplate:
    """A model's chat template.

    Args:
        source: The Jinja source.
        special_tokens: What the template may name, such as `bos_token`, as text.
        model: The model's name, for errors.

    """

    def __init__(self, source: str, special_tokens: Mapping[str, str], model: str) -> None:
        self._model = model
        self._source = source
        self._special_tokens = special_tokens
        self._has_developer = "developer" in source

    def check(self) -> None:
        """Compile the template.

        Raises:
            jinja2.TemplateSyntaxError: It is no Jinja.

        """
        try:
            self._render([Message(Role.USER, ("",))])
        except ChatTemplateError as error:  # it may well refuse this very conversation
            if isinstance(error.__cause__, jinja2.TemplateSyntaxError):
                raise error.__cause__ from None

    async def render(self, messages: Sequence[Message]) -> str:
        """Render a conversation, with the opening of the answer.

        Raises:
            ChatTemplateError: The template refused the conversation.

        """
        size = sum(
            _MESSAGE_CHARACTERS + len(message.name or "") + sum(map(len, message.parts))
            for message in messages
        )
        if size <= _INLINE_CHARACTERS:
            return self._render(messages)
        return await asyncio.to_thread(self._render, messages)

    def _render(self, messages: Sequence[Message]) -> str:
        conversation = [self._as_dict(message) for message in messages]
        try:
            prompts, _ = render_jinja_template(
                conversations=[conversation],
                chat_template=self._source,
                add_generation_prompt=True,
                **self._special_tokens,
            )
        except Exception as error:  # a template is code, and may raise whatever code may
            raise ChatTemplateError(
                f"the model's chat template refused the messages: {error}", model=self._model
            ) from error
        return str(prompts[0])

    def _as_dict(self, message: Message) -> dict[str, str]:
        role = message.role
        if role is Role.DEVELOPER and not self._has_developer:
            role = Role.SYSTEM
        entry = {"role": role.value, "content": "\n".join(message.parts)}
        if message.name is not None:
            entry["name"] = message.name
        return entry
