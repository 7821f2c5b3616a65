"""Writes docs/model-settings.md from the descriptions of the settings, or checks it: `--check`."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

import msgspec

from inference_service.engine import settings

_PAGE = Path(__file__).parents[1] / "docs" / "model-settings.md"
_HEAD = """# Settings of a model

<!-- Made from the code by `make docs`; change the descriptions there. -->

They are in `model.toml` or `model.yaml` in the model's folder, or in the service's configuration as
tables `[models.NAME]`, which count over the file; see [models.md](models.md). An unknown key is an
error, so that a mistyped one is not silently without effect, and so are settings that contradict
each other.

"""
_TAIL = """
## What goes together

`speculation`, `adapters` and `cache_eviction` turn the prefix cache off, for the engine answers
wrongly with both; neither eviction and speculation nor a draft model and adapters can be combined.
Requests of a model with adapters run in turns of one adapter each. A draft model takes requests
with a temperature of 0 only; prompt lookup takes all, and changes no completion. The facts behind
this are in [ADR 15](adr/0015-what-of-the-engine-goes-together.md).

## Reproducible models

With the engine's own settings, a token can depend on what else is in the batch: activations are
quantized over the batch, and processors with bfloat16 compute in it. With `reproducible = true` the
arithmetic doesn't depend on the batch, so a request at temperature 0, or with a seed, gives the
same tokens alone and among others. It costs speed; why and how much is in
[ADR 6](adr/0006-reproducible-models.md).
"""
_TABLES = (
    ("", settings.ModelSettings),
    ("cache_eviction", settings.CacheEviction),
    ("speculation", settings.Speculation),
    ("adapters.NAME", settings.Adapter),
    ("sampling", settings.SamplingSettings),
)


def main() -> int:
    """Write the page, or say whether it is current."""
    page = _HEAD + "\n".join(_section(*table) for table in _TABLES) + _TAIL
    if "--check" not in sys.argv:
        _PAGE.write_text(page, encoding="utf-8")
        return 0
    if _PAGE.read_text(encoding="utf-8") == page:
        print(f"{_PAGE.name} is current.")
        return 0
    print(f"{_PAGE.name} is not current; run `make docs`.", file=sys.stderr)
    return 1


def _section(name: str, struct: type[msgspec.Struct]) -> str:
    title = f"## `[{name}]`" if name else "## All"
    summary = " ".join((struct.__doc__ or "").split())
    rows = [f"| `{key}` | {_default(struct, key)} | {text} |" for key, text in _texts(struct)]
    return "\n".join(
        [title, "", summary, "", "| Key | Default | Meaning |", "|---|---|---|", *rows, ""]
    )


def _default(struct: type[msgspec.Struct], key: str) -> str:
    field = next(field for field in msgspec.structs.fields(struct) if field.name == key)
    value = field.default
    if value is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.NODEFAULT:
        return "required"
    return "unset" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def _texts(struct: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Give each key with the text that stands below it in the code."""
    (node,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(node, ast.ClassDef)
    texts: list[tuple[str, str]] = []
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=key)):
                texts.append((key, ""))
            case ast.Expr(value=ast.Constant(value=str(text))) if texts and not texts[-1][1]:
                texts[-1] = (texts[-1][0], " ".join(text.split()).replace("|", "\\|"))
    return texts


if __name__ == "__main__":
    sys.exit(main())
