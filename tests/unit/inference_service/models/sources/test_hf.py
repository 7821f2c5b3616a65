from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import (
    InvalidOption,
    InvalidSource,
    ModelRefused,
    PullError,
    SourceNotAllowed,
    SourceNotFound,
    SourceUnreachable,
)
from inference_service.models.sources.hf import HfSource
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.source import Options
from inference_service.models.sources.staging import Staging
from tests.hub import Hub

REPOSITORY = "acme/tiny"
GGUF = b"GGUF" + bytes(range(256)) * 40


def ignore(_progress: Progress) -> None:
    pass


def source(**options: Any) -> HfSource:
    return HfSource.parse(REPOSITORY, Options(**options))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_an_export_is_fetched_as_it_is(hub: Hub, ir: dict[str, bytes], staging: Staging) -> None:
    more = {"README.md": b"#", "model.safetensors": b"x" * 9999, "fp16/openvino_model.xml": b"2"}
    pooling = {"1_Pooling/config.json": b"{}"}
    hub.add(REPOSITORY, ir | more | pooling)
    reports: list[Progress] = []
    assert source().fetch(staging, reports.append, Digests()) is None
    assert contents(staging.folder) == ir | pooling
    total = sum(map(len, (ir | pooling).values()))
    assert reports[0] == Progress("looking for hf:acme/tiny")
    assert reports[-1] == Progress("downloading openvino_model.bin", total, total)
    done = [report.completed_bytes for report in reports[1:]]
    assert done == sorted(done, key=lambda count: count or 0)


def test_one_gguf_is_enough(hub: Hub, staging: Staging) -> None:
    hub.add(REPOSITORY, {"q4/m.gguf": GGUF, "config.json": b"{}"})
    weights = source().fetch(staging, ignore, Digests())
    assert weights == staging.folder / "model.gguf"
    assert contents(staging.folder) == {"model.gguf": GGUF}


def test_an_onnx_file_comes_with_its_data_and_its_tokenizer(hub: Hub, staging: Staging) -> None:
    files = {"onnx/m.onnx": b"onnx", "onnx/m.onnx_data": b"d" * 5000, "tokenizer.json": b"{}"}
    hub.add(REPOSITORY, files | {"pytorch_model.bin": b"x", "1_Pooling/config.json": b"p"})
    weights = source().fetch(staging, ignore, Digests())
    assert weights == staging.folder / "m.onnx"
    assert contents(staging.folder) == {
        "m.onnx": b"onnx",
        "m.onnx_data": b"d" * 5000,
        "tokenizer.json": b"{}",
        "1_Pooling/config.json": b"p",
    }


def test_several_files_are_listed_to_choose_from(hub: Hub, staging: Staging) -> None:
    hub.add(REPOSITORY, {"a-q4_k_m.gguf": GGUF, "a-q8_0.gguf": GGUF + b"8"})
    with pytest.raises(ModelRefused, match=r"choose one .*: a-q4_k_m\.gguf, a-q8_0\.gguf$"):
        source().fetch(staging, ignore, Digests())
    weights = source(allow_patterns=("*q8_0.gguf",)).fetch(staging, ignore, Digests())
    assert weights is not None
    assert weights.read_bytes() == GGUF + b"8"
    with pytest.raises(ModelRefused, match="no file that matches"):
        source(allow_patterns=("*q2.gguf",)).fetch(staging, ignore, Digests())


def test_a_repository_without_a_model(hub: Hub, staging: Staging) -> None:
    hub.add(REPOSITORY, {"model.safetensors": b"x", "config.json": b"{}"})
    with pytest.raises(ModelRefused, match=r"no OpenVINO export .* no \.gguf and no \.onnx"):
        source().fetch(staging, ignore, Digests())
    assert not hub.asked_for("/resolve/")


def test_a_revision(hub: Hub, ir: dict[str, bytes], staging: Staging) -> None:
    hub.add(REPOSITORY, ir)
    hub.add(REPOSITORY, ir | {"config.json": b"[2]"}, revision="v2/beta")
    source(revision="v2/beta").fetch(staging, ignore, Digests())
    assert (staging.folder / "config.json").read_bytes() == b"[2]"
    with pytest.raises(SourceNotFound, match="no hf:acme/tiny at revision 'v3'"):
        source(revision="v3").fetch(staging, ignore, Digests())


