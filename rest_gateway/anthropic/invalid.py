"""What pydantic finds wrong with a request, in Anthropic's words."""

from __future__ import annotations

from pydantic import ValidationError

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.invalid import first_problem, invalid_json, location_of, message_of
from rest_gateway.openai.strict import UNKNOWN, UNSUPPORTED


def invalid_request(error: ValidationError) -> ApiError:
    """Say what is wrong first, after the path to it: `messages.0.content: must be …`."""
    problem = first_problem(error)
    kind = problem["type"]
    if kind == "json_invalid":
        return invalid_json(problem)
    param = ".".join(str(step) for step in location_of(problem))
    code = "invalid_value"
    if kind == UNKNOWN:
        message, code = "Extra inputs are not permitted", UNKNOWN
    elif kind == "missing":
        message, code = "Field required", "missing_required_parameter"
    else:
        message = message_of(problem)
        if kind == UNSUPPORTED:
            code = UNSUPPORTED
    if not param:
        param, message = "body", "must be a JSON object"
    return ApiError(400, f"{param}: {message}", code=code, param=param, reason=code)
