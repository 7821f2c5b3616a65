"""Grammars of requests: what is refused, where, and what passes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_service.domain import Constraint
from inference_service.errors import InvalidArgument
from inference_service.grammar import grammar_of

DOUBLED = 'root ::= "x"{100} r0\n' + "".join(
    f'r{i} ::= r{i + 1} r{i + 1} | ""\n' for i in range(24)
)
JSON = r"""root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
ws ::= "" | " " | "\n" [ \t]{0,20}  # short
"""
LIST = 'root ::= item+\nitem ::= "- " [^\\r\\n\\x0b\\x0c]+ "\\n"\n'
ARITHMETIC = r"""root ::= (expr "=" ws term "\n")+
expr ::= term ([-+*/] term)*
term ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num ::= [0-9]+ ws
ws ::= [ \t\n]*
"""
RIGHT = 'root ::= t "+" root | t\nt ::= [0-9] | "(" root ")"'


@pytest.mark.parametrize("source", [JSON, LIST, ARITHMETIC, RIGHT, 'root ::= "a" root | ""'])
def test_usual_grammars_pass_as_they_are(source: str) -> None:
    assert grammar_of(Constraint("grammar", source)).source == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('root ::= root root | "a" | ""', "empty in more than one way"),
        ('root ::= "x"{30} b\nb ::= b b b | [a-z] | ""', "line 2, column 7"),
        (DOUBLED + 'r24 ::= "y" | ""', "empty in more than one way"),
        ('root ::= ((("x")+)+)+', "repetition of a repetition"),
        ('root ::= (([a-z]+ " "?)+ " "?)+', "repetition of a repetition"),
        ('root ::= w+\nw ::= [a-z]+ " "?', "repetition of a repetition"),
        ('root ::= x root | x\nx ::= "a" x | "a"', "repeats a repetition"),
        ('root ::= "x" root root | ""', "twice in a row"),
        ('root ::= ("a"*)*', "repetition of what can be empty"),
        ('root ::= root "a" | "b"', r"left recursion"),
        ('root ::= a "x"\na ::= "b"? root | "c"', "left recursion"),
        ('root ::= "a" root', "never ends"),
        ('root ::= ""', "but the empty one"),
        (r"root ::= [^\x00-\U0010ffff]", "no character is in"),
        ("root ::= a", 'line 1, column 10: Rule "a" is not defined'),
        ('a ::= "b"', 'no rule "root"'),
        ('root ::= "a"\nroot ::= "b"', "multiple times"),
        ('root ::= "a" (="b")', "lookahead"),
        ('root ::= TagDispatch(("a", b))', "TagDispatch"),
        ('root ::= "a" b ::= "c"', "begin its line"),
        ("root ::= " + "(" * 50_000, "within each other"),
        ("root ::= " + "a #" * 40_000, "not defined"),
    ],
)
def test_refused_by_name_and_place(source: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        grammar_of(Constraint("grammar", source))
    assert refused.value.metadata["field"] == "constraint.grammar"


PIECES = ["root ::= ", "\na ::= ", "a", "root", '"x"', '""', "[a-z]", "[^", "(", ")", "|", "*", "+"]
PIECES += ["?", "{2}", "{1,}", " ", "\n", "#", "\\", '"', "::="]


@settings(max_examples=300, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_text_passes_or_is_refused_at_once(source: str) -> None:
    start = time.process_time()
    try:
        grammar_of(Constraint("grammar", source))
    except InvalidArgument as refused:
        assert refused.metadata["field"] == "constraint.grammar"  # noqa: PT017
    assert time.process_time() - start < 1
