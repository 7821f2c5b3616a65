from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from inference_service.config import ENV_PREFIX, ServiceConfig, load_config

REQUIRED = ("tls_cert", "tls_key", "tls_client_ca")


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """What has to be given."""
    some_file = tmp_path / "some.pem"
    some_file.touch()
    given = [f"--{name.replace('_', '-')}={some_file}" for name in REQUIRED]
    return [*given, f"--models-dir={tmp_path}"]


def write_toml(folder: Path, text: str) -> list[str]:
    file = folder / "service.toml"
    file.write_text(text)
    return ["--config", str(file)]


def test_defaults(flags: list[str]) -> None:
    config, origins = load_config(flags)
    assert (config.host, config.port) == ("127.0.0.1", 9443)
    assert config.allowed_client_names == ("gateway",)
    assert config.load_models == ("*",)
    given = {*REQUIRED, "models_dir"}
    assert {origins[name] for name in given} == {"flag"}
    assert {origin for name, origin in origins.items() if name not in given} == {"default"}


def test_flags_over_environment_over_file_over_defaults(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}PORT", "2")
    monkeypatch.setenv(f"{ENV_PREFIX}HOST", "of-environment")
    file = write_toml(tmp_path, 'port = 1\nhost = "of-file"\nlog_level = "debug"\n')
    config, origins = load_config([*flags, *file, "--port", "3"])
    values = (config.port, config.host, config.log_level, config.log_format)
    assert values == (3, "of-environment", "debug", "json")
    assert [origins[name] for name in ("port", "host", "log_level", "log_format")] == [
        *("flag", "environment", "file", "default")
    ]


@pytest.mark.parametrize("text", ["a,b", " a , b ,", "a, ,b"])
def test_lists_are_written_with_commas(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert load_config([*flags, "--load-models", text])[0].load_models == ("a", "b")
    monkeypatch.setenv(f"{ENV_PREFIX}LOAD_MODELS", text)
    assert load_config(flags)[0].load_models == ("a", "b")


def test_lists_are_arrays_in_the_file(flags: list[str], tmp_path: Path) -> None:
    file = write_toml(tmp_path, 'allowed_client_names = ["gateway", "client"]')
    assert load_config([*flags, *file])[0].allowed_client_names == ("gateway", "client")


def test_every_problem_is_told_at_once(flags: list[str], tmp_path: Path) -> None:
    wrong = {
        "port": "70000",
        "log-level": "loud",
        "models-dir": str(tmp_path / "none"),
        "allowed-client-names": "",
        "worker-step-timeout-seconds": "0",
        "max-waiting-requests": "many",
    }
    arguments = [*flags[1:-1], *(f"--{name}={value}" for name, value in wrong.items())]
    with pytest.raises(ValidationError) as caught:
        load_config([*arguments, *write_toml(tmp_path, "prot = 1")])
    named = {str(error["loc"][0]).replace("_", "-") for error in caught.value.errors()}
    assert named == {*wrong, "tls-cert", "prot"}


def test_default_folder_is_checked_too(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError) as caught:
        load_config(flags[:-1])
    assert [error["loc"] for error in caught.value.errors()] == [("models_dir",)]


@pytest.mark.parametrize("arguments", [["--config", "nowhere.toml"], ["--nonsense", "1"]])
def test_arguments_that_mean_nothing_end_with_status_2(
    flags: list[str], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load_config([*flags, *arguments])
    assert caught.value.code == 2
    assert arguments[-2] in capsys.readouterr().err


def test_configuration_is_not_changed_later(flags: list[str]) -> None:
    config, _ = load_config(flags)
    with pytest.raises(ValidationError):
        config.port = 1  # type: ignore[misc]


def test_every_field_is_described() -> None:
    assert [n for n, field in ServiceConfig.model_fields.items() if not field.description] == []


def test_mistyped_variable_is_refused(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A security setting that is misspelt must not be without effect in silence."""
    monkeypatch.setenv("OVS_SERVICE_ALLOWED_CLIENT_NAME", "gateway")
    with pytest.raises(ValidationError, match="allowed_client_name\n"):
        load_config(flags)


def test_tables_are_json_outside_of_toml(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ALIASES", '{"a": "m@1"}')
    config, _ = load_config([*flags, '--models={"m": {"versions": "all"}}'])
    assert (config.aliases, config.models) == ({"a": "m@1"}, {"m": {"versions": "all"}})


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("aliases", "{a: b}", "it is no JSON: Expecting property name enclosed in double quotes"),
        ("aliases", "gpt-4o=m", "it is no JSON: Expecting value"),
        ("aliases", "[]", "Input should be a valid dictionary"),
        ("models", '{"m": 2}', "Input should be a valid dictionary"),
    ],
)
def test_tables_that_are_none_are_named(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, field: str, text: str, message: str
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}{field.upper()}", text)
    with pytest.raises(ValidationError) as raised:
        load_config(flags)
    (problem,) = raised.value.errors()
    assert problem["loc"][0] == field
    assert message in problem["msg"]
