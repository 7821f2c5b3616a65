"""Names of models, and of what requests ask for.

A full name is `NAME` or `NAME@VERSION`. A request asks for `MODEL` or `MODEL:ADAPTER`, where MODEL
is a full name, a `NAME` that the policy of versions gives a meaning, or an alias. No name is ever
made into a path: what is not a key of the repository's last scan is not found, whatever it is.
"""

from __future__ import annotations

import re

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_FULL_NAME = re.compile(rf"({_NAME})(?:@({_VERSION}))?")
_ADAPTER = re.compile(_VERSION)
# Aliases stand for models of other places too, such as `meta-llama/Llama-3.1-8B-Instruct`.
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,255}")


def split_name(full: str) -> tuple[str, str | None]:
    """Split a full name into the name and the version; `None` is none.

    Raises:
        ValueError: It is no full name; the message says what one is.

    """
    if match := _FULL_NAME.fullmatch(full):
        return match[1], match[2]
    raise ValueError(
        f"{full[:300]!r} can't be a model's name: letters, digits and . _ - only, a letter or "
        "digit first, at most 128, and after an @ a version of the same, at most 64"
    )


def is_full_name(text: str) -> bool:
    """Say whether text is `NAME` or `NAME@VERSION`."""
    return _FULL_NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Say whether text can follow the `@` of a full name."""
    return re.fullmatch(_VERSION, text) is not None


def is_adapter(text: str) -> bool:
    """Say whether text can be an adapter's name: as a version, so without a colon."""
    return _ADAPTER.fullmatch(text) is not None


def is_alias(text: str) -> bool:
    """Say whether text can be an alias."""
    return _ALIAS.fullmatch(text) is not None


def request_name(text: str) -> tuple[str, str | None]:
    """Split what a request asks for at the last colon, into the model and the adapter.

    Aliases may have colons themselves, so a caller looks for the whole text first. Text that names
    no adapter is given back whole, whatever it is.
    """
    model, colon, adapter = text.rpartition(":")
    if colon and model and is_adapter(adapter):
        return model, adapter
    return text, None
