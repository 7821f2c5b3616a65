"""Stand-ins for the tiers, and a launcher in a process of its own to run them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Each stand-in writes what happens to it into one journal. The gateway answers the health check
# over TLS with the certificate that it is given, so readiness is really polled.
TIER = """
import http.server, os, signal, ssl, sys
name, behaviour = sys.argv[1:]
def note(text):
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(f"{name} {text}\\n")
def end(number, frame):
    note("ended")
    sys.exit(7 if behaviour == "fails-at-the-end" else 0)
if behaviour != "deaf":
    signal.signal(signal.SIGTERM, end)
else:
    signal.signal(signal.SIGTERM, lambda *_: note("deaf"))
note(f"started {os.getpid()} {os.getpgid(0) == os.getpid()} {os.getpgid(os.getppid())}")
print(f"{name} says hello", flush=True)
if name == "service" and os.path.exists("service-log.txt"):
    print(open("service-log.txt").read(), flush=True)
if behaviour == "fails":
    print("no such luck", flush=True)
    sys.exit(3)
if name == "service" or behaviour == "silent":
    while True:
        signal.pause()
class Health(http.server.BaseHTTPRequestHandler):
    asked = 0
    def log_message(self, *arguments):
        pass
    def do_GET(self):
        Health.asked += 1
        body = b""
        if os.path.exists("health.json"):
            status, body = 503, open("health.json", "rb").read()
        else:
            status = 200 if self.path == "/v1/health" and Health.asked > 1 else 503
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
port = int(os.environ["OVS_GATEWAY_PORT"])
server = http.server.HTTPServer((os.environ["OVS_GATEWAY_HOST"], port), Health)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(os.environ["OVS_GATEWAY_TLS_CERT"], os.environ["OVS_GATEWAY_TLS_KEY"])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""

LAUNCHER = """
import sys
from dataclasses import replace
from pathlib import Path
from openvino_server_cli import __main__, tiers, up
rest, grpc, service, gateway, ready, drain = sys.argv[1:]
real = tiers.programs
def programs(*arguments):
    return tuple(
        replace(program, command=(sys.executable, "-I", "tier.py", program.name, behaviour))
        for program, behaviour in zip(real(*arguments), (service, gateway), strict=True)
    )
tiers.programs = programs
sys.argv = ["openvino-server", "up", "--rest-port", rest, "--grpc-port", grpc,
    "--ready-timeout-seconds", ready, "--drain-timeout-seconds", drain]
__main__.main()
"""


class Journal:
    """What the tiers note, through a FIFO, so that a test can wait for it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)
        self._text = ""

    def lines(self, seconds: float = 0) -> list[str]:
        """Give all notes so far; wait at most so long for a new one."""
        while select.select([self._descriptor], [], [], seconds)[0]:
            self._text += os.read(self._descriptor, 65536).decode()
            seconds = 0
        return self._text.splitlines()

    def wait_for(self, note: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while note not in self._text:
            left = deadline - time.monotonic()
            assert left > 0, f"{note!r} did not come; there is:\n{self._text}"
            self.lines(left)

    def close(self) -> None:
        os.close(self._descriptor)


class Launched:
    """A running launcher."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], journal: Journal) -> None:
        self.folder = folder
        self.process = process
        self.journal = journal
        self.output = ""

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Read its output up to a text."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while text not in self.output:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            assert ready, f"{text!r} did not come; there is:\n{self.output}"
            chunk = os.read(self.process.stdout.fileno(), 65536).decode()
            assert chunk, f"{text!r} did not come; there is:\n{self.output}"
            self.output += chunk

    def ended(self, seconds: float = 20) -> tuple[int, str]:
        """Wait for its end; give the exit code and all of its output."""
        rest, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, self.output + rest

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def pids(self) -> dict[str, int]:
        started = [line.split() for line in self.journal.lines() if " started " in line]
        return {words[0]: int(words[2]) for words in started}


Launch = Callable[..., Launched]


def make_model(folder: Path) -> None:
    """Make a folder that has what a model needs, though nothing could be generated with it."""
    folder.mkdir(parents=True)
    for name in ("openvino_model", "openvino_tokenizer", "openvino_detokenizer"):
        (folder / f"{name}.xml").write_text("<net></net>")
        (folder / f"{name}.bin").touch()
    (folder / "config.json").write_text('{"max_position_embeddings": 8}')


def free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Give a function that runs `openvino-server up` with stand-ins for the tiers."""
    running: list[subprocess.Popen[str]] = []
    journal = Journal(tmp_path / "journal")
    (tmp_path / "tier.py").write_text(TIER)
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    make_model(tmp_path / "var/models/smollm2-135m-instruct")

    def run(
        service: str = "",
        gateway: str = "",
        *,
        ready_seconds: float = 20,
        drain_seconds: float = 20,
        ports: tuple[int, int] | None = None,
        **variables: str,
    ) -> Launched:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OVS_")}
        environment |= variables
        process = subprocess.Popen(
            [
                *(sys.executable, "launcher.py", *map(str, ports or free_ports())),
                *(service, gateway, str(ready_seconds), str(drain_seconds)),
            ],
            cwd=tmp_path,
            env=environment | {"JOURNAL": str(tmp_path / "journal"), "PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C goes to the launcher's process group, as from a terminal.
            start_new_session=True,
        )
        running.append(process)
        return Launched(tmp_path, process, journal)

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    journal.close()
