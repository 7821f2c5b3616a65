"""One operation of the API, as the document needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """An object of an answer. It exists for the document only: answers are written as bytes."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        method: The HTTP method.
        path: The path; `{name}` is a parameter.
        tag: The heading under which it stands.
        summary: A line that says what it does.
        answer: The type of the answer's JSON.
        request: The type of the body's JSON; None for no body.
        description: More, in Markdown.
        examples: Bodies by a title each. The first is tried by tests as it stands.
        query: JSON Schemas of the query's parameters by name; all are optional.
        streams: Whether `stream: true` makes the answer server-sent events.
        events: Whether the answer is server-sent events alone; `answer` is what each has.
        accepted: Whether it may end with 202 too, and the same answer: it goes on by itself.
        open: Whether it needs no key.
        errors: What errors it may end with, in statuses, beyond those of every operation.
        error: The type of an error's JSON; None for OpenAI's.
        unwell: The type of the JSON of a 503 that is an answer, not an error.

    """

    method: Literal["get", "post", "delete"]
    path: str
    tag: str
    summary: str
    answer: type[BaseModel]
    request: type[BaseModel] | None = None
    description: str = ""
    examples: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    streams: bool = False
    events: bool = False
    accepted: bool = False
    open: bool = False
    errors: tuple[int, ...] = ()
    error: type[BaseModel] | None = None
    unwell: type[BaseModel] | None = None
