from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_service.models.names import (
    is_adapter,
    is_alias,
    is_full_name,
    is_version,
    request_name,
    split_name,
)

HOSTILE = [
    *("", ".", "..", "/", "a/b", "/etc/passwd", "../secret", "a/../b", "..\\b", "a\\b", "C:\\a"),
    *("a\0", "\0", "a\n", "\na", "a b", " a", "a ", "a\u202e", "\uff41", "é", "a\ud800"),
    *(
        "%2e%2e%2fa",
        "..%2fa",
        "%00",
        "a%00b",
        "file:///etc",
        "~root",
        "$HOME",
        "*",
        "a*",
        ".hidden",
    ),
    *(
        "-a",
        "_a",
        "a@",
        "@1",
        "a@b@c",
        "a@/1",
        "a@..",
        "a@.1",
        "a:b",
        "a@1:b",
        "con:",
        "a,b",
        "a'b",
    ),
    *("a" * 129, "a@" + "1" * 65, "a" * 100_000),
]


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        ("a", ("a", None)),
        ("Qwen3-8B_int4.v2", ("Qwen3-8B_int4.v2", None)),
        ("a@1", ("a", "1")),
        ("a.b@2024.1-rc_1", ("a.b", "2024.1-rc_1")),
        ("a.." + "b", ("a..b", None)),
        ("a" * 128 + "@" + "1" * 64, ("a" * 128, "1" * 64)),
    ],
)
def test_full_name_is_split(full: str, parts: tuple[str, str | None]) -> None:
    assert split_name(full) == parts
    assert is_full_name(full)


@pytest.mark.parametrize("full", HOSTILE)
def test_what_is_no_name_is_refused(full: str) -> None:
    assert not is_full_name(full)
    with pytest.raises(ValueError, match="can't be a model's name") as raised:
        split_name(full)
    assert len(str(raised.value)) < 4000
    assert raised.value.args[0].encode()  # what a proto can carry


@given(st.text() | st.from_regex(r"[\w.-]{1,4}@?[\w./-]{0,4}\n?", fullmatch=True))
@settings(deadline=None)
def test_a_name_is_one_harmless_part_of_a_path(text: str) -> None:
    if not is_full_name(text):
        return
    assert re.fullmatch(r"[A-Za-z0-9._@-]+", text)
    assert text[0].isalnum()
    name, version = split_name(text)
    assert text == (name if version is None else f"{name}@{version}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model", ("model", None)),
        ("model:adapter", ("model", "adapter")),
        ("model@2:adapter", ("model@2", "adapter")),
        ("meta-llama/Llama-3.1:sql", ("meta-llama/Llama-3.1", "sql")),
        ("qwen3:8b:sql", ("qwen3:8b", "sql")),
        ("model:", ("model:", None)),
        (":adapter", (":adapter", None)),
        ("model:a/b", ("model:a/b", None)),
        ("", ("", None)),
        ("\0:\0", ("\0:\0", None)),
    ],
)
def test_request_name_is_split_at_the_last_colon(
    text: str, expected: tuple[str, str | None]
) -> None:
    assert request_name(text) == expected


@given(st.text() | st.from_regex(r"[a:/.]{0,9}", fullmatch=True))
@settings(deadline=None)
def test_request_name_loses_nothing(text: str) -> None:
    model, adapter = request_name(text)
    assert text == (model if adapter is None else f"{model}:{adapter}")


def test_aliases_versions_and_adapters() -> None:
    assert is_alias("meta-llama/Llama-3.1-8B-Instruct")
    assert is_alias("a" * 256)
    assert not any(map(is_alias, ["", "a" * 257, "/a", "a b", "a\n", "é"]))
    assert is_version("1.0-rc1")
    assert not any(map(is_version, ["", "1/2", "1@2", ".1", "1\n"]))
    assert is_adapter("sql.v2")
    assert not any(map(is_adapter, ["", "a:b", "a/b", "..", "a" * 65]))
