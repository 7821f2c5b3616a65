from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference_service.models.sources import staging as staging_module
from inference_service.models.sources.errors import InvalidName, ModelExists, SourceUnreachable
from inference_service.models.sources.staging import LEFTOVER_SECONDS, key_of, staged

HOLDER = """
import sys
import time
from pathlib import Path
from inference_service.models.sources import staging as staging_module
from inference_service.models.sources.staging import LEFTOVER_SECONDS, key_of, staged
with staged(Path(sys.argv[1]), "other") as staging:
    (staging.folder / "half").write_text("half")
    print("held", flush=True)
    sys.stdin.read()
"""


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".pull.lock"}


def test_a_model_appears_when_it_is_whole(tmp_path: Path) -> None:
    with staged(tmp_path, "model") as staging:
        (staging.folder / "file").write_text("text")
        (staging.scratch / "wheel").write_text("text")
        assert not (tmp_path / "model").exists()
    assert visible(tmp_path) == {"model"}
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["file"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staged(tmp_path, "model"):
        raise error
    assert visible(tmp_path) == set()


def test_a_killed_pull_is_swept_and_a_running_one_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        (partial,) = visible(tmp_path)
        assert partial.startswith(".partial-other-")
        with staged(tmp_path, "first"):
            pass
        assert visible(tmp_path) == {"first", partial}
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert visible(tmp_path) == {"first", partial}
    with staged(tmp_path, "second"):
        pass
    assert visible(tmp_path) == {"first", "second"}


def test_a_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelExists, match="a model named 'model' is in"), staged(tmp_path, "model"):
        pytest.fail("must not begin")
    with pytest.raises(ModelExists), staged(tmp_path, "late"):
        (tmp_path / "late").mkdir()
    assert visible(tmp_path) == {"model", "late"}


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "a/b", "../a", ".a", "-a", "a b", "a\n", "a" * 129),
        *("@1", "a@", "a@.1", "a@1@2", "a@1/2", "a@1\n", f"a@{'1' * 65}"),
    ],
)
def test_names_that_are_no_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName), staged(tmp_path, name):
        pytest.fail("must not begin")
    assert not list(tmp_path.iterdir())


def interrupted(folder: Path, name: str, key: str | None, error: BaseException) -> None:
    def work() -> None:
        with staged(folder, name, key) as staging:
            (staging.folder / "half").write_text("half")
            (staging.scratch / "half").write_text("half")
            (staging.downloads / "blob").write_text("whole")
            raise error

    with pytest.raises(type(error)):
        work()


def test_a_version_is_a_folder_of_its_own(tmp_path: Path) -> None:
    with staged(tmp_path, "a" * 128 + "@" + "1" * 64):
        pass
    with staged(tmp_path, "model@1.0"):
        pass
    assert "model@1.0" in visible(tmp_path)


@pytest.mark.parametrize("error", [SourceUnreachable(""), KeyboardInterrupt(), SystemExit()])
def test_what_was_fetched_is_found_again(tmp_path: Path, error: BaseException) -> None:
    key = key_of("hf", "main")
    interrupted(tmp_path, "model", key, error)
    assert visible(tmp_path) == {f".partial-model-{key}"}
    with staged(tmp_path, "model", key) as staging:
        assert (staging.downloads / "blob").read_text() == "whole"
        assert not list(staging.folder.iterdir())
        assert not list(staging.scratch.iterdir())
    assert visible(tmp_path) == {"model"}


def test_what_was_refused_is_not_kept(tmp_path: Path) -> None:
    interrupted(tmp_path, "model", key_of("a"), RuntimeError())
    interrupted(tmp_path, "model", None, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), staged(tmp_path, "model", key_of("a")):
        raise KeyboardInterrupt  # before anything was fetched
    assert visible(tmp_path) == set()


def test_another_pull_of_the_name_ends_what_is_kept_and_of_others_does_not(tmp_path: Path) -> None:
    ours, other = key_of("a"), key_of("b")
    interrupted(tmp_path, "model", ours, KeyboardInterrupt())
    interrupted(tmp_path, "model-2", ours, KeyboardInterrupt())
    with staged(tmp_path, "else"):
        pass
    kept = {f".partial-model-{ours}", f".partial-model-2-{ours}"}
    assert visible(tmp_path) == {"else", *kept}
    interrupted(tmp_path, "model", other, KeyboardInterrupt())
    assert visible(tmp_path) == {
        "else",
        f".partial-model-2-{ours}",
        f".partial-model-{other}",
    }


def test_what_is_old_is_removed(tmp_path: Path) -> None:
    key = key_of("a")
    interrupted(tmp_path, "model", key, KeyboardInterrupt())
    lock = tmp_path / f".partial-model-{key}" / "lock"
    for age, left in ((LEFTOVER_SECONDS - 60, True), (LEFTOVER_SECONDS + 60, False)):
        then = time.time() - age
        os.utime(lock, (then, then))
        with staged(tmp_path, f"other-{left}"):
            pass
        assert lock.exists() is left


def test_a_model_that_another_process_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "_DEATH_SECONDS", 0.05)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ModelExists, match="being pulled"), staged(tmp_path, "other"):
            pytest.fail("must not begin")
        holder.kill()
    with staged(tmp_path, "other"):
        pass
    assert visible(tmp_path) == {"other"}


def test_what_is_no_folder_of_a_pull_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    models = tmp_path / "models"
    models.mkdir()
    (models / ".partial-a.bin").write_text("of another program")
    (models / ".partial-m-link").symlink_to(elsewhere)
    (models / ".partial-gone").symlink_to(tmp_path / "nowhere")
    with staged(models, "m"):
        pass
    assert visible(models) == {"m", ".partial-a.bin", ".partial-m-link", ".partial-gone"}
    assert not list(elsewhere.iterdir())
