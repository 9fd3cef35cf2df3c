"""Bases, variants, lists and fallbacks of scenes: what they mean, and every error at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecc_controld.scene.model import Do, Prereq
from ecc_controld.sdk import Text
from ecc_controld.settings import Hall
from support.fakehall import HALL, hall
from support.scenefile import Load, loader, problems_of, spot, values, wants

HEAD = "scene: s\nmode: duty\n"
LEVEL = "params: {level: {choices: [I, II, III], default: II}}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    lists = "lists: {townships: [site-01, site-02], seats: [wall, side], eyes: [cam1, cam2]}"
    text = HALL.replace("lists: {townships: [site-01, site-02]}", lists)
    return hall(tmp_path_factory.mktemp("hall"), text)


@pytest.fixture
def load(place: Hall, tmp_path: Path) -> Load:
    return loader(tmp_path / "scenes", place)


# -- extends ---------------------------------------------------------------------------------------------


def test_later_values_win_over_a_chain(load: Load) -> None:
    found = load(
        a="scene: a\ntitle: {zh: 甲, en: A}\nmode: duty\npriority: 30\nready_within: 90s\n"
        "want: {wall: {power: on, label: a, clock: a}, cam1.power: on}\ndo: [{device: dsp, action: chime}]\n",
        b="scene: b\nextends: a\nmode: warning\nwant: {wall: {label: b}, cam2.power: on}\n",
        c="scene: c\nextends: b\nwant: {wall: {clock: c}}\ndo: []\n",
    )
    assert list(found) == ["a", "b", "c"]
    assert values(found["a"]) == {"wall.power": True, "wall.label": "a", "wall.clock": "a", "cam1.power": True}
    assert values(found["b"]) == {**values(found["a"]), "wall.label": "b", "cam2.power": True}
    assert values(found["c"]) == {**values(found["b"]), "wall.clock": "c"}
    assert [one.mode for one in found.values()] == ["duty", "warning", "warning"]
    assert [one.priority for one in found.values()] == [30, 30, 30]
    assert {one.title for one in found.values()} == {Text("甲", "A")}
    assert [one.actions for one in found.values()] == [(Do("dsp", "chime"),), (Do("dsp", "chime"),), ()]
    assert len({one.digest for one in found.values()}) == 3


def test_the_digest_is_that_of_all_texts(load: Load) -> None:
    base, heir = "fragment: a\nmode: duty\nwant: {{wall.label: {}}}\n", "scene: b\nextends: a\n"
    first = load(a=base.format("one"), b=heir)["b"]
    second = load(a=base.format("two"), b=heir)["b"]
    assert first.text == second.text == heir
    assert first.digest != second.digest


def test_a_named_device_overrides_a_group_also_of_a_later_file(load: Load) -> None:
    base = 'fragment: a\nmode: duty\nwant: {cam1.power: off, "camera/*": {autotrack: off}}\n'
    found = load(a=base, s='scene: s\nextends: a\nwant: {"camera/*": {power: on, autotrack: on}}\n')["s"]
    assert values(found) == {
        "cam1.power": False,
        "cam1.autotrack": True,
        "cam2.autotrack": True,
        "cam2.power": True,
        "cam3.power": True,
    }


def test_a_fragment_is_no_scene_and_need_not_be_whole(load: Load) -> None:
    found = load(base="fragment: base\nwant: {wall.power: on}\n", s=HEAD + "extends: base\n")
    assert list(found) == ["s"]
    assert values(found["s"]) == {"wall.power": True}


def test_the_order_of_a_point_is_replaced_by_a_later_one(load: Load) -> None:
    want = "want: {wall.brightness: 5, matrix: {out.1: 1, out.2: 2}, side.label: x}\n"
    base = f"scene: a\nmode: duty\n{want}after: {{wall.brightness: [matrix.out.1], side.label: [matrix.out.1]}}\n"
    found = load(a=base, s="scene: s\nextends: a\nafter: {wall.brightness: [matrix.out.2]}\n")["s"]
    assert wants(found)["wall.brightness"].prereqs == (Prereq("matrix.out.2", "2"),)
    assert wants(found)["side.label"].prereqs == (Prereq("matrix.out.1", "1"),)


def test_an_error_stands_in_the_file_where_its_text_is(load: Load) -> None:
    base = "fragment: a\nwant: {wall.power: perhaps}\nholds: maybe\n"
    found = problems_of(load, a=base, s=HEAD + "extends: a\nwant: {wall.label: x}\n")
    assert [(Path(p.file).name, p.line, p.column) for p in found] == [
        ("a.yaml", *spot(base, "perhaps")),
        ("a.yaml", *spot(base, "maybe")),
    ]


def test_an_error_of_a_base_is_told_once_and_makes_no_others(load: Load) -> None:
    base = "fragment: a\nwant: {wall.powr: on}\n"
    heirs = {
        n: f"scene: {n}\nmode: duty\nextends: a\nwant: {{side.label: x}}\nafter: {{side.label: [wall.power]}}\n"
        for n in "bc"
    }
    (problem,) = problems_of(load, a=base, **heirs)
    assert "wall.powr" in problem.message.en


def test_what_a_later_file_replaces_is_not_held_against_it(load: Load, place: Hall) -> None:
    """The base names a preset that side does not have; the heir says another."""
    base = 'fragment: a\nwant: {"display/*": {preset: "{word}"}}\nparams: {word: {choices: [quad, none]}}\n'
    found = problems_of(load, a=base, s=HEAD + "extends: a\nwant: {wall.preset: quad}\n")
    assert ["side.preset cannot be 'none'" in p.message.en for p in found] == [True]
    assert not problems_of(load, a=base, s=HEAD + "extends: a\nwant: {wall.preset: quad, side.preset: duty}\n")


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"s": "a", "a": "b", "b": "c", "c": "a"}, "a -> b -> c -> a"),
    ],
)
def test_a_cycle_of_bases_is_a_path(load: Load, links: dict[str, str], path: str) -> None:
    files = {name: f"scene: {name}\nmode: duty\nextends: {base}\n" for name, base in links.items()}
    found = problems_of(load, **files)
    assert f"extends is a cycle: {path}" in {p.message.en for p in found}
    assert {p.line for p in found} == {3}


def test_bases_have_an_end(load: Load) -> None:
    files = {f"n{n}": f"scene: n{n}\nmode: duty\nextends: n{n + 1}\n" for n in range(8)}
    files["n8"] = HEAD.replace("scene: s", "scene: n8") + "want: {wall.power: on}\n"
    found = problems_of(load, **files)
    assert [(Path(p.file).name, p.line) for p in found] == [("n7.yaml", 3)]
    assert "8 files at most" in found[0].message.en
    del files["n0"]
    assert not problems_of(load, **files)


def test_an_unknown_base_and_a_base_that_is_no_yaml(load: Load) -> None:
    (problem,) = problems_of(load, base="fragment: base\n", s=HEAD + "extends: bas\n")
    assert problem.nearest == "base"
    (problem,) = problems_of(load, base="fragment: base\n  x: [\n", s=HEAD + "extends: base\n")
    assert Path(problem.file).name == "base.yaml", "the heir has no error of its own"


# -- lists -----------------------------------------------------------------------------------------------


def test_a_list_of_devices_stands_between_group_and_device(load: Load) -> None:
    text = HEAD + 'want: {"camera/*": {power: off}, "@eyes": {power: on, preset: overview}, cam2.power: off}\n'
    assert values(load(s=text)["s"]) == {
        "cam3.power": False,
        "cam1.power": True,
        "cam1.preset": "overview",
        "cam2.preset": "overview",
        "cam2.power": False,
    }


@pytest.mark.parametrize(
    ("want", "where", "says"),
    [
        ('{"@eye": {power: on}}', '"@eye"', "did you mean @eyes?"),
        ('{"@townships": {power: on}}', '"@townships"', "names site-01, which is no device"),
        ('{"@eyes": {zoom: 1}}', "zoom", "no device of @eyes has zoom"),
        ('{"@eyes": {power: on}, "@eyes.power": off}', '"@eyes.power"', "is wanted in line 3 already"),
        ('{"{who}": {power: on}}', '"{who}"', "there is no parameter who"),
    ],
)
def test_a_wrong_list(load: Load, want: str, where: str, says: str) -> None:
    text = HEAD + f"want: {want}\n"
    problem = problems_of(load, s=text)[0]
    assert says in problem.message.en
    assert (problem.line, problem.column) == spot(text, where)


def test_a_list_in_the_order(load: Load) -> None:
    text = HEAD + 'want: {"@eyes": {power: on}, wall.label: x}\nafter: {wall.label: ["@eyes.power"]}\n'
    assert {p.point for p in wants(load(s=text)["s"])["wall.label"].prereqs} == {"cam1.power", "cam2.power"}


# -- when ------------------------------------------------------------------------------------------------

VARIANTS = (
    HEAD
    + LEVEL
    + """\
