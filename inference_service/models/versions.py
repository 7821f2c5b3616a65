"""Versions of a model: which are served, and which one the bare name means.

Versions are ordered as people read them: numbers by value (10 after 9, 1.10 after 1.2), all else
by letters, and the model without a version before all. The policy of a name says which versions
the server serves:

- `latest` (the default): the last one. An older one that runs serves until the last one is ready.
- `all`: each of them, side by side.
- a list: those that it names.

A version that is not served is still listed, and loaded when asked for by its full name. The bare
name means the last version that is ready; if none is, the last. So a new version takes over when
it can answer, and not before. Of a list only what it names counts here.

Source of the policies: the configuration of OpenVINO Model Server and of Triton.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from inference_service.models.names import is_version, split_name

_Key: TypeAlias = tuple[tuple[int, int, str], ...]
_PARTS = re.compile(r"\d+|[^\d._-]+")


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which versions of a model are served.

    Attributes:
        serves: `latest`, `all`, or `listed`.
        listed: Of `listed`: the versions.

    """

    serves: Literal["latest", "all", "listed"] = "latest"
    listed: frozenset[str] = frozenset()


def parse_policy(value: object) -> VersionPolicy:
    """Read `latest`, `all` or a list of versions; a number in the list is a version too.

    Raises:
        ValueError: It is none of them.

    """
    if value == "latest":
        return VersionPolicy("latest")
    if value == "all":
        return VersionPolicy("all")
    if isinstance(value, list | tuple) and value:
        versions = [str(version) for version in value if _may_be_version(version)]
        if len(versions) == len(value) and all(map(is_version, versions)):
            return VersionPolicy("listed", frozenset(versions))
    raise ValueError(f"versions must be 'latest', 'all' or a list of versions, not {value!r}")


def _may_be_version(value: object) -> bool:
    # A float is refused: 1.10 would become 1.1.
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def version_key(full: str) -> tuple[bool, _Key, str]:
    """Give what full names of one model are sorted by.

    Raises:
        ValueError: It is no full name.

    """
    version = split_name(full)[1]
    if version is None:
        return False, (), ""
    parts = _PARTS.findall(version)
    key = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
    return True, key, version  # 1.0 and 01.0 differ in the last alone


def available(names: Iterable[str], policy: VersionPolicy) -> list[str]:
    """Choose the versions that are served.

    Args:
        names: The full names of all versions of one model.
        policy: That of the model.

    Returns:
        Full names, the last version first.

    """
    eligible = _eligible(names, policy)
    return eligible[:1] if policy.serves == "latest" else eligible


def chosen(names: Iterable[str], ready: Collection[str], policy: VersionPolicy) -> str | None:
    """Choose what the bare name means.

    Args:
        names: The full names of all versions of one model.
        ready: Those of them that take requests.
        policy: That of the model.

    Returns:
        A full name; `None` if the policy allows none of them.

    """
    eligible = _eligible(names, policy)
    running = (name for name in eligible if name in ready)
    return next(running, eligible[0] if eligible else None)


def _eligible(names: Iterable[str], policy: VersionPolicy) -> list[str]:
    ordered = sorted(names, key=version_key, reverse=True)
    if policy.serves != "listed":
        return ordered
    return [name for name in ordered if split_name(name)[1] in policy.listed]
