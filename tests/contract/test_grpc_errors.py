from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from openvino_server.v1 import chat_pb2, inference_pb2, models_pb2

AnyCall = Callable[..., Any]
Code = grpc.StatusCode

PROMPT_TOKENS = len("user: \nassistant:")


async def test_unknown_model(client: Any, refusal: AnyCall) -> None:
    expected = (Code.NOT_FOUND, "MODEL_NOT_FOUND", {"model": "né"})
    tokenize = inference_pb2.TokenizeRequest(model="né", text="x")
    detokenize = inference_pb2.DetokenizeRequest(model="né", token_ids=[1])
    for call in (
        client.generate("x", "né"),
        client.inference.Tokenize(tokenize),
        client.inference.Detokenize(detokenize),
        client.models.GetModel(models_pb2.GetModelRequest(name="né")),
    ):
        assert await refusal(call) == expected


async def test_models_name_is_required(client: Any, refusal: AnyCall) -> None:
    for call, field in (
        (client.generate("x", ""), "model"),
        (client.inference.Tokenize(inference_pb2.TokenizeRequest(text="x")), "model"),
        (client.inference.Detokenize(inference_pb2.DetokenizeRequest()), "model"),
        (client.models.GetModel(models_pb2.GetModelRequest()), "name"),
    ):
        assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        ({"temperature": 2.5}, "sampling.temperature"),
        ({"top_k": 0}, "sampling.top_k"),
        ({"max_tokens": 0}, "sampling.max_tokens"),
        ({"stop": [""]}, "sampling.stop"),
    ],
)
async def test_wrong_sampling(
    client: Any, refusal: AnyCall, sampling: dict[str, Any], field: str
) -> None:
    code, reason, metadata = await refusal(client.generate("x", **sampling))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert metadata == {"field": field}


async def test_wrong_input(client: Any, refusal: AnyCall) -> None:
    generate, tokenize = client.inference.Generate, client.inference.Tokenize
    unknown = inference_pb2.TokenIds(ids=[97, 999])
    for call, field in (
        (generate(inference_pb2.GenerateRequest(model="echo")), "input"),
        (generate(inference_pb2.GenerateRequest(model="echo", prompt="")), "prompt"),
        (
            generate(inference_pb2.GenerateRequest(model="echo", token_ids=unknown)),
            "token_ids.ids",
        ),
        (tokenize(inference_pb2.TokenizeRequest(model="echo")), "input"),
        (
            tokenize(inference_pb2.TokenizeRequest(model="echo", chat=chat_pb2.ChatInput())),
            "chat.messages",
        ),
        (
            client.inference.Detokenize(
                inference_pb2.DetokenizeRequest(model="echo", token_ids=[97, 999])
            ),
            "token_ids",
        ),
    ):
        assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


