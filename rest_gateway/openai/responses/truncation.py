"""`truncation: auto`: leaves out of a conversation what its model has no room for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from openvino_server.v1 import chat_pb2

_KEPT = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER})


async def truncate(
    chat: chat_pb2.ChatInput, fits: Callable[[chat_pb2.ChatInput], Awaitable[bool]]
) -> chat_pb2.ChatInput:
    """Leave out the oldest of a conversation, no more than is needed.

    Whole turns go first, from a message of the user to the next; then, of the last turn, what the
    assistant said and called with the calls' outputs, but for the last such step. So no call loses
    its output, and what is left still begins with the user. Instructions stay.

    Args:
        chat: The conversation.
        fits: Says whether a conversation has room; asked some log2(turns) times.

    Returns:
        The conversation to be answered: the shortest there is, if even that has no room.

    """
    if await fits(chat):
        return chat
    steps = _steps(chat.messages)
    # The fewest steps to leave out; that none is not enough is known.
    low, high = 1, len(steps)
    while low < high:
        middle = (low + high) // 2
        if await fits(_without(chat, steps[:middle])):
            high = middle
        else:
            low = middle + 1
    return _without(chat, steps[:low])


def _without(chat: chat_pb2.ChatInput, steps: Sequence[Sequence[int]]) -> chat_pb2.ChatInput:
    left_out = {index for step in steps for index in step}
    shorter = chat_pb2.ChatInput()
    shorter.CopyFrom(chat)
    del shorter.messages[:]
    shorter.messages.extend(
        message for index, message in enumerate(chat.messages) if index not in left_out
    )
    return shorter


def _steps(messages: Sequence[chat_pb2.ChatMessage]) -> list[list[int]]:
    """Give what may be left out, in order: groups of indices into the messages."""
    turns: list[list[int]] = []
    for index, message in enumerate(messages):
        if message.role in _KEPT:
            continue
        previous = messages[turns[-1][-1]].role if turns else None
        begins = message.role == chat_pb2.ROLE_USER and previous != chat_pb2.ROLE_USER
        if begins or not turns:
            turns.append([])
        turns[-1].append(index)
    if not turns:
        return []
    steps: list[list[int]] = []
    for index in turns[-1]:
        if messages[index].role == chat_pb2.ROLE_ASSISTANT:
            steps.append([])
        if steps:
            steps[-1].append(index)
    return turns[:-1] + steps[:-1]
