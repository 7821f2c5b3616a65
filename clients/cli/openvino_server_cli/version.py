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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
