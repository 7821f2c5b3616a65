"""Write docs/configuration.md from the fields of both tiers' configuration.

`--check` writes nothing, and fails if the page is not what would be written.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from openvino_server_cli.environment import FLAGS
from openvino_server_cli.state import State
from openvino_server_cli.tiers import LOAD_MODELS, programs
from openvino_server_cli.up import DEFAULT_GRPC_PORT, DEFAULT_MODEL, DEFAULT_REST_PORT
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "configuration.md"
TIERS = (
    ("Service", "inference_service.config", "ServiceConfig"),
    ("Gateway", "rest_gateway.config", "GatewayConfig"),
)
STATE = State(Path("var"))
HEAD = """\
# Configuration

<!-- Made from the code by `make docs`; change the descriptions there. -->

Each tier reads its own settings, each later source over the earlier ones:

1. the defaults below;
2. a TOML file, `--config FILE`, with the names below at its top level;
3. environment variables, the name in upper case behind the tier's prefix;
4. flags, the name with dashes: `--log-level debug`.

Lists are written with commas in the environment and in flags, and as arrays in TOML. All settings
are checked before a port opens, and one message names every problem. `openvino-server config show`
prints what is in force and where each value came from, and what is missing.

## A tier alone

Each tier starts by itself, on a machine of its own if you like; its settings can come from any of
the sources above. End it by SIGTERM, which lets running requests end.

```sh
python -m inference_service --config service.toml
python -m rest_gateway --config gateway.toml
```

`openvino-server config show service --config service.toml` checks such a file first.

## What `openvino-server up` sets

`up`, which `make run` calls, starts both tiers on loopback and sets by itself what the two have to
agree on. It ends with a message if the environment sets one of these otherwise, or a variable with
a tier's prefix that is no setting. All other settings are taken from the environment.

"""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "unset"
    if isinstance(value, tuple | list | frozenset):
        return f"`{', '.join(map(str, value))}`" if value else "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    listed = f"One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return " ".join(filter(None, [field.description, listed])).replace("|", "\\|")


def _table(title: str, config: type[BaseSettings]) -> Iterator[str]:
    prefix = config.model_config["env_prefix"]
    yield f"\n## {title}: `{prefix}…`\n\n"
    yield "| Setting | Default | Meaning |\n|---|---|---|\n"
    for name, field in config.model_fields.items():
        yield f"| `{name}` | {_default(field)} | {_meaning(field)} |\n"


def _set_by_up() -> Iterator[str]:
    yield "| Variable | What `up` sets |\n|---|---|\n"
    here = f"{Path.cwd()}/"
    for program in programs(STATE, DEFAULT_MODEL, DEFAULT_REST_PORT, DEFAULT_GRPC_PORT):
        for variable, value in program.environment.items():
            shown = f"`{value.removeprefix(here)}`"
            if variable == LOAD_MODELS:
                shown = "the model of `--model-name`, unless you set it"
            yield f"| `{variable}` | {shown}{_flag(variable)} |\n"


def _flag(variable: str) -> str:
    flag = FLAGS.get(variable)
    return f"; `{flag}` changes it" if flag else ""


def page() -> str:
    """Give the text that the page should have."""
    tables: list[str] = []
    for title, module, name in TIERS:
        config: Any = getattr(importlib.import_module(module), name)
        tables.extend(_table(title, config))
    return "".join([HEAD, *_set_by_up(), *tables])


def main() -> None:
    """Write the page, or check it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/configuration.md is not what the code says: run 'make docs'.")
    else:
        print("docs/configuration.md is current.")


if __name__ == "__main__":
    main()
