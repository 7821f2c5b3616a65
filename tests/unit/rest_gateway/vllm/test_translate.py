import json
from typing import Any

from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.body import parse
from rest_gateway.vllm.schema import TokenizeRequest
from rest_gateway.vllm.translate import (
    DETOKENIZE_NAMES,
    names_of,
    text_to_vllm,
    tokenize_to_proto,
    tokens_to_vllm,
)


def parsed(**fields: Any) -> TokenizeRequest:
    return parse(TokenizeRequest, json.dumps({"model": "m"} | fields).encode())


def test_text() -> None:
    request = inference_pb2.TokenizeRequest
    special = request(model="m", text="Hi", add_special_tokens=True)
    assert tokenize_to_proto(parsed(content="Hi")) == special
    assert tokenize_to_proto(parsed(prompt="Hi", add_special_tokens=True)) == special
    bare = tokenize_to_proto(parsed(prompt="", add_special_tokens=False))
    assert bare == request(model="m", text="", add_special_tokens=False)


def test_conversation() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    sent = tokenize_to_proto(
        parsed(
            messages=[{"role": "assistant", "content": "Hi"}],
            tools=[tool],
            chat_template_kwargs={"a": 1},
            continue_final_message=True,
            add_generation_prompt=False,
        )
    )
    part = chat_pb2.ContentPart(text="Hi")
    assert sent.chat == chat_pb2.ChatInput(
        messages=[chat_pb2.ChatMessage(role=chat_pb2.ROLE_ASSISTANT, content=[part])],
        tools=[chat_pb2.Tool(name="f")],
        template_kwargs_json='{"a":1}',
        continue_final_message=True,
    )


def test_answers() -> None:
    tokens = inference_pb2.TokenizeResponse(token_ids=[5, 6], context_length=99)
    assert json.loads(tokens_to_vllm(tokens)) == {
        "count": 2,
        "max_model_len": 99,
        "tokens": [5, 6],
        "token_strs": None,
    }
    text = inference_pb2.DetokenizeResponse(text="Hi")
    assert json.loads(text_to_vllm(text)) == {"prompt": "Hi", "content": "Hi"}


def test_names_are_the_clients() -> None:
    assert names_of(parsed(prompt="x")).sent_as("text") == "prompt"
    assert names_of(parsed(content="x")).sent_as("text") == "content"
    conversation = names_of(parsed(messages=[{"role": "user", "content": "x"}]))
    assert conversation.sent_as("chat.tools[0].name") == "tools[0].function.name"
    assert DETOKENIZE_NAMES.sent_as("token_ids[1]") == "tokens[1]"
