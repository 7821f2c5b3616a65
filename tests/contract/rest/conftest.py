"""A server whose models come and go, so that no other test is in their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import local_server


@dataclass(frozen=True)
class AdminApi:
    """A whole server in processes of its own, with the fake engine.

    Of its models, `echo` is loaded and stays, and `guest` comes and goes. What is in `sources` may
    be pulled, and nothing else; `there` is a model.
    """

    base_url: str
    key: str
    ca: Path
    state_dir: Path
    sources: Path

    @property
    def root(self) -> str:
        """The URL without a version."""
        return self.base_url.removesuffix("/v1")


@pytest.fixture(scope="session")
def admin_api(
    tmp_path_factory: pytest.TempPathFactory, write_fake_model: Callable[..., Path]
) -> Iterator[AdminApi]:
    """A server for those who change its models."""
    state = tmp_path_factory.mktemp("admin")
    sources = tmp_path_factory.mktemp("sources")
    write_fake_model(state / "models", "echo")
    write_fake_model(state / "models", "guest")
    write_fake_model(sources, "there")
    environment = {
        "OVS_SERVICE_PULL_SOURCES": f"file:{sources}/*",
        "OVS_SERVICE_ALIASES": '{"gpt": "guest"}',
        "OVS_SERVICE_OFFLINE": "true",
    }
    with local_server(state, "echo", ["echo"], environment) as running:
        ca = Path(running.env["SSL_CERT_FILE"])
        yield AdminApi(running.base_url, running.api_key, ca, state, sources)
