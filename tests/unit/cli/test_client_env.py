from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from openvino_server_cli import api_key, client_env
from openvino_server_cli.state import State

from rest_gateway.auth.keys import KeyStore


@pytest.mark.parametrize("name", ["var", 'it\'s a "folder" with $HOME `id`'])
def test_a_real_shell_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    state = State(Path(name))
    state.root.mkdir()
    client_env.write(state, "ovs_key", 8443, 9443)
    assert stat.S_IMODE(state.client_env.stat().st_mode) == 0o600
    script = '. "./$1/client.env" && env'
    shell = subprocess.run(
        ["/bin/sh", "-c", script, "sh", name], capture_output=True, text=True, check=True
    )
    variables = dict(line.partition("=")[::2] for line in shell.stdout.splitlines())
    certs = tmp_path / name / "certs"
    expected = {
        "OPENAI_BASE_URL": "https://localhost:8443/v1",
        "OPENAI_API_KEY": "ovs_key",
        "ANTHROPIC_BASE_URL": "https://localhost:8443",
        "ANTHROPIC_API_KEY": "ovs_key",
        "SSL_CERT_FILE": str(certs / "ca.pem"),
        "NODE_EXTRA_CA_CERTS": str(certs / "ca.pem"),
        "OVS_GRPC_ADDRESS": "localhost:9443",
        "OVS_GRPC_CA": str(certs / "ca.pem"),
        "OVS_GRPC_CERT": str(certs / "client.pem"),
        "OVS_GRPC_KEY": str(certs / "client-key.pem"),
    }
    assert variables.items() >= expected.items()
    assert client_env.read_api_key(state.client_env) == "ovs_key"


def test_there_may_be_no_key(tmp_path: Path) -> None:
    assert client_env.read_api_key(tmp_path / "absent") is None
    (tmp_path / "other").write_text("# a comment's quote\nexport OTHER=1\n")
    assert client_env.read_api_key(tmp_path / "other") is None


def test_the_key_is_kept_while_it_is_valid(tmp_path: Path) -> None:
    state = State(tmp_path)
    key, is_new = api_key.kept_or_new(state)
    assert is_new
    client_env.write(state, key, 1, 2)
    assert api_key.kept_or_new(state) == (key, False)
    (record,) = KeyStore.open(state.keys_file).list()
    KeyStore.open(state.keys_file).revoke(record.id)
    other, is_new = api_key.kept_or_new(state)
    assert is_new
    assert other != key
    assert key not in state.keys_file.read_text()
