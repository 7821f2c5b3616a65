"""`openvino-server certs`: the certificates that the tiers trust each other by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make certificates for development.")


@app.callback()
def _group() -> None:
    """Keep `create` a command of its own though it is alone."""


@app.command()
def create(
    folder: Annotated[Path, typer.Option("--dir", help="Folder of the certificates.")] = Path(
        "var/certs"
    ),
    server_name: Annotated[
        list[str] | None,
        typer.Option(help="DNS name or IP address of the servers beside loopback's; repeatable."),
    ] = None,
) -> None:
    """Make a CA and certificates, or renew those that need it."""
    from openvino_server_cli import pki

    for stem, made in pki.create(folder, server_name or ()).items():
        typer.echo(f"{folder / stem}.pem  {'made' if made else 'kept'}")
