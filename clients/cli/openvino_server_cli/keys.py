"""`openvino-server keys`: the API keys of REST clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_server_cli.errors import Failure, in_one_line

if TYPE_CHECKING:
    from rest_gateway.auth.keys import KeyStore

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")

KeysFile = Annotated[Path, typer.Option(help="File of API keys.")]
_KEYS_FILE = Path("var/keys.json")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What it may be used for: inference, models:read (list models) or models:write "
            "(load, unload, pull and delete them). Repeat it for several; if not said: inference "
            "and models:read.",
        ),
    ] = None,
    keys_file: KeysFile = _KEYS_FILE,
) -> None:
    """Make a key and print it: the only time that it is shown.

    The key alone goes to standard output, its id and scopes to standard error.
    """
    from rest_gateway.auth.scopes import DEFAULT_SCOPES

    with opened(keys_file) as store:
        record, key = store.create(name, scope or DEFAULT_SCOPES)
    scopes = ", ".join(record.scopes)
    typer.echo(
        f"{record.id} made for {name} ({scopes}); `keys revoke {record.id}` ends it", err=True
    )
    typer.echo(key)


@app.command("list")
def list_keys(keys_file: KeysFile = _KEYS_FILE) -> None:
    """List the keys, without their text."""
    if not keys_file.exists():
        raise Failure(f"there is no file {keys_file}; `keys create` makes it with the first key")
    with opened(keys_file) as store:
        records = store.list()
    if not records:
        typer.echo("no keys")
    for record in records:
        state = f"revoked {record.revoked:%Y-%m-%d}" if record.revoked else "valid"
        scopes = ",".join(record.scopes)
        typer.echo(f"{record.id}  {record.created:%Y-%m-%d}  {state:18}  {scopes}  {record.name}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as listed.")],
    keys_file: KeysFile = _KEYS_FILE,
) -> None:
    """Refuse a key from now on."""
    with opened(keys_file) as store:
        store.revoke(key_id)
    typer.echo(f"{key_id} revoked")


@contextmanager
def opened(path: Path) -> Iterator[KeyStore]:
    """Open a file of keys.

    Raises:
        Failure: The file is not one of keys, or what was asked of it can't be.

    """
    from rest_gateway.auth.keys import KeyNotFound, KeysFileError, KeyStore

    try:
        yield KeyStore.open(path)
    except KeyNotFound as error:
        raise Failure(f"there is no key {error.args[0]} in {path}") from error
    except (KeysFileError, ValueError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"the keys in {path} can't be changed: {in_one_line(error)}") from error
