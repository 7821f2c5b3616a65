"""The service's process: `python -m inference_service [--config FILE] [flags]`."""

from __future__ import annotations

import os

# Read by libraries when they are imported. The service starts processes, but never forks without
# exec, which is all that gRPC's fork support is for; it warns at each start otherwise.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
# transformers is here for its chat template renderer alone, and says that there is no PyTorch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

import asyncio
import signal
import sys
import tomllib
from collections.abc import Iterable

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from inference_service.config import ENV_PREFIX, ServiceConfig, load_config
from inference_service.server import PortInUse, Server
from inference_service.telemetry.logging import configure_logging
from inference_service.tls import TlsProblem, server_credentials


def main() -> int:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends at once.

    Returns:
        The exit status: 0 after a drain, 1 if the port can't be had, 2 for a wrong configuration.

    """
    try:
        config, _ = load_config(sys.argv[1:])
        server_credentials(config)
    except ValidationError as error:
        return _refuse(_problem(found["loc"], found["msg"]) for found in error.errors())
    except TlsProblem as error:
        return _refuse(error.problems)
    except (SettingsError, tomllib.TOMLDecodeError) as error:
        return _refuse([str(error)])
    configure_logging(config.log_level, config.log_format)
    return uvloop.run(_serve(config))


async def _serve(config: ServiceConfig) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):  # a second one has its default effect
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    server = Server(config)
    try:
        await server.start()
        await stop.wait()
    except PortInUse as error:
        structlog.get_logger(__name__).error("server.failed", cause=str(error))
        return 1
    finally:
        await server.stop()
    return 0


def _refuse(problems: Iterable[str]) -> int:
    lines = "".join(f"  {problem}\n" for problem in problems)
    sys.stderr.write(f"The configuration can't be used:\n{lines}")
    return 2


def _problem(place: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in place)
    return f"{name} ({ENV_PREFIX}{name.upper()}): {message}"


if __name__ == "__main__":
    sys.exit(main())
