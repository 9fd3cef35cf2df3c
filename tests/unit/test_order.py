"""The order of points: cycles, levels, the costliest chain."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecc_controld.hall.order import find_cycle, longest, waves

NAMES = list("abcdefgh")
EDGES = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=8)


def _reaches(edges: dict[str, list[str]], start: str, goal: str) -> bool:
    seen: set[str] = set()
    todo = list(edges.get(start, ()))
    while todo:
        at = todo.pop()
        if at == goal:
            return True
        if at not in seen:
            seen.add(at)
            todo += edges.get(at, ())
    return False


def test_a_cycle_is_a_path_back_to_its_beginning() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c", "a"]


def test_the_way_into_a_cycle_is_not_part_of_it() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


def test_a_point_that_waits_for_itself() -> None:
    assert find_cycle({"a": ["a"]}) == ["a", "a"]


def test_a_diamond_is_no_cycle() -> None:
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) is None


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    edges = {str(n): [str(n + 1)] for n in range(50_000)}
    assert find_cycle(edges) is None
    edges["50000"] = ["0"]
    found = find_cycle(edges)
    assert found is not None
    assert len(found) == 50_002


@given(EDGES)
def test_find_cycle_finds_one_exactly_if_there_is_one(edges: dict[str, list[str]]) -> None:
    cycle = find_cycle(edges)
    assert (cycle is not None) == any(_reaches(edges, name, name) for name in NAMES)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(after in edges[before] for before, after in pairwise(cycle))


@given(EDGES)
def test_waves_are_the_earliest_levels(edges: dict[str, list[str]]) -> None:
    if find_cycle(edges) is not None:
        with pytest.raises(ValueError, match="cycle"):
            waves(NAMES, edges)
        return
    found = waves(NAMES, edges)
    level = {name: n for n, wave in enumerate(found) for name in wave}
    assert sorted(level) == NAMES
    assert all(level[name] == max((level[p] + 1 for p in edges.get(name, ())), default=0) for name in NAMES)


def test_waves_keep_the_given_order_and_pass_over_strangers() -> None:
    assert waves(["c", "b", "a"], {"b": ["a", "elsewhere"]}) == [["c", "a"], ["b"]]


def test_waves_of_nothing() -> None:
    assert waves([], {}) == []


def test_longest_adds_up_costs_not_steps() -> None:
    prereqs = {"c": ["b"], "b": ["a"], "x": ["y"]}
    cost = {"a": 1.0, "b": 1.0, "c": 1.0, "x": 0.5, "y": 5.0}
    assert longest("abcxy", prereqs, cost) == ["y", "x"]
    assert longest("abcxy", prereqs, {**cost, "y": 1.0}) == ["a", "b", "c"]
    assert longest([], {}, {}) == []
