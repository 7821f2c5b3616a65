"""Follows the states of the models that a server is to have, from its health."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openvino_server_cli.errors import Failure
from openvino_server_cli.health import Health
from openvino_server_cli.log_file import load_failure

_FAILED = "failed"


class ModelStates:
    """What is known of the models, and what has changed.

    Args:
        wanted: The models to load; `*` among them for all.
        models_dir: The folder of models.
        service_log: Where the service tells why a model can't be loaded.

    """

    def __init__(self, wanted: frozenset[str], models_dir: Path, service_log: Path) -> None:
        self._wanted = wanted
        self._models_dir = models_dir
        self._log = service_log
        self._states: Mapping[str, str] = {}
        self._problem: str | None = None

    def require_loadable(self, health: Health) -> None:
        """Check that waiting makes sense.

        Raises:
            Failure: A model that the server is to have can't be loaded.

        """
        for name, state in self._of_wanted(health).items():
            if state == _FAILED:
                raise Failure(
                    f"the model {name!r} can't be loaded{self._cause(name)}; see {self._log}; "
                    f"delete {self._models_dir / name} to have it fetched again"
                )

    def changes(self, health: Health) -> list[str]:
        """Say in a line each what is not as it was at the last call; at first, all is ready."""
        if not health.reached:
            return self._problem_became("the gateway does not answer")
        states = self._of_wanted(health)
        lines = []
        for name in sorted(states.keys() | self._states.keys()):
            state = states.get(name, "ready")
            if state != self._states.get(name, "ready"):
                cause = self._cause(name) if state == _FAILED else ""
                lines.append(f"model {name}: {state}{cause}")
        # Without the models' states, a gateway's word that all is not well must do.
        if not health.ready and not states:
            return self._problem_became(health.reason or "not ready")
        self._states = states
        return [*self._problem_became(None), *lines]

    def _problem_became(self, problem: str | None) -> list[str]:
        changed = problem != self._problem
        self._problem = problem
        return [f"server: {problem or 'answers again'}"] if changed else []

    def _of_wanted(self, health: Health) -> dict[str, str]:
        return {
            name: state
            for name, state in health.models.items()
            if "*" in self._wanted or name in self._wanted
        }

    def _cause(self, name: str) -> str:
        cause = load_failure(self._log, name)
        return f": {cause}" if cause else ""
