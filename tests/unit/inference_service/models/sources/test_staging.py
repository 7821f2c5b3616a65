from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inference_service.models.sources.errors import InvalidName, ModelExists
from inference_service.models.sources.staging import staged

HOLDER = """
import sys
from pathlib import Path
from inference_service.models.sources.staging import staged
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
    "name", ["", ".", "..", "a/b", "../a", ".a", "-a", "a b", "a\n", "a" * 129]
)
def test_names_that_are_no_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName), staged(tmp_path, name):
        pytest.fail("must not begin")
    assert not list(tmp_path.iterdir())
