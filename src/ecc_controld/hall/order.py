"""The order of points. Edges go from a point to those that must be true before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """A cycle as a path that ends where it begins (`[a, b, a]`: a waits for b waits for a), or None."""
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        path = [start]
        on_path = {start: 0}
        ahead = [iter(edges[start])]
        while ahead:
            following = next(ahead[-1], None)
            if following is None:
                ahead.pop()
                left = path.pop()
                del on_path[left]
                done.add(left)
            elif following in on_path:
                return [*path[on_path[following] :], following]
            elif following not in done:
                on_path[following] = len(path)
                path.append(following)
                ahead.append(iter(edges.get(following, ())))
    return None


def waves(points: Iterable[str], prereqs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The levels of the order: everything in one may converge side by side, after the one before it.

    Prerequisites that are not among `points` do not count. Raises ValueError for a cycle.
    """
    names = list(dict.fromkeys(points))
    known = set(names)
    waiting = {name: {p for p in prereqs.get(name, ()) if p in known} for name in names}
    dependents: dict[str, list[str]] = {name: [] for name in names}
    for name, before in waiting.items():
        for prereq in before:
            dependents[prereq].append(name)
    left = {name: len(before) for name, before in waiting.items()}
    level = [name for name in names if not left[name]]
    found: list[list[str]] = []
    while level:
        found.append(level)
        free: set[str] = set()
        for name in level:
            for dependent in dependents[name]:
                left[dependent] -= 1
                if not left[dependent]:
                    free.add(dependent)
        level = [name for name in names if name in free] if free else []
    if sum(map(len, found)) < len(names):
        raise ValueError(f"cycle: {' -> '.join(find_cycle(waiting) or ())}")
    return found


def longest(points: Iterable[str], prereqs: Mapping[str, Iterable[str]], cost: Mapping[str, float]) -> list[str]:
    """The chain of points with the highest sum of costs, first one first; raises ValueError for a cycle."""
    best: dict[str, tuple[float, str | None]] = {}
    for level in waves(points, prereqs):
        for name in level:
            before = [(best[p][0], p) for p in prereqs.get(name, ()) if p in best]
            total, previous = max(before, default=(0.0, None), key=lambda one: one[0])
            best[name] = (total + cost.get(name, 0.0), previous)
    chain: list[str] = []
    at = max(best, key=lambda name: best[name][0], default=None)
    while at is not None:
        chain.append(at)
        at = best[at][1]
    return chain[::-1]
