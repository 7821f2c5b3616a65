from __future__ import annotations

from inference_service.models.sources.errors import InvalidOption, ModelRefused, NotEnoughSpace


def test_a_message_is_one_line_that_no_terminal_obeys() -> None:
    assert str(ModelRefused("a\x1b[2Jb\nc\u2028d\udc80é")) == "a [2Jb c d é"


def test_a_message_has_an_end() -> None:
    for error in (ModelRefused("x" * 10**6), NotEnoughSpace("x" * 10**6)):
        assert str(error) == "x" * 1000 + "…"
    assert len(str(InvalidOption("field", "x" * 10**6))) == 1001
