import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from rest_gateway.auth import keys as keys_module
from rest_gateway.auth.key_format import is_well_formed, new_key
from rest_gateway.auth.keys import KeyNotFound, KeysFileError, KeyStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(keys_module, "time", clock)
    return clock


def test_created_key_is_verified(path: Path) -> None:
    store = KeyStore.open(path)
    record, key = store.create("laptop")
    assert store.verify(key) == record
    assert record.name == "laptop"
    assert record.revoked is None
    assert record.created.tzinfo is not None
    assert KeyStore.open(path).verify(key) == record


def test_key_has_256_bits_and_a_checksum() -> None:
    key = new_key()
    assert key.startswith("ovs_")
    assert len(key) == 53
    assert is_well_formed(key)
    typo = key[:10] + ("a" if key[10] != "a" else "b") + key[11:]
    assert not is_well_formed(typo)
    assert new_key() != key


def test_file_holds_no_key_and_is_private(path: Path) -> None:
    store = KeyStore.open(path)
    record, key = store.create("laptop")
    text = path.read_text()
    assert key not in text
    assert key not in repr(record)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = json.loads(text)
    assert data["version"] == 1
    [entry] = data["keys"]
    assert set(entry) == {"id", "name", "hash", "created", "revoked", "scopes"}
    assert sorted(file.name for file in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


@pytest.mark.parametrize("wrong", ["", "ovs_", "x" * 53, "ovs_" + "0" * 49, "ovs_é", "\x00"])
def test_wrong_keys(path: Path, wrong: str) -> None:
    store = KeyStore.open(path)
    store.create("laptop")
    assert store.verify(wrong) is None


def test_key_of_another_file_is_refused(path: Path, tmp_path: Path) -> None:
    _, key = KeyStore.open(tmp_path / "other.json").create("other")
    store = KeyStore.open(path)
    store.create("laptop")
    assert store.verify(key) is None


def test_keys_are_case_sensitive(path: Path) -> None:
    store = KeyStore.open(path)
    _, key = store.create("laptop")
    assert store.verify(key.swapcase()) is None
    assert store.verify(key.upper()) is None


def test_revoked_key_is_refused(path: Path) -> None:
    store = KeyStore.open(path)
    record, key = store.create("laptop")
    _, other = store.create("desktop")
    revoked = store.revoke(record.id)
    assert revoked.revoked is not None
    assert store.verify(key) is None
    assert store.verify(other) is not None
    assert store.revoke(record.id) == revoked
    assert [entry.name for entry in store.list()] == ["laptop", "desktop"]


def test_unknown_key_is_not_revoked(path: Path) -> None:
    with pytest.raises(KeyNotFound):
        KeyStore.open(path).revoke("key_0")


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "\x1b[2J", "a\x00", "\x85", "a\u2028b", "\u202ea", "x" * 129]
)
def test_key_needs_a_name(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        KeyStore.open(path).create(name)


def test_no_file_has_no_keys(path: Path) -> None:
    store = KeyStore.open(path)
    assert store.list() == []
    assert store.verify(new_key()) is None
    assert not path.exists()


def test_changes_of_others_are_seen_within_a_second(path: Path, clock: Any) -> None:
    gateway = KeyStore.open(path)
    record, key = KeyStore.open(path).create("laptop")
    assert gateway.verify(key) is None
    clock.now += 1
    assert gateway.verify(key) is not None
    KeyStore.open(path).revoke(record.id)
    clock.now += 1
    assert gateway.verify(key) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1}'])
def test_bad_file_leaves_the_keys_as_they_were(path: Path, clock: Any, content: str) -> None:
    store = KeyStore.open(path)
    _, key = store.create("laptop")
    path.write_text(content)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            clock.now += 1
            assert store.verify(key) is not None
    [line] = lines
    assert (line["event"], line["log_level"]) == ("keys_not_reloaded", "error")
    assert str(path) in line["problem"]
    assert "exc_info" not in line


def test_keys_of_a_file_that_is_gone_are_refused(path: Path, clock: Any) -> None:
    store = KeyStore.open(path)
    _, key = store.create("laptop")
    content = path.read_text()
    path.unlink()
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            clock.now += 1
            assert store.verify(key) is None
    assert store.list() == []
    assert [(line["event"], line["log_level"]) for line in lines] == [("keys_file_gone", "error")]
    path.write_text(content)
    clock.now += 1
    assert store.verify(key) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1}'])
def test_bad_file_is_not_opened_nor_overwritten(path: Path, content: str) -> None:
    store = KeyStore.open(path)
    store.create("laptop")
    path.write_text(content)
    with pytest.raises(KeysFileError):
        KeyStore.open(path)
    with pytest.raises(KeysFileError):
        store.create("desktop")
    assert path.read_text() == content


def test_writers_at_once_lose_nothing(path: Path) -> None:
    def create(number: int) -> None:
        KeyStore.open(path).create(f"key {number}")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeyStore.open(path).list()) == 16


def test_failed_write_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore.open(path)
    store.create("laptop")
    before = path.read_text()

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.create("desktop")
    assert path.read_text() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


@pytest.mark.parametrize("name", ["x" * 128, "Zoë's laptop", "\U0001f642"])
def test_names_may_be_any_text(path: Path, name: str) -> None:
    assert KeyStore.open(path).create(name)[0].name == name


def test_scopes_are_kept_in_their_order(path: Path) -> None:
    record, key = KeyStore.open(path).create("admin", ["models:write", "inference", "inference"])
    assert record.scopes == ("inference", "models:write")
    found = KeyStore.open(path).verify(key)
    assert found is not None
    assert found.scopes == record.scopes
    assert KeyStore.open(path).create("plain")[0].scopes == ("inference", "models:read")


@pytest.mark.parametrize("scopes", [[], ["models"], ["inference", "INFERENCE"], [""]])
def test_what_is_no_scope(path: Path, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match="scope"):
        KeyStore.open(path).create("laptop", scopes)
    assert not path.exists()


def rewritten(path: Path, **fields: Any) -> str:
    """Make a key, and change its entry in the file; a field of `...` is left out."""
    _, key = KeyStore.open(path).create("old", ["inference", "models:read", "models:write"])
    data = json.loads(path.read_text())
    entry = data["keys"][0] | fields
    data["keys"] = [{name: value for name, value in entry.items() if value is not ...}]
    path.write_text(json.dumps(data))
    return key


def test_key_of_a_time_without_scopes_may_do_what_it_could(path: Path) -> None:
    key = rewritten(path, scopes=...)
    store = KeyStore.open(path)
    found = store.verify(key)
    assert found is not None
    assert found.scopes == ("inference", "models:read")
    store.create("other")
    assert KeyStore.open(path).verify(key) == found


def test_scope_of_a_later_version_is_kept(path: Path) -> None:
    key = rewritten(path, scopes=["inference", "metrics:read"])
    store = KeyStore.open(path)
    store.create("other")
    found = KeyStore.open(path).verify(key)
    assert found is not None
    assert found.scopes == ("inference", "metrics:read")


@pytest.mark.parametrize("scopes", ["inference", 1, [1], None, {"inference": 1}])
def test_scopes_that_are_none_are_no_file_of_keys(path: Path, scopes: Any) -> None:
    rewritten(path, scopes=scopes)
    with pytest.raises(KeysFileError, match="is not a file of keys"):
        KeyStore.open(path)
