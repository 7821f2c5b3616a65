"""A model's whole life over gRPC: pulled, loaded by its first request, unloaded, deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import pytest
from openvino_server.v1 import models_pb2

from tests.integration.models.conftest import Service

ROUNDS = 10


async def test_from_source_to_answer_and_away(service: Service, reason_of: Any) -> None:
    watch = service.models.WatchModels(models_pb2.WatchModelsRequest(names=["life"]))
    assert (await watch.read()).started
    pulled = await service.pull("life", f"file:{service.sources}/tiny")
    assert (pulled.name, pulled.state) == ("life", models_pb2.MODEL_STATE_UNLOADED)
    assert (pulled.architecture, pulled.context_length) == ("llama", 2048)
    assert (pulled.format, pulled.kind) == (
        models_pb2.MODEL_FORMAT_OPENVINO_IR,
        models_pb2.MODEL_KIND_GENERATION,
    )
    assert pulled.size_bytes > 100_000
    assert not await service.is_serving("life")
    texts = await asyncio.gather(*(service.generate("life") for _ in range(8)))
    assert len(set(texts)) == 1
    assert await service.is_serving("life")
    assert (await service.unload("life")).state == models_pb2.MODEL_STATE_UNLOADED
    assert not await service.is_serving("life")
    assert (await service.load("life")).state == models_pb2.MODEL_STATE_READY
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.delete("life")
    assert reason_of(caught.value) == "MODEL_IN_USE"
    await service.delete("life", unload=True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.generate("life")
    assert reason_of(caught.value) == "MODEL_NOT_FOUND"
    seen = []
    while True:
        event = await watch.read()
        if event.removed_name:
            break
        if not seen or seen[-1] != event.model.state:
            seen.append(event.model.state)
    watch.cancel()
    state = models_pb2
    assert [s for s in seen if s != state.MODEL_STATE_DRAINING] == [
        state.MODEL_STATE_UNLOADED,
        state.MODEL_STATE_LOADING,
        state.MODEL_STATE_READY,
        state.MODEL_STATE_UNLOADED,
        state.MODEL_STATE_LOADING,
        state.MODEL_STATE_READY,
        state.MODEL_STATE_UNLOADED,
    ]


async def test_memory_is_back_after_ten_rounds(service: Service) -> None:
    await service.pull("rounds", f"file:{service.sources}/tiny")
    await service.unload_all()

    async def one_round() -> None:
        await service.load("rounds")
        await service.generate("rounds")
        assert service.children()
        await service.unload("rounds")

    for _ in range(2):  # what is loaded once for all is loaded
        await one_round()
    before = service.all_bytes()
    for _ in range(ROUNDS):
        await one_round()
    assert not service.children()
    assert service.all_bytes() < 1.05 * before
    assert (await service.status()).memory.used_bytes == 0
    await service.delete("rounds")


async def test_gguf_file_is_turned_into_ir_once(service: Service, tiny_gguf: Any) -> None:
    (service.models_dir / "fresh.gguf").write_bytes(tiny_gguf.read_bytes())
    states = await service.states()
    assert states["fresh"] == "unloaded"

    async def stages_of_load() -> list[str]:
        call = service.models.LoadModel(models_pb2.LoadModelRequest(name="fresh"))
        return [answer.model.stage async for answer in call]

    stages = await stages_of_load()
    assert any("onver" in stage for stage in stages), stages
    first = await service.generate("fresh")
    await service.unload("fresh")
    again = await stages_of_load()
    assert not any("onver" in stage for stage in again), again
    assert await service.generate("fresh") == first
    await service.delete("fresh", unload=True)
    assert not (service.models_dir / "fresh.gguf").exists()
