from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from inference_service.models.sources import disk, transfer
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import (
    ModelRefused,
    NotEnoughSpace,
    SourceUnreachable,
)
from inference_service.models.sources.hf import HfSource
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.source import Options
from inference_service.models.sources.staging import Staging
from tests.hub import Hub

REPOSITORY = "acme/tiny"


def ignore(_progress: Progress) -> None:
    pass


def source(**options: Any) -> HfSource:
    return HfSource.parse(REPOSITORY, Options(**options))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "RETRY_SECONDS", 0)


@pytest.mark.parametrize("path", ["openvino_model.bin", "config.json"])
def test_a_damaged_file_is_refused(
    hub: Hub, ir: dict[str, bytes], staging: Staging, path: str
) -> None:
    hub.add(REPOSITORY, ir)
    hub.damaged.add(path)
    with pytest.raises(ModelRefused, match=f"{path} of hf:acme/tiny is damaged"):
        source().fetch(staging, ignore, Digests())
    assert not list(staging.folder.iterdir())
    assert not list(staging.downloads.glob("*.part"))


def test_a_transfer_that_breaks_off_goes_on(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    hub.add(REPOSITORY, ir)
    hub.break_after = {"openvino_model.bin": 150_000}
    hub.statuses = [503]
    source().fetch(staging, ignore, Digests())
    assert contents(staging.folder) == ir
    ranges = [asked.range for asked in hub.requests if asked.port == "storage" and asked.range]
    assert ranges == ["bytes=150000-", "bytes=300000-"]
    assert hub.served_bytes == sum(map(len, ir.values()))


def test_a_hub_that_brings_nothing_is_unreachable(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    hub.add(REPOSITORY, ir)
    hub.break_after = {"openvino_model.bin": 0}
    with pytest.raises(SourceUnreachable, match=r"broke off openvino_model\.bin .* is kept"):
        source().fetch(staging, ignore, Digests())


def leave_part(hub: Hub, staging: Staging, data: bytes) -> None:
    """Leave the beginning of the weights, as an interrupted pull does."""
    whole = hub.repositories[REPOSITORY].revisions["main"]["openvino_model.bin"]
    digest = hashlib.sha256(whole).hexdigest()
    (staging.downloads / f"{digest}{transfer.PART}").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "ignore_ranges", "served"),
    [(False, False, 300_000), (False, True, 400_000), (True, False, 700_000)],
)
def test_a_part_is_gone_on_with_and_never_trusted(
    hub: Hub,
    ir: dict[str, bytes],
    staging: Staging,
    damage: bool,
    ignore_ranges: bool,
    served: int,
) -> None:
    hub.add(REPOSITORY, ir)
    hub.ignore_ranges = ignore_ranges
    leave_part(hub, staging, b"x" * 100_000 if damage else ir["openvino_model.bin"][:100_000])
    source().fetch(staging, ignore, Digests())
    assert contents(staging.folder) == ir
    others = sum(len(data) for path, data in ir.items() if path != "openvino_model.bin")
    assert hub.served_bytes == served + others


def test_what_is_whole_is_not_fetched_again_unless_damaged(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    hub.add(REPOSITORY, ir)
    source().fetch(staging, ignore, Digests())
    for path in staging.folder.iterdir():
        path.unlink()
    (staging.downloads / hashlib.sha256(ir["openvino_tokenizer.bin"]).hexdigest()).write_bytes(b"")
    (staging.downloads / "0000").write_bytes(b"of a file that is gone")
    before = hub.served_bytes
    source().fetch(staging, ignore, Digests())
    assert contents(staging.folder) == ir
    assert hub.served_bytes - before == len(ir["openvino_tokenizer.bin"])
    assert not (staging.downloads / "0000").exists()


def test_a_hub_that_sends_more_than_it_said_is_cut_off(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    repository = hub.add(REPOSITORY, ir)
    small = hashlib.sha256(b"x").hexdigest()
    lfs = {"size": 1, "sha256": small, "pointerSize": 1}
    repository.extra.append({"rfilename": "openvino_model.bin", "lfs": lfs})
    with pytest.raises(ModelRefused, match="longer than the hub says"):
        source().fetch(staging, ignore, Digests())


def test_the_disk_is_asked_before_anything_is_fetched(
    hub: Hub, ir: dict[str, bytes], staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPOSITORY, ir)
    total = sum(map(len, ir.values()))
    needed = total + disk.SPARE_BYTES
    usage = shutil._ntuple_diskusage  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(9, 9, needed - 1))
    with pytest.raises(NotEnoughSpace) as raised:
        source().fetch(staging, ignore, Digests())
    assert (raised.value.needed_bytes, raised.value.free_bytes) == (needed, needed - 1)
    assert not hub.asked_for("/resolve/")
    leave_part(hub, staging, ir["openvino_model.bin"][:10])
    source().fetch(staging, ignore, Digests())
