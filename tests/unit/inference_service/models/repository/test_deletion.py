from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from inference_service.errors import ModelInUse, ModelNotFound
from inference_service.models.repository import Repository, folder_of, trash
from tests.model_folders import write, write_fake, write_gguf, write_ir


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_delete_removes_a_folder_and_its_converted_ir(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m" / "m.gguf")
    write_fake(tmp_path / "other")
    converted = write_ir(tmp_path / ".converted" / "m-1234")
    repository = Repository(tmp_path)
    entry = repository.scan()["m"]
    repository.delete(entry, converted)
    assert visible(tmp_path) == ["other"]
    assert list((tmp_path / ".converted").iterdir()) == []
    assert set(repository.scan()) == {"other"}
    with pytest.raises(ModelNotFound):
        repository.delete(entry)


def test_delete_removes_a_file_and_its_settings(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m@1.gguf")
    write(tmp_path, **{"m@1.toml": "", "m.toml": "", "model.toml": ""})
    repository = Repository(tmp_path)
    repository.delete(repository.scan()["m@1"])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["m.toml", "model.toml"]


def test_delete_of_the_last_version_removes_their_folder(tmp_path: Path) -> None:
    write_ir(tmp_path / "m" / "1")
    write_ir(tmp_path / "m" / "2")
    write(tmp_path / "m", model__toml="")
    repository = Repository(tmp_path)
    found = repository.scan()
    repository.delete(found["m@1"])
    assert set(repository.scan()) == {"m@2"}
    repository.delete(found["m@2"])
    assert list(tmp_path.iterdir()) == []


def test_delete_leaves_what_is_not_the_models(tmp_path: Path) -> None:
    write_ir(tmp_path / "m" / "1")
    write(tmp_path / "m", notes__txt="keep")
    repository = Repository(tmp_path)
    repository.delete(repository.scan()["m@1"])
    assert visible(tmp_path / "m") == ["notes.txt"]


def test_delete_of_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    write_fake(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    repository = Repository(tmp_path)
    repository.delete(repository.scan()["link"])
    assert set(repository.scan()) == {"real"}
    outside = write_fake(tmp_path.parent / f"{tmp_path.name}-outside")
    (tmp_path / "evil").symlink_to(outside)
    repository.delete(repository.scan()["evil"])
    assert visible(outside) == ["model.toml"]


def test_models_of_extra_folders_are_not_deleted(tmp_path: Path) -> None:
    write_fake(tmp_path / "extra" / "m")
    (tmp_path / "models").mkdir()
    repository = Repository(tmp_path / "models", [tmp_path / "extra"])
    with pytest.raises(ModelInUse, match="a folder that the server doesn't write to"):
        repository.delete(repository.scan()["m"])
    assert set(repository.scan()) == {"m"}


def test_models_of_a_folder_that_cannot_be_written_are_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake(tmp_path / "m")
    repository = Repository(tmp_path)
    assert not repository.scan()["m"].read_only
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert repository.scan()["m"].read_only


def test_a_delete_that_fails_leaves_the_model_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ir(tmp_path / "m")
    repository = Repository(tmp_path)
    entry = repository.scan()["m"]

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(ModelInUse, match="Permission denied"):
            repository.delete(entry)
    assert folder_of(entry).path == folder


def test_what_an_interrupted_delete_left_is_removed_by_the_next_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ir(tmp_path / "m")
    repository = Repository(tmp_path)

    def die(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trash, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            repository.delete(repository.scan()["m"])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(trash.PREFIX)
    assert repository.scan() == {}
    assert list(tmp_path.iterdir()) == []


def test_what_stays_in_the_trash_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake(tmp_path / "m")
    write(tmp_path / f"{trash.PREFIX}x", file="")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trash, "remove", refuse)
    repository = Repository(tmp_path)
    with capture_logs() as logs:
        assert set(repository.scan()) == {"m"}
        repository.scan()
    assert [log["event"] for log in logs] == ["models.trash_stays"]


def test_trash_may_be_removed_by_another_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "x", a="", b="")
    original = os.unlink

    def twice(*arguments: Any, **options: Any) -> None:
        original(*arguments, **options)
        original(*arguments, **options)

    monkeypatch.setattr(os, "unlink", twice)
    trash.remove(folder)
    trash.remove(folder)
    assert not folder.exists()
