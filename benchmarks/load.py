"""The load that is measured: prompts, and what came of them."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from dataclasses import dataclass

import aiohttp
import msgspec
import uvloop

_TOPICS = (
    "a lighthouse keeper", "the invention of paper", "two rival bakers", "a train in the snow",
    "the first map of the sea", "a clock that runs backwards", "an orchard at night", "a lost city",
    "the language of whales", "a bridge of ropes", "the oldest tree", "a market on a river",
    "a comet", "the last printing press", "a desert library", "a glass blower's apprentice",
)  # fmt: skip


@dataclass(frozen=True)
class Completion:
    """What one stream gave: its tokens, and the seconds to the first text and to the end."""

    tokens: int
    first_text_seconds: float
    seconds: float


@dataclass(frozen=True)
class Load:
    """What a number of concurrent streams gave."""

    completions: tuple[Completion, ...]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Output tokens of all streams, by the time from the first request to the last answer."""
        return sum(completion.tokens for completion in self.completions) / self.seconds

    @property
    def first_text_seconds(self) -> float:
        """The median time to the first text."""
        return statistics.median(c.first_text_seconds for c in self.completions)


def prompts(streams: int, label: str) -> list[str]:
    """Make prompts of about 100 tokens that begin differently for each label."""
    return [
        f"[{label}-{number}] Write a long and detailed story about "
        f"{_TOPICS[number % len(_TOPICS)]}. "
        "Begin with the place and the weather, then tell who lives there, what they want and what "
        "stands in their way. Use many concrete details: smells, sounds, colours, tools, food and "
        "the names of streets. Let at least three people speak, each in a voice of their own, and "
        "let the story turn twice before it ends. Do not stop early; go on until all is told."
        for number in range(streams)
    ]


def over_http(
    base_url: str, api_key: str, context: ssl.SSLContext, model: str, texts: list[str], tokens: int
) -> Load:
    """Send chat completions at once, and read them as streams of events.

    Raises:
        aiohttp.ClientError: A request failed.
        ValueError: A stream ended without its usage.

    """
    return uvloop.run(complete_all(base_url, api_key, context, model, texts, tokens))


async def complete_all(
    base_url: str, api_key: str, context: ssl.SSLContext, model: str, texts: list[str], tokens: int
) -> Load:
    """Do what `over_http` does, in a running event loop."""
    url = f"{base_url}/chat/completions"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0),
        headers={"Authorization": f"Bearer {api_key}"},
        raise_for_status=True,
    ) as client:
        started = time.perf_counter()
        completions = await asyncio.gather(
            *(_complete(client, url, model, text, tokens) for text in texts)
        )
        return Load(tuple(completions), time.perf_counter() - started)


async def _complete(
    client: aiohttp.ClientSession, url: str, model: str, text: str, tokens: int
) -> Completion:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started = time.perf_counter()
    first = 0.0
    used = 0
    async with client.post(url, json=body) as response:
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = msgspec.json.decode(line.removeprefix(b"data: "))
            if usage := chunk.get("usage"):
                used = usage["completion_tokens"]
            elif not first and chunk["choices"][0]["delta"].get("content"):
                first = time.perf_counter() - started
    if not used:
        raise ValueError("the stream ended without its usage")
    return Completion(used, first, time.perf_counter() - started)
