"""What tests of all kinds share: certificates, models without weights, and waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openvino_server_cli import pki

from tests import tiny_llama

ECHO_TEMPLATE = (
    "{% for m in messages %}{% if m.content == 'refuse me' %}{{ raise_exception('no such talk') }}"
    "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
)


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and certificates of a service, a gateway and a client."""
    folder = tmp_path_factory.mktemp("certs")
    pki.create(folder)
    return folder


@pytest.fixture(scope="session")
def write_fake_model() -> Callable[..., Path]:
    """Give a function that writes the folder of a model that the fake engine echoes for."""

    def write(
        models_dir: Path, name: str, *, template: str | None = ECHO_TEMPLATE, **settings: object
    ) -> Path:
        folder = models_dir / name
        folder.mkdir(parents=True)
        values = {"context_length": 4096} | settings
        lines = ['engine = "fake"', *(f"{key} = {value}" for key, value in values.items())]
        (folder / "model.toml").write_text("\n".join(lines))
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as a GGUF file, alone in its folder; it is not to be changed."""
    return tiny_llama.write_gguf(tmp_path_factory.mktemp("tiny-gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model for the real engine; it is not to be changed."""
    return tiny_llama.write_ir(tmp_path_factory.mktemp("tiny-model") / "tiny")


@pytest.fixture(scope="session")
def eventually() -> Callable[..., object]:
    """Give a function that waits until a condition holds, and fails when it doesn't in time."""

    async def wait(condition: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            await asyncio.sleep(0.005)

    return wait


class Gate:
    """Where every Python process started in the test waits, while it is shut."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self) -> None:
        self._file.touch()

    def shut(self) -> None:
        self._file.unlink(missing_ok=True)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate, shut at first, before all that workers do."""
    file, site = tmp_path / "gate", tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(file)!r}):\n    time.sleep(0.01)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    return Gate(file)
