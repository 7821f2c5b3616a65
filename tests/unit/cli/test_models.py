from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from openvino_server_cli.__main__ import app, main
from typer.testing import CliRunner, Result

from tests.hub import Hub, serving

GGUF = b"GGUF" + bytes(5000)
IR = {
    "openvino_model.xml": b"<net/>",
    "openvino_model.bin": bytes(5000),
    "openvino_tokenizer.xml": b"<net/>",
    "config.json": b'{"max_position_embeddings": 8}',
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_TOKEN", "hf_users")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running
        huggingface_hub.close_session()


def pull(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["models", "pull", *map(str, arguments)])


def fails(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    monkeypatch.setattr("sys.argv", ["openvino-server", "models", "pull", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return str(ended.value.code)


def test_a_model_of_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("acme/tiny", IR | {"config.json": b"{}"})
    hub.add("acme/tiny", IR, revision="v2").token = "hf_users"
    digest = hashlib.sha256(IR["openvino_model.bin"]).hexdigest().upper()
    arguments = ("hf:acme/tiny", "--revision", "v2", "--models-dir", tmp_path)
    result = pull(*arguments, "--sha256", f"openvino_model.bin={digest}")
    assert result.output == f"model tiny: in {tmp_path / 'tiny'}\n"
    assert (tmp_path / "tiny/config.json").read_bytes() == IR["config.json"]
    versioned = pull(*arguments, "--name", "tiny@2", "--allow", "openvino_*", "--allow", "con*")
    assert versioned.exit_code == 0, versioned.output
    assert "tiny@2" in {path.name for path in tmp_path.iterdir()}
    listed = CliRunner().invoke(app, ["models", "list", "--models-dir", str(tmp_path)])
    assert [line.split()[0] for line in listed.output.splitlines()] == ["tiny", "tiny@2"]
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    message = fails(monkeypatch, *arguments, "--name", "other")
    assert "private or gated" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hf:acme/many",), "choose one by a pattern of files to allow: a.gguf, b.gguf"),
        (("hf:acme/many", "--allow", "c*"), "no file that matches c*"),
        (("hf:acme",), "write hf:OWNER/NAME"),
        (("file:x", "--revision", "v1"), "revision: only hf: sources have revisions"),
        (("hf:acme/many", "--sha256", "a=1"), "--sha256 needs PATH=HEX"),
        (("hf:acme/many", "--group-size", "64"), "give both"),
        (("hf:a/b", "--compress", "int4_sym", "--group-size", "7"), "7 is none of 32, 64, 128"),
        (("hf:a/b", "--compress", "int8", "--group-size", "64"), "of 4-bit formats only"),
    ],
)
def test_what_can_not_be_pulled(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    hub.add("acme/many", {"a.gguf": GGUF, "b.gguf": GGUF})
    assert message in fails(monkeypatch, *arguments, "--models-dir", tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name[0] != "."]


def test_no_token_is_looked_for_where_none_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        pytest.fail("must not be asked")

    monkeypatch.setattr(huggingface_hub, "get_token", refuse)
    assert "no file or folder" in fails(
        monkeypatch, "file:/nowhere", "--name", "m", "--models-dir", tmp_path
    )
