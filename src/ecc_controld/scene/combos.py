"""Which combinations of parameters a scene is checked with, and how a problem names those that have it. Pure.

All combinations of choices and booleans up to `EVERY`; beyond that so many that each pair of values of two
parameters meets at least once. Free parameters (number, list, text) are tried at their usual value and their ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from math import prod
from typing import TypeAlias

from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import Problem

from .params import Param, ParamValue, word

EVERY = 256
"""So many combinations are all checked."""
PAIRS = 2048
"""More pairs of values than this are refused."""
Combo: TypeAlias = dict[str, "ParamValue | None"]


def combos(params: Mapping[str, Param]) -> list[Combo] | None:
    """Every combination to check, the usual one first; None if there are too many."""
    usual: Combo = {name: _usual(param) for name, param in params.items()}
    axes: dict[str, Sequence[ParamValue | None]] = {}
    for name, param in params.items():
        if param.alternatives():
            axes[name] = tuple(dict.fromkeys((usual[name], *param.alternatives())))
    rows: Iterable[Combo]
    if prod(len(axis) for axis in axes.values()) <= EVERY:
        rows = (dict(zip(axes, row, strict=True)) for row in product(*axes.values()))
    elif sum(len(a) * len(b) for a, b in combinations(axes.values(), 2)) > PAIRS:
        return None
    else:
        rows = pairwise(axes)
    found = [{**usual, **row} for row in rows]
    for name, param in params.items():
        found += [{**usual, name: value} for value in param.probes() if value != usual[name]]
    return [usual, *(one for one in found if one != usual)]


def pairwise(axes: Mapping[str, Sequence[ParamValue | None]]) -> Iterator[Combo]:
    """Combinations in which each pair of values of two parameters meets. Greedy, the same at every call."""
    names = list(axes)
    left = {
        (a, i, b, j): None
        for a, b in combinations(range(len(names)), 2)
        for i in range(len(axes[names[a]]))
        for j in range(len(axes[names[b]]))
    }
    while left:
        a, i, b, j = next(iter(left))
        row = {a: i, b: j}
        for n in range(len(names)):
            if n not in row:
                row[n] = max(range(len(axes[names[n]])), key=lambda v, n=n: _new(left, row, n, v))  # type: ignore[misc]
        for pair in [(p, row[p], q, row[q]) for p, q in combinations(range(len(names)), 2)]:
            left.pop(pair, None)
        yield {names[n]: axes[names[n]][v] for n, v in sorted(row.items())}


def _new(left: Mapping[tuple[int, int, int, int], None], row: Mapping[int, int], n: int, v: int) -> int:
    """How many pairs that have not met yet would meet."""
    return sum(((m, w, n, v) if m < n else (n, v, m, w)) in left for m, w in row.items())


def _usual(param: Param) -> ParamValue | None:
    if param.default is not None:
        return param.default
    few = param.alternatives() or param.probes()
    return few[0]


def told(found: Mapping[Problem, list[Combo]], tried: Sequence[Combo]) -> list[Problem]:
    """The problems, each with the combination that has it, unless all have it."""
    return [
        problem if len(where) == len(tried) else _naming(problem, where, tried) for problem, where in found.items()
    ]


def _naming(problem: Problem, where: Sequence[Combo], tried: Sequence[Combo]) -> Problem:
    """The values that the failing ones have and others have not; where these say too much, the first in full."""
    failing = {name: dict.fromkeys(one[name] for one in where) for name in where[0]}
    every = {name: dict.fromkeys(one[name] for one in tried) for name in where[0]}
    exact = [one for one in tried if all(one[name] in values for name, values in failing.items())]
    if len(exact) > len(where):
        failing = {name: {where[0][name]: None} for name in failing}
    pinned = {name: values for name, values in failing.items() if len(values) < len(every[name])}
    shown = ", ".join(f"{name}={'/'.join(map(word, values))}" for name, values in pinned.items())
    zh, en = f"{problem.message.zh}（当 {shown}）", f"{problem.message.en} (with {shown})"
    return replace(problem, message=Text(zh, en))
