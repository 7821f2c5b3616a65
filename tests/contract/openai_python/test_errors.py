"""Errors as OpenAI's client raises them, and what becomes of clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

Count = Callable[[str], Awaitable[int]]
ENDLESS: dict[str, Any] = {"messages": [{"role": "user", "content": "x" * 2_000}]}


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"store": True}, "unsupported_parameter", "store"),
        ({"extra_body": {"temprature": 1}}, "unknown_parameter", "temprature"),
        ({"max_tokens": 1, "extra_body": {"min_tokens": 2}}, "invalid_value", "min_tokens"),
        ({"messages": user("x" * 5_000)}, "context_length_exceeded", "messages"),
        ({"max_completion_tokens": 5_000}, "context_length_exceeded", "max_completion_tokens"),
        ({"messages": user("refuse me")}, "chat_template_error", "messages"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_bad_requests(
    gpt: openai.AsyncOpenAI, api: Any, changes: dict[str, Any], code: str, param: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"model": api.model, "messages": user("x"), "stream": stream}
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.chat.completions.create(**asked | changes)
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert error.request_id


async def test_unknown_model(gpt: openai.AsyncOpenAI) -> None:
    for call in (
        gpt.chat.completions.create(model="nobody/nothing", messages=user("x")),
        gpt.completions.create(model="nobody/nothing", prompt="x"),
        gpt.models.retrieve("nobody/nothing"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            await call
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_wrong_key(gpt: openai.AsyncOpenAI, api: Any) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        await gpt.with_options(api_key="sk-wrong").models.list()
    assert caught.value.code == "invalid_api_key"


async def test_model_without_a_template(gpt: openai.AsyncOpenAI, api: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.chat.completions.create(model=api.bare, messages=user("x"))
    assert caught.value.code == "chat_template_error"


async def settled(count: Count, model: str, wanted: int) -> None:
    async with asyncio.timeout(20):
        while await count(model) != wanted:  # noqa: ASYNC110 - remote
            await asyncio.sleep(0.02)


async def test_closed_stream_is_cancelled(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Count
) -> None:
    stream = await gpt.chat.completions.create(model=api.slow, **ENDLESS, stream=True, n=2)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert await outstanding(api.slow) == 1
    await stream.close()
    await settled(outstanding, api.slow, 0)


async def test_client_that_does_not_wait_is_cancelled(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Count
) -> None:
    task = asyncio.create_task(gpt.chat.completions.create(model=api.slow, **ENDLESS))
    await settled(outstanding, api.slow, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(outstanding, api.slow, 0)


async def test_every_prompt_is_cancelled(
    lenient: openai.AsyncOpenAI, api: Any, outstanding: Count
) -> None:
    stream = await lenient.completions.create(
        model=api.slow, prompt=["a" * 500] * 3, max_tokens=500, stream=True
    )
    begun = set()
    async for chunk in stream:
        begun.add(chunk.choices[0].index)
        if len(begun) == 3:
            break
    assert await outstanding(api.slow) == 3
    await stream.close()
    await settled(outstanding, api.slow, 0)


async def test_timeout_of_the_client_is_cancelled(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Count
) -> None:
    with pytest.raises(openai.APITimeoutError):
        await gpt.with_options(timeout=0.5).chat.completions.create(model=api.slow, **ENDLESS)
    await settled(outstanding, api.slow, 0)