want: {wall: {power: on, label: all}, matrix.out.1: 1}
when:
  level:
    I: {wall.label: one, cam1.power: on}
    III:
      want: {matrix.out.2: 3}
      after: {matrix.out.2: [wall.power]}
      do: [{device: dsp, action: chime}]
"""
)


def test_a_variant_lies_over_what_is_wanted(load: Load) -> None:
    usual = load(s=VARIANTS)["s"]
    plain = {"wall.power": True, "wall.label": "all", "matrix.out.1": "1"}
    one, three = usual.at({"level": "I"}), usual.at({"level": "III"})
    assert values(usual) == values(usual.at({"level": "II"})) == plain
    assert values(one) == {**plain, "wall.label": "one", "cam1.power": True}
    assert values(three) == {**plain, "matrix.out.2": "3"}
    assert wants(three)["matrix.out.2"].prereqs == (Prereq("wall.power", True),)
    assert (usual.actions, one.actions, three.actions) == ((), (), (Do("dsp", "chime"),))


def test_a_variant_s_actions_are_added(load: Load) -> None:
    text = VARIANTS + "do: [{device: dsp, action: chime}]\n"
    assert load(s=text)["s"].at({"level": "III"}).actions == (Do("dsp", "chime"),), "once is enough"


def test_a_variant_in_a_variant_lies_over_it(load: Load) -> None:
    text = (
        HEAD
        + "params: {level: {choices: [I, II], default: I}, night: {type: boolean, default: off}}\n"
        + "want: {wall.label: day}\nwhen:\n  level:\n    II:\n      want: {wall.label: two}\n"
        + "      when: {night: {on: {wall.label: dark}}}\n"
    )
    scene = load(s=text)["s"]
    said = {
        (level, night): values(scene.at({"level": level, "night": night}))["wall.label"]
        for level in ("I", "II")
        for night in (True, False)
    }
    assert said == {("I", True): "day", ("I", False): "day", ("II", True): "dark", ("II", False): "two"}


def test_a_later_file_lies_over_a_variant_of_its_base(load: Load) -> None:
    heir = "scene: t\nextends: s\nwant: {wall.label: heir}\n"
    found = load(s=VARIANTS, t=heir)["t"].at({"level": "I"})
    assert values(found)["wall.label"] == "heir"
    assert values(found)["cam1.power"] is True


def test_two_variants_that_contradict_each_other_are_named(load: Load) -> None:
    text = (
        HEAD
        + "params: {level: {choices: [I, II, III], default: I}, night: {type: boolean, default: off}}\n"
        + "want: {wall.power: on}\nwhen:\n  level: {II: {wall.label: a}}\n  night: {on: {wall.label: b}}\n"
    )
    (problem,) = problems_of(load, s=text)
    assert (
        problem.message.en
        == "wall.label is wanted in line 6 already, just as specifically; remove one (with level=II, night=on)"
    )
    assert "（当 level=II, night=on）" in problem.message.zh
    assert (problem.line, problem.column) == spot(text, "wall.label: b")


def test_every_choice_is_checked(load: Load) -> None:
    text = HEAD + LEVEL.replace("III", "IV") + 'want: {wall.preset: "{level}"}\n'
    names = sorted(p.message.en.partition(" cannot")[2].split(";")[0] for p in problems_of(load, s=text))
    assert names == [" be 'I'", " be 'II'", " be 'IV'"]
    found = sorted(p.message.en.rpartition("(")[2] for p in problems_of(load, s=text))
    assert found == ["with level=I)", "with level=II)", "with level=IV)"]


def test_what_holds_for_every_choice_is_told_plainly(load: Load) -> None:
    text = HEAD + LEVEL + "want: {wall.preset: quat}\n"
    (problem,) = problems_of(load, s=text)
    assert "with" not in problem.message.en


def test_a_cycle_and_an_objective_of_one_variant(load: Load) -> None:
    text = HEAD + LEVEL + "ready_within: 1s\nwant: {wall: {power: on, input: hdmi1}}\n"
    cycle = text + "when: {level: {I: {want: {}, after: {wall.power: [wall.input]}}}}\n"
    (problem,) = problems_of(load, s=cycle)
    assert "cycle" in problem.message.en
    assert problem.message.en.endswith("(with level=I)")
    slow = text + "when: {level: {III: {want: {wall.label: x}, after: {wall.label: [wall.input]}}}}\n"
    (problem,) = problems_of(load, s=slow)
    assert "add up to 1.5 s" in problem.message.en
    assert problem.message.en.endswith("(with level=III)")
    assert (problem.line, problem.column) == spot(slow, "1s")


@pytest.mark.parametrize(
    ("when", "where", "says"),
    [
        ("{lvl: {I: {}}}", "lvl", "did you mean level?"),
        ("{level: {IV: {wall.power: on}}}", "IV", "level cannot be 'IV'; valid: I, II, III"),
        ("{level: [I]}", "[I]", "keys and values"),
        ("{level: {I: }}", "I:", "nothing is wanted here"),
        ("{level: {I: on}}", "on}", "keys and values"),
        ("{level: {I: {want: {wall.power: on}, wants: {}}}}", "wants", "did you mean want?"),
        ("{level: {I: {wal.power: on}}}", "wal.", "there is no device wal"),
        ("{level: {I: {do: [{device: wall, action: x}]}}}", "x}", "wall has no actions"),
        ("{level: {I: {after: {wall.power: [wall.label]}}}}", "wall.label", "is not wanted by this scene"),
    ],
)
def test_a_wrong_variant(load: Load, when: str, where: str, says: str) -> None:
    text = HEAD + LEVEL + f"want: {{wall.power: on}}\nwhen: {when}\n"
    problem = problems_of(load, s=text)[0]
    assert says in problem.message.en
    assert (problem.line, problem.column) == (5, 7 + when.index(where))


def test_when_asks_only_what_has_few_values(load: Load) -> None:
    text = HEAD + "params: {n: {type: number, min: 0, max: 1}}\nwant: {wall.label: '{n}'}\nwhen: {n: {1: {}}}\n"
    assert "cannot be asked in when" in problems_of(load, s=text)[0].message.en


# -- else ------------------------------------------------------------------------------------------------


def test_a_fallback_is_kept_with_its_wish(load: Load) -> None:
    text = (
        HEAD
        + "want: {wall: {power: on, input: {value: hdmi1, criticality: must, timeout: 9s}}, matrix.out.1: gis}\n"
        + "else: {wall.input: hdmi2, matrix: {out.1: {value: 4, timeout: 3s}}}\n"
    )
    scene = load(s=text)["s"]
    wall, matrix = scene.fallbacks["wall.input"], scene.fallbacks["matrix.out.1"]
    assert (wall.value, wall.criticality, wall.timeout_s) == ("hdmi2", "must", 9.0)
    assert wall.prereqs == (Prereq("wall.power", True),)
    assert (matrix.value, matrix.timeout_s) == ("4", 3.0)
    assert values(scene)["wall.input"] == "hdmi1"


def test_a_fallback_of_a_group_is_for_what_is_wanted_of_it(load: Load) -> None:
    text = HEAD + 'want: {cam1.power: on, cam2.power: on}\nelse: {"camera/*": {power: off}}\n'
    assert set(load(s=text)["s"].fallbacks) == {"cam1.power", "cam2.power"}


@pytest.mark.parametrize(
    ("otherwise", "where", "says"),
    [
        ("{wall.label: x}", "wall.label", "wall.label is not wanted by this scene"),
        ("{wall.input: hdmi3}", "hdmi3", "did you mean hdmi2?"),
        ("{wall.input: hdmi1}", "wall.input", "what the scene wants anyway"),
        ("{wall: {criticality: may, input: hdmi2}}", "{wall", "no criticality in else"),
        ("{wall.powr: on}", "wall.powr", "there is no point wall.powr"),
    ],
)
def test_a_wrong_fallback(load: Load, otherwise: str, where: str, says: str) -> None:
    text = HEAD + f"want: {{wall: {{power: on, input: hdmi1}}}}\nelse: {otherwise}\n"
    problem = problems_of(load, s=text)[0]
    assert says in problem.message.en
    assert (problem.line, problem.column) == (4, 7 + otherwise.index(where))
