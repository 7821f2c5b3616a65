"""JSON Schema's formats of strings, as regular expressions.

Each is held to what it matches; some match less than the format allows, where a checker may be
stricter than the format or the rest has no use: no leap seconds, no local time, no bare `1e3`.
"""

from __future__ import annotations

_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"({_YEAR}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    "|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    f"|{_LEAP}-02-29)"
)
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_CLOCK = "([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S)"
_DAYS = "([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,6}D)?)?|[0-9]{1,4}M([0-9]{1,6}D)?|[0-9]{1,6}D)"
_LABEL = "[a-z0-9]([a-z0-9]|-[a-z0-9]){0,14}"  # no two hyphens in a row: they have a meaning
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,6}}"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_WORD16 = "[0-9a-fA-F]{1,4}"
_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}"
_URL_CHAR = r"([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": f"P({_DAYS}(T{_CLOCK})?|T{_CLOCK}|[0-9]{{1,6}}W)",
    "email": rf"{_ATOM}(\.{_ATOM}){{0,2}}@{_LABEL}(\.{_LABEL}){{1,4}}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "ipv6": "|".join(
        [
            f"({_WORD16}:){{7}}{_WORD16}",
            *(
                f"{_WORD16}(:{_WORD16}){{{before - 1}}}::({_WORD16}(:{_WORD16}){{0,{6 - before}}})?"
                if 0 < before < 7
                else f"::({_WORD16}(:{_WORD16}){{0,6}})?"
                for before in range(7)
            ),
        ]
    ),
    "uuid": "[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "uri": rf"[a-z][a-z0-9+.-]{{0,14}}://{_HOST}(:[1-9][0-9]{{0,3}})?(/{_URL_CHAR}*)*"
    rf"(\?({_URL_CHAR}|[/?])*)?(#({_URL_CHAR}|[/?])*)?",
}
REFUSED = frozenset(
    {
        "idn-email",
        "idn-hostname",
        "iri",
        "iri-reference",
        "json-pointer",
        "regex",
        "relative-json-pointer",
        "uri-reference",
        "uri-template",
    }
)
"""JSON Schema's other formats; a format that is not JSON Schema's is an annotation."""
