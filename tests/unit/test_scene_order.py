"""The order of a scene's wishes: the file's, the drivers', cycles, and what the gaps leave possible."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ecc_controld.scene.load import load_scenes
from ecc_controld.scene.model import Prereq
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import FilesInvalid, Problem
from support.fakehall import hall, write

HEAD = "scene: s\nmode: duty\n"
Order = Callable[[str], dict[str, tuple[Prereq, ...]]]
Fails = Callable[[str], tuple[Problem, ...]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    return hall(tmp_path_factory.mktemp("hall"))


@pytest.fixture
def order(place: Hall, tmp_path: Path) -> Order:
    def ordered(text: str) -> dict[str, tuple[Prereq, ...]]:
        scene = load_scenes(write(tmp_path, s=HEAD + text), place)["s"]
        return {want.point: want.prereqs for want in scene.wants}

    return ordered


@pytest.fixture
def fails(order: Order) -> Fails:
    def failed(text: str) -> tuple[Problem, ...]:
        with pytest.raises(FilesInvalid) as caught:
            order(text)
        return caught.value.problems

    return failed


def test_a_prerequisite_counts_at_the_value_that_the_scene_wants(order: Order) -> None:
    want = "want: {wall: {brightness: 5}, matrix: {out: {1: gis, 2: 4}}}\n"
    for after in (
        "{wall.brightness: [matrix.out.1, matrix.out.2]}",
        "{wall.brightness: {points: [matrix.out.1, matrix.out.2]}}",
    ):
        assert order(want + f"after: {after}\n") == {
            "wall.brightness": (Prereq("matrix.out.1", "gis", "block"), Prereq("matrix.out.2", "4", "block")),
            "matrix.out.1": (),
            "matrix.out.2": (),
        }


def test_one_name_needs_no_list(order: Order) -> None:
    found = order("want: {wall.brightness: 5, matrix.out.1: 2}\nafter: {wall.brightness: matrix.out.1}\n")
    assert found["wall.brightness"] == (Prereq("matrix.out.1", "2", "block"),)


def test_a_prerequisite_may_let_pass(order: Order) -> None:
    found = order(
        "want: {wall.brightness: 5, matrix.out.1: 2}\n"
        "after: {wall.brightness: {points: [matrix.out.1], if_failed: go_on}}\n"
    )
    assert found["wall.brightness"] == (Prereq("matrix.out.1", "2", "go_on"),)


def test_a_driver_s_order_counts_where_the_scene_wants_both(order: Order) -> None:
    assert order("want: {wall: {power: on, input: hdmi1}}\n")["wall.input"] == (Prereq("wall.power", True),)
    assert order("want: {wall: {input: hdmi1}}\n")["wall.input"] == ()


def test_the_file_may_relax_a_driver_s_order(order: Order) -> None:
    found = order(
        "want: {wall: {power: on, input: hdmi1}}\nafter: {wall.input: {points: wall.power, if_failed: go_on}}\n"
    )
    assert found["wall.input"] == (Prereq("wall.power", True, "go_on"),)


def test_what_disturbs_a_point_goes_first_and_a_guard_is_no_prerequisite(order: Order) -> None:
    found = order("want: {dsp: {preset: emergency, mic.1.gain: -6, mic.2.mute: on, master.mute: off}}\n")
    assert found == {
        "dsp.preset": (),
        "dsp.mic.1.gain": (Prereq("dsp.preset", "emergency"),),
        "dsp.mic.2.mute": (),
        "dsp.master.mute": (),
    }


def test_a_group_in_the_order_is_what_the_scene_wants_of_it(order: Order) -> None:
    found = order(
        'want: {wall.power: on, "camera/*": {power: on}, cam1.preset: overview, dsp.mic.1.gain: 0}\n'
        'after: {"camera/*.power": [wall.power], dsp.mic.1.gain: ["camera/*.preset"]}\n'
    )
    assert all(found[f"cam{n}.power"] == (Prereq("wall.power", True),) for n in (1, 2, 3))
    assert found["dsp.mic.1.gain"] == (Prereq("cam1.preset", "overview"),)


@pytest.mark.parametrize(
    ("after", "where", "says"),
    [
        ("{wall.power: [matrix.out.1]}", "matrix.out.1", "matrix.out.1 is not wanted by this scene"),
        ("{matrix.out.1: [wall.power]}", "matrix.out.1", "matrix.out.1 is not wanted by this scene"),
        ("{wall.brightness: [wall.powr]}", "wall.powr", "did you mean wall.power?"),
        ("{wall.brightness: ['camera/*.power']}", "'camera", "camera/*.power is not wanted"),
        ("{wall.brightness: ['camra/*.power']}", "'camra", "camra/*.power is not wanted"),
        ("{wall: [wall.power]}", "wall:", "expected device.point"),
        ("{wall.brightness: []}", "[]", "no point is named"),
        ("{wall.brightness: {points: []}}", "[]", "no point is named"),
        ("{wall.brightness: {if_failed: block}}", "{if", "points: is missing"),
        ("{wall.brightness: {points: [wall.power], if_failed: goon}}", "goon", "did you mean go_on?"),
        ("{wall.brightness: {points: [wall.power], unless: x}}", "unless", "unknown key unless"),
        ("{wall.brightness: [[wall.power]]}", "[wall.power]]", "expected a text"),
    ],
)
def test_a_wrong_order(fails: Fails, after: str, where: str, says: str) -> None:
    (problem,) = fails(f"want: {{wall: {{power: on, brightness: 5}}}}\nafter: {after}\n")
    assert says in problem.message.en, problem
    column = after.index(where) + 1
    assert (problem.line, problem.column) == (4, 7 + column)


def test_a_cycle_is_shown_as_a_path_where_the_file_made_it(fails: Fails) -> None:
    (problem,) = fails(
        "want: {wall: {power: on, input: hdmi1}, matrix.out.1: gis}\n"
        "after:\n  matrix.out.1: [wall.input]\n  wall.power: [matrix.out.1]\n"
    )
    path = problem.message.en.partition(": ")[2].split(" -> ")
    assert path[0] == path[-1]
    assert set(path) == {"wall.power", "matrix.out.1", "wall.input"}
    waits = {"wall.input": "wall.power", "wall.power": "matrix.out.1", "matrix.out.1": "wall.input"}
    assert all(waits[one] == other for one, other in pairwise(path))
    assert (problem.line, problem.column) in {(5, 3), (6, 3)}


def test_a_cycle_with_what_a_driver_knows(fails: Fails) -> None:
    (problem,) = fails("want: {dsp: {preset: duty, mic.1.gain: 0}}\nafter: {dsp.preset: [dsp.mic.1.gain]}\n")
    assert "dsp.preset -> dsp.mic.1.gain -> dsp.preset" in problem.message.en
    assert (problem.line, problem.column) == (4, 9)


def test_a_point_after_itself(fails: Fails) -> None:
    (problem,) = fails("want: {wall.power: on}\nafter: {wall.power: [wall.power]}\n")
    assert "wall.power -> wall.power" in problem.message.en


def test_gaps_that_add_up_to_more_than_the_objective(fails: Fails, order: Order) -> None:
    """Three points of the wall in a row, 0.5 s apart each."""
    text = "want: {{wall: {{power: on, input: hdmi1, brightness: 5}}}}\nafter: {{wall.brightness: [wall.input]}}\nready_within: {}\n"
    (problem,) = fails(text.format("1400ms"))
    assert "add up to 1.5 s (wall.power -> wall.input -> wall.brightness)" in problem.message.en
    assert (problem.line, problem.column) == (5, 15)
    assert order(text.format("1500ms"))
