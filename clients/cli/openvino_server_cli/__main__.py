"""The entry of `openvino-server`."""

from __future__ import annotations

import os

# Read by transformers, which checks chat templates and else tells that there is no PyTorch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

import sys
from typing import Annotated

import typer

from openvino_server_cli import certs, config, keys, models, up, version
from openvino_server_cli.errors import DEBUG_VARIABLE, Failure, in_one_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables leave too little room for text at 80 columns
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version.own())
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version, and end."
        ),
    ] = False,
) -> None:
    """Serve language models on OpenVINO hardware."""


app.command()(up.up)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(certs.app, name="certs")
app.add_typer(config.app, name="config")
app.command("version")(version.show)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except Failure as failure:
        _fail(str(failure))
    except OSError as error:
        _fail(in_one_line(error))


def _fail(message: str) -> None:
    """End with a message; called while an exception is handled."""
    if os.environ.get(DEBUG_VARIABLE):
        raise
    sys.exit(f"openvino-server: {message}")


if __name__ == "__main__":
    main()
