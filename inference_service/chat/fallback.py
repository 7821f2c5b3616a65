"""Tools for models whose chat template knows of none: told in words, in the Hermes form."""

from __future__ import annotations

import json
from collections.abc import Sequence

from inference_service.chat.traits import Entry


def instructions(tools: Sequence[Entry]) -> str:
    """Tell a model of tools."""
    signatures = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return (
        "# Tools\n\n"
        "You may call one or more of these functions to help with the user's request. Their "
        "signatures are within <tools></tools> tags:\n"
        f"<tools>\n{signatures}\n</tools>\n\n"
        "For each call, write a JSON object with the function's name and its arguments within "
        "<tool_call></tool_call> tags:\n"
        '<tool_call>\n{"name": <function name>, "arguments": <arguments object>}\n</tool_call>\n'
        "The results come within <tool_response></tool_response> tags."
    )