def test_a_token_opens_a_repository_and_goes_nowhere_else(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    hub.add(REPOSITORY, ir).token = "hf_secret"
    for token in (None, "hf_wrong"):
        with pytest.raises(SourceNotAllowed, match="private or gated") as raised:
            source(token=token).fetch(staging, ignore, Digests())
        assert "hf_" not in str(raised.value)
    source(token="hf_secret").fetch(staging, ignore, Digests())
    storage = [asked for asked in hub.requests if asked.port == "storage"]
    assert storage
    assert {asked.authorization for asked in storage} == {None}
    resolved = {asked.authorization for asked in hub.asked_for("/resolve/")}
    assert resolved == {"Bearer hf_secret"}
    assert "hf_secret" not in repr(source(token="hf_secret"))


def test_a_gated_repository_is_not_allowed(
    hub: Hub, ir: dict[str, bytes], staging: Staging
) -> None:
    hub.add(REPOSITORY, ir).gated = True
    with pytest.raises(SourceNotAllowed, match="private or gated"):
        source().fetch(staging, ignore, Digests())


def test_nothing_else_is_asked_of_the_hub(hub: Hub, ir: dict[str, bytes], staging: Staging) -> None:
    hub.add(REPOSITORY, ir)
    source().fetch(staging, ignore, Digests())
    on_hub = [asked for asked in hub.requests if asked.port == "hub"]
    assert len(on_hub) == 1 + len(ir)


@pytest.mark.parametrize(
    "path",
    [
        *("../openvino_a.xml", "/openvino_a.xml", "a/../../openvino_a.xml", "a//openvino_a.xml"),
        *("./openvino_a.xml", "..\\openvino_a.xml", "openvino_\x00.xml", "openvino_\x1b[2J.xml"),
        *("config.json/openvino_a.xml", f"openvino_{'a' * 255}.xml", "openvino_a.xml/", ".."),
    ],
)
def test_hostile_names_are_refused_before_anything_is_fetched(
    hub: Hub, ir: dict[str, bytes], staging: Staging, tmp_path: Path, path: str
) -> None:
    entry = {"rfilename": path, "size": 1, "blobId": "0" * 40}
    hub.add(REPOSITORY, ir).extra.append(entry)
    before = contents(tmp_path)
    with pytest.raises(ModelRefused, match="which can't be in a folder"):
        source(allow_patterns=("*",)).fetch(staging, ignore, Digests())
    assert contents(tmp_path) == before
    assert not hub.asked_for("/resolve/")


def test_a_path_has_an_end(hub: Hub, ir: dict[str, bytes], staging: Staging) -> None:
    entry = {"rfilename": "/".join(["a"] * 100_000), "size": 1, "blobId": "0" * 40}
    hub.add(REPOSITORY, ir).extra.append(entry)
    with pytest.raises(ModelRefused, match="which is too long"):
        source(allow_patterns=("*",)).fetch(staging, ignore, Digests())


@pytest.mark.parametrize("name", [None, 5, ["a"]])
def test_a_file_without_a_name_is_refused(
    hub: Hub, ir: dict[str, bytes], staging: Staging, name: object
) -> None:
    entry = {"rfilename": name, "size": 1, "blobId": "0" * 40}
    hub.add(REPOSITORY, ir).extra.append(entry)
    with pytest.raises(ModelRefused, match="a file without a name"):
        source().fetch(staging, ignore, Digests())


@pytest.mark.parametrize(
    "entry",
    [
        {"rfilename": "a.json"},
        {"rfilename": "a.json", "size": 3, "blobId": "../../x"},
        {"rfilename": "a.json", "size": -3, "blobId": "0" * 40},
        {"rfilename": "a.json", "lfs": {"size": 3, "sha256": "../" * 20, "pointerSize": 1}},
    ],
)
def test_a_listing_without_checksums_is_refused(
    hub: Hub, ir: dict[str, bytes], staging: Staging, entry: dict[str, object]
) -> None:
    hub.add(REPOSITORY, ir).extra.append(entry)
    with pytest.raises(ModelRefused, match=r"no size and checksum of 'a\.json'"):
        source().fetch(staging, ignore, Digests())


@pytest.mark.parametrize("path", ["openvino_model.bin", "config.json"])
def test_the_callers_checksums_count(
    hub: Hub, ir: dict[str, bytes], staging: Staging, path: str
) -> None:
    hub.add(REPOSITORY, ir)
    wrong = Digests([(path, "0" * 64)])
    with pytest.raises(ModelRefused, match=f"^{path} is not the file that was expected"):
        source().fetch(staging, ignore, wrong)
    right = Digests([(path, hashlib.sha256(ir[path]).hexdigest())])
    source().fetch(staging, ignore, right)
    right.require_all()
    with pytest.raises(ModelRefused, match="given for other, which is not among"):
        Digests([("other", "0" * 64)]).require_all()


def test_companions(hub: Hub, staging: Staging) -> None:
    files = {"tokenizer.json": b"{}", "config.json": b"1", "1_Pooling/config.json": b"2"}
    hub.add(REPOSITORY, files | {"model.safetensors": b"x"})
    source().fetch_companions(staging, ignore)
    assert contents(staging.folder) == files
    hub.add(REPOSITORY, {"config.json": b"1"})
    with pytest.raises(ModelRefused, match="has no tokenizer"):
        source().fetch_companions(staging, ignore)


def test_no_repository(hub: Hub, staging: Staging) -> None:
    with pytest.raises(SourceNotFound, match=r"^the hub has no hf:acme/tiny$"):
        source().fetch(staging, ignore, Digests())


@pytest.mark.parametrize("offline", ["option", "environment"])
def test_offline_fails_at_once(
    hub: Hub, staging: Staging, monkeypatch: pytest.MonkeyPatch, offline: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline == "environment")
    with pytest.raises(SourceUnreachable, match=r"^offline: hf"):
        source(offline=offline == "option").fetch(staging, ignore, Digests())
    assert hub.requests == []


def test_no_hub_answers(hub: Hub, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceUnreachable, match=r"the hub doesn't answer, so hf:acme/tiny"):
        source().fetch(staging, ignore, Digests())


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a/b/c", "a/", "/b", "../b", "a/..", "a/b?x", "a/b#x", "a/b c", "a--b/c"),
        *("a/b.git", "a/-b", "a/b.", "é/b", "a/b\n", f"{'a' * 97}/b"),
    ],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InvalidSource):
        HfSource.parse(text)


@pytest.mark.parametrize(
    "options",
    [
        Options(revision=""),
        Options(revision="a\nb"),
        Options(revision="a" * 201),
        Options(allow_patterns=("",)),
        Options(token="a\r\nX-Header: b"),
    ],
)
def test_what_no_hub_is_asked_for(options: Options) -> None:
    with pytest.raises(InvalidOption) as raised:
        HfSource.parse("a/b", options)
    assert isinstance(raised.value, PullError)


def test_a_name_and_an_identity() -> None:
    assert source().name == "tiny"
    assert source().identity == source(token="hf_x", offline=True).identity
    assert source().identity != source(revision="v2").identity
