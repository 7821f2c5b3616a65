"""Tools, and which of them are to be called."""

from __future__ import annotations

from collections.abc import Collection

from openvino_server.v1 import chat_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.json_object import json_object_from_text

MAX_TOOLS = 128
MAX_PARAMETERS_CHARACTERS = 1 << 18
MAX_TOOLS_CHARACTERS = 1 << 20  # all schemas together: some 10 ms of reading on the event loop

_MODES = {
    chat_pb2.TOOL_CHOICE_MODE_NONE: domain.ToolMode.NONE,
    chat_pb2.TOOL_CHOICE_MODE_AUTO: domain.ToolMode.AUTO,
    chat_pb2.TOOL_CHOICE_MODE_REQUIRED: domain.ToolMode.REQUIRED,
}


def tools_from_proto(tools: Collection[chat_pb2.Tool]) -> tuple[domain.Tool, ...]:
    """Check and convert the tools of a conversation.

    Raises:
        InvalidArgument: There are too many, or a name or a schema can't be used.

    """
    if len(tools) > MAX_TOOLS:
        raise InvalidArgument("chat.tools", f"at most {MAX_TOOLS} are allowed")
    if sum(len(tool.parameters_json) for tool in tools) > MAX_TOOLS_CHARACTERS:
        raise InvalidArgument(
            "chat.tools", f"all parameters are longer than {MAX_TOOLS_CHARACTERS} characters"
        )
    names: set[str] = set()
    converted: list[domain.Tool] = []
    for index, tool in enumerate(tools):
        field = f"chat.tools[{index}]"
        if not domain.is_function_name(tool.name):
            raise InvalidArgument(
                f"{field}.name", "must be 1 to 64 characters of a-z, A-Z, 0-9, _ and -"
            )
        if tool.name in names:
            raise InvalidArgument(f"{field}.name", f"a tool before it is named {tool.name!r} too")
        names.add(tool.name)
        converted.append(
            domain.Tool(
                name=tool.name,
                description=tool.description if tool.HasField("description") else None,
                parameters=json_object_from_text(
                    tool.parameters_json, f"{field}.parameters_json", MAX_PARAMETERS_CHARACTERS
                )
                if tool.HasField("parameters_json")
                else None,
                strict=tool.strict,
            )
        )
    return tuple(converted)


def tool_choice_from_proto(
    choice: chat_pb2.ToolChoice, tools: tuple[domain.Tool, ...]
) -> domain.ToolChoice:
    """Check and convert a choice among these tools.

    Raises:
        InvalidArgument: It has no mode, requires a call where there is no tool, or names one that
            isn't there.

    """
    mode = _MODES.get(choice.mode)
    if mode is None:
        raise InvalidArgument("chat.tool_choice.mode", "is required")
    if mode is domain.ToolMode.REQUIRED and not tools:
        raise InvalidArgument("chat.tool_choice.mode", "a call can't be required without tools")
    if mode is domain.ToolMode.NONE and choice.functions:
        raise InvalidArgument("chat.tool_choice.functions", "can't be named where none is called")
    names = {tool.name for tool in tools}
    for index, function in enumerate(choice.functions):
        if function not in names:
            raise InvalidArgument(
                f"chat.tool_choice.functions[{index}]", f"no tool is named {function!r}"
            )
    return domain.ToolChoice(mode, tuple(dict.fromkeys(choice.functions)))
