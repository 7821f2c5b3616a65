"""The operations that generate text."""

from __future__ import annotations

from typing import Any

from rest_gateway.anthropic.schema import CountTokensRequest, MessagesRequest
from rest_gateway.openai.chat.schema import ChatCompletionRequest
from rest_gateway.openai.completions.schema import CompletionRequest
from rest_gateway.openai.responses.schema import ConversationRequest, ResponseRequest
from rest_gateway.openapi.answers import chat, messages, responses
from rest_gateway.openapi.operation import Operation

_WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
_ASKED = {"model": "MODEL", "input": "What is the capital of France?"}
_RESPONSE_EXAMPLES: dict[str, Any] = {
    "A question": _ASKED | {"max_output_tokens": 32},
    "Going on from an earlier response": {
        "model": "MODEL",
        "previous_response_id": "resp_…",
        "input": [{"role": "user", "content": "And of Spain?"}],
    },
}


def generation_operations() -> list[Operation]:
    """List the operations that generate text."""
    return [_chat(), _completions(), *_responses(), *_messages()]


def _chat() -> Operation:
    return Operation(
        "post",
        "/v1/chat/completions",
        "Chat",
        "Complete a conversation",
        chat.ChatCompletion,
        ChatCompletionRequest,
        "What becomes of each parameter of OpenAI's is in docs/parameters.md. With `stream: true` "
        "the answer is server-sent events, each a `chat.completion.chunk`, and a last `[DONE]`.",
        {
            "A question": {"model": "MODEL", "messages": _QUESTION, "max_tokens": 32},
            "A stream": {"model": "MODEL", "messages": _QUESTION, "max_tokens": 32, "stream": True},
            "A function": {
                "model": "MODEL",
                "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "get_weather", "parameters": _WEATHER},
                    }
                ],
                "tool_choice": "required",
                "max_tokens": 64,
            },
            "JSON of a form": {
                "model": "MODEL",
                "messages": [{"role": "user", "content": "A city in Spain, as JSON."}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "city", "schema": _WEATHER, "strict": True},
                },
                "max_tokens": 64,
            },
        },
        streams=True,
    )


def _completions() -> Operation:
    prompt = {"model": "MODEL", "prompt": "The capital of France is", "max_tokens": 8}
    return Operation(
        "post",
        "/v1/completions",
        "Completions",
        "Complete text",
        chat.Completion,
        CompletionRequest,
        "The prompt goes to the model without a chat template. With `stream: true` the answer is "
        "server-sent events, each a `text_completion`, and a last `[DONE]`.",
        {
            "A prompt": prompt,
            "Several prompts": {**prompt, "prompt": ["One, two,", "Red, green,"]},
            "A choice of texts": {**prompt, "structured_outputs": {"choice": [" Paris", " Rome"]}},
        },
        streams=True,
    )


def _responses() -> list[Operation]:
    path = "/v1/responses"
    one = f"{path}/{{response_id}}"
    tag = "Responses"
    include = {"type": "array", "items": {"type": "string"}, "maxItems": 16}
    return [
        Operation(
            "post",
            path,
            tag,
            "Make a response",
            responses.Response,
            ResponseRequest,
            "With `stream: true` the answer is server-sent events, typed and numbered.",
            _RESPONSE_EXAMPLES,
            streams=True,
        ),
        Operation(
            "post",
            f"{path}/input_tokens",
            tag,
            "Count the tokens of a response's input",
            responses.InputTokens,
            ConversationRequest,
            examples={"A question": _ASKED},
        ),
        Operation(
            "get",
            one,
            tag,
            "Read a kept response",
            responses.Response,
            query={"include": include},
            errors=(400,),
        ),
        Operation("delete", one, tag, "Keep a response no longer", responses.DeletedResponse),
        Operation(
            "post",
            f"{one}/cancel",
            tag,
            "Cancel a response that is made in the background",
            responses.Response,
            errors=(400,),
        ),
        Operation(
            "get",
            f"{one}/input_items",
            tag,
            "List what a response was asked",
            responses.InputItems,
            query={
                "after": {"type": "string"},
                "include": include,
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
                "order": {"enum": ["asc", "desc"], "default": "desc"},
            },
            errors=(400,),
        ),
    ]


def _messages() -> list[Operation]:
    examples = {"A question": {"model": "MODEL", "messages": _QUESTION}}
    path = "/v1/messages"
    return [
        Operation(
            "post",
            path,
            "Messages",
            "Make a message",
            messages.Message,
            MessagesRequest,
            "Anthropic's API. With `stream: true` the answer is server-sent events.",
            {title: {**body, "max_tokens": 32} for title, body in examples.items()},
            streams=True,
            errors=(529,),
            error=messages.AnthropicErrorAnswer,
        ),
        Operation(
            "post",
            f"{path}/count_tokens",
            "Messages",
            "Count the tokens of a message's input",
            messages.TokenCount,
            CountTokensRequest,
            examples=examples,
            errors=(529,),
            error=messages.AnthropicErrorAnswer,
        ),
    ]
