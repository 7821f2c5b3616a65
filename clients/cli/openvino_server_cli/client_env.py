"""`client.env`: what a client's shell needs to reach the server, to be read by `. client.env`."""

from __future__ import annotations

import shlex
from pathlib import Path

from openvino_server_cli.files import write_atomically
from openvino_server_cli.state import State

_KEY = "OPENAI_API_KEY"


def write(state: State, api_key: str, rest_port: int, grpc_port: int) -> None:
    """Write the file. Only its owner can read it: it is the one place with the key's text."""
    certs = state.certs.absolute()
    variables = {
        "OPENAI_BASE_URL": f"https://localhost:{rest_port}/v1",
        _KEY: api_key,
        # Anthropic's clients add the version to the path themselves.
        "ANTHROPIC_BASE_URL": f"https://localhost:{rest_port}",
        "ANTHROPIC_API_KEY": api_key,
        "SSL_CERT_FILE": certs / "ca.pem",
        "NODE_EXTRA_CA_CERTS": certs / "ca.pem",
        "OVS_GRPC_ADDRESS": f"localhost:{grpc_port}",
        "OVS_GRPC_CA": certs / "ca.pem",
        "OVS_GRPC_CERT": certs / "client.pem",
        "OVS_GRPC_KEY": certs / "client-key.pem",
    }
    lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in variables.items()]
    write_atomically(state.client_env, "".join(lines).encode(), 0o600)


def read_api_key(path: Path) -> str | None:
    """Read the key from the file; None when there is no file or no key in it."""
    if not path.exists():
        return None
    for word in shlex.split(path.read_text(), comments=True):
        name, _, value = word.partition("=")
        if name == _KEY and value:
            return value
    return None
