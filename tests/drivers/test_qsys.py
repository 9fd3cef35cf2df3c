"""The Q-SYS driver against its twin: conformance, logon, state of the core, pushes, presets, errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from ecc_controld.sdk import (
    Address,
    Answer,
    ConfigError,
    DeviceConfig,
    Driver,
    LinkError,
    LinkRefused,
    Reading,
    Refusal,
    Text,
    Twin,
    Value,
)
from ecc_controld.sdk.testing import Bench, DriverConformance
from ecc_drivers.qsys.codec import Fault, Notice, Result
from ecc_drivers.qsys.driver import QSys, QSysOptions
from ecc_drivers.qsys.twin import QSysTwin

CONTROLS: dict[str, Any] = {
    "mic.1.gain": {"control": "Mic1Gain", "kind": "gain", "title_zh": "主席话筒增益", "title_en": "Chair gain"},
    "mic.1.mute": {"control": "Mic1Mute", "kind": "mute"},
    "master.mute": {"control": "MasterMute", "kind": "mute"},
    "master.gain": {"component": "Master", "control": "gain", "kind": "gain", "min": "-80", "max": "10"},
    "fader": {"component": "Master", "control": "fader", "kind": "position"},
    "level.1": {"control": "Mic1Meter", "kind": "meter"},
    "src": {"control": "SourceSel", "kind": "choice", "words": {"pc": "1", "mcu": "2"}},
    "page": {"component": "Sign", "control": "text", "kind": "text"},
    "volume": {"control": "Lobby", "kind": "level", "max": 10},
}
VERIFY = {
    "duty": {"mic.1.gain": "-30", "mic.1.mute": "true", "master.gain": "-10"},
    "emergency": {"mic.1.gain": -10, "mic.1.mute": False, "master.gain": "-10"},
}
PRESETS: dict[str, int | str] = {"duty": 1, "emergency": "2"}
ACTIONS = {"chime": {"control": "ChimeTrigger", "title_zh": "提示音", "title_en": "Chime"}}


def config(secret: str | None = None, presets: dict[str, int | str] | None = None, **options: Any) -> DeviceConfig:
    """A device as the loader hands it over: values as text or as numbers."""
    given = {"controls": CONTROLS, "actions": ACTIONS, "snapshot": {"verify": VERIFY}, **options}
    return DeviceConfig(
        id="dsp",
        name=Text("音频处理器", "DSP"),
        address=Address("tcp", "127.0.0.1", 1710),
        options=TypeAdapter(QSysOptions).validate_python(given),
        secret=secret,
        presets=PRESETS if presets is None else presets,
    )


def bench(twin: type[QSysTwin] = QSysTwin, device: DeviceConfig | None = None) -> Bench:
    device = device or config()
    return Bench(QSys(device), twin(device))


def core(made: Bench) -> QSysTwin:
    assert isinstance(made.twin, QSysTwin)
    return made.twin


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition; the test fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


class TestConformance(DriverConformance):
    def make(self) -> tuple[Driver, Twin, dict[str, tuple[Value, Value]]]:
        device = config(snapshot={"verify": VERIFY, "guard": ["master.mute"]})
        wishes: dict[str, tuple[Value, Value]] = {
            "mic.1.gain": (-6.5, 3.0),
            "mic.1.mute": (True, False),
            "master.mute": (True, False),
            "master.gain": (-80.0, -12.2),
            "fader": (0.25, 1.0),
            "src": ("mcu", "pc"),
            "page": ("应急响应", "clear"),
            "volume": (7.5, 2.0),
            "preset": ("emergency", "duty"),
        }
        return QSys(device), QSysTwin(device), wishes


# -- logging on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("secret", "user"), [("hall:1234", ""), ("1234", "hall"), ("12:34", "hall")])
async def test_logs_on_with_user_and_pin(secret: str, user: str) -> None:
    made = bench(device=config(secret, user=user))
    identity = await made.connect()
    assert (identity.model, identity.name) == ("Core 110f", "Hall")
    assert await made.read("mic.1.gain") == -20.0
    said = json.loads(made.wire.sent[0][:-1])
    assert (said["method"], said["params"]["User"]) == ("Logon", "hall")
    await made.twin.close()


@pytest.mark.parametrize("secret", ["hall:9999", None])
async def test_a_wrong_or_missing_pin_is_refused(secret: str | None) -> None:
    made = Bench(QSys(config(secret)), QSysTwin(config("hall:1234")))
    with pytest.raises(LinkRefused) as caught:
        await made.connect()
    assert caught.value.code == "wrong_password"
    assert "9999" not in str(caught.value)
    await made.twin.close()


async def test_another_design_is_refused() -> None:
    made = bench(device=config(design="Emergency hall"))
    await made.connect()
    core(made).start_design("Theatre", "other")
    with pytest.raises(LinkRefused) as caught:
        await made.connect()
    assert caught.value.code == "wrong_model"
    assert "Theatre" in caught.value.detail
    await made.twin.close()


@pytest.mark.parametrize("state", ["Standby", "Idle"])
async def test_only_an_active_core_is_accepted(state: str) -> None:
    made = bench()
    core(made).set_state(state)
    with pytest.raises(LinkError) as caught:
        await made.connect()
    assert not isinstance(caught.value, LinkRefused)
    assert caught.value.code == "not_ready"
    assert state in caught.value.detail
    await made.twin.close()


async def test_after_a_reboot_the_core_is_idle_and_then_active() -> None:
    class Quick(QSysTwin):
        boot_s: ClassVar[float] = 0.05

    made = bench(Quick)
    await made.connect()
    core(made).poke("mic.1.gain", -3.0)
    await made.twin.fault("reboot")
    with pytest.raises(LinkError, match="Idle"):
        await made.connect()
    await until(lambda: core(made).state == "Active")
    await made.connect()
    assert await made.read("mic.1.gain") == -20.0
    await made.twin.close()


# -- the core changes under us ---------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["standby", "design"])
async def test_another_state_or_design_costs_the_connection(change: str) -> None:
    made = bench()
    await made.connect()
    if change == "standby":
        core(made).set_state("Standby")
    else:
        core(made).start_design("Hall", "newCode")
    await until(lambda: made.lost)
    with pytest.raises(LinkError):
        await made.session.drained()
    await made.twin.close()


async def test_the_same_status_told_again_changes_nothing() -> None:
    made = bench()
    await made.connect()
    core(made).set_state("Active")
    assert await made.read("mic.1.mute") is False
    assert not made.lost
    await made.twin.close()


async def test_a_core_on_standby_that_did_not_tell_costs_the_connection() -> None:
    made = bench()
    await made.connect()
    core(made).state = "Standby"
    with pytest.raises(LinkError, match="-32604"):
        await made.write("mic.1.mute", True)
    await made.twin.close()


async def test_a_logon_that_is_suddenly_required_costs_the_connection() -> None:
    made = Bench(QSys(config("hall:1234")), QSysTwin(config("hall:1234")))
    await made.connect()
    (peer,) = made.twin.peers
    peer.memory["logged_on"] = False
    with pytest.raises(LinkError, match="error 10"):
        await made.ask("mic.1.mute")
    await made.twin.close()


# -- reading and writing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["number", "bool", "text"])
async def test_booleans_are_read_in_every_form(form: Any) -> None:
    class Formed(QSysTwin):
        bool_form = form

    made = bench(Formed)
    await made.connect()
    assert await made.read("mic.1.mute") is False
    assert isinstance(await made.write("mic.1.mute", True), Answer)
    assert (await made.read_all())["mic.1.mute"] is True
    await made.twin.close()


@pytest.mark.parametrize("answer", ["true", "values"])
async def test_an_acknowledgement_carries_no_readings(answer: Any) -> None:
    class Talkative(QSysTwin):
        set_answer = answer

    made = bench(Talkative)
    await made.connect()
    for point, value in (("mic.1.gain", -7.0), ("master.gain", -7.0)):
        said = await made.write(point, value)
        assert said == Answer(), "what was wanted is not yet what is true"
    await made.twin.close()


async def test_a_ramp_is_asked_for_and_waited_out() -> None:
    controls = {"gain": {"control": "G", "kind": "gain", "ramp": "0.3"}}
    made = bench(device=config(controls=controls, snapshot={}, presets={}))
    await made.connect()
    assert made.driver.points["gain"].settle_s == pytest.approx(2.3)
    await made.write("gain", 0.0)
    assert b'"Ramp":0.3' in made.wire.sent[-1]
    on_the_way = await made.read("gain")
    assert isinstance(on_the_way, float)
    assert -20.0 <= on_the_way < 0.0
    assert await made.settle("gain", 0.0) == 0.0
    await made.twin.close()


async def test_a_hundred_and_fifty_controls_are_read_in_two_messages() -> None:
    controls = {f"in.{n}.gain": {"control": f"In{n}", "kind": "gain"} for n in range(150)}
    made = bench(device=config(controls=controls, snapshot={}, presets={}))
    await made.connect()
    assert [exchange.send.count(b"Control.Get") for exchange in made.driver.observe()] == [1, 1]
    core(made).poke("in.149.gain", -1.5)
    found = await made.read_all()
    assert len(found) == 150
    assert found["in.149.gain"] == -1.5
    await made.twin.close()


async def test_two_points_may_share_a_control() -> None:
    controls = {
        "fader": {"component": "M", "control": "g", "kind": "position"},
        "gain": {"component": "M", "control": "g", "kind": "gain", "min": -80, "max": 20},
    }
    made = bench(device=config(controls=controls, snapshot={}, presets={}))
    await made.connect()
    await made.write("fader", 0.5)
    assert await made.read_all() == {"fader": 0.5, "gain": -30.0}
    await made.twin.close()


async def test_a_named_control_without_a_position_is_not_fitted() -> None:
    made = bench(device=config(controls={"f": {"control": "F", "kind": "position"}}, snapshot={}, presets={}))
    await made.connect()
    said = await made.ask("f")
    assert isinstance(said, Refusal)
    assert said.not_fitted
    await made.twin.close()


async def test_a_name_that_the_design_lacks_blinds_no_other() -> None:
    wrong = {
        "gone": {"control": "NoSuch", "kind": "gain"},
        "gone.too": {"component": "Nobody", "control": "gain", "kind": "gain"},
        "gone.also": {"component": "Master", "control": "nothing", "kind": "mute"},
    }
    made = Bench(QSys(config(controls={**CONTROLS, **wrong})), QSysTwin(config()))
    await made.connect()
    found = await made.read_all()
    assert set(found) == {*CONTROLS, "preset"}
    for point, name in (("gone", "NoSuch"), ("gone.too", "Nobody"), ("gone.also", "nothing")):
        for said in (await made.ask(point), await made.write(point, made.driver.points[point].kind.parse("1"))):
            assert isinstance(said, Refusal)
            assert said.not_fitted, point
            assert name in said.reason
    made.twin.poke("mic.1.gain", -1.0)
    await until(lambda: Reading("mic.1.gain", -1.0) in made.heard)
    assert not made.lost
    await made.twin.close()


async def test_an_action_presses_once() -> None:
    made = bench()
    await made.connect()
    assert made.driver.actions["chime"].title == Text("提示音", "Chime")
    (pending,) = made.session.hand_over([made.driver.act("chime")])
    assert isinstance(await pending.outcome, Answer)
    assert core(made).design.knobs["", "ChimeTrigger"].pressed == 1
    await made.twin.close()


async def test_a_whole_window_is_answered_each_to_its_own_question() -> None:
    made = bench()
    await made.connect()
    points = ["mic.1.gain", "mic.1.mute", "src", "master.gain"]
    wants: list[Value] = [-5.0, True, "mcu", -33.0]
    exchanges = [made.driver.write(point, want) for point, want in zip(points, wants, strict=True)]
    exchanges += [made.driver.query(point) for point in [*points, "preset"]]
    verdicts = [await pending.outcome for pending in made.session.hand_over(exchanges)]
    assert all(isinstance(verdict, Answer) for verdict in verdicts)
    for point, want, verdict in zip(points, wants, verdicts[4:], strict=False):
        assert isinstance(verdict, Answer)
        assert Reading(point, want) in verdict.readings
    assert not made.lost
    await made.twin.close()


def test_a_judge_takes_only_the_answer_to_its_own_question() -> None:
    driver = QSys(config())
    exchanges = [driver.write("mic.1.mute", True), driver.query("mic.1.mute"), driver.query("preset")]
    exchanges += [driver.act("chime"), driver.write("preset", "duty"), *driver.observe()]
    for exchange in exchanges:
        numbers = [json.loads(part)["id"] for part in exchange.send.split(b"\0")[:-1]]
        assert exchange.judge is not None
        others: list[Any] = [Result(None, True), Notice("EngineStatus", {"State": "Active"})]
        for number in (min(numbers) - 1, max(numbers) + 1, max(numbers) + 0.5, None):
            others += [Result(number, [{"Name": "Mic1Mute", "Value": 1}]), Fault(number, 8, "Unknown control")]
        assert [exchange.judge(other) for other in others] == [None] * len(others)
        for number in numbers[:-1]:
            assert exchange.judge(Fault(number, 8, "Unknown control")) is None, "there is more to come"
        assert isinstance(exchange.judge(Fault(numbers[-1], 8, "Unknown control")), Refusal)


@pytest.mark.parametrize(
    ("result", "taken"),
    [
        (True, True),
        ({}, True),
        (None, True),
        ([], True),
        (False, False),
        (["gain"], False),
        ([{"Name": "gain"}], False),
    ],
)
def test_a_set_is_believed_only_when_it_was_done(result: Any, taken: bool) -> None:
    exchange = QSys(config()).write("master.gain", -3.0)
    assert exchange.judge is not None
    verdict = exchange.judge(Result(json.loads(exchange.send[:-1])["id"], result))
    assert isinstance(verdict, Answer if taken else Refusal)


async def test_changes_under_a_foreign_number_cost_the_connection() -> None:
    made = bench()
    await made.connect()
    (peer,) = made.twin.peers
    made.twin.say(peer, b'{"jsonrpc":"2.0","id":99999,"result":{"Id":"ecc","Changes":[]}}\0')
    await until(lambda: made.lost)
    assert made.lost[0][0] == "mismatched_answer"
    await made.twin.close()


async def test_an_answer_to_nobody_costs_the_connection() -> None:
    made = bench()
    await made.connect()
    (peer,) = made.twin.peers
    made.twin.say(peer, b'{"jsonrpc":"2.0","id":99999,"result":true}\0')
    await until(lambda: made.lost)
    assert made.lost[0][0] == "mismatched_answer"
    await made.twin.close()


# -- pushes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["poll", "autopoll", "result"])
async def test_changes_by_hand_are_heard_in_every_shape(shape: Any) -> None:
    class Shaped(QSysTwin):
        push_shape = shape

    made = bench(Shaped, config(feedback_s=0.03))
    await made.connect()
    made.heard.clear()
    made.twin.poke("mic.1.gain", -4.5)
    made.twin.poke("master.gain", -11.0)
    await until(lambda: {Reading("mic.1.gain", -4.5), Reading("master.gain", -11.0)} <= set(made.heard))
    assert not made.lost
    await made.twin.close()


async def test_the_group_is_built_anew_at_each_connection() -> None:
    made = bench(device=config(feedback_s=0.03))
    for gain in (-1.0, -2.0):
        await made.connect()
        made.twin.poke("mic.1.gain", gain)
        await until(lambda gain=gain: Reading("mic.1.gain", gain) in made.heard)
        made.session.abort("reset")
    await made.twin.close()


async def test_a_core_without_free_groups_is_polled() -> None:
    class Full(QSysTwin):
        groups_limit: ClassVar[int] = 0

    made = bench(Full)
    await made.connect()
    assert await made.read("mic.1.gain") == -20.0
    await made.twin.close()


async def test_no_feedback_wanted_none_asked() -> None:
    made = bench(device=config(feedback_s=0))
    await made.connect()
    assert not any(b"ChangeGroup" in sent for sent in made.wire.sent)
    await made.twin.close()


# -- presets ---------------------------------------------------------------------------------------------


async def test_a_preset_is_proved_through_its_controls() -> None:
    made = bench()
    await made.connect()
    assert await made.read("preset") == "<unknown>"
    assert isinstance(await made.write("preset", "emergency"), Answer)
    assert b'"Snapshot.Load","params":{"Name":"Presets","Bank":2}' in made.wire.sent[-1]
    assert await made.read("preset") == "<unknown>", "the gains follow a little later"
    assert await made.settle("preset", "emergency") == "emergency"
    assert await made.read("mic.1.gain") == -10.0
    made.twin.poke("preset", "duty")
    assert await made.settle("preset", "duty") == "duty"
    made.twin.poke("mic.1.mute", False)
    assert await made.read("preset") == "<unknown>"
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


# -- the connection --------------------------------------------------------------------------------------


async def test_a_core_without_controls_is_still_asked() -> None:
    made = bench(device=config(controls={}, actions={}, snapshot={}, presets={}))
    await made.connect()
    assert await made.read_all() == {}
    assert b"StatusGet" in made.wire.sent[-1]
    await made.twin.close()


async def test_a_silent_client_is_dropped_and_a_polling_one_is_not() -> None:
    class Impatient(QSysTwin):
        idle_s: ClassVar[float] = 0.2

    made = bench(Impatient)
    await made.connect()
    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() < started + 3 * Impatient.idle_s:
        assert await made.read("mic.1.gain") is not None
    await until(lambda: made.lost)
    assert made.lost == [("closed_by_device", "")]
    await made.twin.close()


def test_polling_finds_a_dead_connection_within_five_seconds() -> None:
    assert QSys.poll_s + QSys.answer_s <= 5.0
    assert QSys.poll_s < QSysTwin.idle_s / 2


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
