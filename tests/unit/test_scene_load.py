"""Scene files: what they mean, and every error at its place. (Their order: test_scene_order.py)"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecc_controld.scene.load import load_scenes, parse_scene
from ecc_controld.scene.model import Do, Scene, Want
from ecc_controld.sdk import Text
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import FilesInvalid, Problem, Problems, Source
from support.fakehall import hall, write

HEAD = "scene: s\nmode: duty\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    return hall(tmp_path_factory.mktemp("hall"))


@pytest.fixture
def load(place: Hall, tmp_path: Path) -> Callable[[str], Scene]:
    def loaded(text: str) -> Scene:
        return load_scenes(write(tmp_path, s=text), place)["s"]

    return loaded


@pytest.fixture
def fails(load: Callable[[str], Scene]) -> Callable[[str], tuple[Problem, ...]]:
    def failed(text: str) -> tuple[Problem, ...]:
        with pytest.raises(FilesInvalid) as caught:
            load(text)
        return caught.value.problems

    return failed


Load = Callable[[str], Scene]
Fails = Callable[[str], tuple[Problem, ...]]


def wants(scene: Scene) -> dict[str, Want]:
    found = {want.point: want for want in scene.wants}
    assert len(found) == len(scene.wants)
    return found


def spot(text: str, what: str) -> tuple[int, int]:
    before = text[: text.index(what)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


# -- the head --------------------------------------------------------------------------------------------


def test_a_whole_file(load: Load) -> None:
    text = """\
scene: s
title: {zh: 应急模式, en: Emergency}
mode: emergency
priority: 85
holds: no
confirm: pin
ready_within: 90s
deadline: 2min
want:
  wall:
    criticality: must
    power: on
    preset: {value: quad, timeout: 30s, settle: 2s, on_return: ask, criticality: may}
