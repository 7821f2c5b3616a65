"""What pydantic finds wrong with a request, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.shown import shorten
from rest_gateway.openai.strict import UNKNOWN, UNSUPPORTED

# Kinds of errors as pydantic names them; braces hold what it knows of the limit. Kinds that are
# not here are our own, and have our own message.
_PHRASES: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "int_type": "must be an integer",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "none_required": "must be null",
    "string_too_short": "must not be empty",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "too_long": "must have at most {max_length} items",
    "too_short": "must not be empty",
}
_WORDS = {"True": "true", "False": "false", "None": "null"}


def first_problem(error: ValidationError) -> ErrorDetails:
    """Pick what is said of all that is wrong."""
    return error.errors(include_url=False, include_input=False)[0]


def location_of(problem: ErrorDetails) -> tuple[int | str, ...]:
    """Name the parameter at fault, step by step: `("messages", 0, "content")`."""
    context = problem.get("ctx", {})
    named = (context["param"],) if "param" in context else ()
    return tuple(
        shorten(step) if isinstance(step, str) else step
        for step in (*problem["loc"], *named)
        if not (isinstance(step, str) and step.startswith("<"))
    )


def message_of(problem: ErrorDetails) -> str:
    """Say what is wrong with the parameter, as the rest of a sentence."""
    context = problem.get("ctx", {})
    if problem["type"] == "too_long" and context["max_length"] == 0:
        return "must be empty"
    phrase = _PHRASES.get(problem["type"])
    if phrase is None:
        return problem["msg"]
    return phrase.format_map({name: _limit(value) for name, value in context.items()})


def invalid_json(problem: ErrorDetails) -> ApiError:
    """Say that a body is not JSON."""
    return ApiError(
        400,
        f"The request's body is not valid JSON: {problem['ctx']['error']}",
        code="invalid_json",
        reason="invalid_json",
    )


def unsupported_message(param: str | None, why: str) -> str:
    """Say that a parameter is refused."""
    return f"Unsupported parameter: '{param}': {why}."


def invalid_request(error: ValidationError) -> ApiError:
    """Say what is wrong first."""
    problem = first_problem(error)
    kind = problem["type"]
    if kind == "json_invalid":
        return invalid_json(problem)
    param = _path(location_of(problem))
    message = message_of(problem)
    if kind == UNKNOWN:
        text, code = f"Unrecognized request argument supplied: {param}", UNKNOWN
    elif kind == "missing":
        text, code = f"Missing required parameter: '{param}'.", "missing_required_parameter"
    elif kind == UNSUPPORTED:
        text, code = unsupported_message(param, message), UNSUPPORTED
    elif param is None:
        text, code = "The request's body must be a JSON object.", "invalid_type"
    else:
        text = f"Invalid value for '{param}': {message}."
        code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    return ApiError(400, text, code=code, param=param, reason=code)


def _limit(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return _WORDS.get(str(value), str(value))


def _path(location: tuple[int | str, ...]) -> str | None:
    """Write a location as OpenAI does: `messages[0].content`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path or None
