"""Parameters of scenes: what a file may say, what a press may give, and what comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecc_controld.scene.combos import EVERY, combos, pairwise
from ecc_controld.scene.load import parse_scene
from ecc_controld.scene.model import Scene
from ecc_controld.scene.params import BadParams, Param, as_json
from ecc_controld.scene.template import KEPT
from ecc_controld.sdk import Text
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import Problems, Source
from support.fakehall import HALL, hall
from support.scenefile import Load, loader, problems_of, values

HEAD = "scene: s\nmode: duty\n"
ALL = (
    HEAD
    + """\
title: {zh: "值班 {level}", en: "Duty {level}"}
params:
  level: {title: {zh: 级别, en: Level}, choices: [I, II], default: II}
  gain: {type: number, min: -20, max: 0, unit: dB, default: -10 dB}
  open: {type: boolean, default: off}
  topic: {type: text, max_length: 20, default: 无题}
  eyes: {type: list, choices: "@eyes", default: "@eyes"}
want:
  dsp: {mic.1.gain: "{gain}", mic.2.mute: "{open}"}
  wall: {label: "{level}：{topic} {gain} {open}", clock: "{{topic}} {topic}"}
  "{eyes}": {power: on}
"""
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    lists = "lists: {townships: [site-01, site-02], eyes: [cam1, cam2]}"
    text = HALL.replace("lists: {townships: [site-01, site-02]}", lists)
    return hall(tmp_path_factory.mktemp("hall"), text)


@pytest.fixture
def load(place: Hall, tmp_path: Path) -> Load:
    return loader(tmp_path / "scenes", place)


@pytest.fixture(scope="module")
def scene(place: Hall) -> Scene:
    problems = Problems()
    found = parse_scene(Source("s.yaml", ALL, "digest"), place, problems)
    assert found is not None, problems.all()
    return found


def refusal(scene: Scene, **raw: object) -> BadParams:
    with pytest.raises(BadParams) as caught:
        scene.at(raw)
    assert any("\u4e00" <= c <= "\u9fff" for c in caught.value.text.zh)
    return caught.value


# -- what comes of them ----------------------------------------------------------------------------------


def test_without_any_the_defaults_count(scene: Scene) -> None:
    assert as_json(scene.given) == {
        "level": "II",
        "gain": -10,
        "open": False,
        "topic": "无题",
        "eyes": ["cam1", "cam2"],
    }
    assert scene.title == Text("值班 II", "Duty II")
    assert values(scene) == {
        "dsp.mic.1.gain": -10.0,
        "dsp.mic.2.mute": False,
        "wall.label": "II：无题 -10 off",
        "wall.clock": "{topic} 无题",
        "cam1.power": True,
        "cam2.power": True,
    }
    assert scene.at({}) == scene


def test_alone_a_parameter_keeps_its_type_and_inside_a_text_it_is_words(scene: Scene) -> None:
    found = scene.at({"gain": "−2.5 dB", "open": "on", "level": "I", "topic": "演练", "eyes": ["cam2"]})
    assert values(found) == {
        "dsp.mic.1.gain": -2.5,
        "dsp.mic.2.mute": True,
        "wall.label": "I：演练 -2.5 on",
        "wall.clock": "{topic} 演练",
        "cam2.power": True,
    }
    assert found.title.en == "Duty I"
    assert found.digest == scene.digest


def test_what_a_press_gives_is_not_looked_through_again(scene: Scene) -> None:
    found = scene.at({"topic": "{level}{{gain}}"})
    assert values(found)["wall.label"] == "II：{level}{{gain}} -10 off"
    assert values(found)["wall.clock"] == "{topic} {level}{{gain}}"


def test_of_no_devices_nothing_is_wanted(scene: Scene) -> None:
    assert "cam1.power" not in values(scene.at({"eyes": []}))


def test_a_list_may_be_one_word_or_the_name_of_a_list(scene: Scene) -> None:
    assert scene.at({"eyes": "cam1"}).given["eyes"] == ("cam1",)
    assert scene.at({"eyes": "@eyes"}).given["eyes"] == ("cam1", "cam2")
    assert scene.at({"eyes": ["cam1", "cam1"]}).given["eyes"] == ("cam1",)


@pytest.mark.parametrize(
    ("raw", "code", "says", "helps"),
    [
        ({"levle": "I"}, "unknown_param", "levle", {"nearest": "level"}),
        ({"level": "V"}, "bad_param", "level cannot be 'V'", {"valid": ["I", "II"]}),
        ({"level": "i"}, "bad_param", "level cannot be 'i'", {"valid": ["I", "II"]}),
        ({"level": None}, "bad_param", "level", {}),
        ({"level": {"a": ["b"]}}, "bad_param", "level", {}),
        ({"level": ["I"]}, "bad_param", "level", {}),
        ({"gain": 1}, "bad_param", "-20 to 0 dB, got 1", {"range": {"min": -20.0, "max": 0.0}}),
        ({"gain": "loud"}, "bad_param", "'loud'", {"range": {"min": -20.0, "max": 0.0}}),
        ({"gain": math.nan}, "bad_param", "a number", {}),
        ({"gain": 10**400}, "bad_param", "a number", {}),
        ({"gain": True}, "bad_param", "a number", {}),
        ({"gain": "1_0"}, "bad_param", "a number", {}),
        ({"open": "perhaps"}, "bad_param", "open cannot be 'perhaps'", {"valid": ["on", "off"]}),
        ({"open": 2}, "bad_param", "open", {}),
        ({"topic": ""}, "bad_param", "1 to 20 characters", {"range": {"max_length": 20}}),
        ({"topic": "x" * 21}, "bad_param", "1 to 20 characters", {}),
        ({"topic": "x" * 10_000_000}, "bad_param", "1 to 20 characters", {}),
        ({"topic": "a\x00b"}, "bad_param", "no control characters", {}),
        ({"topic": "a\nb"}, "bad_param", "no control characters", {}),
        ({"topic": "a\x1b[31m"}, "bad_param", "no control characters", {}),
        ({"topic": "a\u202eb"}, "bad_param", "no control characters", {}),
        ({"topic": "a\ud800"}, "bad_param", "no control characters", {}),
        ({"eyes": ["cam3"]}, "bad_param", "eyes", {"valid": ["cam1", "cam2"]}),
        ({"eyes": "@eye"}, "bad_param", "eyes", {"nearest": "@eyes"}),
        ({"eyes": "@townships"}, "bad_param", "eyes", {"valid": ["cam1", "cam2"]}),
        ({"eyes": ["cam1"] * 201}, "bad_param", "at most 200", {}),
        ({"eyes": [["cam1"]]}, "bad_param", "eyes", {}),
        ({"eyes": {"cam1": 1}}, "bad_param", "at most 200", {}),
    ],
)
def test_what_a_press_may_not_give(
    scene: Scene, raw: dict[str, object], code: str, says: str, helps: dict[str, object]
) -> None:
    bad = refusal(scene, **raw)
    assert bad.code == code
    assert says in bad.text.en
    assert len(bad.text.en) < 300
    assert helps.items() <= bad.helps.items()
    assert values(scene.at({})) == values(scene), "and nothing of it stays"


def test_a_scene_without_parameters_takes_none(load: Load) -> None:
    plain = load(s=HEAD + "want: {wall.power: on}\n")["s"]
    assert plain.at({}) is plain
    bad = refusal(plain, level="I")
    assert (bad.code, bad.helps["valid"]) == ("unknown_param", [])


def test_required_parameters(load: Load) -> None:
    text = HEAD + (
        "params: {n: {type: number, min: 1, max: 8}, t: {type: text}, c: {choices: [gis, '2']}, "
        "b: {type: boolean}, l: {type: list, choices: [cam1]}}\n"
        "want: {matrix.out.1: '{n}', wall.label: '{t}', matrix.out.2: '{c}', wall.power: '{b}', '{l}': {power: on}}\n"
    )
    scene = load(s=text)["s"]
    assert refusal(scene).text.en == "parameters are missing: n, t, c, b, l"
    assert (bad := refusal(scene, n=1, t="x", b=True, l=[])).code == "missing_param"
    assert bad.helps["valid"] == ["gis", "2"]
    found = scene.at({"n": 3, "t": "x", "c": 2, "b": 1, "l": []})
    assert values(found) == {"matrix.out.1": "3", "wall.label": "x", "matrix.out.2": "2", "wall.power": True}


def test_a_text_that_every_press_must_give_is_judged_when_it_is_given(load: Load) -> None:
    scene = load(s=HEAD + "params: {t: {type: text}}\nwant: {wall.preset: 'q{t}', side.label: '{t}'}\n")["s"]
    assert values(scene.at({"t": "uad"})) == {"wall.preset": "quad", "side.label": "uad"}
    bad = refusal(scene, t="uat")
    assert (bad.code, "wall.preset cannot be 'quat'" in bad.text.en) == ("bad_params", True)


def test_a_subset_that_leaves_an_order_without_a_point_is_refused(load: Load) -> None:
    text = HEAD + (
        "params: {eyes: {type: list, choices: [cam1, cam2], default: [cam1]}}\n"
        'want: {"{eyes}": {power: on}, wall.label: x}\nafter: {wall.label: [cam1.power]}\n'
    )
    scene = load(s=text)["s"]
    bad = refusal(scene, eyes=["cam2"])
    assert (bad.code, "cam1.power is not wanted" in bad.text.en) == ("bad_params", True)
    chosen = load(s=text.replace("[cam1.power]", '["{eyes}.power"]'))["s"]
    for eyes in (["cam2"], ["cam1", "cam2"], []):
        (label,) = [want for want in chosen.at({"eyes": eyes}).wants if want.local == "label"]
        assert [p.point for p in label.prereqs] == [f"{one}.power" for one in eyes]


def test_combinations_are_kept_ready_and_few(scene: Scene) -> None:
    assert scene.at({"level": "I"}) is scene.at({"level": "I"})
    first = scene.at({"topic": "0"})
    for n in range(KEPT + 1):
        scene.at({"topic": str(n)})
    assert scene.at({"topic": "0"}) is not first
    assert scene.at({"topic": "0"}) == first


# -- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "where", "says"),
    [
        ("{}", "x:", "needs choices: or type:; valid: choices, choice, boolean"),
        ("", "x:", "expected choices: or type:"),
        ("{type: colour}", "colour", "valid: choice, boolean, number, list, text"),
        ("{type: choice}", "{type", "choices: is missing"),
        ("{choices: []}", "[]", "1 to 64 items"),
        ("{choices: [a, a]}", "a]", "a is listed twice"),
        ("{choices: '@town'}", "'@town", "there is no list @town"),
        ("{choices: [a, b], default: c}", "c}", "the default of x cannot be 'c'; valid: a, b"),
        ("{choices: [a, b], default: }", "}", "a value is missing"),
        ("{choices: [a], min: 3}", "min", "unknown key min"),
        ("{type: number, min: 1}", "{type", "max: is missing"),
        ("{type: number, min: 2, max: 1}", "x:", "min is above max"),
        ("{type: number, min: low, max: 1}", "low", "expected a number"),
        ("{type: number, min: 1, max: 2, default: 3}", "3}", "1 to 2, got 3"),
        ("{type: text, max_length: 300}", "300", "from 1 to 256"),
        ("{type: text, default: [a]}", "[a]", "expected a text"),
        ("{type: list, choices: [cam1], default: [cam2]}", "[cam2]", "one of cam1"),
        ("{type: list, default: '@town'}", "'@town", "valid: @townships, @eyes"),
        ("{type: boolean, default: maybe}", "maybe", "valid: on, off"),
        ("[a]", "[a]", "keys and values"),
    ],
)
def test_a_wrong_parameter(load: Load, param: str, where: str, says: str) -> None:
    text = HEAD + f"want: {{wall.label: '{{x}}'}}\nparams: {{x: {param}}}\n"
    problem = problems_of(load, s=text)[0]
    assert says in problem.message.en
    column = 1 + (f"params: {{x: {param}}}").index(where, 9 if where == "x:" else 11)
    assert (problem.line, problem.column) == (4, column)


def test_a_wrong_name_and_too_many(load: Load) -> None:
    (problem,) = problems_of(load, s=HEAD + "want: {wall.power: on}\nparams: {Level: {choices: [a]}}\n")
    assert "lower-case" in problem.message.en
    many = ", ".join(f"p{n}: {{type: text, default: x}}" for n in range(17))
    (problem,) = problems_of(load, s=HEAD + f"want: {{wall.power: on}}\nparams: {{{many}}}\n")
    assert "more than 16" in problem.message.en


def test_an_heir_changes_a_parameter_field_by_field(load: Load) -> None:
    found = load(s=ALL, t="scene: t\nextends: s\nparams: {level: {default: I}}\n")
    assert found["t"].given["level"] == "I"
    assert [p.choices for p in found["t"].params] == [p.choices for p in found["s"].params]


@pytest.mark.parametrize(
    ("want", "says"),
    [
        ("{wall.label: '{levle}'}", "did you mean level?"),
        ("{wall.label: '{eyes}'}", "is a list: no point takes one"),
        ("{wall.label: 'to {eyes}'}", "is a list: no point takes one"),
        ("{wall.brightness: '{gain}'}", "wall.brightness is in %, parameter gain in dB"),
        ("{dsp.mic.1.gain: '{level}'}", "expected a number"),
        ("{wall.power: '{gain}'}", "valid: on, off"),
        ("{wall.label: '{open}'}", "wall.label cannot be off, expected text"),
        ("{'{level}': {power: on}}", "must be a list with choices"),
        ("{wall.label: '" + "{level}" * 17 + "'}", "at most 16"),
    ],
)
def test_a_parameter_in_the_wrong_place(load: Load, want: str, says: str) -> None:
    head = ALL.partition("want:")[0]
    assert says in problems_of(load, s=head + f"want: {want}\n")[0].message.en


def test_a_number_is_tried_at_both_ends(load: Load) -> None:
    text = HEAD + "params: {n: {type: number, min: -80, max: 20, default: 0}}\nwant: {dsp.mic.1.gain: '{n}'}\n"
    found = sorted(p.message.en for p in problems_of(load, s=text))
    assert [one.rpartition("(")[2] for one in found] == ["with n=-80)", "with n=20)"]


# -- combinations ----------------------------------------------------------------------------------------


def choice(name: str, n: int) -> Param:
    return Param(name, Text(name, name), "choice", tuple(map(str, range(n))), default="0")


def test_up_to_the_bound_every_combination_is_checked() -> None:
    found = combos({name: choice(name, 4) for name in "abcd"})
    assert found is not None
    assert len(found) == len({tuple(one.values()) for one in found}) == EVERY
    assert found[0] == dict.fromkeys("abcd", "0"), "the usual one first"


def test_beyond_it_every_pair_meets() -> None:
    params = {name: choice(name, 4) for name in "abcde"}
    found = combos(params)
    assert found is not None
    assert len(found) < EVERY / 4
    for a, b in combinations(params, 2):
        assert {(one[a], one[b]) for one in found} == {
            (x, y) for x in params[a].choices for y in params[b].choices
        }


def test_more_than_can_be_checked_is_refused(load: Load) -> None:
    params = {name: choice(name, 64) for name in "abcd"}
    assert combos(params) is None
    words = ", ".join(map(str, range(64)))
    text = (
        HEAD
        + f"params: {{{', '.join(f'{n}: {{choices: [{words}]}}' for n in 'abcd')}}}\nwant: {{wall.power: on}}\n"
    )
    (problem,) = problems_of(load, s=text)
    assert "too many combinations" in problem.message.en


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6))
def test_pairwise_covers(sizes: list[int]) -> None:
    axes = {f"p{n}": tuple(map(str, range(size))) for n, size in enumerate(sizes)}
    rows = list(pairwise(axes))
    for a, b in combinations(axes, 2):
        assert {(row[a], row[b]) for row in rows} == {(x, y) for x in axes[a] for y in axes[b]}
    assert len(rows) <= len({tuple(row.items()) for row in rows})


# -- by hand ---------------------------------------------------------------------------------------------

PRESS = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["I", "II"]),
        "gain": st.integers(-20, 0) | st.floats(-20, 0).map(lambda x: round(x, 2) + 0.0),
        "open": st.booleans(),
        "topic": st.text("abc{}级演 leveltopic", min_size=1, max_size=20).filter(lambda x: x.strip() == x),
        "eyes": st.lists(st.sampled_from(["cam1", "cam2"]), unique=True),
    },
)
USUAL: Mapping[str, Any] = {"level": "II", "gain": -10, "open": False, "topic": "无题", "eyes": ["cam1", "cam2"]}


@given(PRESS)
@settings(max_examples=300, deadline=None)
def test_expansion_is_what_a_person_would_write(place: Hall, scene: Scene, press: dict[str, Any]) -> None:
    p = {**USUAL, **press}
    gain, shut = str(p["gain"]).removesuffix(".0"), "on" if p["open"] else "off"
    lines = [f'  dsp: {{mic.1.gain: "{gain}", mic.2.mute: {shut}}}']
    label, clock = f"{p['level']}：{p['topic']} {gain} {shut}", "{topic} " + p["topic"]
    quoted = [text.replace("{", "{{").replace("}", "}}") for text in (label, clock)]  # braces of a plain file
    lines.append(f"  wall: {{label: '{quoted[0]}', clock: '{quoted[1]}'}}")
    lines += [f"  {eye}: {{power: on}}" for eye in p["eyes"]]
    text = HEAD + "want:\n" + "\n".join(lines) + "\n"
    problems = Problems()
    by_hand = parse_scene(Source("s.yaml", text, ""), place, problems)
    assert by_hand is not None, problems.all()
    assert {w.point: w for w in scene.at(press).wants} == {w.point: w for w in by_hand.wants}


POOL = ("wall.label", "wall.clock", "side.label", "side.clock")
WISHES = st.dictionaries(st.sampled_from(POOL), st.sampled_from("abc"), max_size=4)
FILES = st.lists(
    st.tuples(WISHES, st.dictionaries(st.sampled_from(["I", "II"]), WISHES.filter(bool))), min_size=1, max_size=4
)


@given(files=FILES, level=st.sampled_from(["I", "II"]))
@settings(max_examples=200, deadline=None)
def test_bases_and_variants_lie_over_each_other(
    place: Hall, tmp_path_factory: pytest.TempPathFactory, files: Any, level: str
) -> None:
    expected: dict[str, str] = {"matrix.out.1": "1"}
    texts: dict[str, str] = {}
    for n, (want, variants) in enumerate(files):
        expected |= want
        expected |= variants.get(level, {})
        extends = f"extends: f{n - 1}\n" if n else "params: {level: {choices: [I, II]}}\n"
        own = {"matrix.out.1": "1", **want} if n == 0 else want
        when = f"when: {{level: {json.dumps(variants)}}}\n" if variants else ""
        texts[f"f{n}"] = f"scene: f{n}\nmode: duty\n{extends}want: {json.dumps(own)}\n{when}"
    last = loader(tmp_path_factory.mktemp("scenes"), place)(**texts)[f"f{len(files) - 1}"]
    assert values(last.at({"level": level})) == expected