do: [{device: dsp, action: chime}]
stand_down: duty
"""
    scene = load(text)
    assert scene == Scene(
        name="s",
        title=Text("应急模式", "Emergency"),
        mode="emergency",
        priority=85,
        holds=False,
        confirm="pin",
        ready_within_s=90.0,
        deadline_s=120.0,
        layer="scene",
        wants=scene.wants,
        actions=(Do("dsp", "chime"),),
        stand_down="duty",
        digest=sha256(text.encode()).hexdigest(),
        text=text,
    )
    power, preset = wants(scene)["wall.power"], wants(scene)["wall.preset"]
    assert power == Want("wall.power", "wall", "power", True, "must")
    assert (preset.value, preset.criticality, preset.timeout_s, preset.settle_s, preset.on_return) == (
        "quad",
        "may",
        30.0,
        2.0,
        "ask",
    )


@pytest.mark.parametrize(
    ("mode", "priority", "holds"),
    [
        ("fire", 100, True),
        ("emergency", 80, True),
        ("warning", 60, False),
        ("conference", 40, False),
        ("duty", 20, False),
    ],
)
def test_defaults_by_mode(load: Load, mode: str, priority: int, holds: bool) -> None:
    scene = load(f"scene: s\nmode: {mode}\nwant: {{wall.power: on}}\n")
    assert (scene.priority, scene.holds, scene.confirm, scene.layer) == (priority, holds, "tap", "scene")
    assert (scene.ready_within_s, scene.deadline_s, scene.stand_down) == (60.0, 90.0, "restore")
    assert scene.title == Text("s", "s")


@pytest.mark.parametrize(("ready", "deadline"), [("10s", 30.0), ("20s", 30.0), ("40s", 60.0), ("1500ms", 30.0)])
def test_the_deadline_is_half_as_long_again_but_never_short(load: Load, ready: str, deadline: float) -> None:
    assert load(HEAD + f"ready_within: {ready}\nwant: {{wall.power: on}}\n").deadline_s == deadline


def test_a_manual_scene_has_no_mode_and_holds_nothing(load: Load) -> None:
    scene = load("scene: s\nlayer: manual\nwant: {wall.power: on}\n")
    assert (scene.layer, scene.mode, scene.priority, scene.holds) == ("manual", None, 0, False)


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("mode: duty\n", "mode", "scene: is missing"),
        ("scene: t\nmode: duty\n", "t\n", "must be in a file called t.yaml"),
        ("scene: S\nmode: duty\n", "S\n", "begins with a letter"),
        ("scene: s\n", "scene", "mode: is missing"),
        ("scene: s\nmode: dutty\n", "dutty", "did you mean duty?"),
        ("scene: s\nmode: duty\nlayer: manual\n", "mode", "a scene with layer: manual has no mode"),
        ("scene: s\nlayer: manual\nholds: on\n", "on\n", "cannot hold the hall"),
        (HEAD + "layer: top\n", "top", "valid: scene, manual"),
        (HEAD + "priority: 101\n", "101", "from 0 to 100"),
        (HEAD + "priority: 8e1\n", "8e1", "from 0 to 100"),
        (HEAD + "holds: maybe\n", "maybe", "on or off"),
        (HEAD + "confirm: press\n", "press", "valid: tap, hold, pin"),
        (HEAD + "ready_within: 60\n", "60", "200ms"),
        (HEAD + "ready_within: 60s\ndeadline: 59s\n", "59s", "before ready_within"),
        (HEAD + "stand_down: on\n", "on\n", "valid: restore, duty, none"),
        (HEAD + "titel: x\n", "titel", "did you mean title?"),
        (HEAD + "extends: base\n", "base", "there is no file base.yaml"),
        (HEAD + "fragment: 's'\n", "'s'", "either a scene or a fragment"),
        (HEAD + "params: []\n", "[]", "keys and values"),
        (HEAD + "when: {level: {}}\n", "level", "there is no parameter level"),
        (HEAD + "else: []\n", "[]", "keys and values"),
        (HEAD + "do: {device: dsp}\n", "{device", "expected a list"),
        (HEAD + "do: [{device: dps, action: chime}]\n", "dps", "did you mean dsp?"),
        (HEAD + "do: [{device: dsp, action: chim}]\n", "chim}", "did you mean chime?"),
        (HEAD + "do: [{device: wall, action: chime}]\n", "chime", "wall has no actions"),
        (HEAD + "do: [{device: dsp}]\n", "{device", "action: is missing"),
        (HEAD + "do: [{device: dsp, action: chime, after: x}]\n", "after", "unknown key after"),
        (HEAD + "after: [a]\n", "[a]", "keys and values"),
    ],
)
def test_a_wrong_head(fails: Fails, text: str, where: str, says: str) -> None:
    text += "want: {wall.power: on}\n"
    (problem,) = fails(text)
    assert says in problem.message.en, problem
    assert (problem.line, problem.column) == spot(text, where)
    assert any("\u4e00" <= c <= "\u9fff" for c in problem.message.zh)


@pytest.mark.parametrize("text", [HEAD, HEAD + "want: {}\n"])
def test_a_scene_that_wants_nothing(fails: Fails, text: str) -> None:
    assert "wants nothing" in fails(text)[0].message.en


def test_a_scene_of_actions_only(load: Load) -> None:
    assert load(HEAD + "do: [{device: dsp, action: chime}]\n").wants == ()


def test_all_errors_of_all_files_at_once(place: Hall, tmp_path: Path) -> None:
    bad = "scene: {}\nmode: dutty\nwant: {{wal.power: on, wall.powr: on, wall.power: maybe}}\nxyz: 1\n"
    folder = write(tmp_path, a=bad.format("a"), b=bad.format("b"), c="scene: c\nscene: c\n")
    with pytest.raises(FilesInvalid) as caught:
        load_scenes(folder, place)
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [
        *[(name, line) for name in ("a.yaml", "b.yaml") for line in (2, 3, 3, 3, 4)],
        ("c.yaml", 2),
    ]


def test_scenes_come_by_name(place: Hall, tmp_path: Path) -> None:
    text = "scene: {}\nmode: duty\nwant: {{wall.power: on}}\n"
    found = load_scenes(write(tmp_path, b=text.format("b"), a=text.format("a")), place)
    assert list(found) == ["a", "b"]


# -- what is wanted --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "want",
    [
        "{dsp: {mic: {2: {gain: -10}}}}",
        "{dsp: {mic.2: {gain: -10}}}",
        "{dsp: {mic.2.gain: -10}}",
        "{dsp.mic: {2: {gain: -10}}}",
        "{dsp.mic.2.gain: −10 dB}",
        "{dsp.mic.2.gain: {value: '-10'}}",
    ],
)
def test_maps_are_sugar(load: Load, want: str) -> None:
    (found,) = load(HEAD + f"want: {want}\n").wants
    assert (found.point, found.device, found.local, found.value) == ("dsp.mic.2.gain", "dsp", "mic.2.gain", -10.0)


def test_the_point_says_what_a_text_means(load: Load) -> None:
    scene = load(
        HEAD
        + "want: {wall: {power: on, brightness: 010, label: on, clock: 12:30}, matrix: {out.1: 3, out.2: gis}}\n"
    )
    values = {name: want.value for name, want in wants(scene).items()}
    assert values == {
        "wall.power": True,
        "wall.brightness": 10,
        "wall.label": "on",
        "wall.clock": "12:30",
        "matrix.out.1": "3",
        "matrix.out.2": "gis",
    }


def test_a_group_is_every_device_that_has_the_point(load: Load) -> None:
    scene = load(HEAD + 'want: {"camera/*": {power: on, autotrack: off}}\n')
    assert sorted(wants(scene)) == ["cam1.autotrack", "cam1.power", "cam2.autotrack", "cam2.power", "cam3.power"]


def test_a_named_device_overrides_its_group_wherever_it_stands(load: Load) -> None:
    for want in ('{cam1.power: on, "camera/*": {power: off}}', '{"camera/*.power": off, cam1: {power: on}}'):
        found = wants(load(HEAD + f"want: {want}\n"))
        assert {name: one.value for name, one in found.items()} == {
            "cam1.power": True,
            "cam2.power": False,
            "cam3.power": False,
        }


def test_an_override_spares_the_device_its_group_s_value(load: Load, fails: Fails) -> None:
    """cam2 has no preset `parked`."""
    (problem,) = fails(HEAD + 'want: {"camera/*": {preset: parked}}\n')
    assert "cam2.preset cannot be 'parked'" in problem.message.en
    found = wants(load(HEAD + 'want: {"camera/*": {preset: parked}, cam2.preset: overview}\n'))
    assert {name: want.value for name, want in found.items()} == {
        "cam1.preset": "parked",
        "cam2.preset": "overview",
    }


def test_one_sentence_names_the_devices_of_a_group_that_cannot(fails: Fails) -> None:
    text = HEAD + 'want: {"camera/*": {power: perhaps}}\n'
    (problem,) = fails(text)
    assert "cam1, cam2, cam3: power cannot be 'perhaps'" in problem.message.en
    assert (problem.line, problem.column) == spot(text, "perhaps")


def test_criticality_by_wish_device_group(load: Load) -> None:
    scene = load(
        HEAD
        + 'want:\n  "camera/*": {criticality: may, power: on, autotrack: {value: on, criticality: must}}\n'
        + "  cam1: {criticality: must}\n  cam2.power: on\n  wall.power: on\n"
    )
    assert {name: want.criticality for name, want in wants(scene).items()} == {
        "cam1.power": "must",
        "cam1.autotrack": "must",
        "cam2.power": "should",
        "cam2.autotrack": "must",
        "cam3.power": "may",
        "wall.power": "should",
    }


@pytest.mark.parametrize(
    ("want", "where", "says"),
    [
        ("{wal: {power: on}}", "wal:", "there is no device wal; "),
        ("{wal.power: on}", "wal.", "did you mean wall?"),
        ("{'camra/*': {power: on}}", "'camra", "did you mean camera/*?"),
        ("{'*': {power: on}}", "'*'", "there is no group *"),
        ("{wall: {powr: on}}", "powr", "did you mean power?"),
        ("{wall.powr: on}", "wall.powr", "there is no point wall.powr"),
        ("{'camera/*': {zoom: 1}}", "zoom", "no device of group camera has zoom"),
        ("{wall: {power: {on: yes}}}", "on: yes", "there is no point wall.power.on"),
        ("{wall: on}", "on}", "expected points and values"),
        ("{wall: }", "wall", "expected points and values"),
        ("{wall: {}}", "wall", "nothing is wanted"),
        ("{dsp: {mic: {}}}", "mic", "nothing is wanted here"),
        ("{wall: {power: }}", "}}", "a value is missing"),
        ("{wall: {power: [on]}}", "[on]", "expected one value"),
        ("{wall: {power: {value: {a: b}}}}", "{a", "expected one value"),
        ("{wall: {value: on}}", "wall", "the name of the point is missing"),
        ("{wall: {power: maybe}}", "maybe", "valid: on, off"),
        ("{wall: {input: hdmi3}}", "hdmi3", "did you mean hdmi2?"),
        ("{wall: {brightness: 101}}", "101", "expected 0 to 100, got 101"),
        ("{dsp.mic.1.gain: 13 dB}", "13 dB", "expected -60 to 12 dB, got 13"),
        ("{wall: {temperature: 20}}", "temperature", "can only be read, not wanted"),
        ("{dsp: {nudge: up}}", "nudge", "a momentary control"),
        ("{wall: {preset: 'quad-{level}'}}", "'quad-", "there is no parameter level"),
        ("{wall: {label: '@townships'}}", "'@", "no point takes a list"),
        ("{wall: {criticality: always, power: on}}", "always", "valid: must, should, may"),
        ("{wall: {power: {value: on, criticality: always}}}", "always", "valid: must, should, may"),
        ("{wall: {power: {value: on, timeout: 30}}}", "30}", "200ms"),
        ("{wall: {power: {value: on, settle: soon}}}", "soon", "200ms"),
        ("{wall: {power: {value: on, on_return: aks}}}", "aks", "did you mean ask?"),
        ("{wall: {power: {value: on, timout: 3s}}}", "timout", "did you mean timeout?"),
        ("{wall.power: on, wall: {power: off}}", "power: off", "wanted in line 3 already"),
        ("{'camera/*': {power: on}, 'camera/*.power': on}", "'camera/*.power'", "cam1.power is wanted in line 3"),
        ("[wall]", "[wall]", "keys and values"),
    ],
)
def test_a_wrong_wish(fails: Fails, want: str, where: str, says: str) -> None:
    text = HEAD + f"want: {want}\n"
    problem = fails(text)[0]
    assert says in problem.message.en, problem
    line, column = spot(want, where)
    assert (problem.line, problem.column) == (2 + line, 6 + column)
    assert any("\u4e00" <= c <= "\u9fff" for c in problem.message.zh)


WORDS = ["wall", "wall.power", "camera/*", "camera/*.power", "dsp", "mic", "2", "gain", "power", "preset", "value"]
WORDS += [
    "criticality",
    "must",
    "timeout",
    "3s",
    "on",
    "-10",
    "",
    "null",
    "points",
    "if_failed",
    "go_on",
    "device",
]
WORDS += ["action", "chime", "@x", "{x}", ".", "*", "/*", "a..b", "wall.", ".power", "大屏"]
SHAPES = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)


@given(SHAPES, SHAPES, SHAPES)
@settings(max_examples=400)
def test_any_shape_is_a_scene_or_a_problem(place: Hall, want: object, after: object, do: object) -> None:
    text = HEAD + f"want: {json.dumps(want)}\nafter: {json.dumps(after)}\ndo: {json.dumps(do)}\n"
    problems = Problems()
    scene = parse_scene(Source("s.yaml", text, ""), place, problems)
    assert (scene is None) == bool(problems)


def test_valid_names_are_those_that_can_be_wanted(fails: Fails) -> None:
    (problem,) = fails(HEAD + "want: {wall: {powr: on}}\n")
    assert problem.valid == ("power", "input", "preset", "brightness", "label", "clock")
