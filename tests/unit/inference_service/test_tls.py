from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_service.config import ServiceConfig
from inference_service.tls import TlsProblem, server_credentials


@pytest.fixture
def configure(certs: Path, tmp_path: Path) -> Callable[..., ServiceConfig]:
    """Give a function that makes a configuration with some of the files changed."""

    def make(**files: Path) -> ServiceConfig:
        good = {
            "tls_cert": certs / "service.pem",
            "tls_key": certs / "service-key.pem",
            "tls_client_ca": certs / "ca.pem",
        }
        return ServiceConfig(models_dir=tmp_path, **good | files)

    return make


def test_files_that_fit_are_taken(configure: Callable[..., ServiceConfig]) -> None:
    assert server_credentials(configure())


def test_every_file_that_cannot_be_used_is_named(
    configure: Callable[..., ServiceConfig], certs: Path, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for files, settings in (
        ({"tls_cert": junk}, ["tls_cert"]),
        ({"tls_key": certs / "client-key.pem"}, ["tls_cert"]),
        ({"tls_client_ca": junk}, ["tls_client_ca"]),
        ({"tls_key": junk, "tls_client_ca": junk}, ["tls_cert", "tls_client_ca"]),
    ):
        with pytest.raises(TlsProblem) as caught:
            server_credentials(configure(**files))
        assert [problem.partition(":")[0] for problem in caught.value.problems] == settings
        assert "junk.pem" in str(caught.value) or "client-key.pem" in str(caught.value)
