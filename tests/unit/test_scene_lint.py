"""Warnings: what is legal and unwise, at its place, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecc_controld.__main__ import main
from ecc_controld.client.__main__ import main as eccctl
from ecc_controld.registry import Registry
from ecc_controld.scene.load import load_scenes
from ecc_controld.sdk import Point, Switch
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import Problem, Problems
from support.fakehall import DRIVERS, HALL, Dsp, hall, point, write
from support.scenefile import spot

DUTY = "scene: duty\nmode: duty\nwant: {wall.power: on, dsp.preset: duty}\n"


class LoudDsp(Dsp):
    """Its preset guards `master.mute` and disturbs the gains, but not `mic.2.mute`; `lamp` cannot be read."""

    name = "dsp"

    def made(self) -> list[Point]:
        return [*super().made(), point("lamp", Switch(), access="write")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    return hall(tmp_path_factory.mktemp("hall"), HALL, registry=Registry({**DRIVERS, "dsp": LoudDsp}))


def warned(place: Hall, folder: Path, **files: str) -> list[Problem]:
    warnings = Problems()
    load_scenes(write(folder, **files), place, warnings)
    return list(warnings.all())


def places(found: list[Problem]) -> list[tuple[str, int, int]]:
    return [(Path(one.file).name, one.line, one.column) for one in found]


def test_nothing_to_say_of_a_good_scene(place: Hall, tmp_path: Path) -> None:
    text = "scene: s\nmode: emergency\nwant: {wall.power: {value: on, criticality: must}, dsp.preset: emergency}\n"
    assert warned(place, tmp_path, duty=DUTY, s=text) == []


def test_what_emergency_sets_and_duty_never_names(place: Hall, tmp_path: Path) -> None:
    text = (
        "scene: s\nmode: emergency\nparams: {level: {choices: [I, II], default: II}}\n"
        "want: {wall.power: on, dsp: {mic.1.gain: 0, preset: emergency}, matrix: {out.1: 1, out.2: 2}}\n"
        "when: {level: {I: {cam1.power: on}}}\n"
    )
    found = warned(place, tmp_path, duty=DUTY, s=text)
    assert places(found) == [("s.yaml", *spot(text, "out.1")), ("s.yaml", *spot(text, "cam1"))]
    assert "matrix.out.1, matrix.out.2, which duty never names" in found[0].message.en
    assert "cam1.power" in found[1].message.zh
    assert (
        warned(place, tmp_path, duty=DUTY.replace("duty\nmode: duty", "duty\nmode: conference"), s=text) == []
    ), "without a duty scene there is nothing to compare with"


def test_a_duty_that_names_it_in_a_variant_is_enough(place: Hall, tmp_path: Path) -> None:
    duty = DUTY + "params: {night: {type: boolean, default: off}}\nwhen: {night: {on: {cam1.power: off}}}\n"
    text = "scene: s\nmode: emergency\nwant: {cam1.power: on}\n"
    assert warned(place, tmp_path, duty=duty, s=text) == []


def test_a_must_that_cannot_be_read_back(place: Hall, tmp_path: Path) -> None:
    text = "scene: s\nmode: duty\nwant: {dsp: {lamp: {value: on, criticality: must}, mic.2.mute: on}}\n"
    (found,) = warned(place, tmp_path, s=text)
    assert "dsp.lamp is a must that cannot be read back" in found.message.en
    assert (found.line, found.column) == spot(text, "lamp")
    assert warned(place, tmp_path, s=text.replace("must", "should")) == []


@pytest.mark.parametrize(
    ("want", "after", "warns"),
    [
        ("{preset: duty, mic.2.mute: off}", "", True),
        ("{preset: duty, mic.2.mute: on}", "", False),
        ("{mic.2.mute: off}", "", False),
        ("{preset: duty, mic.2.mute: off}", "{dsp.mic.2.mute: [dsp.preset]}", False),
        ("{preset: duty, mic.2.mute: off}", "{dsp.mic.2.mute: {points: [dsp.preset], if_failed: go_on}}", True),
        (
            "{preset: duty, mic.2.mute: off, mic.1.gain: 0}",
            "{dsp.mic.2.mute: [dsp.mic.1.gain]}",
            False,
        ),
        ("{preset: duty, master.mute: off}", "", False),
    ],
    ids=["early", "shut", "no preset", "after it", "may pass", "after what follows it", "guarded"],
)
def test_a_microphone_that_opens_before_its_preset(
    place: Hall, tmp_path: Path, want: str, after: str, warns: bool
) -> None:
    text = f"scene: s\nmode: duty\nwant: {{dsp: {want}}}\n" + (f"after: {after}\n" if after else "")
    found = warned(place, tmp_path, s=text)
    assert bool(found) == warns
    for one in found:
        assert "dsp.mic.2.mute opens before dsp.preset is verified" in one.message.en
        assert (one.line, one.column) == spot(text, "mic.2.mute")


def test_an_else_is_not_carried_out_yet(place: Hall, tmp_path: Path) -> None:
    text = (
        "scene: s\nmode: duty\nparams: {a: {type: boolean, default: off}}\nwant: {wall: {power: on, input: hdmi1}}\n"
        "else: {wall.input: hdmi2}\nwhen: {a: {on: {want: {}, else: {wall.input: hdmi2}}}}\n"
    ).replace(
        "when: {a: {on: {want: {}, else: {wall.input: hdmi2}}}}", "when: {a: {on: {else: {wall.power: off}}}}"
    )
    found = warned(place, tmp_path, s=text)
    assert places(found) == [("s.yaml", 5, 1), ("s.yaml", 6, 17)]
    assert "尚不执行" in found[0].message.zh


def test_what_nobody_uses(place: Hall, tmp_path: Path) -> None:
    text = "scene: s\nmode: duty\nparams: {a: {type: boolean, default: off}, b: {type: text, default: x}, c: {choices: [u]}}\n"
    text += "want: {wall.label: '{b}'}\nwhen: {c: {u: {wall.power: on}}}\n"
    found = warned(place, tmp_path, s=text, part="fragment: part\n")
    assert places(found) == [("part.yaml", 1, 1), ("s.yaml", *spot(text, "a: {type"))]


def test_check_prints_them_and_is_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    minihall = root / "tests" / "support" / "minihall"
    text = (minihall / "scenes" / "emergency.yaml").read_text(encoding="utf-8") + "else: {matrix: {out.1: 5}}\n"
    duty = (minihall / "scenes" / "duty.yaml").read_text(encoding="utf-8")
    scenes = write(tmp_path / "scenes", emergency=text, duty=duty)
    folders = ["--config", str(minihall / "config"), "--scenes", str(scenes)]
    lines = len(text.splitlines())
    assert main(["check", *folders]) == 0
    out = capsys.readouterr().out
    assert f"{scenes}/emergency.yaml:{lines}:1: warning: else: is checked" in out
    assert "尚不执行" in out
    assert eccctl(["check", *folders, "--lang", "zh"]) == 0
    assert f"{scenes}/emergency.yaml:{lines}:1: warning: else: 已检查" in capsys.readouterr().out
