from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

READY = "Ctrl-C lets running requests end"


def is_gone(pid: int) -> bool:
    """Wait, on the process itself, until it has ended; false if it runs on."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def test_starts_tells_what_to_type_and_ends_in_order(launch: Callable) -> None:
    launched = launch()
    launched.wait_for(READY)
    launched.signal(signal.SIGINT)
    code, output = launched.ended()
    assert code == 0, output
    assert launched.journal.lines()[-2:] == ["gateway ended", "service ended"]
    assert "certificates: made ca, service" in output
    assert "API key: made" in output
    assert "model smollm2-135m-instruct: kept" in output
    assert re.search(r"server: ready", output)
    assert output.index("stopping the gateway") < output.index("stopping the service")
    assert "Traceback" not in output
    log = launched.folder / "var/log/service.log"
    assert log.read_text() == "service says hello\n"
    for line in launched.journal.lines():
        if " started " in line:
            name, _, pid, leads_its_group, launchers_group = line.split()
            assert leads_its_group == "True", name
            assert launchers_group == str(launched.process.pid)
            assert is_gone(int(pid))


def test_the_second_start_keeps_everything(launch: Callable) -> None:
    texts = []
    for _ in range(2):
        launched = launch()
        launched.wait_for(READY)
        env = (launched.folder / "var/client.env").read_text()
        texts.append(re.sub(r"localhost:\d+", "localhost", env))
        launched.signal(signal.SIGTERM)
        code, output = launched.ended()
        assert code == 0
    assert texts[0] == texts[1]
    assert "certificates: kept" in output
    assert "API key: kept" in output
    assert (launched.folder / "var/log/service.log.1").exists()


def test_the_command_it_prints_can_be_pasted(launch: Callable) -> None:
    launched = launch()
    launched.wait_for(READY)
    match = re.search(r"^\. .*?\}'$", launched.output, re.MULTILINE | re.DOTALL)
    assert match
    assert "ovs_" not in match[0]
    clean = {"PATH": os.environ["PATH"]}
    shell = ["/bin/sh", "-c", match[0].replace("curl ", "curl -w '%{response_code}' ")]
    # The stand-in knows no POST, and says so over TLS that curl has verified.
    done = subprocess.run(
        shell, cwd=launched.folder, env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("501")


@pytest.mark.parametrize(
    ("tiers", "name"), [(("fails", ""), "service"), (("", "fails"), "gateway")]
)
def test_a_tier_that_ends_before_it_is_ready_ends_all(
    launch: Callable, tiers: tuple[str, str], name: str
) -> None:
    launched = launch(*tiers)
    code, output = launched.ended()
    assert code == 1
    assert (
        f"openvino-server: the {name} ended with exit code 3 before the server was ready; see "
        f"var/log/{name}.log\n  {name} says hello\n  no such luck\n"
    ) in output
    assert "Traceback" not in output
    assert all(is_gone(pid) for pid in launched.pids().values())


def test_a_server_that_never_answers_is_ended(launch: Callable) -> None:
    launched = launch(gateway="silent", ready_seconds=1)
    code, output = launched.ended()
    assert code == 1
    assert "did not answer within 1 s; see var/log/service.log, var/log/gateway.log" in output
    assert all(is_gone(pid) for pid in launched.pids().values())


def test_an_interrupt_before_it_is_ready_ends_in_order(launch: Callable) -> None:
    launched = launch(gateway="silent")
    launched.journal.wait_for("gateway started")
    launched.journal.wait_for("service started")
    launched.signal(signal.SIGINT)
    code, output = launched.ended()
    assert code == 0, output
    assert launched.journal.lines()[-2:] == ["gateway ended", "service ended"]


def test_a_tier_that_dies_later_ends_all(launch: Callable) -> None:
    launched = launch()
    launched.wait_for(READY)
    os.kill(launched.pids()["service"], signal.SIGKILL)
    code, output = launched.ended()
    assert code == 1
    assert "the service was ended by SIGKILL while the server was running" in output
    assert launched.journal.lines()[-1] == "gateway ended"


def test_a_tier_that_does_not_drain_is_killed(launch: Callable) -> None:
    launched = launch(service="deaf", drain_seconds=0.5)
    launched.wait_for(READY)
    launched.signal(signal.SIGTERM)
    code, output = launched.ended()
    assert code == 1
    assert launched.journal.lines()[-2:] == ["gateway ended", "service deaf"]
    assert "the service did not end within" in output
    assert "not stopped in order: the service was ended by SIGKILL" in output
    assert is_gone(launched.pids()["service"])


def test_a_tier_that_fails_at_its_end_is_told_of(launch: Callable) -> None:
    launched = launch(gateway="fails-at-the-end")
    launched.wait_for(READY)
    launched.signal(signal.SIGTERM)
    code, output = launched.ended()
    assert code == 1
    assert "the gateway ended with exit code 7 (see var/log/gateway.log)" in output
    assert launched.journal.lines()[-1] == "service ended"


def test_a_second_interrupt_ends_at_once(launch: Callable) -> None:
    launched = launch(gateway="deaf")
    launched.wait_for(READY)
    launched.signal(signal.SIGINT)
    launched.journal.wait_for("gateway deaf")
    launched.signal(signal.SIGINT)
    code, output = launched.ended(seconds=5)
    assert code == 130
    assert "Traceback" not in output
    assert all(is_gone(pid) for pid in launched.pids().values())


def test_no_tier_outlives_a_killed_launcher(launch: Callable) -> None:
    launched = launch(service="deaf")
    launched.wait_for(READY)
    launched.signal(signal.SIGKILL)
    launched.process.wait()
    assert all(is_gone(pid) for pid in launched.pids().values())


def test_a_launcher_whose_terminal_is_gone_still_drains(launch: Callable) -> None:
    launched = launch()
    launched.wait_for(READY)
    launched.process.stdout.close()
    launched.signal(signal.SIGHUP)
    assert launched.process.wait(20) == 0
    assert launched.journal.lines()[-2:] == ["gateway ended", "service ended"]


@pytest.mark.parametrize("flag", ["--rest-port", "--grpc-port"])
def test_a_port_in_use_is_told_before_anything_starts(launch: Callable, flag: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as used,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port, free = used.getsockname()[1], other.getsockname()[1]
        other.close()
        launched = launch(ports=(port, free) if flag == "--rest-port" else (free, port))
        code, output = launched.ended()
    assert code == 1
    assert output == f"openvino-server: port {port} is in use; choose another by {flag}\n"
    assert not launched.journal.lines()
    assert not (launched.folder / "var/certs").exists()
    assert not (launched.folder / "var/log").exists()


def test_two_launchers_do_not_share_a_folder(launch: Callable) -> None:
    first = launch()
    first.wait_for(READY)
    code, output = launch().ended()
    assert code == 1
    assert output == (
        f"openvino-server: another `openvino-server up` (process {first.process.pid}) runs with "
        "the state folder var; end it first, or choose another folder by --state-dir\n"
    )


def up(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "openvino_server_cli", "up", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_needs_a_source_and_a_source_a_name(tmp_path: Path) -> None:
    done = up(tmp_path, "--model-source", "pypi:a==1")
    assert "--model-source needs --model-name" in done.stderr
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        rest, grpc = one.getsockname()[1], other.getsockname()[1]
    ports = ("--rest-port", str(rest), "--grpc-port", str(grpc))
    done = up(tmp_path, "--model-name", "mine", *ports)
    assert done.returncode == 1
    assert "there is no model 'mine' in var/models; say where" in done.stderr
    assert "can't be a model's name" in up(tmp_path, "--model-name", "../certs", *ports).stderr


def test_a_state_folder_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    done = up(tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "openvino-server: var is a file, not a folder; choose a folder by --state-dir\n"
    )


def test_a_terminal_has_a_live_line() -> None:
    script = (
        "import sys; from openvino_server_cli.steps import Steps; steps = Steps(sys.stdout)\n"
        "with steps.step('model') as step:\n"
        "    step._shown = 0; step.update('downloading 1 of 2 MB'); step.result = 'made'\n"
    )
    main, terminal = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stdout=terminal, check=True)
    os.close(terminal)
    output = os.read(main, 65536).decode()
    os.close(main)
    assert "\r\x1b[Kmodel: downloading 1 of 2 MB (0 s)\r\x1b[Kmodel: made\r\n" in output
