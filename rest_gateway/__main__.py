"""Runs the gateway: `python -m rest_gateway`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
import tomllib
from collections.abc import Iterator
from types import FrameType

# Before gRPC is imported: its own lines are no JSON, and the gateway's log has every failure.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsError

from rest_gateway.app import create_app
from rest_gateway.auth.keys import KeysFileError, KeyStore
from rest_gateway.config import ENV_PREFIX, GatewayConfig, load_config
from rest_gateway.middleware.header_size import HeaderSizeProtocol
from rest_gateway.telemetry.logging import configure_logging
from rest_gateway.tls import TlsProblem, channel_credentials, server_context
from rest_gateway.upstream import Upstream

EXIT_RUN = 1
EXIT_CONFIGURATION = 2

# Longer than clients' pools keep idle connections, so that no request meets a connection that is
# just being closed.
_KEEP_ALIVE_SECONDS = 75
_LAST_WORDS_SECONDS = 1

log = structlog.get_logger("rest_gateway")


class Server(uvicorn.Server):
    """uvicorn, with a drain that can be seen and an exit status that tells it from a crash."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say where."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            log.info("ready", host=host, port=port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running requests end in their time.

        Not uvicorn's own, which waits until clients close their connections: TLS asks the peer,
        and clients that keep idle connections in a pool don't look, so that each drain would take
        all its time.
        """
        for listening in self.servers:
            listening.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        end = time.monotonic() + self._drain_seconds
        while (  # noqa: ASYNC110 - uvicorn has no event for the end of a request
            self._unfinished() and time.monotonic() < end and not self.force_exit
        ):
            await asyncio.sleep(0.05)
        if running := list(state.tasks):
            log.warning("drain_timeout", requests_cancelled=len(running))
            for task in running:
                task.cancel()
            # They tell their clients first.
            await asyncio.wait(running, timeout=_LAST_WORDS_SECONDS)

    def _unfinished(self) -> bool:
        """Say whether requests run, or answers wait for their readers."""
        return bool(self.server_state.tasks) or any(
            connection.transport.get_write_buffer_size()
            for connection in self.server_state.connections
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; the second SIGINT ends at once."""
        if not self.should_exit:
            log.info("draining", signal=signal.Signals(sig).name)
        self._app.state.draining.set()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as the wish to end well.

        uvicorn raises the signal again after the drain, and the process would end as if killed.
        """
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for sig in signals:
            loop.add_signal_handler(sig, self.handle_exit, sig, None)
        try:
            yield
        finally:
            for sig in signals:
                loop.remove_signal_handler(sig)


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal ends it.

    Returns:
        The exit status: 0 after a drain, 1 if it couldn't run, 2 if the configuration is wrong.

    """
    try:
        config, _ = load_config(sys.argv[1:] if arguments is None else arguments)
        _check_tls(config)
        keys = KeyStore.open(config.keys_file)
    except ValidationError as error:
        return _refuse([_problem(found["loc"], found["msg"]) for found in error.errors()])
    except TlsProblem as error:
        return _refuse(error.problems)
    except (SettingsError, tomllib.TOMLDecodeError, KeysFileError) as error:
        return _refuse([str(error)])
    configure_logging(config.log_level, config.log_format)
    try:
        listener = _listen(config.host, config.port)
    except OSError as error:
        print(
            f"rest_gateway: can't listen on {config.host}:{config.port}: {error.strerror}",
            file=sys.stderr,
        )
        return EXIT_RUN
    if not keys.list():
        log.warning("no_api_keys", keys_file=str(config.keys_file), effect="all are refused")
    # uvicorn chooses the event loop: uvloop where there is one.
    loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(config, keys, listener))
    return 0


async def serve(config: GatewayConfig, keys: KeyStore, listener: socket.socket) -> None:
    """Answer requests until a signal comes and the running ones have ended."""
    upstream = Upstream.connect(config)
    try:
        app = create_app(config, upstream, keys)
        context = server_context(config)
        server = Server(
            uvicorn.Config(
                app,
                http=HeaderSizeProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                ssl_context_factory=lambda _config, _default: context,
            ),
            app,
            config.drain_timeout_seconds,
        )
        try:
            await server.serve(sockets=[listener])
        finally:
            await app.state.background.close()
    finally:
        await upstream.close()
    log.info("stopped")


def _check_tls(config: GatewayConfig) -> None:
    """Find everything that is wrong with certificates and keys.

    Raises:
        TlsProblem: Something is.

    """
    problems: list[str] = []
    for load in (server_context, channel_credentials):
        try:
            load(config)
        except TlsProblem as error:
            problems += error.problems
    if problems:
        raise TlsProblem(problems)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart must not wait for the connections of the last run to time out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, location))
    return f"{name}: {message} (--{name.replace('_', '-')} or {ENV_PREFIX}{name.upper()})"


def _refuse(problems: list[str]) -> int:
    lines = "".join(f"\n  {problem}" for problem in problems)
    print(f"rest_gateway: the configuration is wrong:{lines}", file=sys.stderr)
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    raise SystemExit(main())
