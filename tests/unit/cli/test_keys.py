"""`openvino-server keys`, and the key that `up` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openvino_server_cli import api_key, client_env
from openvino_server_cli.__main__ import app
from openvino_server_cli.state import State
from typer.testing import CliRunner

from rest_gateway.auth.keys import KeyStore
from rest_gateway.auth.scopes import DEFAULT_SCOPES, SCOPES


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def create(keys_file: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["keys", "create", *arguments, "--keys-file", str(keys_file)])


def scopes_of(keys_file: Path, key: str) -> tuple[str, ...]:
    record = KeyStore.open(keys_file).verify(key)
    assert record is not None
    return record.scopes


def test_key_without_scopes_said_has_the_default(keys_file: Path) -> None:
    made = create(keys_file, "laptop")
    assert scopes_of(keys_file, made.stdout.strip()) == DEFAULT_SCOPES
    assert "(inference, models:read)" in made.stderr


def test_key_has_the_scopes_said(keys_file: Path) -> None:
    made = create(keys_file, "ops", "--scope", "models:write", "--scope", "models:read")
    assert scopes_of(keys_file, made.stdout.strip()) == ("models:read", "models:write")
    listed = CliRunner().invoke(app, ["keys", "list", "--keys-file", str(keys_file)])
    assert "models:read,models:write  ops" in listed.stdout


def test_what_is_no_scope_is_refused(keys_file: Path) -> None:
    made = create(keys_file, "ops", "--scope", "models:all")
    assert made.exit_code != 0
    assert "there are inference, models:read, models:write" in str(made.exception)
    assert not keys_file.exists()


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path)
    state.make_folders()
    return state


def kept_or_new(state: State) -> tuple[str, bool]:
    """Ask for the key as `up` does, which then writes it down."""
    key, is_new = api_key.kept_or_new(state)
    client_env.write(state, key, 8443, 9443)
    return key, is_new


def test_key_of_up_may_do_everything_and_is_kept(state: State) -> None:
    key, is_new = kept_or_new(state)
    assert is_new
    assert scopes_of(state.keys_file, key) == SCOPES
    assert kept_or_new(state) == (key, False)
    assert len(KeyStore.open(state.keys_file).list()) == 1


def test_key_of_up_from_before_there_were_scopes_stays_valid_beside_a_new_one(state: State) -> None:
    _, old = KeyStore.open(state.keys_file).create("local", DEFAULT_SCOPES)
    client_env.write(state, old, 8443, 9443)
    new, is_new = kept_or_new(state)
    assert is_new
    assert new != old
    assert scopes_of(state.keys_file, new) == SCOPES
    assert scopes_of(state.keys_file, old) == DEFAULT_SCOPES, "no key gains rights by itself"
    assert kept_or_new(state) == (new, False)
