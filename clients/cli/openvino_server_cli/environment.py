"""Checks the variables that the tiers would read from the user's environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from openvino_server_cli.errors import Failure

FLAGS = {
    "OVS_SERVICE_PORT": "--grpc-port",
    "OVS_SERVICE_MODELS_DIR": "--state-dir",
    "OVS_GATEWAY_PORT": "--rest-port",
    "OVS_GATEWAY_SERVICE_ADDRESS": "--grpc-port",
    "OVS_GATEWAY_KEYS_FILE": "--state-dir",
}
"""The flag of `up` by which a variable that it sets can be changed."""


def require_effective(set_by_up: Mapping[str, str]) -> None:
    """Check that each setting in the user's environment would have its effect.

    Args:
        set_by_up: The variables that `up` gives to the tiers, over the user's.

    Raises:
        Failure: One is not known, or `up` sets it otherwise.

    """
    if problems := [*unknown(), *overridden(set_by_up)]:
        raise Failure("; ".join(problems))


def unknown() -> Iterator[str]:
    """Name the variables that have a tier's prefix and are no setting of it."""
    from inference_service.config import ServiceConfig
    from rest_gateway.config import GatewayConfig

    for config in (ServiceConfig, GatewayConfig):
        prefix = config.model_config["env_prefix"]
        known = {f"{prefix}{name}".upper() for name in config.model_fields}
        for variable in sorted(os.environ):
            # The tiers read names in any case.
            if variable.upper().startswith(prefix) and variable.upper() not in known:
                yield f"{variable} is no setting (docs/configuration.md lists them all)"


def overridden(set_by_up: Mapping[str, str]) -> Iterator[str]:
    """Name the variables that `up` would set otherwise than the user has."""
    for variable, given in sorted(os.environ.items()):
        value = set_by_up.get(variable.upper())
        if value is None or not given or given == value or str(Path(given).absolute()) == value:
            continue
        instead = FLAGS.get(variable.upper())
        advice = f"unset it, and use {instead}" if instead else "unset it"
        yield f"{variable} is set to {given!r}, but `up` sets it to {value!r}: {advice}"
