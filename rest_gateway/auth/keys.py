"""API keys: made, listed, revoked and checked.

The file holds no key, only what HMAC-SHA256 makes of it with a secret of the file's own: who reads
the file can't call the gateway.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from rest_gateway.auth.key_format import is_well_formed, new_key
from rest_gateway.auth.key_record import KeyRecord, record_from_json, record_to_json
from rest_gateway.auth.scopes import DEFAULT_SCOPES, check_scopes

_VERSION = 1
_RELOAD_SECONDS = 1.0
_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
MAX_NAME = 128

log = structlog.get_logger(__name__)


class KeyNotFound(KeyError):
    """There is no key of that id."""


class KeysFileError(Exception):
    """The file of keys can't be read or is not one."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """What the file says."""

    secret: bytes = field(repr=False)
    keys: tuple[KeyRecord, ...] = ()


class KeyStore:
    """The keys in a file, which several processes may read and change at once.

    Changes made by others are seen within a second. A file that is gone holds no keys. One that
    can't be read any more leaves the keys as they were last known. Both are an error in the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: tuple[int, ...] | None = None
        self._checked = time.monotonic()
        self._contents: _Contents | None = None
        self._valid: dict[str, KeyRecord] = {}
        self._signature = _signature(path)
        self._use(_read(path))

    @classmethod
    def open(cls, path: Path) -> KeyStore:
        """Open the keys in a file. A file that does not exist is one without keys.

        Raises:
            KeysFileError: The file can't be read.

        """
        return cls(path)

    def create(self, name: str, scopes: Iterable[str] = DEFAULT_SCOPES) -> tuple[KeyRecord, str]:
        """Make a key.

        Args:
            name: What to call it; need not be unique.
            scopes: What it may be used for.

        Returns:
            The record, and the key itself, which can't be had again.

        Raises:
            ValueError: The name is empty, longer than 128 characters, or has control characters;
                or there is no scope, or one that is none.
            KeysFileError: The file can't be read.
            OSError: The file can't be written.

        """
        if not name.strip():
            raise ValueError("a key needs a name")
        if len(name) > MAX_NAME:
            raise ValueError(f"a key's name has at most {MAX_NAME} characters")
        # Cc, controls, and what may turn or break a line of a terminal or a log: Cf, Zl, Zp.
        if any(unicodedata.category(character) in _CONTROLS for character in name):
            raise ValueError("a key's name must not have control characters")
        allowed = check_scopes(scopes)
        key = new_key()
        with self._changed() as contents:
            record = KeyRecord(
                id=f"key_{secrets.token_hex(6)}",
                name=name,
                hash=_hash(contents.secret, key),
                created=datetime.now(UTC).replace(microsecond=0),
                scopes=allowed,
            )
            self._write(replace(contents, keys=(*contents.keys, record)))
        return record, key

    def list(self) -> list[KeyRecord]:
        """List all keys, revoked ones too, in the order they were made."""
        self._reload()
        return list(self._contents.keys) if self._contents else []

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key's validity. A key revoked before stays as it is.

        Raises:
            KeyNotFound: There is no such key.
            KeysFileError: The file can't be read.
            OSError: The file can't be written.

        """
        with self._changed() as contents:
            found = next((record for record in contents.keys if record.id == key_id), None)
            if found is None:
                raise KeyNotFound(key_id)
            if found.revoked:
                return found
            revoked = replace(found, revoked=datetime.now(UTC).replace(microsecond=0))
            keys = tuple(revoked if record is found else record for record in contents.keys)
            self._write(replace(contents, keys=keys))
        return revoked

    def verify(self, key: str) -> KeyRecord | None:
        """Find the valid key that a caller gave.

        Takes the same time for every key of good form: what is looked up is a hash that a caller
        can neither choose nor see.

        Returns:
            Its record; None if it is not a valid key.

        """
        if time.monotonic() - self._checked >= _RELOAD_SECONDS:
            self._reload()
        if self._contents is None or not is_well_formed(key):
            return None
        given = _hash(self._contents.secret, key)
        record = self._valid.get(given)
        return record if record and hmac.compare_digest(record.hash, given) else None

    def _reload(self) -> None:
        """Read the file again if it changed."""
        self._checked = time.monotonic()
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            contents = _read(self._path)
        except KeysFileError as error:
            log.error("keys_not_reloaded", problem=str(error))  # noqa: TRY400 - no traceback
            return
        if contents is None:
            log.error("keys_file_gone", keys_file=str(self._path), effect="all are refused")
        self._use(contents)

    def _use(self, contents: _Contents | None) -> None:
        self._contents = contents
        records = contents.keys if contents else ()
        self._valid = {record.hash: record for record in records if record.revoked is None}

    @contextlib.contextmanager
    def _changed(self) -> Iterator[_Contents]:
        """Give what the file says now, and keep other writers out."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # The lock is a file of its own, because writing replaces the keys file.
        lock = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _read(self._path) or _Contents(secret=secrets.token_bytes(32))
        finally:
            os.close(descriptor)

    def _write(self, contents: _Contents) -> None:
        """Replace the file in one step: readers see the old one or the new one."""
        text = json.dumps(
            {
                "version": _VERSION,
                "secret": contents.secret.hex(),
                "keys": [record_to_json(record) for record in contents.keys],
            },
            indent=2,
        )
        # mkstemp makes files of mode 0600.
        descriptor, temporary = tempfile.mkstemp(
            dir=self._path.parent, prefix=f".{self._path.name}."
        )
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._signature = _signature(self._path)
        self._use(contents)


def _hash(secret: bytes, key: str) -> str:
    return hmac.digest(secret, key.encode(), hashlib.sha256).hex()


def _signature(path: Path) -> tuple[int, ...] | None:
    """Take what changes whenever the file is replaced; None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.errno or 0,)  # reading it will say what is wrong
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> _Contents | None:
    """Read the file; None if there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise KeysFileError(f"{path} has version {data['version']!r}, not {_VERSION}")
        keys = tuple(record_from_json(entry) for entry in data["keys"])
        return _Contents(secret=bytes.fromhex(data["secret"]), keys=keys)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysFileError(f"{path} can't be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysFileError(f"{path} is not a file of keys") from error
