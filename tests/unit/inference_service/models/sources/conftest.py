"""A package index and a hub on loopback, and what is in them."""

from __future__ import annotations

import contextlib
import random
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session, constants

from inference_service.domain import ModelInfo, ModelState, PullProgress, PullRequest
from inference_service.models.pulls import Pulls
from inference_service.models.sources.staging import Staging, staged
from tests.hub import Hub, serving


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


class Index:
    """A simple index in a folder, served over HTTP."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, name: str, version: str, files: dict[str, bytes]) -> Path:
        """Put a wheel in the index."""
        module = name.replace("-", "_")
        folder = self.root / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        info = f"{module}-{version}.dist-info"
        wheel = folder / f"{module}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        links = "".join(f'<a href="{file.name}">{file.name}</a>' for file in folder.glob("*.whl"))
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
        return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    root = tmp_path / "index"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    yield Index(root)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    with staged(tmp_path / "models", "model") as staging:
        yield staging


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that `HF_ENDPOINT` names, for processes that start now and for this one."""
    with serving() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running
        close_session()


@pytest.fixture(scope="session")
def ir() -> dict[str, bytes]:
    """The files of an OpenVINO export, of which nothing could be generated."""
    numbers = random.Random(7)
    return {
        "openvino_model.xml": b"<net/>" * 1000,
        "openvino_model.bin": numbers.randbytes(400_000),
        "openvino_tokenizer.xml": b"<net/>",
        "openvino_tokenizer.bin": numbers.randbytes(20_000),
        "config.json": b'{"max_position_embeddings": 8}',
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
    }


class Pulled:
    """Pulls, and the models that they say have appeared."""

    def __init__(self, config: Any) -> None:
        self.names: list[str] = []
        self.pulls = Pulls(config, self._pulled)

    async def _pulled(self, name: str) -> ModelInfo:
        self.names.append(name)
        return ModelInfo(name, ModelState.UNLOADED, datetime.now(UTC))

    async def all(self, request: PullRequest) -> list[PullProgress | ModelInfo]:
        return [item async for item in self.pulls.pull(request)]


@pytest.fixture
async def make_pulls(make_config: Callable[..., Any]) -> AsyncIterator[Callable[..., Pulled]]:
    """Give a function that makes the pulls of a service, which are stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(**settings: Any) -> Pulled:
            pulled = Pulled(make_config(**settings))
            stack.push_async_callback(pulled.pulls.stop)
            return pulled

        yield make
