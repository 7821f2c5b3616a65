"""Write docs/parameters.md from the gateway's tables of parameters.

`--check` writes nothing, and fails if the page is not what would be written.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rest_gateway.openai.invalid import unsupported_message
from rest_gateway.openai.parameters import Parameter, why_refused

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "parameters.md"
APIS = (
    ("Chat completions", "POST /v1/chat/completions", "rest_gateway.openai.chat.parameters"),
    ("Completions", "POST /v1/completions", "rest_gateway.openai.completions.parameters"),
    ("Responses", "POST /v1/responses", "rest_gateway.openai.responses.parameters"),
    ("Embeddings", "POST /v1/embeddings", "rest_gateway.openai.embeddings"),
    ("Messages", "POST /v1/messages", "rest_gateway.anthropic.parameters"),
    ("Rerank", "POST /v1/rerank", "rest_gateway.cohere.rerank"),
)
HEAD = """\
# Parameters

<!-- Made from the code by `make docs`; change the tables there. A test holds each row to what the
gateway does. -->

What becomes of each parameter of OpenAI's and Anthropic's requests, and of those that clients of
vLLM, llama.cpp, Cohere and Jina send besides:

- **supported**: it does what the API says;
- **ignored**: it is taken, its type is checked, and it does nothing, for the reason given;
- **refused**: the request fails with status 400, code `unsupported_parameter` and the message
  given, `param` naming the parameter; null, and the values named, ask for nothing and are taken.

A parameter that is not listed is refused with code `unknown_parameter`: what this server has never
heard of can't be honoured, and a misspelt name is not to be lost in silence.
"""


def _cell(api: str, name: str, parameter: Parameter) -> str:
    if parameter.support != "refused":
        return parameter.reason
    why = why_refused(parameter)
    return f"`{name}: {why}`" if api == "Messages" else f"`{unsupported_message(name, why)}`"


def _table(title: str, route: str, table: Mapping[str, Parameter]) -> Iterator[str]:
    yield f"\n## {title}: `{route}`\n\n"
    yield "| Parameter | | What of it |\n|---|---|---|\n"
    for name, parameter in sorted(table.items()):
        cell = _cell(title, name, parameter).replace("|", "\\|")
        yield f"| `{name}` | {parameter.support} | {cell} |\n"


def page() -> str:
    """Give the text that the page should have."""
    tables = [
        line
        for title, route, module in APIS
        for line in _table(title, route, importlib.import_module(module).PARAMETERS)
    ]
    return "".join([HEAD, *tables])


def main() -> None:
    """Write the page, or check it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/parameters.md is not what the code says: run 'make docs'.")
    else:
        print("docs/parameters.md is current.")


if __name__ == "__main__":
    main()
