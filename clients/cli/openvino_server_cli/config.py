"""`openvino-server config`: what a tier would run with, and where each value comes from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from openvino_server_cli.errors import Failure
from openvino_server_cli.state import State
from openvino_server_cli.up import (
    DEFAULT_GRPC_PORT,
    DEFAULT_MODEL,
    DEFAULT_REST_PORT,
    DEFAULT_STATE,
)

app = typer.Typer(no_args_is_help=True, help="Look at the configuration.")


class Tier(enum.StrEnum):
    """A tier with a configuration."""

    SERVICE = "service"
    GATEWAY = "gateway"


@app.callback()
def _group() -> None:
    """Keep `show` a command of its own though it is alone."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def show(
    context: typer.Context,
    tier: Annotated[Tier | None, typer.Argument(help="One tier; both if not said.")] = None,
    state_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of a server that `up` has set up.")
    ] = DEFAULT_STATE,
    alone: Annotated[
        bool, typer.Option("--alone", help="Show a tier that is started without `up`.")
    ] = False,
) -> None:
    """Print each field of a tier's configuration, its value and its origin.

    Where `up` has set a server up, what it would set itself has the origin `up`. Flags after the
    tier's name are read as the tier itself would read them, which is then one without `up`.
    """
    from openvino_server_cli import environment
    from openvino_server_cli.settings import read

    flags = context.args
    if flags and tier is None:
        raise Failure(f"flags need a tier before them: config show service {' '.join(flags)}")
    set_by_up = {} if alone or flags else _set_by_up(State(state_dir))
    problems = [*environment.unknown(), *environment.overridden(set_by_up)]
    for each in [tier] if tier else list(Tier):
        settings = read(each, flags, set_by_up)
        if tier is None:
            typer.echo(f"[{each}]")
        width = max(map(len, settings.values))
        for name, value in settings.values.items():
            typer.echo(f"{name:{width}}  {value}  ({settings.origins[name]})")
        if tier is None:
            typer.echo()
        problems += settings.problems
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise Failure(f"the configuration is not complete:{listed}")


def _set_by_up(state: State) -> Mapping[str, str]:
    """Give what `up` adds to the environment; nothing where it has not set a server up."""
    from openvino_server_cli import tiers

    if not (state.certs / "ca.pem").is_file():
        return {}
    programs = tiers.programs(state, DEFAULT_MODEL, DEFAULT_REST_PORT, DEFAULT_GRPC_PORT)
    return {name: value for each in programs for name, value in each.environment.items()}
