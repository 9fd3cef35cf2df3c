"""The Q-SYS driver against its twin: conformance, logon, state of the core, pushes, presets, errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from qsys_hall import CONTROLS, VERIFY, bench, config, core, until

from ecc_controld.sdk import (
    Answer,
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
from ecc_drivers.qsys.driver import QSys
from ecc_drivers.qsys.twin import QSysTwin


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
    slow, quick = ({"control": name, "kind": "gain", "ramp": ramp} for name, ramp in (("S", "60"), ("Q", 0.1)))
    made = bench(device=config(controls={"slow": slow, "quick": quick}, snapshot={}, presets={}))
    await made.connect()
    assert made.driver.points["slow"].settle_s == 62.0
    await made.write("slow", 0.0)
    assert b'"Ramp":60.0' in made.wire.sent[-1]
    on_the_way = await made.read("slow")
    assert isinstance(on_the_way, float)
    assert -20.0 <= on_the_way < 0.0
    await made.write("quick", 0.0)
    assert await made.settle("quick", 0.0) == 0.0
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


# -- the connection --------------------------------------------------------------------------------------


async def test_a_core_without_controls_is_still_asked() -> None:
    made = bench(device=config(controls={}, actions={}, snapshot={}, presets={}))
    await made.connect()
    assert await made.read_all() == {}
    assert b"StatusGet" in made.wire.sent[-1]
    await made.twin.close()


async def test_a_silent_client_is_dropped_and_a_polling_one_is_not() -> None:
    class Impatient(QSysTwin):
        idle_s: ClassVar[float] = 0.5

    made = bench(Impatient)
    await made.connect()
    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() < started + 2 * Impatient.idle_s:
        assert await made.read("mic.1.gain") is not None
    await until(lambda: made.lost)
    assert made.lost == [("closed_by_device", "")]
    await made.twin.close()


def test_polling_finds_a_dead_connection_within_five_seconds() -> None:
    assert QSys.poll_s + QSys.answer_s <= 5.0
    assert QSys.poll_s < QSysTwin.idle_s / 2
