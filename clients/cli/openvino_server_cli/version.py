"""`openvino-server version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

_PACKAGES = ("openvino-server", "openvino", "openvino-genai", "grpcio")


def show() -> None:
    """Print the versions of this server and of what it runs on."""
    for package in _PACKAGES:
        typer.echo(f"{package} {_version(package)}")
    typer.echo(f"python {platform.python_version()}")


def own() -> str:
    """Give the name and version of this server."""
    return f"{_PACKAGES[0]} {_version(_PACKAGES[0])}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
