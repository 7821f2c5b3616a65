from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inference_service.domain import WeightCompression
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import (
    ConversionFailed,
    ModelRefused,
    NotEnoughSpace,
)
from inference_service.models.sources.file import FileSource
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.pull import pull

CONVERTER = """
import sys, pathlib
gguf = pathlib.Path(sys.argv[1])
(gguf.parent / "openvino_model.xml").write_text(gguf.read_text())
"""


def python(script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script]


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    (tmp_path / "m.gguf").write_text("gguf")
    return FileSource(tmp_path / "m.gguf")


def ignore(_progress: Progress) -> None:
    pass


def test_converts_and_leaves_the_gguf_out(source: FileSource, tmp_path: Path) -> None:
    models = tmp_path / "models"
    stages: list[str] = []
    folder = pull(
        source, "m", models, lambda p: stages.append(p.stage), converter=python(CONVERTER)
    )
    assert folder == models / "m"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "openvino_model.xml": "gguf"
    }
    assert stages[-1] == "writing to disk"
    assert source.path.exists()


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("import sys; print('noise'); sys.exit('no such luck')", ConversionFailed, "no such luck"),
        (
            "import sys; print('mamba is not supported'); sys.exit(3)",
            ModelRefused,
            "^mamba is not supported$",
        ),
        ("import os; os.kill(os.getpid(), 9)", ConversionFailed, "ended by signal 9, perhaps"),
    ],
)
def test_a_failed_conversion_leaves_nothing(
    source: FileSource, tmp_path: Path, script: str, error: type[Exception], message: str
) -> None:
    models = tmp_path / "models"
    with pytest.raises(error, match=message):
        pull(source, "m", models, ignore, converter=python(script))
    assert [path.name for path in models.iterdir()] == [".pull.lock"]


def test_an_interrupt_ends_the_conversion(source: FileSource, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        f"import os, pathlib, signal; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))"
        "; signal.pause()"
    )

    def interrupt(_progress: Progress) -> None:
        if pid_file.exists() and pid_file.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(source, "m", tmp_path / "models", interrupt, converter=python(script))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".pull.lock"]


COMPRESSOR = """
import sys, pathlib
folder, *how = sys.argv[1:]
(pathlib.Path(folder) / "openvino_model.bin").write_text(" ".join(how))
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [(WeightCompression("int8"), "int8"), (WeightCompression("int4_sym", 64), "int4_sym 64")],
)
def test_weights_are_compressed_when_asked(
    tmp_path: Path, how: WeightCompression, told: str
) -> None:
    (tmp_path / "ir").mkdir()
    for name in ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"):
        (tmp_path / "ir" / name).write_text(name)
    folder = pull(
        FileSource(tmp_path / "ir"),
        "m",
        tmp_path / "models",
        ignore,
        compression=how,
        compressor=python(COMPRESSOR),
    )
    assert (folder / "openvino_model.bin").read_text() == told
    assert (tmp_path / "ir/openvino_model.bin").read_text() == "openvino_model.bin"


def test_a_full_disk_has_a_meaning(source: FileSource, tmp_path: Path) -> None:
    def fill(_progress: Progress) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NotEnoughSpace, match="became full"):
        pull(source, "m", tmp_path / "models", fill, converter=python(CONVERTER))


@pytest.mark.parametrize("path", ["m.gguf", "other"])
def test_checksums_of_files_on_disk(source: FileSource, tmp_path: Path, path: str) -> None:
    wrong = Digests([(path, "0" * 64)])
    with pytest.raises(ModelRefused, match=f"SHA-256.*{path}|{path}.*SHA-256"):
        pull(source, "m", tmp_path / "models", ignore, digests=wrong, converter=python(CONVERTER))
    assert not (tmp_path / "models/m").exists()


KILLED = """
import os, sys
from pathlib import Path
from inference_service.models.sources.file import FileSource
from inference_service.models.sources.pull import pull
root = Path(sys.argv[1])
stop_at = sys.argv[2]
def report(progress):
    if progress.stage == stop_at:
        os.kill(os.getpid(), 9)
pull(FileSource(root / "m.gguf"), "m", root / "models", report,
     converter=[sys.executable, "-S", "-c", sys.argv[3]])
"""


@pytest.mark.parametrize("stage", ["converting to OpenVINO IR", "writing to disk"])
def test_a_kill_at_any_point_leaves_only_a_partial_folder(
    source: FileSource, tmp_path: Path, stage: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), stage, CONVERTER], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    models = tmp_path / "models"
    names = {path.name for path in models.iterdir()} - {".pull.lock"}
    assert all(name.startswith(".partial-m-") for name in names)
    assert len(names) == 1
    pull(source, "m", models, ignore, converter=python(CONVERTER))
    # A converter that outlived its parent may still hold the left-over; then a later pull has it.
    assert "m" in {path.name for path in models.iterdir()}


def test_a_model_without_weights_is_not_compressed(tmp_path: Path) -> None:
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "model.toml").write_text('engine = "fake"\n')
    with pytest.raises(ModelRefused, match="no weights to compress"):
        pull(
            FileSource(folder),
            "m",
            tmp_path / "models",
            ignore,
            compression=WeightCompression("int8"),
        )
    assert not (tmp_path / "models" / "m").exists()
