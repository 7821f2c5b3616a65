"""Calls as JSON objects, the form that most families share."""

from __future__ import annotations

import json

from inference_service.chat.output import Output
from inference_service.chat.scanner import Scanner, Sink, Steps, decode_string
from inference_service.domain import is_function_name

_ARGUMENTS = frozenset({"arguments", "parameters"})
_BESIDE = frozenset({"id", "index", "type"})


def call_object(scanner: Scanner, output: Output, *, marked: bool = True) -> Steps[bool]:
    """Read `{"name": …, "arguments": …}`, in either order, as a call.

    The call begins when name and arguments are known to be there, and then what the scanner keeps
    is forgotten. Arguments that a model wrote as a string of JSON are given as that JSON.

    Args:
        scanner: Stands at the object.
        output: Gets the call.
        marked: Whether a marker says that it is a call; else an object without arguments is none.

    Returns:
        Whether a call was begun: not if no function could have the name.

    """
    if not (yield from scanner.accept("{")):
        return False
    name: str | None = None
    early: list[str] | None = None
    begun = False
    while True:
        yield from scanner.skip_space()
        if (yield from scanner.accept("}")):
            break
        if (yield from scanner.accept(",")):
            continue
        key = yield from scanner.json_string()
        yield from scanner.skip_space()
        if key is None or not (yield from scanner.accept(":")):
            return begun
        yield from scanner.skip_space()
        whole = True
        if key == "name" and name is None:
            name = yield from scanner.json_string()
            if name is None or not is_function_name(name):
                return False
            if early is not None:
                begun = _begin(scanner, output, name, "".join(early))
        elif key in _ARGUMENTS and not begun and early is None:
            if name is None:
                early = []
                whole = yield from _arguments(scanner, early.append)
            else:
                begun = _begin(scanner, output, name, "")
                whole = yield from _arguments(scanner, output.arguments)
        elif begun or key in _BESIDE:
            whole = yield from scanner.json_value(len)
        else:
            return False
        if not whole:
            return begun
    if not begun and name and marked:
        begun = _begin(scanner, output, name, "{}")
    return begun


def call_array(scanner: Scanner, output: Output) -> Steps[bool]:
    """Read an array of calls; what in it is no call is content.

    Returns:
        Whether a call was begun.

    """
    if not (yield from scanner.accept("[")):
        return False
    begun = False
    while True:
        yield from scanner.skip_space()
        if (yield from scanner.accept("]")):
            return begun
        if (yield from scanner.accept(",")):
            continue
        if begun:
            scanner.keep()
        if not (yield from call_object(scanner, output)):
            if begun:
                output.text(scanner.release())
            return begun
        begun = True


def _begin(scanner: Scanner, output: Output, name: str, arguments: str) -> bool:
    scanner.forget()
    output.call(name)
    output.arguments(arguments)
    return True


def _arguments(scanner: Scanner, sink: Sink) -> Steps[bool]:
    if (yield from scanner.accept("null")):
        sink("{}")
        return True
    if (yield from scanner.peek()) != '"':
        return (yield from scanner.json_value(sink))
    pieces: list[str] = []
    whole = yield from scanner.json_value(pieces.append)
    source = "".join(pieces)
    text = decode_string(source) if whole else None
    sink(text if text is not None and _is_object(text) else source)
    return whole


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
