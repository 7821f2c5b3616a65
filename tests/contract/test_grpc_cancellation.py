"""Whoever goes away frees the engine; whoever is slow slows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest

AnyCall = Callable[..., Any]

STEP_SECONDS = 0.05
LATE_STEPS = 2  # the one that ran when the client went, and the one that frees the request


@pytest.fixture
async def slow(start_service: AnyCall) -> Any:
    """A client of a service whose steps take their time."""
    service = await start_service({"slow": {"fake_step_seconds": STEP_SECONDS}})
    return service.client


async def assert_free(client: Any, steps_before: int) -> None:
    """The worker has stopped, soon after `steps_before`, and for good."""
    steps = (await client.at_rest("slow")).steps
    assert steps - steps_before <= LATE_STEPS + 1  # one more on the way through client and server
    await client.answer("abc", "slow")
    assert (await client.replica("slow")).steps == steps + 4  # none but its own


async def test_client_that_cancels(slow: Any) -> None:
    call = slow.generate("abc", "slow", ignore_eos=True)
    for _ in range(3):
        await call.read()
    steps = (await slow.replica("slow")).steps
    call.cancel()
    await assert_free(slow, steps)


async def test_client_whose_channel_closes(
    slow: Any, start_service: AnyCall, credentials: AnyCall
) -> None:
    service = await start_service({"slow": {"fake_step_seconds": STEP_SECONDS}})
    address = f"localhost:{service.port}"
    async with grpc.aio.secure_channel(address, credentials()) as channel:
        other = type(slow)(channel)
        await other.generate("abc", "slow", ignore_eos=True).read()
        steps = (await other.replica("slow")).steps
    await assert_free(service.client, steps)


async def test_deadline(slow: Any) -> None:
    call = slow.generate("abc", "slow", ignore_eos=True, timeout=0.3)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await assert_free(slow, (await slow.replica("slow")).steps)


async def test_one_that_goes_leaves_the_others_alone(slow: Any) -> None:
    going = slow.generate("going", "slow", ignore_eos=True)
    staying = asyncio.create_task(slow.answer("staying", "slow"))
    await going.read()
    going.cancel()
    assert (await staying).text == "staying"


@pytest.mark.parametrize("worker_speed", ["slow", "fast"])
async def test_reader_that_does_not_read_is_ended_and_slows_nobody(
    start_service: AnyCall, connect: AnyCall, reason_of: AnyCall, worker_speed: str
) -> None:
    settings = {"slow": {"fake_step_seconds": 0.0005}, "fast": {}}[worker_speed]
    service = await start_service(
        {"echo": {"context_length": 100_000_000} | settings}, max_unread_bytes=1024
    )
    # A window that does not grow, so that little text fills it.
    lazy = connect(
        service.port,
        options=(
            ("grpc.http2.lookahead_bytes", 4096),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ),
    )
    text = "0123456789" * 50
    stuck = lazy.generate(text, ignore_eos=True, timeout=60)
    first = await stuck.read()
    assert first.events[0].HasField("started")
    beside = [await service.client.answer(f"beside {i}") for i in range(5)]
    assert [answer.text for answer in beside] == [f"beside {i}" for i in range(5)]
    replica = await service.client.at_rest()
    assert replica.generated_tokens > 1024
    # All that was sent comes, in order; then why there is no more.
    received, end = list(first.events), None
    while end is None:
        try:
            response = await stuck.read()
        except grpc.aio.AioRpcError as error:
            end = error
        else:
            received += response.events
    assert reason_of(end) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "READER_TOO_SLOW",
        {"limit_bytes": "1024"},
    )
    seen = "".join(event.text.text for event in received)
    assert seen == (text * (len(seen) // len(text) + 1))[: len(seen)]
    assert len(seen) < replica.generated_tokens
