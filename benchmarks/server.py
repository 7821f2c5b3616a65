"""A whole server on this machine, started as a user starts it: `openvino-server up`."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_END_SECONDS = 60


@dataclass(frozen=True)
class LocalServer:
    """A running server.

    Attributes:
        process: The launcher.
        state_dir: Where its files are.
        env: What `client.env` exports.
        greeting: What the launcher printed up to and including what to type next.

    """

    process: subprocess.Popen[str]
    state_dir: Path
    env: Mapping[str, str]
    greeting: str

    @property
    def base_url(self) -> str:
        """The OpenAI base URL, which ends in `/v1`."""
        return self.env["OPENAI_BASE_URL"]

    @property
    def api_key(self) -> str:
        """A key that is valid."""
        return self.env["OPENAI_API_KEY"]

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context that trusts the server's certificate and no other."""
        return ssl.create_default_context(cafile=self.env["SSL_CERT_FILE"])


@contextmanager
def local_server(
    state_dir: Path,
    model: str,
    load_models: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalServer]:
    """Run a server on free ports, until the block ends.

    Args:
        state_dir: Its folder; `models` in it holds the models.
        model: The model that must be ready.
        load_models: All models to load.
        environment: Variables beside those of this process.

    Raises:
        RuntimeError: It did not become ready, or did not end in order.

    """
    command = [sys.executable, "-m", "openvino_server_cli", "up", "--state-dir", str(state_dir)]
    command += ["--model-name", model]
    command += ["--rest-port", str(free_port()), "--grpc-port", str(free_port())]
    log = state_dir / "up.log"
    state_dir.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={
                **os.environ,
                "OVS_SERVICE_LOAD_MODELS": ",".join(load_models),
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdout
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Logs are in"):
                break
        else:
            raise RuntimeError(f"the server did not start:\n{''.join(said)}{log.read_text()}")
        env = read_client_env(state_dir / "client.env")
        yield LocalServer(process, state_dir, env, "".join(said))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()}")


def read_client_env(file: Path) -> dict[str, str]:
    """Read the variables that a shell gets by sourcing the file."""
    values = {}
    for line in file.read_text().splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "export":
            name, _, value = words[1].partition("=")
            values[name] = value
    return values


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
