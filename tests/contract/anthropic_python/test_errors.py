"""What Anthropic's client raises, and what it leaves behind when it goes."""

from __future__ import annotations

import ssl
from typing import Any

import anthropic
import pytest

from tests.contract.load import load_of

HI = [{"role": "user", "content": "Hi"}]
ASK: dict[str, Any] = {"model": "echo", "max_tokens": 100, "messages": HI}


def refusal(client: anthropic.Anthropic, **values: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**ASK | values)
    error = caught.value
    assert error.request_id == error.body["request_id"]  # type: ignore[index]
    return error


def test_wrong_key(options: dict[str, Any], trust: ssl.SSLContext) -> None:
    http = anthropic.DefaultHttpxClient(verify=trust)
    with anthropic.Anthropic(**options | {"api_key": "wrong"}, http_client=http) as client:
        error = refusal(client)
    assert isinstance(error, anthropic.AuthenticationError)
    assert error.type == "authentication_error"


def test_unknown_model(claude: anthropic.Anthropic) -> None:
    error = refusal(claude, model="nope")
    assert isinstance(error, anthropic.NotFoundError)
    assert (error.type, error.error_code) == ("not_found_error", "model_not_found")
    assert error.api_message == "The model 'nope' does not exist."


def test_unknown_parameter(claude: anthropic.Anthropic) -> None:
    error = refusal(claude, extra_body={"container": "c"})
    assert isinstance(error, anthropic.BadRequestError)
    assert error.api_message
    assert error.api_message.startswith("container: it is not supported")
    error = refusal(claude, extra_body={"frequency_penalty": 1})
    assert error.api_message == "frequency_penalty: Extra inputs are not permitted"


def test_image(claude: anthropic.Anthropic) -> None:
    source = {"type": "url", "url": "https://example.com/cat.png"}
    image = {"type": "image", "source": source}
    error = refusal(claude, messages=[{"role": "user", "content": [image]}])
    assert isinstance(error, anthropic.BadRequestError)
    assert error.api_message
    assert error.api_message.startswith("messages.0.content.0.type: blocks of type 'image'")


def test_prompt_that_is_too_long(claude: anthropic.Anthropic) -> None:
    error = refusal(claude, messages=[{"role": "user", "content": "x" * 5000}])
    assert isinstance(error, anthropic.BadRequestError)
    assert error.api_message
    assert error.api_message.startswith("prompt is too long: ")


def test_body_that_is_too_large(claude: anthropic.Anthropic) -> None:
    error = refusal(claude, messages=[{"role": "user", "content": "x" * (9 << 20)}])
    assert isinstance(error, anthropic.RequestTooLargeError)


def test_template_that_refuses(claude: anthropic.Anthropic) -> None:
    error = refusal(claude, messages=[{"role": "user", "content": "refuse me"}])
    assert isinstance(error, anthropic.BadRequestError)
    assert "no such talk" in str(error.api_message)


def test_form_that_does_not_compile(claude: anthropic.Anthropic) -> None:
    form: Any = {"type": "json_schema", "schema": {"type": "no such"}}
    error = refusal(claude, output_config={"format": form})
    assert isinstance(error, anthropic.BadRequestError)
    assert str(error.api_message).startswith("output_config.format.schema")


def test_stream_that_never_begins(claude: anthropic.Anthropic) -> None:
    with (
        pytest.raises(anthropic.NotFoundError),
        claude.messages.stream(**ASK | {"model": "nope"}) as stream,
    ):
        stream.get_final_message()


def test_what_is_not_here(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.batches.list()
    assert caught.value.type == "not_found_error"


async def test_client_that_leaves_ends_the_generation(
    async_claude: anthropic.AsyncAnthropic, api: Any
) -> None:
    long = [{"role": "user", "content": "abc" * 500}]  # over a minute's
    ask = ASK | {"model": api.slow, "max_tokens": 2000, "messages": long}
    async with load_of(api.env) as load:
        async with async_claude.messages.stream(**ask) as stream:
            async for _ in stream.text_stream:
                break
            assert await load.requests(api.slow) == 1
        await load.none(api.slow)
