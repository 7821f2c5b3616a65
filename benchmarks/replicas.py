"""`python -m benchmarks.replicas`: what it gains to send prompts to where their prefix is cached.

Conversations that each begin with a long text of their own run turn by turn on the replicas of a
model, with prefix affinity and by load alone, in pairs of the same texts. Told are the part of all
prompt tokens that was found cached, and the time to the first token of all turns but the first of
each conversation. There is no server: the figures are of the router and the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from inference_service.domain import Finished, TextDelta
from inference_service.engine.frames import Load, Placement, Sampling
from inference_service.engine.placement import placements
from inference_service.engine.replicas import Replicas
from inference_service.engine.settings import ModelSettings

_WORDS = """
    the harbour a boat with many lamps that shine over wet stones near old walls while people carry
    bread and paper from one house to another before it rains and nobody asks them why
"""
_UNREAD_BYTES = 1 << 20
_START_SECONDS = 300


@dataclass
class Figures:
    """What came of the conversations of one round.

    Attributes:
        first_token_seconds: Of each turn but the first of a conversation.
        prompt_tokens: Of all turns.
        cached_tokens: Those of them that need not be computed.
        seconds: From the first request to the last answer.

    """

    first_token_seconds: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0

    @property
    def hit_rate(self) -> float:
        """The part of all prompt tokens that was found cached."""
        return self.cached_tokens / self.prompt_tokens

    @property
    def median_first_token_seconds(self) -> float:
        """The median time to the first token."""
        return statistics.median(self.first_token_seconds)

    def as_json(self) -> dict[str, float]:
        """Return the figures by name."""
        ordered = sorted(self.first_token_seconds)
        return {
            "hit_rate": self.hit_rate,
            "first_token_seconds_median": self.median_first_token_seconds,
            "first_token_seconds_p90": ordered[int(0.9 * (len(ordered) - 1))],
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "seconds": self.seconds,
        }


def main() -> int:
    """Measure and print; the exit status is 1 if affinity gained nothing."""
    parser = argparse.ArgumentParser(prog="benchmarks.replicas", description=__doc__)
    parser.add_argument("--models-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--conversations", type=int, default=5, help="at the same time")
    parser.add_argument("--turns", type=int, default=4, help="of each conversation")
    parser.add_argument("--words", type=int, default=800, help="of the text that each begins with")
    parser.add_argument("--tokens", type=int, default=16, help="of each answer")
    parser.add_argument("--rounds", type=int, default=4, help="pairs; medians are shown")
    parser.add_argument("--context", type=int, default=4096, help="the model's, in tokens")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    pairs = uvloop.run(_measure(options))
    report = {
        **{key: getattr(options, key) for key in _SHOWN},
        "openvino_genai": version("openvino-genai"),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "rounds": [{name: figures.as_json() for name, figures in pair.items()} for pair in pairs],
        "medians": {name: _medians([pair[name] for pair in pairs]) for name in _MODES},
    }
    gains = [
        pair["load alone"].median_first_token_seconds / pair["affinity"].median_first_token_seconds
        for pair in pairs
    ]
    report["first_token_gain"] = statistics.median(gains)
    _print(report, gains)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(statistics.median(gains) <= 1)


_SHOWN = ("model", "replicas", "conversations", "turns", "words", "tokens")
_MODES = {"affinity": True, "load alone": False}


async def _measure(options: argparse.Namespace) -> list[dict[str, Figures]]:
    settings = ModelSettings(replicas=options.replicas, kv_cache_bytes=256 << 20)
    pairs: list[dict[str, Figures]] = []
    folder = options.models_dir / options.model
    for number in range(options.rounds):
        pair = {}
        # New workers for each, so that nothing is cached but what this round brings.
        for name in sorted(_MODES, reverse=bool(number % 2)):
            loads = [_load(folder, settings, options, place) for place in placements(settings)]
            pair[name] = await _round(loads, options, number, prefix_affinity=_MODES[name])
        pairs.append(pair)
    return pairs


def _load(
    folder: Path, settings: ModelSettings, options: argparse.Namespace, placement: Placement
) -> Load:
    load = Load(str(folder), settings, options.context)
    return msgspec.structs.replace(load, placement=placement)


async def _round(
    loads: Sequence[Load], options: argparse.Namespace, number: int, *, prefix_affinity: bool
) -> Figures:
    ready = asyncio.Event()
    replicas = Replicas(
        options.model,
        loads,
        start_timeout_seconds=_START_SECONDS,
        step_timeout_seconds=_START_SECONDS,
        on_change=lambda: ready.set() if replicas.ready == len(loads) else None,
        prefix_affinity=prefix_affinity,
    )
    replicas.start()
    try:
        await replicas.loaded()
        await ready.wait()
        for load in range(len(loads)):  # the first step of a worker compiles
            await _answer(replicas, f"warm {load}", 2, Figures())
        figures = Figures()
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for conversation in range(options.conversations):
                source = random.Random(f"{number}-{conversation}")
                group.create_task(_converse(replicas, source, options, figures))
        figures.seconds = time.perf_counter() - started
        return figures
    finally:
        await replicas.stop()


async def _converse(
    replicas: Replicas, source: random.Random, options: argparse.Namespace, figures: Figures
) -> None:
    prompt = _text(source, options.words)
    for turn in range(options.turns):
        prompt += f"\nuser: {_text(source, 12)}\nassistant:"
        answer, first_token_seconds = await _answer(replicas, prompt, options.tokens, figures)
        prompt += answer
        if turn:
            figures.first_token_seconds.append(first_token_seconds)
        # As people do, pauses differ: without them all turns would stay in step for ever.
        await asyncio.sleep(source.uniform(0, 0.5))


def _text(source: random.Random, words: int) -> str:
    return " ".join(source.choices(_WORDS.split(), k=words))


async def _answer(
    replicas: Replicas, prompt: str, tokens: int, figures: Figures
) -> tuple[str, float]:
    sampling = Sampling(0.0, 1.0, None, 0.0, 0, 0.0, 0.0, 1.0, tokens, 0, (), ignore_eos=True)
    started = time.perf_counter()
    first_token_seconds = 0.0
    text = ""
    stream = replicas.route(prompt, None).submit(prompt, sampling, _UNREAD_BYTES)
    async for events in stream:
        for event in events:
            if isinstance(event, TextDelta):
                first_token_seconds = first_token_seconds or time.perf_counter() - started
                text += event.text
            elif isinstance(event, Finished):
                figures.prompt_tokens += event.prompt_tokens
                figures.cached_tokens += event.cached_tokens or 0
    return text, first_token_seconds


def _medians(rounds: Sequence[Figures]) -> dict[str, float]:
    each = [figures.as_json() for figures in rounds]
    return {key: statistics.median(one[key] for one in each) for key in each[0]}


def _print(report: dict[str, Any], gains: Sequence[float]) -> None:
    print(f"{'':12} hit rate   first token, median   90 %      all")
    for name, medians in report["medians"].items():
        print(
            f"{name:12} {medians['hit_rate']:8.1%} {medians['first_token_seconds_median']:17.2f} s "
            f"{medians['first_token_seconds_p90']:8.2f} s {medians['seconds']:6.1f} s"
        )
    print(
        f"time to the first token, load alone to affinity: {statistics.median(gains):.2f} "
        f"({min(gains):.2f} to {max(gains):.2f})"
    )


if __name__ == "__main__":
    sys.exit(main())
