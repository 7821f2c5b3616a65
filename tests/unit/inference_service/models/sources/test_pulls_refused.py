"""Pulls of the service that fail, and what they say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import PullRequest
from inference_service.errors import (
    InvalidArgument,
    ModelExists,
    ServiceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from tests.hub import Hub
from tests.unit.inference_service.models.sources.folders import partial

AnyCall = Callable[..., Any]
REQUEST = PullRequest("hf:acme/tiny")
SLOW = 300_000.0


async def fails(pulled: Any, request: PullRequest, error: type[ServiceError]) -> ServiceError:
    with pytest.raises(error) as raised:
        await pulled.all(request)
    assert type(raised.value) is error
    return raised.value


def told_to_all(pid: int) -> bytes:
    """Give what every process may know of another."""
    return b"".join(Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "environ"))


async def test_a_name_is_taken_once(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    running = pulled.pulls.pull(REQUEST)
    await anext(running)
    for other in (
        PullRequest("hf:acme/other", name="tiny"),
        PullRequest("hf:acme/tiny", revision="v2"),
        PullRequest("hf:acme/tiny", token="hf_mine"),
    ):
        error = await fails(pulled, other, ModelExists)
        assert "being pulled from elsewhere" in str(error)
    await running.aclose()
    (tmp_path / "tiny").mkdir()
    error = await fails(pulled, REQUEST, ModelExists)
    assert error.metadata == {"model": "tiny"}
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (PullRequest("hf:acme/none"), SourceNotFound, "^the hub has no hf:acme/none$"),
        (PullRequest("hf:acme/private"), SourceNotAllowed, "private or gated"),
        (PullRequest("hf:acme/empty"), SourceRefused, "no OpenVINO export"),
        (
            PullRequest("hf:acme/private", token="hf_other"),
            SourceNotAllowed,
            "and the token, if one was given, doesn't open it$",
        ),
        (
            PullRequest("hf:acme/private", token="hf_key", sha256=(("config.json", "0" * 64),)),
            SourceRefused,
            r"^config\.json is not the file that was expected",
        ),
    ],
)
async def test_failures_have_a_meaning(
    hub: Hub,
    ir: dict[str, bytes],
    make_pulls: AnyCall,
    tmp_path: Path,
    request_: PullRequest,
    error: type[ServiceError],
    message: str,
) -> None:
    hub.add("acme/private", ir).token = "hf_key"
    hub.add("acme/empty", {"README.md": b"#"})
    pulled = make_pulls()
    with pytest.raises(error, match=message) as raised:
        await pulled.all(request_)
    assert raised.value.metadata == {"source": request_.source}
    assert not partial(tmp_path)
    assert not pulled.names


async def test_no_network(
    hub: Hub, make_pulls: AnyCall, monkeypatch: pytest.MonkeyPatch, new_children: AnyCall
) -> None:
    for source in ("hf:acme/tiny", "pypi:tiny==1"):
        error = await fails(make_pulls(offline=True), PullRequest(source), SourceUnreachable)
        assert str(error).startswith("offline: ")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = await fails(make_pulls(), REQUEST, SourceUnreachable)
    assert str(error).startswith("offline: ")
    assert hub.requests == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = await fails(make_pulls(), REQUEST, SourceUnreachable)
    assert "the hub doesn't answer" in str(error)


async def test_the_token_is_told_to_nobody(
    hub: Hub,
    ir: dict[str, bytes],
    make_pulls: AnyCall,
    new_children: AnyCall,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hub.add("acme/tiny", ir).token = "hf_secret"
    hub.bytes_per_second = SLOW
    pulled = make_pulls(hf_token="hf_secret")
    running = pulled.pulls.pull(REQUEST)
    await anext(running)
    (pid,) = new_children()
    assert b"hf_secret" not in told_to_all(pid)
    async for item in running:
        assert "hf_secret" not in repr(item)
    assert {asked.authorization for asked in hub.requests if asked.port == "storage"} == {None}
    assert "hf_secret" not in "".join(capfd.readouterr())


async def test_a_link_in_a_folder_leads_nowhere(make_pulls: AnyCall, tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    (allowed / "m").mkdir(parents=True)
    secret.mkdir()
    for name in ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"):
        (allowed / "m" / name).write_text(name)
    (secret / "key").write_text("key")
    pulled = make_pulls(pull_sources=[f"file:{allowed}/*"])
    request = PullRequest(f"file:{allowed}/m")
    await pulled.all(request)
    shutil.rmtree(tmp_path / "m")
    (allowed / "m/config.json").symlink_to(secret / "key")
    error = await fails(pulled, request, SourceNotAllowed)
    assert str(secret) not in str(error)
    assert not (tmp_path / "m").exists()


async def test_what_is_asked_for_is_checked_first(make_pulls: AnyCall) -> None:
    error = await fails(make_pulls(), PullRequest("hf:acme/tiny", name="../x"), InvalidArgument)
    assert error.metadata == {"field": "name"}
