"""The Response object.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

import msgspec

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome
from rest_gateway.openai.responses.schema import Format, ResponseRequest
from rest_gateway.openai.responses.tools import FunctionTool


class ResponseForm:
    """What is the same in a response from its beginning to its end.

    Args:
        request: What it answers.
        response_id: Its id.
        created_at: When it began, in seconds since 1970.

    Attributes:
        id: The response's id.

    """

    def __init__(self, request: ResponseRequest, response_id: str, created_at: int) -> None:
        self.id = response_id
        self._created_at = created_at
        choice = request.tool_choice or "auto"
        self._echo: dict[str, Any] = {
            "background": bool(request.background),
            "conversation": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "metadata": request.metadata or {},
            "model": request.model,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "prompt": None,
            "prompt_cache_key": request.prompt_cache_key,
            "prompt_cache_retention": request.prompt_cache_retention,
            "reasoning": {
                "effort": request.reasoning.effort if request.reasoning else None,
                "summary": None,
            },
            "safety_identifier": request.safety_identifier,
            "service_tier": "default",
            # The model's own default, which the gateway doesn't know, is null.
            "temperature": request.temperature,
            "text": {
                "format": _format(request.text.format if request.text else None),
                "verbosity": "medium",
            },
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "tools": [_tool(tool) for tool in request.tools or ()],
            "top_logprobs": 0,
            "top_p": request.top_p,
            "truncation": request.truncation or "disabled",
            "user": request.user,
        }

    def write(
        self,
        status: str,
        output: list[dict[str, Any]],
        *,
        store: bool,
        completed_at: int | None = None,
        outcome: Outcome | None = None,
        error: ApiError | None = None,
    ) -> dict[str, Any]:
        """Write the response as it is at a time.

        Args:
            status: As OpenAI names it.
            output: The items so far.
            store: Whether it is, or will be, kept.
            completed_at: When it was completed, in seconds since 1970.
            outcome: How the generation ended; None if it hasn't, or failed.
            error: Why it failed.

        """
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created_at,
            "completed_at": completed_at,
            "status": status,
            "error": error_to_openai(error) if error else None,
            # The model's context being full is the same to the service.
            "incomplete_details": (
                {"reason": "max_output_tokens"} if status == "incomplete" else None
            ),
            "output": output,
            "store": store,
            "usage": usage_to_openai(outcome) if outcome else None,
            **self._echo,
        }


def _tool(tool: FunctionTool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": None if tool.parameters is None else msgspec.Raw(tool.parameters.encode()),
        "strict": bool(tool.strict),
    }


def _format(wanted: Format | None) -> dict[str, Any]:
    if wanted is None or wanted.json_schema is None:
        return {"type": wanted.type if wanted else "text"}
    return {
        "type": "json_schema",
        "name": wanted.name,
        "description": wanted.description,
        "schema": msgspec.Raw(wanted.json_schema.encode()),
        # The grammar enforces the schema whether it was asked to or not.
        "strict": wanted.strict is not False,
    }


def usage_to_openai(outcome: Outcome) -> dict[str, Any]:
    """Write the tokens used. OpenAI's form has no word for not known, so that is 0 here."""
    return {
        "input_tokens": outcome.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": outcome.cached_tokens or 0,
            # What OpenAI bills apart; the prefix cache here keeps what it has room for.
            "cache_write_tokens": 0,
        },
        "output_tokens": outcome.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": outcome.reasoning_tokens},
        "total_tokens": outcome.prompt_tokens + outcome.completion_tokens,
    }


def error_to_openai(error: ApiError) -> dict[str, Any]:
    """Write why a response failed. Of OpenAI's few codes, the nearest; the message has the rest."""
    if error.status == 429:
        code = "rate_limit_exceeded"
    else:
        code = "invalid_prompt" if error.status < 500 else "server_error"
    return {"code": code, "message": error.message}
