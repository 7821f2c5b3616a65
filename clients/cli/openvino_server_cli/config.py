"""`openvino-server config`: what a tier would run with, and where each value comes from."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import typer

from openvino_server_cli.errors import Failure

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_settings import BaseSettings

app = typer.Typer(no_args_is_help=True, help="Look at the configuration.")


class Tier(enum.StrEnum):
    """A tier with a configuration."""

    SERVICE = "service"
    GATEWAY = "gateway"


@app.callback()
def _group() -> None:
    """Keep `show` a command of its own though it is alone."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def show(context: typer.Context, tier: Tier) -> None:
    """Print each field of a tier's configuration, its value and its origin.

    Flags after the tier's name are read as the tier itself would read them.
    """
    import tomllib

    from pydantic import ValidationError

    try:
        config, origins = _load(tier, context.args)
    except ValidationError as error:
        raise Failure(_problems(tier, error)) from error
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"the configuration file is not TOML: {error}") from error
    fields = type(config).model_fields
    width = max(map(len, fields))
    for name in fields:
        typer.echo(f"{name:{width}}  {_printable(getattr(config, name))}  ({origins[name]})")


def _load(tier: Tier, flags: list[str]) -> tuple[BaseSettings, dict[str, str]]:
    if tier is Tier.SERVICE:
        from inference_service.config import load_config as load_service

        return load_service(flags)
    from rest_gateway.config import load_config as load_gateway

    return load_gateway(flags)


def _printable(value: object) -> str:
    from pydantic import SecretBytes, SecretStr

    if value is None:
        return "unset"
    if isinstance(value, (SecretStr, SecretBytes)):
        return "set, not shown"
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(map(_printable, value)) or "none"
    return str(value)


def _problems(tier: Tier, error: ValidationError) -> str:
    """List what is wrong, without the values, which may be secrets."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(map(str, problem["loc"]))
        where = f"{field} (OVS_{tier.upper()}_{field.upper()}): " if field else ""
        lines.append(f"  {where}{problem['msg']}")
    return f"the {tier}'s configuration is not complete:\n" + "\n".join(lines)
