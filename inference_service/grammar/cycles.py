"""Which rules of a grammar refer to each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def cycles(graph: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the groups of names that lead to each other, or one that leads to itself.

    These are the strongly connected components with a cycle in them (R. Tarjan, "Depth-first
    search and linear graph algorithms", 1972), found without recursion, in linear time.
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_names: list[str] = []
    is_open: set[str] = set()
    found: list[list[str]] = []
    for start in graph:
        if start in order:
            continue
        path: list[tuple[str, Iterator[str]]] = []
        follow: str | None = start
        while follow is not None or path:
            if follow is not None:
                order[follow] = lowest[follow] = len(order)
                open_names.append(follow)
                is_open.add(follow)
                path.append((follow, iter(graph[follow])))
                follow = None
            name, rest = path[-1]
            for other in rest:
                if other not in order:
                    follow = other
                    break
                if other in is_open:
                    lowest[name] = min(lowest[name], order[other])
            if follow is not None:
                continue
            path.pop()
            if path:
                above = path[-1][0]
                lowest[above] = min(lowest[above], lowest[name])
            if lowest[name] == order[name]:
                group = [open_names.pop()]
                while group[-1] != name:
                    group.append(open_names.pop())
                group.reverse()
                is_open.difference_update(group)
                if len(group) > 1 or name in graph[name]:
                    found.append(group)
    return found
