"""What a response answers: the items before it, those that it refers to, and its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.invalid import first_problem, location_of, message_of
from rest_gateway.openai.responses.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    ItemReference,
    MessageItem,
    ReasoningItem,
)
from rest_gateway.openai.responses.schema import ConversationRequest
from rest_gateway.openai.responses.store import ResponseStore, Turn
from rest_gateway.openai.shown import quoted

# What a conversation is made of once its references have been followed.
Said = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem

_json = msgspec.json.Encoder().encode
_item: TypeAdapter[Any] = TypeAdapter(Item)
_CONTINUED = frozenset({"completed", "incomplete"})


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that a model is to be told.

    Attributes:
        items: The items, the oldest first.
        turn: What this request adds, to be kept with the response.

    """

    items: tuple[Said, ...]
    turn: Turn


def read_conversation(
    request: ConversationRequest, store: ResponseStore, owner: str
) -> Conversation:
    """Put together what a request goes on from and what it says.

    Args:
        request: The request.
        store: Where earlier responses are kept.
        owner: The id of the API key that asks.

    Raises:
        ApiError: It goes on from what isn't there, or calls and their outputs don't match.

    """
    parent = _parent_of(request, store, owner)
    sent: Sequence[Any] = (
        [MessageItem(role="user", content=request.input)]
        if isinstance(request.input, str)
        else request.input
    )
    own = [_resolved(item, index, store, owner) for index, item in enumerate(sent)]
    before = parent.history() if parent else []
    items = tuple(_read(item, "previous_response_id") for item in _whole(before))
    turn = Turn(owner, parent, tuple(_json(item_to_openai(item)) for item in own))
    _check_calls([*items, *own])
    return Conversation((*items, *own), turn)


def _parent_of(request: ConversationRequest, store: ResponseStore, owner: str) -> Turn | None:
    response_id = request.previous_response_id
    if response_id is None:
        return None
    previous = store.get(response_id, owner)
    if previous is None:
        raise ApiError(
            400,
            f"Previous response with id {quoted(response_id)} not found.",
            code="previous_response_not_found",
            param="previous_response_id",
            reason="previous_response_not_found",
        )
    if previous.status not in _CONTINUED:
        raise _refused(
            "previous_response_id",
            f"The response {quoted(response_id)} can't be gone on from: it is {previous.status}.",
        )
    return previous.turn


def _resolved(item: Any, index: int, store: ResponseStore, owner: str) -> Said:
    if not isinstance(item, ItemReference):
        return item  # type: ignore[no-any-return] # pydantic has checked it
    found = store.item(item.id, owner)
    if found is None:
        raise ApiError(
            404,
            f"Item with id {quoted(item.id)} not found.",
            code="item_not_found",
            param=f"input[{index}].id",
            reason="item_not_found",
        )
    if not _is_whole(found):
        raise _refused(
            f"input[{index}].id", f"The call {quoted(item.id)} was cut off, and can't be answered."
        )
    return _read(found, f"input[{index}].id")


def _read(kept: bytes, param: str) -> Said:
    """Read a kept item as one that a client sent: a model may write what none may send."""
    try:
        return _item.validate_json(kept)  # type: ignore[no-any-return]
    except ValidationError as error:
        problem = first_problem(error)
        where = ".".join(map(str, location_of(problem)))
        raise _refused(
            param,
            f"The item {quoted(_kind_of(kept).id)} can't be sent to the model again: {where} "
            f"{message_of(problem)}.",
        ) from None


class _Kind(msgspec.Struct):
    id: str
    type: str
    status: str | None = None


_kind_of = msgspec.json.Decoder(_Kind).decode


def _is_whole(item: bytes) -> bool:
    """Tell calls whose arguments are cut off: no one can answer them."""
    kind = _kind_of(item)
    return kind.type != "function_call" or kind.status == "completed"


def _whole(items: Sequence[bytes]) -> Iterator[bytes]:
    return filter(_is_whole, items)


def _check_calls(items: Sequence[Said]) -> None:
    """Refuse outputs of no call, and calls without output; templates would make nonsense of them.

    Raises:
        ApiError: There are some.

    """
    open_calls: dict[str, None] = {}
    for item in items:
        if isinstance(item, FunctionCallItem):
            open_calls[item.call_id] = None
        elif isinstance(item, FunctionCallOutputItem):
            if item.call_id not in open_calls:
                raise _refused(
                    "input",
                    "No tool call found for function call output with call_id "
                    f"{quoted(item.call_id)}.",
                )
            del open_calls[item.call_id]
    for call_id in open_calls:
        raise _refused("input", f"No tool output found for function call {quoted(call_id)}.")


def _refused(param: str, message: str) -> ApiError:
    return ApiError(400, message, code="invalid_value", param=param, reason="invalid_value")


def item_to_openai(item: Said) -> dict[str, Any]:
    """Write an item as the list of a response's input items has it: with an id and a status."""
    status = item.status or "completed"
    if isinstance(item, MessageItem):
        return {
            "id": item.id or _new_id("msg"),
            "type": "message",
            "status": status,
            "role": item.role,
            "content": _content_of(item),
        }
    if isinstance(item, FunctionCallItem):
        return {
            "id": item.id or _new_id("fc"),
            "type": "function_call",
            "status": status,
            "arguments": item.arguments,
            "call_id": item.call_id,
            "name": item.name,
        }
    if isinstance(item, FunctionCallOutputItem):
        output = item.output
        return {
            "id": item.id or _new_id("fco"),
            "type": "function_call_output",
            "status": status,
            "call_id": item.call_id,
            "output": (
                output
                if isinstance(output, str)
                else [{"type": "input_text", "text": text} for text in item.texts]
            ),
        }
    return {
        "id": item.id or _new_id("rs"),
        "type": "reasoning",
        "status": status,
        "summary": [part.model_dump() for part in item.summary],
        "content": [part.model_dump() for part in item.content or ()],
        "encrypted_content": None,
    }


def _content_of(item: MessageItem) -> list[dict[str, Any]]:
    if item.role != "assistant":
        return [{"type": "input_text", "text": text} for text in item.texts]
    if isinstance(item.content, str):
        return [_output_text(item.content)]
    return [
        {"type": "refusal", "refusal": part.said}
        if part.type == "refusal"
        else _output_text(part.said)
        for part in item.content
    ]


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
