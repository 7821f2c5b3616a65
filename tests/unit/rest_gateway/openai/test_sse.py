import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

import rest_gateway
from rest_gateway.openai import sse


def test_frames() -> None:
    assert sse.frames([b'{"a":1}', b"{}"]) == b'data: {"a":1}\n\ndata: {}\n\n'


def test_named_frames() -> None:
    written = sse.named_frames([("a.b", b'{"a":1}'), ("c", b"{}")])
    assert written == b'event: a.b\ndata: {"a":1}\n\nevent: c\ndata: {}\n\n'


def test_line_ends_of_unicode_are_escaped() -> None:
    text = "ü\\\\\u0085\u2028\u2029\u2027\u0084\U0001f642"
    payload = f'{{"a":"{text}"}}'.encode()
    for written in (sse.frames([payload]), sse.named_frames([("b", payload)])):
        *_, line, end = written.decode().splitlines()
        assert end == ""
        assert json.loads(line.removeprefix("data: ")) == json.loads(payload)


def test_only_this_module_writes_events() -> None:
    source = Path(rest_gateway.__file__).parent
    writers = {
        path.name for path in source.rglob("*.py") if re.search(r'"data: ', path.read_text("utf-8"))
    }
    assert writers == {"sse.py"}


async def test_nothing_is_sent_before_the_first_event() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with sse.EventStream(send, 60) as stream:
        assert not stream.started
        assert sent == []
        await stream.write(b"a")
        await stream.end(b"b")
    assert [message["type"] for message in sent] == [
        "http.response.start",
        *["http.response.body"] * 3,
    ]
    assert [message["body"] for message in sent[1:]] == [b"a", b"b", b""]
    assert [message["more_body"] for message in sent[1:]] == [True, True, False]


async def test_comments_stop_with_the_stream() -> None:
    commented = asyncio.Event()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body") == sse.KEEP_ALIVE:
            commented.set()

    before = len(asyncio.all_tasks())
    async with sse.EventStream(send, 0.001) as stream:
        await commented.wait()
        assert stream.started
    assert len(asyncio.all_tasks()) == before
    assert sent[0]["type"] == "http.response.start"


async def test_failure_to_send_a_comment_is_not_lost() -> None:
    failed = asyncio.Event()

    async def send(message: Any) -> None:
        failed.set()
        raise OSError("gone")

    stream = sse.EventStream(send, 0.001)
    with pytest.raises(OSError, match="gone"):
        async with stream:
            await failed.wait()
