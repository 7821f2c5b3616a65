"""What `up` says when a model, a tier or the environment is not as it should be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from openvino_server_cli import environment
from openvino_server_cli.errors import Failure
from openvino_server_cli.health import Health, health_from
from openvino_server_cli.log_file import last_problems, load_problems
from openvino_server_cli.model_states import ModelStates

MODEL = "smollm2-135m-instruct"
READY = "Ctrl-C lets running requests end"


def failure_line(model: str, cause: str, kind: str | None = None) -> str:
    entry = {"model": model, "cause": cause, "kind": kind, "event": "model.load_failed"}
    return json.dumps(entry) + "\n"


def test_a_model_that_cannot_load_ends_the_wait_at_once(launch: Callable, tmp_path: Path) -> None:
    (tmp_path / "service-log.txt").write_text(
        failure_line(MODEL, "an older cause")
        + failure_line(MODEL, "Exception from src/core.cpp:84:\nno such opset\nx", "invalid_files")
        + failure_line("another", "not asked")
    )
    health = {"status": "unavailable", "reason": "x", "models": {MODEL: "failed"}}
    (tmp_path / "health.json").write_text(json.dumps(health))
    launched = launch()
    code, output = launched.ended()
    assert code == 1
    assert output.endswith(
        f"openvino-server: the model '{MODEL}' can't be loaded: no such opset; see "
        f"var/log/service.log; delete var/models/{MODEL} to have it fetched again\n"
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"event": "model.load_refused", "model": MODEL, "cause": "it needs 9 bytes"},
            f"the model '{MODEL}' can't be loaded: it needs 9 bytes; see var/log/service.log",
        ),
        (
            {"event": "model.missing", "model": "typo"},
            "there is no model 'typo' in var/models, and it is to be loaded "
            "(OVS_SERVICE_LOAD_MODELS)",
        ),
    ],
)
def test_a_wait_for_what_never_comes_ends(
    launch: Callable, tmp_path: Path, entry: dict[str, str], message: str
) -> None:
    other = {"event": "model.load_refused", "model": "other", "cause": "asked for by a client"}
    log = "".join(json.dumps(each) + "\n" for each in (other, entry))
    (tmp_path / "service-log.txt").write_text(log)
    (tmp_path / "health.json").write_text(json.dumps({"reason": "NOT_SERVING"}))
    launched = launch(OVS_SERVICE_LOAD_MODELS=f"{MODEL},typo")
    code, output = launched.ended()
    assert code == 1
    assert output.endswith(f"openvino-server: {message}\n")


def test_only_files_are_to_be_fetched_again(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text(failure_line("m@2", "no key `replicaz`", "invalid_settings"))
    states = ModelStates(frozenset({"m"}), tmp_path, log)
    with pytest.raises(Failure, match=f"no key `replicaz`; see {log}$"):
        states.require_loadable(Health(models={"m@2": "failed"}))


def test_the_wait_tells_its_reason(launch: Callable, tmp_path: Path) -> None:
    body = {"status": "unavailable", "reason": "the model loads", "models": {"other": "failed"}}
    (tmp_path / "health.json").write_text(json.dumps(body))
    launched = launch()
    launched.wait_for("server: waiting until it answers: the model loads (")
    launched.signal(signal.SIGTERM)
    assert launched.ended()[0] == 0


def test_the_wait_leaves_out_what_is_not_waited_for(tmp_path: Path) -> None:
    states = ModelStates(frozenset({"m"}), tmp_path, tmp_path / "service.log")
    health = Health(reason="all of it", models={"m@1": "loading", "other": "failed"})
    assert states.reason(health) == "model m@1: loading"
    assert states.reason(Health(reason="it", models={"m": "loading"})) == "it"
    assert states.reason(Health(reason="it", models={"other": "failed"})) == "it"
    assert states.reason(Health()) is None


def test_changes_after_the_start_are_told(launch: Callable, tmp_path: Path) -> None:
    launched = launch()
    launched.wait_for(READY)
    file = tmp_path / "health.json"
    new = tmp_path / "health.new"
    new.write_text(json.dumps({"reason": "x", "models": {MODEL: "loading", "other": "failed"}}))
    new.replace(file)
    launched.wait_for(f"model {MODEL}: loading\n")
    file.unlink()
    launched.wait_for(f"model {MODEL}: ready\n")
    assert "model other" not in launched.output
    launched.signal(signal.SIGTERM)
    assert launched.ended()[0] == 0


def test_states_are_told_once_and_with_their_cause(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text(failure_line("m", "out of memory"))
    states = ModelStates(frozenset({"*"}), tmp_path, log)
    lost = Health(reason="x", models={"m": "loading"})
    assert states.changes(Health(ready=True)) == []
    assert states.changes(lost) == ["model m: loading"]
    assert states.changes(lost) == []
    assert states.changes(Health(reached=False)) == ["server: the gateway does not answer"]
    failed = Health(models={"m": "failed"})
    assert states.changes(failed) == ["server: answers again", "model m: failed: out of memory"]
    assert states.changes(Health(ready=True)) == ["model m: ready"]
    assert states.changes(Health(reason="the service is away")) == ["server: the service is away"]
    assert states.changes(Health(ready=True)) == ["server: answers again"]


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'{"models": [], "reason": 3}', b'{"status": "unavailable"}']
)
def test_an_answer_may_say_less(body: bytes) -> None:
    assert health_from(503, body) == Health()


def test_only_problems_of_a_log_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "tier.log"
    access = json.dumps({"event": "request", "level": "info", "path": "/v1/models"})
    error = {
        "event": "worker.lost",
        "level": "error",
        "pid": 7,
        "exception": "Traceback\n  KeyError",
    }
    lines = [access, "first", json.dumps(error), "x" * 300, "", "{not json", access]
    log.write_text("\n".join([*lines, "Killed", "\udcff"]), errors="surrogateescape")
    shown = last_problems(log)
    assert shown == [
        "error worker.lost pid=7 exception=  KeyError",
        "x" * 199 + "…",
        "{not json",
        "Killed",
        "\ufffd",
    ]
    log.write_text(access)
    assert last_problems(log) == []
    assert load_problems(log) == {}


def test_a_tier_that_dies_names_its_log(launch: Callable) -> None:
    launched = launch()
    launched.wait_for(READY)
    os.kill(launched.pids()["service"], signal.SIGKILL)
    _, output = launched.ended()
    assert "while the server was running; see var/log/service.log\n  service says hello" in output


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"OVS_SERVICE_ALOWED_CLIENT_NAMES": "a"},
            "OVS_SERVICE_ALOWED_CLIENT_NAMES is no setting (docs/configuration.md lists them all)",
        ),
        (
            {"OVS_GATEWAY_HOST": "0.0.0.0"},
            "OVS_GATEWAY_HOST is set to '0.0.0.0', but `up` sets it to '127.0.0.1': unset it",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(
    launch: Callable, variables: dict[str, str], message: str
) -> None:
    launched = launch(**variables)
    assert launched.ended() == (1, f"openvino-server: {message}\n")
    assert not (launched.folder / "var/certs").exists()


def test_a_port_has_its_flag(launch: Callable) -> None:
    code, output = launch(OVS_GATEWAY_PORT="9").ended()
    assert code == 1
    assert output.startswith("openvino-server: OVS_GATEWAY_PORT is set to '9', but `up` sets it to")
    assert output.endswith(": unset it, and use --rest-port\n")


def test_settings_that_agree_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_GATEWAY_PORT", "1")
    monkeypatch.setenv("OVS_SERVICE_MODELS_DIR", "var/models")
    monkeypatch.setenv("ovs_service_log_level", "debug")
    own = {"OVS_GATEWAY_PORT": "1", "OVS_SERVICE_MODELS_DIR": str(Path("var/models").absolute())}
    environment.require_effective(own)


def test_a_kept_model_must_be_whole(launch: Callable, tmp_path: Path) -> None:
    (tmp_path / "var/models" / MODEL / "openvino_model.bin").unlink()
    code, output = launch().ended()
    assert code == 1
    assert output.endswith(
        f"openvino-server: the model in var/models/{MODEL} can't be used: no openvino_model.bin; "
        "delete the folder and start again to have it fetched, or put there what it needs\n"
    )


def test_a_port_in_use_leaves_no_folder(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as used:
        port = str(used.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "openvino_server_cli", "up", "--rest-port", port],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "is in use; choose another by --rest-port" in done.stderr
    assert list(tmp_path.iterdir()) == []
