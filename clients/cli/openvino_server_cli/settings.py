"""Reads a tier's configuration as the tier would, and what is wrong with it too."""

from __future__ import annotations

import argparse
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openvino_server_cli.errors import Failure

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_settings import BaseSettings


@dataclass(frozen=True)
class Settings:
    """A tier's settings, for people.

    Attributes:
        values: Each field's value; what is missing or wrong says so.
        origins: Where each comes from.
        problems: What is wrong, a line each, without values, which may be secrets.

    """

    values: Mapping[str, str]
    origins: Mapping[str, str]
    problems: Sequence[str] = ()


def read(tier: str, flags: Sequence[str], set_by_up: Mapping[str, str]) -> Settings:
    """Read a tier's settings.

    Args:
        tier: `service` or `gateway`.
        flags: The tier's command line.
        set_by_up: Variables that are set over those of this process.

    Raises:
        Failure: The configuration file is not TOML.

    """
    from pydantic import ValidationError

    users = dict(os.environ)
    with _environment(set_by_up):
        try:
            config, origins = _load(tier, flags)
            values = {name: printable(getattr(config, name)) for name in origins}
            problems: list[str] = []
        except tomllib.TOMLDecodeError as error:
            raise Failure(f"the configuration file is not TOML: {error}") from error
        except ValidationError as error:
            values, origins = _given(tier, flags)
            problems = _mark_problems(tier, error, values, origins)
    for name in origins:
        variable = f"OVS_{tier}_{name}".upper()
        if variable in set_by_up and set_by_up[variable] != users.get(variable):
            origins[name] = "up"
    return Settings(values, origins, problems)


def printable(value: object) -> str:
    """Write a value for people; a secret stays one."""
    from pydantic import SecretBytes, SecretStr

    if value is None:
        return "unset"
    if isinstance(value, (SecretStr, SecretBytes)):
        return "set, not shown"
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(map(printable, value)) or "none"
    return str(value)


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _load(tier: str, flags: Sequence[str]) -> tuple[BaseSettings, dict[str, str]]:
    if tier == "service":
        from inference_service.config import load_config as load_service

        return load_service(flags)
    from rest_gateway.config import load_config as load_gateway

    return load_gateway(flags)


def _given(tier: str, flags: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give each setting as it is written, unchecked, and where: for when some are wrong."""
    from pydantic_settings import CliSettingsSource, EnvSettingsSource

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path)
    known, others = parser.parse_known_args(flags)
    config = _config(tier)
    layers: dict[str, Mapping[str, object]] = {
        "file": tomllib.loads(known.config.read_text(encoding="utf-8")) if known.config else {},
        "environment": EnvSettingsSource(config)(),
        "flag": CliSettingsSource(config, cli_parse_args=others)(),
    }
    values, origins = {}, {}
    for name, field in config.model_fields.items():
        value = None if field.is_required() else field.get_default(call_default_factory=True)
        values[name], origins[name] = printable(value), "default"
        for origin, layer in layers.items():
            if name in layer:
                values[name], origins[name] = printable(layer[name]), origin
    return values, origins


def _config(tier: str) -> type[BaseSettings]:
    from inference_service.config import ServiceConfig
    from rest_gateway.config import GatewayConfig

    return ServiceConfig if tier == "service" else GatewayConfig


def _mark_problems(
    tier: str, error: ValidationError, values: dict[str, str], origins: dict[str, str]
) -> list[str]:
    """Mark the settings that are wrong, and list what is, without values that may be secrets."""
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(map(str, problem["loc"]))
        where = f"{field} (OVS_{tier.upper()}_{field.upper()}): " if field else ""
        problems.append(f"{where}{problem['msg']}")
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if name in values:
            values[name] = "missing" if problem["type"] == "missing" else "not valid"
            if problem["type"] == "missing":
                origins[name] = "nowhere"
    return problems
