from hypothesis import given
from hypothesis import strategies as st
from openvino_server.v1 import chat_pb2

from rest_gateway.openai.responses.truncation import truncate

_ROLES = {
    "s": chat_pb2.ROLE_SYSTEM,
    "d": chat_pb2.ROLE_DEVELOPER,
    "u": chat_pb2.ROLE_USER,
    "a": chat_pb2.ROLE_ASSISTANT,
    "t": chat_pb2.ROLE_TOOL,
}


def chat(roles: str) -> chat_pb2.ChatInput:
    """A conversation with one message a letter, whose text is its place."""
    messages = [
        chat_pb2.ChatMessage(role=_ROLES[letter], content=[chat_pb2.ContentPart(text=str(index))])
        for index, letter in enumerate(roles)
    ]
    return chat_pb2.ChatInput(messages=messages, reasoning_effort="low")


async def kept(roles: str, room: int) -> tuple[list[int], int]:
    """Truncate to a number of messages; give the places left, and how often was asked."""
    asked = 0

    async def fits(shorter: chat_pb2.ChatInput) -> bool:
        nonlocal asked
        asked += 1
        return len(shorter.messages) <= room

    left = await truncate(chat(roles), fits)
    assert left.reasoning_effort == "low"
    return [int(message.content[0].text) for message in left.messages], asked


async def test_nothing_is_left_out_without_need() -> None:
    assert await kept("suau", 4) == ([0, 1, 2, 3], 1)


async def test_oldest_turns_go_first_and_instructions_stay() -> None:
    assert (await kept("suauatau", 5))[0] == [0, 7]
    assert (await kept("suauau", 4))[0] == [0, 3, 4, 5]
    assert (await kept("usaud", 3))[0] == [1, 3, 4]


async def test_then_steps_of_the_last_turn_but_the_last() -> None:
    assert (await kept("suauatatatt", 7))[0] == [0, 3, 6, 7, 8, 9, 10]
    assert (await kept("uatatatt", 1))[0] == [0, 5, 6, 7]


async def test_what_can_not_be_shortened_stays() -> None:
    assert (await kept("su", 1))[0] == [0, 1]
    assert (await kept("sd", 1))[0] == [0, 1]


async def test_few_questions_are_asked() -> None:
    _, asked = await kept("ua" * 1000, 100)
    assert asked <= 12


@given(st.text("sduat", max_size=30), st.integers(0, 30))
async def test_no_more_than_needed_and_in_order(roles: str, room: int) -> None:
    left, _ = await kept(roles, room)
    assert left == sorted(left)
    assert [index for index in left if roles[index] in "sd"] == [
        index for index, role in enumerate(roles) if role in "sd"
    ]
    if len(roles) <= room:
        assert len(left) == len(roles)
    if len(left) <= room and len(left) < len(roles):
        # With the group that was left out last, it would not have had room.
        more, _ = await kept(roles, len(left))
        assert more == left
