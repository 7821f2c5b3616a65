from pathlib import Path

import pytest
from pydantic import ValidationError

from rest_gateway.config import ENV_PREFIX, GatewayConfig, load_config

FILES = ("tls_cert", "tls_key", "service_ca", "service_client_cert", "service_client_key")


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    some_file = tmp_path / "some.pem"
    some_file.touch()
    return [f"--{name.replace('_', '-')}={some_file}" for name in FILES]


def test_defaults(flags: list[str]) -> None:
    config, origins = load_config(flags)
    assert (config.host, config.port) == ("127.0.0.1", 8443)
    assert config.service_address == "127.0.0.1:9443"
    assert config.max_body_bytes == 8 * 1024 * 1024
    assert config.sse_keepalive_seconds == 15
    assert {origins[name] for name in FILES} == {"flag"}
    assert {origin for name, origin in origins.items() if name not in FILES} == {"default"}


def test_flags_over_environment_over_file(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('port = 1\nhost = "file"\nlog_level = "debug"\n')
    monkeypatch.setenv(f"{ENV_PREFIX}PORT", "2")
    monkeypatch.setenv(f"{ENV_PREFIX}HOST", "environment")
    config, origins = load_config([*flags, "--config", str(file), "--port", "3"])
    assert (config.port, config.host, config.log_level) == (3, "environment", "debug")
    assert (origins["port"], origins["host"], origins["log_level"]) == (
        "flag",
        "environment",
        "file",
    )


def test_every_problem_is_told_at_once(flags: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        load_config([*flags[1:], "--port", "70000", "--log-level", "loud"])
    assert {error["loc"][0] for error in caught.value.errors()} == {
        "tls_cert",
        "port",
        "log_level",
    }


def test_unknown_settings_in_the_file_are_refused(flags: list[str], tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(ValidationError):
        load_config([*flags, "--config", str(file)])


def test_missing_file(flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        load_config([*flags, "--config", "nowhere.toml"])


def test_every_field_is_described() -> None:
    assert [n for n, field in GatewayConfig.model_fields.items() if not field.description] == []


def test_mistyped_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_GATEWAY_MAX_BODY", "1")
    with pytest.raises(ValidationError, match="max_body\n"):
        load_config([])
