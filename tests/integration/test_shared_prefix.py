"""Requests that come together and begin alike compute their beginning once."""

from __future__ import annotations

import asyncio
import itertools

import openai

from benchmarks.server import LocalServer

MODEL = "smollm2-135m-instruct"
TOGETHER = 6
_RUN = itertools.count()


async def test_a_prompt_in_common_is_computed_once(server: LocalServer) -> None:
    # About 1,500 tokens, six steps of computing; new in every run of the test.
    common = f"Note {next(_RUN)}: " + "The quick brown fox jumps over the lazy dog. " * 150
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http
    ) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model=MODEL,
                    messages=[
                        {"role": "system", "content": common},
                        {"role": "user", "content": f"What is {number} + 1?"},
                    ],
                    max_tokens=4,
                )
                for number in range(TOGETHER)
            )
        )
    cached = []
    for answer in answers:
        assert answer.usage is not None
        assert answer.usage.prompt_tokens > 1400
        assert answer.usage.prompt_tokens_details is not None
        cached.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
    first, *others = sorted(cached)
    assert first < 100
    assert all(tokens > 1300 for tokens in others), cached
