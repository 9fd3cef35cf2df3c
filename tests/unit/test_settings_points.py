"""What a driver says about its points and itself, checked when the hall is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecc_controld.registry import Registry
from ecc_controld.sdk import Choice, Integer, Point, Switch
from ecc_controld.yamlfile import FilesInvalid, Problem
from support.fakehall import HEAD, Fake, hall, point


def the_problem(folder: Path, text: str, registry: Registry) -> Problem:
    with pytest.raises(FilesInvalid) as caught:
        hall(folder, text, registry=registry)
    (problem,) = caught.value.problems
    return problem


def broken(*points: Point, actions: Any = None) -> Registry:
    class Broken(Fake):
        def made(self) -> list[Point]:
            self.actions = actions or {}
            return list(points)

    return Registry({"fake": Broken})


FAKE = HEAD + "devices:\n  box: {driver: fake, address: 'tcp://10.20.0.1'}\n"


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([point("Power", Switch())], "'Power' is not a good name"),
        ([point("a..b", Switch())], "'a..b' is not a good name"),
        ([point("a", Switch(), after=frozenset({"b"}))], "a: after names b, which is no point"),
        ([point("a", Switch(), disturbs=frozenset({"b"}))], "a: disturbs names b"),
        ([point("a", Switch(), guard={"b": True})], "a: guard names b"),
        ([point("a", Switch(), guard={"b": 7}), point("b", Choice({"x": 1}))], "a: guard b: expected one of x"),
        ([point("a", Switch(), guard={"b": True}), point("b", Switch(), access="read")], "must be another point"),
        ([point("a", Integer(0, 9), access="momentary")], "has no stop value"),
        ([point("a", Switch(), disturbs=frozenset({"a"}))], "a and a disturb each other"),
        (
            [point("a", Switch(), disturbs=frozenset({"b"})), point("b", Switch(), disturbs=frozenset({"a"}))],
            "a and b disturb each other",
        ),
        (
            [
                point("a", Switch(), after=frozenset({"b"})),
                point("b", Switch(), after=frozenset({"c"})),
                point("c", Switch(), after=frozenset({"a"})),
            ],
            "the order of points is a cycle: a -> b -> c -> a",
        ),
    ],
)
def test_unsound_points_are_told_at_the_device(tmp_path: Path, points: list[Point], says: str) -> None:
    problem = the_problem(tmp_path, FAKE, registry=broken(*points))
    assert says in problem.message.en
    assert (problem.line, problem.column) == (5, 3)


def test_a_driver_that_breaks_is_a_problem_of_its_own(tmp_path: Path) -> None:
    class Crash(Fake):
        def made(self) -> list[Point]:
            raise KeyError("oops")

    problem = the_problem(tmp_path, FAKE, registry=Registry({"fake": Crash}))
    assert "driver fake failed: KeyError: 'oops'" in problem.message.en
