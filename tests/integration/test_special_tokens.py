"""Special tokens: the default model's tokenizer adds none, so it is given another that does."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from inference_service.config import ServiceConfig
from inference_service.domain import (
    Event,
    GenerateRequest,
    Input,
    PromptInput,
    SamplingParams,
    Started,
    TokenIdsInput,
)
from inference_service.generation import Generator
from inference_service.models.registry import Registry

MODEL = "specials"
TEXT = "one two"


@pytest.fixture(scope="module")
def models_dir(
    model_dir: Path, embedding_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a model whose tokenizer puts a token at each end."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(model_dir, models / MODEL)
    for file in embedding_dir.glob("openvino_*tokenizer.*"):
        shutil.copy(file, models / MODEL)
    return models


@pytest.fixture
async def generator(
    models_dir: Path, certs: Path, eventually: Callable[..., Any]
) -> AsyncIterator[Generator]:
    config = ServiceConfig(
        tls_cert=certs / "service.pem",
        tls_key=certs / "service-key.pem",
        tls_client_ca=certs / "ca.pem",
        models_dir=models_dir,
    )
    registry = Registry(config, lambda _: None)
    await registry.start()
    try:
        await eventually(lambda: registry.ready, 60)
        yield Generator(registry, config.max_unread_bytes)
    finally:
        await registry.stop()


async def prompt_tokens(generator: Generator, given: Input) -> int:
    request = GenerateRequest(MODEL, given, SamplingParams(max_tokens=1))
    async with aclosing(generator.generate(request)) as batches:
        events: list[Event] = [event async for events in batches for event in events]
    assert isinstance(events[0], Started)
    return events[0].prompt_tokens


async def test_special_tokens_are_added_where_asked_for(generator: Generator) -> None:
    bare, _ = await generator.tokenize(MODEL, TEXT, add_special_tokens=False)
    whole, _ = await generator.tokenize(MODEL, TEXT, add_special_tokens=True)
    assert whole[1:-1] == bare
    assert await prompt_tokens(generator, PromptInput(TEXT)) == len(bare)
    assert await prompt_tokens(generator, PromptInput(TEXT, add_special_tokens=True)) == len(whole)
    assert await prompt_tokens(generator, TokenIdsInput(bare)) == len(bare)
