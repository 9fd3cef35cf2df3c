"""Q-SYS: presets that are proved through controls, and options that are checked at load."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from qsys_hall import CONTROLS, VERIFY, bench, config, core, until

from ecc_controld.sdk import (
    Answer,
    ConfigError,
    Reading,
    Refusal,
    Text,
)
from ecc_controld.sdk.testing import Bench
from ecc_drivers.qsys.driver import QSys
from ecc_drivers.qsys.twin import QSysTwin

# -- presets ---------------------------------------------------------------------------------------------


async def test_a_preset_is_proved_through_its_controls() -> None:
    made = bench()
    await made.connect()
    assert await made.read("preset") == "<unknown>"
    assert isinstance(await made.write("preset", "emergency"), Answer)
    assert b'"Snapshot.Load","params":{"Name":"Presets","Bank":2}' in made.wire.sent[-1]
    assert await made.settle("preset", "emergency") == "emergency"
    assert await made.read("mic.1.gain") == -10.0
    made.twin.poke("preset", "duty")
    assert await made.settle("preset", "duty") == "duty"
    made.twin.poke("mic.1.mute", False)
    assert await made.read("preset") == "<unknown>"
    await made.twin.close()


async def test_an_acknowledged_preset_is_not_yet_a_true_one() -> None:
    class Slow(QSysTwin):
        fade_after_s: ClassVar[float] = 60.0

    made = bench(Slow)
    await made.connect()
    assert isinstance(await made.write("preset", "duty"), Answer)
    assert await made.read("mic.1.mute") is True
    assert await made.read("preset") == "<unknown>", "the gains have not followed"
    await made.twin.close()


async def test_two_presets_that_are_both_true_are_neither() -> None:
    verify = {"duty": {"mic.1.gain": -20}, "emergency": {"mic.1.mute": False}}
    made = bench(device=config(snapshot={"verify": verify}))
    await made.connect()
    assert await made.read("preset") == "<unknown>"
    made.twin.poke("mic.1.mute", True)
    assert await made.read("preset") == "duty"
    await made.twin.close()


async def test_a_push_of_a_witness_hints_at_the_preset() -> None:
    made = bench(device=config(feedback_s=0.03))
    await made.connect()
    made.twin.poke("preset", "emergency")
    await until(lambda: Reading("preset", "emergency") in made.heard)
    await made.twin.close()


async def test_what_a_preset_does_to_others_is_declared() -> None:
    snapshot = {"verify": VERIFY, "guard": ["master.mute"], "ramp": "1.5", "settle": 2, "bank": "Hall"}
    made = bench(device=config(snapshot=snapshot))
    point = made.driver.points["preset"]
    assert point.disturbs == {"mic.1.gain", "mic.1.mute", "master.gain"}
    assert point.guard == {"master.mute": True}
    assert (point.settle_s, point.quiet_s) == (3.5, 1.7)
    await made.connect()
    await made.write("preset", "duty")
    assert b'{"Name":"Hall","Bank":1,"Ramp":1.5}' in made.wire.sent[-1]
    explicit = QSys(config(snapshot={"verify": VERIFY, "guard": ["master.mute"], "disturbs": ["master.mute"]}))
    assert explicit.points["preset"].disturbs == {"master.mute"}
    await made.twin.close()


async def test_without_verify_a_preset_is_blind() -> None:
    made = bench(device=config(snapshot={}))
    assert made.driver.points["preset"].access == "write"
    await made.connect()
    assert isinstance(await made.write("preset", "duty"), Answer)
    assert "preset" not in await made.read_all()
    await made.twin.close()


async def test_a_snapshot_that_does_not_exist_is_a_refusal() -> None:
    made = Bench(QSys(config(presets={"duty": 1, "emergency": 7})), QSysTwin(config()))
    await made.connect()
    said = await made.write("preset", "emergency")
    assert isinstance(said, Refusal)
    assert "Presets 7" in said.reason
    assert not said.not_fitted
    await made.twin.close()


async def test_a_witness_that_the_design_lacks_is_named() -> None:
    controls = {name: given for name, given in CONTROLS.items() if name != "mic.1.mute"}
    device = config(controls=controls, snapshot={}, presets={})
    made = Bench(QSys(config()), QSysTwin(device))
    await made.connect()
    said = await made.ask("preset")
    assert isinstance(said, Refusal)
    assert said.not_fitted
    assert said.reason.startswith("Mic1Mute:"), "the one that lacks, not those that were asked with it"
    assert not made.lost
    await made.twin.close()


async def test_a_preset_is_safe_against_an_error_half_way() -> None:
    made = bench()
    await made.connect()
    del core(made).design.knobs["", "Mic1Mute"]
    said = await made.ask("preset")
    assert isinstance(said, Refusal)
    assert await made.read("master.gain") == -20.0
    assert not made.lost, "the answers of the other components are nobody's surprise"
    await made.twin.close()


# -- configuration ---------------------------------------------------------------------------------------

GAIN = {"control": "G", "kind": "gain"}
MUTE = {"control": "M", "kind": "mute"}
ONE = {"g": GAIN, "m": MUTE, "lamp": {"control": "L", "kind": "mute", "read_only": True}}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"controls": {"Mic 1": GAIN}}, "controls.Mic 1"),
        ({"controls": {"preset": GAIN}}, "controls.preset"),
        ({"controls": {"g": {"control": "", "kind": "gain"}}}, "controls.g.control"),
        ({"controls": {"g": {**GAIN, "min": 5, "max": 5}}}, "controls.g.max"),
        ({"controls": {"g": {**GAIN, "tolerance": -1}}}, "controls.g.tolerance"),
        ({"controls": {"g": {**GAIN, "words": {"a": 1}}}}, "controls.g.words"),
        ({"controls": {"g": {"control": "S", "kind": "choice"}}}, "controls.g.words"),
        ({"controls": {"g": {"control": "S", "kind": "choice", "words": {"a": 1, "b": "1"}}}}, "controls.g.words"),
        ({"controls": {"m": {**MUTE, "ramp": 1}}}, "controls.m.ramp"),
        ({"feedback_s": -1}, "feedback_s"),
        ({"actions": {"Chime!": {"control": "C"}}}, "actions.Chime!"),
        ({"actions": {"chime": {"control": ""}}}, "actions.chime.control"),
        ({"snapshot": {"verify": {"duty": {"g": 1}}}}, "snapshot.verify"),
        ({"snapshot": {"verify": {"duties": {"g": 1}, "duty": {"g": 2}}}}, "snapshot.verify.duties"),
        ({"snapshot": {"verify": {"duty": {"x": 1}, "emergency": {"g": 2}}}}, "snapshot.verify.duty.x"),
        ({"snapshot": {"verify": {"duty": {"g": 99}, "emergency": {"g": 2}}}}, "snapshot.verify.duty.g"),
        ({"snapshot": {"verify": {"duty": {"g": 1}, "emergency": {"g": 1.05}}}}, "snapshot.verify.emergency"),
        ({"snapshot": {"verify": {"duty": {"g": 1}, "emergency": {}}}}, "snapshot.verify.emergency"),
        ({"snapshot": {"guard": ["g"]}}, "snapshot.guard"),
        ({"snapshot": {"guard": ["lamp"]}}, "snapshot.guard"),
        ({"snapshot": {"guard": ["nobody"]}}, "snapshot.guard"),
        ({"snapshot": {"disturbs": ["nobody"]}}, "snapshot.disturbs.nobody"),
        (
            {"snapshot": {"guard": ["m"], "verify": {"duty": {"m": True}, "emergency": {"m": False}}}},
            "snapshot.verify",
        ),
        ({"snapshot": {"ramp": -1}}, "snapshot"),
    ],
)
def test_options_that_cannot_be_right_are_named(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        QSys(config(**{"controls": ONE, "snapshot": {}, "actions": {}, **options}))
    assert caught.value.option == where


@pytest.mark.parametrize("presets", [{"a": "one"}, {"a": 0}, {"a": 1, "b": "1"}])
def test_presets_are_snapshot_numbers(presets: dict[str, int | str]) -> None:
    with pytest.raises(ConfigError, match="snapshot"):
        QSys(config(controls=ONE, snapshot={}, presets=presets))


def test_titles_ranges_and_meters() -> None:
    driver = QSys(config())
    assert driver.points["mic.1.gain"].title == Text("主席话筒增益", "Chair gain")
    assert driver.points["mic.1.mute"].title == Text("静音 mic.1.mute", "Mute mic.1.mute")
    assert driver.points["master.gain"].kind.range() == {"min": -80.0, "max": 10.0}
    meter = driver.points["level.1"]
    assert (meter.access, meter.fleeting, meter.measured) == ("read", True, True)
    lamp = QSys(config(controls=ONE, snapshot={}, presets={})).points["lamp"]
    assert (lamp.access, lamp.fleeting) == ("read", False)
