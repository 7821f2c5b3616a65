"""The official client gets real text through HTTPS, and a direct gRPC client gets the same."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openvino_server.v1 import chat_pb2, inference_pb2, inference_pb2_grpc

from benchmarks.server import LocalServer
from tests.integration.conftest import EMBEDDING, MODEL, REPRODUCIBLE

QUESTION = "What is the capital of France? Answer in one sentence."
MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(verify=server.ssl_context())
    with openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http
    ) as opened:
        yield opened


@pytest.fixture
async def async_client(server: LocalServer):
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http
    ) as client:
        yield client


async def generate(channel, model, input_, **sampling):
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    request = inference_pb2.GenerateRequest(
        model=model, sampling=inference_pb2.SamplingParams(**sampling), **input_
    )
    events = [event async for message in stub.Generate(request) for event in message.events]
    text = "".join(event.text.text for event in events if event.HasField("text"))
    return text, events[-1].finished


def chat_input(text: str) -> dict[str, object]:
    message = chat_pb2.ChatMessage(
        role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text=text)]
    )
    return {"chat": chat_pb2.ChatInput(messages=[message])}


async def test_every_way_gives_the_same_text(client, async_client, channel) -> None:
    ask = {"model": REPRODUCIBLE, "messages": MESSAGES, "temperature": 0, "seed": 1}
    ask["max_tokens"] = 24
    whole = client.chat.completions.create(**ask)
    text = whole.choices[0].message.content
    assert "Paris" in text

    streamed = [
        c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask, stream=True)
    ]
    later = await async_client.chat.completions.create(**ask)
    pieces = [
        chunk.choices[0].delta.content or ""
        async for chunk in await async_client.chat.completions.create(**ask, stream=True)
    ]
    direct, finished = await generate(
        channel, REPRODUCIBLE, chat_input(QUESTION), temperature=0, seed=1, max_tokens=24
    )

    assert len(streamed) > 5
    assert "".join(streamed) == text
    assert later.choices[0].message.content == text
    assert "".join(pieces) == text
    assert direct == text
    assert finished.usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("temperature", [0, 0.8])
async def test_the_same_seed_gives_the_same_text(client, channel, temperature) -> None:
    ask = {"model": REPRODUCIBLE, "messages": MESSAGES, "temperature": temperature}
    first = client.chat.completions.create(**ask, seed=7, max_tokens=24)
    direct, _ = await generate(
        channel,
        REPRODUCIBLE,
        chat_input(QUESTION),
        temperature=temperature,
        seed=7,
        max_tokens=24,
    )
    assert direct == first.choices[0].message.content


def test_no_seed_gives_different_texts(client) -> None:
    ask = {"model": REPRODUCIBLE, "prompt": "Invent a name for a ship.", "temperature": 1.5}
    texts = {
        client.post(
            "/chat/completions",
            cast_to=openai.types.chat.ChatCompletion,
            body={**ask, "max_tokens": 16},
        )
        .choices[0]
        .message.content
        for _ in range(3)
    }
    assert len(texts) > 1


async def test_usage_is_the_tokenizer_s_count(client, channel) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, temperature=0, max_tokens=20
    )
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    prompt = await stub.Tokenize(inference_pb2.TokenizeRequest(model=MODEL, **chat_input(QUESTION)))
    text = await stub.Tokenize(
        inference_pb2.TokenizeRequest(model=MODEL, text=answer.choices[0].message.content)
    )
    assert answer.usage.prompt_tokens == len(prompt.token_ids)
    ended = answer.choices[0].finish_reason == "stop"  # by one end-of-sequence token
    assert answer.usage.completion_tokens == len(text.token_ids) + ended
    assert answer.usage.total_tokens == len(prompt.token_ids) + len(text.token_ids) + ended


def test_streamed_usage_equals_the_whole_one(client) -> None:
    ask = {"model": REPRODUCIBLE, "messages": MESSAGES, "temperature": 0, "max_tokens": 5}
    chunks = list(
        client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage == client.chat.completions.create(**ask).usage
    reasons = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert reasons[-1] == "length"
    assert not any(reasons[:-1])


def test_a_stop_text_ends_the_answer_and_is_not_in_it(client) -> None:
    ask = {"model": REPRODUCIBLE, "messages": MESSAGES, "temperature": 0, "max_tokens": 24}
    text = client.chat.completions.create(**ask).choices[0].message.content
    stop = text[8:14]  # within and across tokens
    chunks = list(client.chat.completions.create(**ask, stop=[stop], stream=True))
    shown = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert shown == text[: text.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_split_characters_arrive_whole(client, channel) -> None:
    """Every emoji here is several tokens; the model is given the start of a list to go on with."""
    text = "🌱 🌱 🌱 🌱 🌱 🌱 🌱 🌱"
    answer, _ = await generate(
        channel, REPRODUCIBLE, {"prompt": text}, temperature=0, max_tokens=40
    )
    assert "🌱" in answer
    assert "\ufffd" not in answer


def test_the_model_is_listed(client) -> None:
    assert [model.id for model in client.models.list()] == [EMBEDDING, REPRODUCIBLE, MODEL]
    assert client.models.retrieve(MODEL).model_dump()["max_model_len"] == 8192


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"model": "no-such-model"}, openai.NotFoundError, "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "invalid_value"),
        ({"max_tokens": 9000}, openai.BadRequestError, "context_length_exceeded"),
        (
            {"messages": [{"role": "user", "content": "word " * 9000}]},
            openai.BadRequestError,
            "context_length_exceeded",
        ),
    ],
)
def test_errors_are_openai_s(client, change, error, code) -> None:
    ask = {"model": MODEL, "messages": MESSAGES, **change}
    with pytest.raises(error) as raised:
        client.with_options(max_retries=0).chat.completions.create(**ask)
    assert raised.value.code == code
    with pytest.raises(error):
        client.with_options(max_retries=0).chat.completions.create(**ask, stream=True)


def test_a_prompt_too_long_is_counted_whole(client) -> None:
    """GGUF tokenizers of the engine cut texts at 8,192 tokens unless they are mended."""
    with pytest.raises(openai.BadRequestError, match=r"the prompt has 20[0-9]{3}"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}]
        )


def test_a_wrong_key_is_refused(client) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="ovs_wrong").models.list()
