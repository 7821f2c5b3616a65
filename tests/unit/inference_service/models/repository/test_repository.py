from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from inference_service.domain import LoadFailureCause
from inference_service.models.repository import Repository
from tests.model_folders import CONFIG, age, write, write_fake, write_gguf, write_ir


def test_models_of_several_folders(tmp_path: Path) -> None:
    models, extra, more = (tmp_path / name for name in ("models", "extra", "more"))
    write_fake(models / "a")
    write_fake(models / "both")
    write_fake(extra / "b")
    write_fake(extra / "both")
    write_fake(more / "b")
    repository = Repository(models, [extra, more, models])
    with capture_logs() as logs:
        found = repository.scan()
        repository.scan()
    assert {name: entry.path for name, entry in found.items()} == {
        "a": models / "a",
        "both": models / "both",
        "b": extra / "b",
    }
    assert {name for name, entry in found.items() if entry.read_only} == {"b"}
    hidden = [log["path"] for log in logs if log["event"] == "model.hidden"]
    assert hidden == [f"'{extra / 'both'}'", f"'{more / 'b'}'"]


def test_a_folder_stands_before_a_file_of_the_same_name(tmp_path: Path) -> None:
    write_fake(tmp_path / "m")
    write_gguf(tmp_path / "m.gguf")
    assert Repository(tmp_path).scan()["m"].path == tmp_path / "m"


def test_names_that_cannot_be_used_are_told_once(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad \xff")).mkdir()
    repository = Repository(tmp_path)
    with capture_logs() as logs:
        assert repository.scan() == {}
        assert repository.scan() == {}
    (log,) = logs
    assert log["event"] == "model.name_unusable"
    assert log["path"].encode()


def test_overrides_lie_over_the_settings_beside_the_model(tmp_path: Path) -> None:
    write_ir(tmp_path / "m@1", model__toml="replicas = 2\npinned = true")
    write_ir(tmp_path / "m@2", model__yaml="replicas: 2")
    overrides: dict[str, dict[str, Any]] = {
        "m": {"replicas": 3, "versions": "all"},
        "m@2": {"device": "GPU"},
    }
    found = Repository(tmp_path, overrides=overrides).scan()
    one, two = found["m@1"].settings, found["m@2"].settings
    assert one is not None
    assert two is not None
    assert (one.replicas, one.pinned, one.device) == (3, True, "CPU")
    assert (two.replicas, two.pinned, two.device) == (2, False, "GPU")
    wrong = Repository(tmp_path, overrides={"m": {"replica": 3}}).scan()["m@1"].problem
    assert wrong is not None
    assert wrong.cause is LoadFailureCause.INVALID_SETTINGS
    assert wrong.message.startswith("[models.m] of the server's configuration: ")
    assert "`replica`" in wrong.message


def test_settings_of_a_folder_of_versions_are_for_each(tmp_path: Path) -> None:
    write_ir(tmp_path / "m" / "1")
    write_ir(tmp_path / "m" / "2", model__toml="replicas = 3")
    write(tmp_path / "m", model__yaml="replicas: 2\npinned: true")
    found = Repository(tmp_path).scan()
    said = {
        name: (e.settings.replicas, e.settings.pinned) for name, e in found.items() if e.settings
    }
    assert said == {"m@1": (2, True), "m@2": (3, True)}


def test_what_has_not_changed_is_the_same_object(tmp_path: Path) -> None:
    write_ir(tmp_path / "a")
    write_ir(tmp_path / "n" / "1")
    write_gguf(tmp_path / "b.gguf")
    age(tmp_path)
    repository = Repository(tmp_path)
    first, second = repository.scan(), repository.scan()
    assert list(first) == ["a", "n@1", "b"]
    assert all(second[name] is first[name] for name in first)


def touch_config(models: Path) -> None:
    write(models / "a", config__json=CONFIG | {"max_position_embeddings": 1024})


def touch_settings(models: Path) -> None:
    write(models / "a", model__toml="context_length = 1024")


def touch_weights(models: Path) -> None:
    (models / "a/openvino_model.bin").write_bytes(bytes(5000))


def touch_with_old_times(models: Path) -> None:
    config = models / "a/config.json"
    before = config.stat()
    config.write_text(config.read_text().replace("2048", "1024"))
    os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "touch", [touch_config, touch_settings, touch_weights, touch_with_old_times]
)
def test_what_has_changed_is_read_again(tmp_path: Path, touch: Any) -> None:
    write_ir(tmp_path / "a")
    write_ir(tmp_path / "b")
    age(tmp_path)
    repository = Repository(tmp_path)
    before = repository.scan()
    touch(tmp_path)
    after = repository.scan()
    assert after["b"] is before["b"]
    assert after["a"] != before["a"]
    if touch is not touch_weights:
        assert after["a"].context_length == 1024