async def test_context_that_is_too_short(client: Any, refusal: AnyCall) -> None:
    prompt_tokens = PROMPT_TOKENS + 3
    code, reason, metadata = await refusal(
        client.generate("abc", max_tokens=1000 - prompt_tokens + 1)
    )
    assert (code, reason) == (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
    assert metadata == {
        "prompt_tokens": str(prompt_tokens),
        "context_length": "1000",
        "max_tokens": str(1000 - prompt_tokens + 1),
    }
    *_, metadata = await refusal(client.generate("x" * 2000))
    assert metadata == {"prompt_tokens": str(PROMPT_TOKENS + 2000), "context_length": "1000"}


@pytest.mark.parametrize("form", ["text", "chat"])
async def test_too_long_to_be_tokenized(client: Any, refusal: AnyCall, form: str) -> None:
    """The fake's longest token has 14 bytes, so that 14,000 may be 1000 tokens."""
    overhead = 0 if form == "text" else PROMPT_TOKENS

    def tokenize(length: int) -> Any:
        text = "x" * (length - overhead)
        said = {"role": chat_pb2.ROLE_USER, "content": [{"text": text}]}
        asked = {"text": text} if form == "text" else {"chat": {"messages": [said]}}
        return client.inference.Tokenize(inference_pb2.TokenizeRequest(model="echo", **asked))

    assert len((await tokenize(14_000)).token_ids) == 14_000
    code, reason, metadata = await refusal(tokenize(14_001))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
    assert metadata == {"prompt_tokens": "1001", "context_length": "1000"}


async def test_message_that_does_not_decode(client: Any, refusal: AnyCall) -> None:
    method = client.channel.unary_unary("/openvino_server.v1.ModelService/GetModel")
    code, reason, metadata = await refusal(method(b"\x0a\x02\xff\xfe"))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert metadata == {"field": "request"}


async def test_long_model_name(client: Any, refusal: AnyCall) -> None:
    code, reason, _ = await refusal(client.generate("x", "m" * 300))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT")


async def test_models_that_do_not_run(client: Any, refusal: AnyCall) -> None:
    code, reason, metadata = await refusal(client.generate("x", "unloaded"))
    assert (code, reason) == (Code.UNAVAILABLE, "MODEL_NOT_READY")
    assert metadata == {"model": "unloaded", "state": "unloaded"}
    code, reason, metadata = await refusal(client.generate("x", "broken"))
    assert (code, reason) == (Code.UNAVAILABLE, "MODEL_NOT_READY")
    assert (metadata["model"], metadata["state"]) == ("broken", "failed")
    assert "cause" not in metadata


async def test_chat_template_that_refuses_or_is_missing(client: Any, refusal: AnyCall) -> None:
    chat = chat_pb2.ChatInput(
        messages=[{"role": chat_pb2.ROLE_USER, "content": [{"text": "refuse me"}]}]
    )
    tokenize = inference_pb2.TokenizeRequest(model="echo", chat=chat)
    for call, model in (
        (client.generate("refuse me"), "echo"),
        (client.inference.Tokenize(tokenize), "echo"),
        (client.generate("hello", "bare"), "bare"),
    ):
        assert await refusal(call) == (Code.INVALID_ARGUMENT, "CHAT_TEMPLATE", {"model": model})


async def test_models_are_named(client: Any, refusal: AnyCall) -> None:
    models = client.models
    for call, field in (
        (models.LoadModel(models_pb2.LoadModelRequest()), "name"),
        (models.UnloadModel(models_pb2.UnloadModelRequest()), "name"),
        (models.DeleteModel(models_pb2.DeleteModelRequest()), "name"),
        (models.PullModel(models_pb2.PullModelRequest()), "source"),
        (models.WatchModels(models_pb2.WatchModelsRequest(names=[""])), "names[0]"),
    ):
        assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})
    for call in (
        models.LoadModel(models_pb2.LoadModelRequest(name="../echo")),
        models.UnloadModel(models_pb2.UnloadModelRequest(name="/etc")),
        models.DeleteModel(models_pb2.DeleteModelRequest(name="..")),
    ):
        assert (await refusal(call))[1] == "MODEL_NOT_FOUND"


async def test_full_queue_refuses_at_once_and_empties(
    start_service: AnyCall, refusal: AnyCall
) -> None:
    service = await start_service(
        {"echo": {"max_num_seqs": 1, "fake_step_seconds": 0.01}}, max_waiting_requests=1
    )
    client = service.client
    running = [client.generate("abc", ignore_eos=True) for _ in range(2)]
    await running[0].read()  # the second waits for room in the batch
    await client.replica_when(lambda replica: replica.outstanding_requests == 2)
    refused = (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"model": "echo", "limit": "2"})
    assert await refusal(client.generate("x")) == refused
    # What would be refused for its content is refused for the queue first: no work is done for it.
    assert await refusal(client.generate("refuse me")) == refused
    for call in running:
        call.cancel()
    await client.at_rest()
    assert (await client.answer("x")).text == "x"


async def test_queue_is_bounded_in_completions(start_service: AnyCall, refusal: AnyCall) -> None:
    service = await start_service(
        {"echo": {"max_num_seqs": 4, "fake_step_seconds": 0.01}}, max_waiting_requests=0
    )
    client = service.client
    running = client.generate("abc", ignore_eos=True, n=3)
    await running.read()
    assert (await client.replica()).outstanding_requests == 1
    full = (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"model": "echo", "limit": "4"})
    assert await refusal(client.generate("x", n=2)) == full
    assert (await client.answer("x")).text == "x"
    never = (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": "sampling.n"})
    assert await refusal(client.generate("x", n=5)) == never
    running.cancel()
    await client.at_rest()
    whole = client.generate("x", n=4)
    assert [response async for response in whole]


async def test_request_after_the_last_waiting_one_runs_in_turn(start_service: AnyCall) -> None:
    service = await start_service({"echo": {"max_num_seqs": 1}}, max_waiting_requests=9)
    answers = await asyncio.gather(*(service.client.answer(f"number {i}") for i in range(10)))
    assert [answer.text for answer in answers] == [f"number {i}" for i in range(10)]


async def test_message_that_is_too_large_is_refused(client: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.answer("x" * (33 << 20))
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert (await client.answer("still here")).text == "still here"
