"""The gateway's configuration: the only place that reads flags, environment and files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FilePath
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ENV_PREFIX = "OVS_GATEWAY_"


class GatewayConfig(BaseSettings):
    """What the gateway runs with.

    Read from defaults < TOML file < environment (`OVS_GATEWAY_…`) < flags, and checked whole.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", cli_kebab_case=True
    )

    host: str = Field("127.0.0.1", description="Address that HTTPS listens on.")
    port: int = Field(8443, ge=0, le=65535, description="Port of HTTPS; 0 takes a free one.")
    tls_cert: FilePath = Field(description="The gateway's certificate chain, PEM.")
    tls_key: FilePath = Field(description="The key of that certificate, PEM.")
    service_address: str = Field(
        "127.0.0.1:9443",
        min_length=1,
        description="The service's gRPC address, as a gRPC target: `HOST:PORT`, or "
        "`dns:///NAME:PORT` to spread requests over all addresses of a name.",
    )
    service_name: str = Field(
        "localhost",
        min_length=1,
        description="The name that the service's certificate must have.",
    )
    service_ca: FilePath = Field(description="CA certificates that sign the service, PEM.")
    service_client_cert: FilePath = Field(
        description="The certificate that the gateway shows to the service, PEM."
    )
    service_client_key: FilePath = Field(description="The key of that certificate, PEM.")
    keys_file: Path = Field(
        Path("var/keys.json"),
        description="File of API keys. While it does not exist every key is refused.",
    )
    max_body_bytes: int = Field(
        8 << 20, ge=1024, description="Size up to which a request's body is accepted."
    )
    health_timeout_seconds: float = Field(
        2, gt=0, description="Time that the service has to answer a health check or to list models."
    )
    request_timeout_seconds: float = Field(
        600, gt=0, description="Time that a completion may take; it is cancelled after that."
    )
    admin_timeout_seconds: float | None = Field(
        None,
        gt=0,
        description="Time that the load, unload, pull or deletion of a model may take; it is "
        "cancelled after that. Unset: no limit.",
    )
    sse_keepalive_seconds: float = Field(
        15,
        gt=0,
        description="Silence on a stream after which a comment is sent, so that proxies don't cut "
        "the connection.",
    )
    response_store_max_entries: int = Field(
        1000,
        ge=0,
        description="Responses of `/v1/responses` that are kept at most, in this process's memory; "
        "the least recently used go first. 0 keeps none.",
    )
    response_store_max_bytes: int = Field(
        256 << 20,
        ge=0,
        description="Memory that kept responses, and the conversations before them, may take.",
    )
    response_store_ttl_seconds: float = Field(
        86400, gt=0, description="Time that a response is kept after its end."
    )
    response_background_max_running: int = Field(
        64, ge=0, description="Responses with `background: true` that may run at once."
    )
    drain_timeout_seconds: float = Field(
        30, ge=0, description="Time that running requests have to end at shutdown."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log lines that are written."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="How log lines are written: for machines or for people."
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


def load_config(arguments: Sequence[str]) -> tuple[GatewayConfig, dict[str, str]]:
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

    class Configured(GatewayConfig):
        model_config = SettingsConfigDict(toml_file=known.config)

    Configured.__name__ = GatewayConfig.__name__
    Configured.__doc__ = GatewayConfig.__doc__
    if known.config and not known.config.is_file():
        raise SystemExit(f"--config: no file {known.config}")
    config = Configured(_cli_parse_args=list(flags), **_mistyped(os.environ))  # type: ignore[call-arg]
    layers = {
        "file": TomlConfigSettingsSource(Configured)(),
        "environment": EnvSettingsSource(Configured)(),
        "flag": CliSettingsSource[GatewayConfig](Configured, cli_parse_args=list(flags))(),
    }
    origins = dict.fromkeys(GatewayConfig.model_fields, "default")
    for origin, values in layers.items():
        origins.update(dict.fromkeys(values.keys() & origins.keys(), origin))
    return config, origins


def _mistyped(environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the variables with the prefix that are no setting, for the model to refuse as extra."""
    prefix = ENV_PREFIX.lower()
    names = {name.lower(): value for name, value in environment.items()}
    given = {n.removeprefix(prefix): v for n, v in names.items() if n.startswith(prefix)}
    return {n: v for n, v in given.items() if n not in GatewayConfig.model_fields}
