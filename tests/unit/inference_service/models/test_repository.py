from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from inference_service.domain import LoadFailureCause
from inference_service.errors import ModelInUse, ModelNotFound
from inference_service.models import trash
from inference_service.models.repository import Repository, folder_of, model_names
from tests.model_folders import CONFIG, age, write, write_gguf, write_ir
from tests.unit.inference_service.models.test_names import HOSTILE

FAKE = {"model__toml": 'engine = "fake"\ncontext_length = 8'}


def fake(folder: Path) -> Path:
    return write(folder, **FAKE)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_models_of_several_folders(tmp_path: Path) -> None:
    models, extra, more = (tmp_path / name for name in ("models", "extra", "more"))
    fake(models / "a")
    fake(models / "both")
    fake(extra / "b")
    fake(extra / "both")
    fake(more / "b")
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
    fake(tmp_path / "m")
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


# --- what changes, and what doesn't ------------------------------------------------------------


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
    fake(models / "a")
    fake(extra / "b")
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
        fake(tmp_path / f"m{number}")
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


# --- nothing outside ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_not_found(tmp_path: Path, name: str) -> None:
    fake(tmp_path / "models" / "a")
    fake(tmp_path / "secret")
    assert name not in Repository(tmp_path / "models").scan()


PARTS = st.sampled_from(["..", ".", "/", "a", "secret", "%2e", "%2f", "\\", "\0", "@", "1", "~"])


@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    models = tmp_path / "models"
    if not models.exists():
        fake(models / "a")
        fake(tmp_path / "secret")
    found = Repository(models).scan()
    assert (name in found) == (name == "a")


def test_links_out_make_a_model_invalid_and_are_never_read(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write(tmp_path / "outside", secret__json={"architectures": ["secret"]})
    write_ir(models / "file")
    (models / "file/config.json").unlink()
    (models / "file/config.json").symlink_to(tmp_path / "outside/secret.json")
    write_ir(tmp_path / "folder")
    (models / "folder").symlink_to(tmp_path / "folder")
    write_gguf(tmp_path / "weights.gguf")
    (models / "weights.gguf").symlink_to(tmp_path / "weights.gguf")
    write_gguf(models / "settings.gguf")
    (models / "settings.toml").symlink_to(tmp_path / "outside/secret.json")
    found = Repository(models).scan()
    assert set(found) == {"file", "folder", "weights", "settings"}
    for entry in found.values():
        assert entry.problem is not None
        assert entry.problem.cause is LoadFailureCause.INVALID_FILES
        assert "links to a place outside the models' folders" in entry.problem.message
        assert "secret'" not in entry.problem.message


def test_special_files_do_not_block_a_scan(tmp_path: Path) -> None:
    write_ir(tmp_path / "pipe", x="")
    (tmp_path / "pipe/config.json").unlink()
    os.mkfifo(tmp_path / "pipe/config.json")
    os.mkfifo(tmp_path / "weights.gguf")
    os.mkfifo(tmp_path / "other")
    write_gguf(tmp_path / "settings.gguf")
    os.mkfifo(tmp_path / "settings.toml")
    found = Repository(tmp_path).scan()
    assert set(found) == {"pipe", "weights", "settings"}
    assert all(entry.problem for entry in found.values())


def test_a_folder_that_nobody_may_read_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "a")
    fake(tmp_path / "locked")
    original = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    found = Repository(tmp_path).scan()
    assert found["a"].problem is None
    problem = found["locked"].problem
    assert problem is not None
    assert "Permission denied" in problem.message


@given(
    name=st.sampled_from(
        [
            "config.json",
            "generation_config.json",
            "tokenizer_config.json",
            "model.toml",
            "openvino_model.xml",
            "modules.json",
        ]
    ),
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "architectures",
                        "model_type",
                        "max_position_embeddings",
                        "top_k",
                        "chat_template",
                        "id2label",
                        "bos_token",
                        "type",
                        "path",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_no_file_breaks_a_scan(tmp_path: Path, name: str, content: Any) -> None:
    folder = tmp_path / "models" / "m"
    write_ir(folder)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        write(folder, **{name: content if not isinstance(content, str) else repr(content)})
    entry = Repository(tmp_path / "models").scan()["m"]
    (folder / name).unlink()
    for text in (entry.architecture, entry.problem and entry.problem.message):
        assert text is None or text.encode()  # what a proto can carry
    assert entry.context_length is None or 0 < entry.context_length < 1 << 31


# --- deleting ----------------------------------------------------------------------------------


def test_delete_removes_a_folder_and_its_converted_ir(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m" / "m.gguf")
    fake(tmp_path / "other")
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
    fake(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    repository = Repository(tmp_path)
    repository.delete(repository.scan()["link"])
    assert set(repository.scan()) == {"real"}
    outside = fake(tmp_path.parent / f"{tmp_path.name}-outside")
    (tmp_path / "evil").symlink_to(outside)
    repository.delete(repository.scan()["evil"])
    assert visible(outside) == ["model.toml"]


def test_models_of_extra_folders_are_not_deleted(tmp_path: Path) -> None:
    fake(tmp_path / "extra" / "m")
    (tmp_path / "models").mkdir()
    repository = Repository(tmp_path / "models", [tmp_path / "extra"])
    with pytest.raises(ModelInUse, match="a folder that the server doesn't write to"):
        repository.delete(repository.scan()["m"])
    assert set(repository.scan()) == {"m"}


def test_models_of_a_folder_that_cannot_be_written_are_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "m")
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
    fake(tmp_path / "m")
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


def test_names_are_those_of_folders_that_are_not_hidden(tmp_path: Path) -> None:
    for name in ("b", "a", ".staging-x"):
        write(tmp_path / name)
    (tmp_path / "file").write_text("")
    assert model_names(tmp_path) == ["a", "b"]


def test_modes_of_files_do_not_matter_to_a_scan(tmp_path: Path) -> None:
    folder = write_ir(tmp_path / "m")
    for file in folder.iterdir():
        file.chmod(stat.S_IRUSR)
    assert Repository(tmp_path).scan()["m"].problem is None
