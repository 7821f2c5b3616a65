"""Follows the states of the models that a server is to have, from its health."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openvino_server_cli.errors import Failure
from openvino_server_cli.health import Health
from openvino_server_cli.log_file import LoadProblem, load_problems

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
        states = self._of_wanted(health)
        for name, state in states.items():
            if state == _FAILED:
                raise self._failure(name, load_problems(self._log).get(name, LoadProblem()))
        if health.reached and not states:
            # None of them loads, so what is still missing stays so: nobody tries again by himself.
            for name, problem in load_problems(self._log).items():
                if self._is_wanted(name):
                    raise self._failure(name, problem)

    def reason(self, health: Health) -> str | None:
        """Say why the server is not ready, without models that it need not have."""
        states = self._of_wanted(health)
        if states == health.models:
            return health.reason
        told = ", ".join(f"model {name}: {state}" for name, state in sorted(states.items()))
        return told or health.reason

    def _failure(self, name: str, problem: LoadProblem) -> Failure:
        if problem.kind == "missing":
            return Failure(
                f"there is no model {name!r} in {self._models_dir}, and it is to be loaded "
                "(OVS_SERVICE_LOAD_MODELS)"
            )
        cause = f": {problem.cause}" if problem.cause else ""
        # Fetching it again mends its files, and nothing else.
        folder = self._models_dir / name
        spoilt = problem.kind == "invalid_files"
        advice = f"; delete {folder} to have it fetched again" if spoilt else ""
        return Failure(f"the model {name!r} can't be loaded{cause}; see {self._log}{advice}")

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
        return {name: state for name, state in health.models.items() if self._is_wanted(name)}

    def _is_wanted(self, name: str) -> bool:
        """Whether it is to be loaded; a name without a version stands for versions too."""
        return not self._wanted.isdisjoint({"*", name, name.partition("@")[0]})

    def _cause(self, name: str) -> str:
        cause = load_problems(self._log).get(name, LoadProblem()).cause
        return f": {cause}" if cause else ""
