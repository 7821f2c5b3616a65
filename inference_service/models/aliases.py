"""Other names for models, as the configuration gives them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from inference_service.models.names import is_alias, request_name, split_name


@dataclass(frozen=True, slots=True)
class AliasProblem:
    """What keeps an alias from meaning what it says.

    Attributes:
        alias: The alias.
        message: What is wrong, for the operator.
        lasting: Whether it stays wrong whatever models come or go.

    """

    alias: str
    message: str
    lasting: bool


def check_aliases(aliases: Mapping[str, str], names: Collection[str]) -> list[AliasProblem]:
    """Tell which aliases have no effect now; an alias is followed once.

    Args:
        aliases: What each stands for: a full name, or a name that a policy of versions gives a
            meaning, either with an adapter (`NAME:ADAPTER`) or without.
        names: The full names of all models.

    """
    known = set(names) | {split_name(name)[0] for name in names}
    problems = (_problem(alias, target, aliases, known) for alias, target in aliases.items())
    return [problem for problem in problems if problem]


def _problem(
    alias: str, target: str, aliases: Mapping[str, str], known: set[str]
) -> AliasProblem | None:
    if not is_alias(alias):
        return AliasProblem(alias, f"{alias[:300]!r} can't be an alias", lasting=True)
    model = request_name(target)[0]
    if alias in known:
        message = f"alias {alias!r} is hidden by a model of that name"
        return AliasProblem(alias, message, lasting=False)
    if target not in known and model not in known:
        if target in aliases or model in aliases:
            message = f"alias {alias!r} stands for {target!r}, which is an alias itself"
            return AliasProblem(alias, message, lasting=True)
        message = f"alias {alias!r} stands for {target!r}, which is not there"
        return AliasProblem(alias, message, lasting=False)
    return None