def test_what_was_written_just_now_is_read_again_and_equal(tmp_path: Path) -> None:
    write_ir(tmp_path / "a")
    repository = Repository(tmp_path)
    first, second = repository.scan(), repository.scan()
    assert second["a"] is not first["a"]
    assert second == first


def test_settings_of_all_versions_are_watched_too(tmp_path: Path) -> None:
    write_ir(tmp_path / "m" / "1")
    age(tmp_path)
    repository = Repository(tmp_path)
    before = repository.scan()
    write(tmp_path / "m", model__toml="pinned = true")
    after = repository.scan()["m@1"]
    assert after != before["m@1"]
    assert after.settings is not None
    assert after.settings.pinned


def test_models_come_become_invalid_and_go(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.scan() == {}
    folder = write_ir(tmp_path / "a")
    assert repository.scan()["a"].problem is None
    (folder / "openvino_model.bin").unlink()
    problem = repository.scan()["a"].problem
    assert problem is not None
    assert problem.message == "no openvino_model.bin"
    folder.rename(tmp_path / "b")
    assert list(repository.scan()) == ["b"]


def test_a_folder_that_cannot_be_read_keeps_its_models(tmp_path: Path) -> None:
    models, extra = tmp_path / "models", tmp_path / "extra"
    write_fake(models / "a")
    write_fake(extra / "b")
    repository = Repository(models, [extra])
    before = repository.scan()
    extra.rename(tmp_path / "unmounted")
    with capture_logs() as logs:
        assert repository.scan() == before
    assert [log["event"] for log in logs] == ["models.unreadable"]
    (tmp_path / "unmounted").rename(extra)
    (extra / "b").rename(extra / "c")
    assert set(repository.scan()) == {"a", "c"}


def test_a_second_look_opens_no_file(tmp_path: Path) -> None:
    """Each state of a file is read once."""
    for number in range(50):
        write_ir(tmp_path / f"m{number}")
    age(tmp_path)
    repository = Repository(tmp_path)
    first = repository.scan()
    assert len(first) == 50
    opened: list[object] = []
    original = os.open

    def counting(*arguments: Any, **options: Any) -> int:
        opened.append(arguments[0])
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", counting)
        second = repository.scan()
    assert opened == []
    assert all(second[name] is first[name] for name in first)


def test_scans_and_deletes_from_many_threads(tmp_path: Path) -> None:
    for number in range(24):
        write_fake(tmp_path / f"m{number}")
    repository = Repository(tmp_path)
    entries = list(repository.scan().values())
    seen: list[set[str]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            found = repository.scan()
            assert all(entry.problem is None for entry in found.values())
            seen.append(set(found))

    with ThreadPoolExecutor(8) as threads:
        looking = [threads.submit(look) for _ in range(3)]
        for deleted in [threads.submit(repository.delete, entry) for entry in entries]:
            deleted.result()
        done.set()
        for look_result in looking:
            look_result.result()
    assert repository.scan() == {}
    assert list(tmp_path.iterdir()) == []
    assert len(seen) > 2


def test_modes_of_files_do_not_matter_to_a_scan(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m")
    for file in folder.iterdir():
        file.chmod(stat.S_IRUSR)
    assert Repository(tmp_path).scan()["m"].problem is None
