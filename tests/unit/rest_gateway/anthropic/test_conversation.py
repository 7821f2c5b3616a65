import json
from typing import Any

from openvino_server.v1 import chat_pb2

from rest_gateway.anthropic.conversation import Conversation
from rest_gateway.anthropic.schema import parse_count_tokens


def conversation(*messages: Any, **values: Any) -> Conversation:
    body = {"model": "m", "messages": list(messages)} | values
    return Conversation(parse_count_tokens(json.dumps(body).encode()))


def said(conversation: Conversation) -> list[tuple[str, list[str]]]:
    return [
        (
            chat_pb2.Role.Name(message.role).removeprefix("ROLE_").lower(),
            [part.text for part in message.content],
        )
        for message in conversation.messages
    ]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def use(call_id: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any = "ok", **values: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content} | values


def test_system_comes_first() -> None:
    turns = conversation(user("Hi"), system="Be brief.")
    assert said(turns) == [("system", ["Be brief."]), ("user", ["Hi"])]
    turns = conversation(user([text("a"), text("b")]), system=[text("x"), text("y")])
    assert said(turns) == [("system", ["x", "y"]), ("user", ["a", "b"])]


def test_empty_system_says_nothing() -> None:
    assert said(conversation(user("Hi"), system="")) == [("user", ["Hi"])]
    assert said(conversation(user("Hi"), system=[])) == [("user", ["Hi"])]


def test_system_in_the_course_of_it() -> None:
    turns = conversation(user("Hi"), {"role": "system", "content": "Now be brief."}, user("Yo"))
    assert said(turns) == [("user", ["Hi"]), ("system", ["Now be brief."]), ("user", ["Yo"])]


def test_turns_of_one_role_are_one() -> None:
    turns = conversation(
        user("a"), user([text("b")]), assistant("c"), assistant([text("d")]), user("e")
    )
    assert said(turns) == [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])]
    assert [origin.path for origin in turns.origins] == ["messages.0", "messages.2", "messages.4"]


def test_tools_round() -> None:
    turns = conversation(
        user("Weather?"),
        assistant([text("Let me see."), use("a", "weather", city="Köln"), use("b", "time")]),
        user([result("a", "18°"), result("b", [text("12"), text("34")]), text("Well?")]),
    )
    assert said(turns) == [
        ("user", ["Weather?"]),
        ("assistant", ["Let me see."]),
        ("tool", ["18°"]),
        ("tool", ["12", "34"]),
        ("user", ["Well?"]),
    ]
    _, answer, first, second, _ = turns.messages
    assert [(call.id, call.name, call.arguments_json) for call in answer.tool_calls] == [
        ("a", "weather", '{"city":"Köln"}'),
        ("b", "time", "{}"),
    ]
    assert (first.tool_call_id, second.tool_call_id) == ("a", "b")
    assert not turns.continues
    assert [origin.path for origin in turns.origins] == [
        "messages.0",
        "messages.1",
        "messages.2.content.0",
        "messages.2.content.1",
        "messages.2",
    ]
    assert turns.origins[1].calls == ["messages.1.content.1", "messages.1.content.2"]


def test_failed_tool_is_told_in_words() -> None:
    def results(*blocks: Any) -> list[list[str]]:
        turns = conversation(user("?"), assistant([use("a")]), user(list(blocks)))
        return [texts for role, texts in said(turns) if role == "tool"]

    assert results(result("a", "no such city", is_error=True)) == [["Error: no such city"]]
    assert results(result("a", [text("x"), text("y")], is_error=True)) == [["Error: x", "y"]]
    assert results(result("a", [], is_error=True)) == [["Error: "]]
    assert results({"type": "tool_result", "tool_use_id": "a"}) == [[""]]
    assert results(result("a", "fine", is_error=False)) == [["fine"]]


def test_thinking_in_the_history() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "?"}
    turns = conversation(user("1"), assistant([thought, hidden, text("2")]), user("3"))
    assert turns.messages[1].reasoning == "Hm."
    assert said(turns)[1] == ("assistant", ["2"])
    assert not turns.messages[0].HasField("reasoning")


def test_turn_of_thinking_alone_has_a_content() -> None:
    hidden = {"type": "redacted_thinking", "data": "?"}
    turns = conversation(user("1"), assistant([hidden]), user("2"))
    assert said(turns)[1] == ("assistant", [""])
    assert not turns.messages[1].HasField("reasoning")


def test_last_turn_of_the_assistants_is_gone_on_from() -> None:
    turns = conversation(user("1"), assistant([text("One"), text("and")]))
    assert turns.continues
    assert said(turns)[1] == ("assistant", ["One", "and"])


def test_last_turn_of_the_assistants_may_be_empty() -> None:
    for empty in ("", []):
        turns = conversation(user("1"), assistant(empty))
        assert not turns.continues
        assert said(turns) == [("user", ["1"])]
