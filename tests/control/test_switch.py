"""A press becomes a proved hall: engine, journal and twins over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecc_controld.control.acceptance import Press, Refused
from ecc_controld.sdk import Exchange, Refusal
from support.linebox import LineBox, PipelinedBox
from support.rig import Rig, scene, until

DUTY = scene("duty", {"x.a": 1, "x.b": 1, "y.a": 1})
EMERGENCY = scene("emergency", {"x.a": 2, "x.b": 3, "y.a": 4, "y.mute": True}, priority=80, holds=True)
KINDS = [LineBox, PipelinedBox]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_press_is_proved_by_read_back(tmp_path: Path, kind: type[LineBox]) -> None:
    async with Rig(tmp_path, {"x": kind, "y": kind}, [DUTY, EMERGENCY]) as rig:
        await rig.online()
        run = await rig.switch("emergency")
        assert run.verdict == "ready"
        assert {card.outcome for card in run.cards.values()} == {"ok"}
        assert {card.evidence.word for card in run.cards.values()} == {"read_back"}
        assert rig.twins["x"].state["a"] == "2"
        assert rig.twins["y"].state["mute"] == "1"
        assert rig.twins["x"].writes() == ["SET a 2", "SET b 3"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_right_already_is_not_written(tmp_path: Path, kind: type[LineBox]) -> None:
    async with Rig(tmp_path, {"x": kind, "y": kind}, [DUTY, EMERGENCY]) as rig:
        rig.twins["x"].state.update(a="1", b="1")
        await rig.online()
        run = await rig.switch("duty")
        assert run.verdict == "ready"
        assert [card.outcome for card in run.cards.values()] == ["already", "already", "ok"]
        assert rig.twins["x"].writes() == []
        again = await rig.switch("duty")
        assert {card.outcome for card in again.cards.values()} == {"already"}
        assert rig.twins["y"].writes() == ["SET a 1"]


async def test_a_slow_value_settles_and_one_that_never_comes_is_not_settled(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        rig.twins["x"].slow_s = 0.2
        await rig.twins["y"].fault("ignore")
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        cards = run.cards
        assert (cards["x.a"].outcome, cards["x.b"].outcome) == ("ok", "ok")
        assert (cards["y.a"].outcome, cards["y.a"].got, cards["y.a"].want) == ("not_settled", 0, 1)
        assert cards["y.a"].evidence.word == "acknowledged"
        assert run.verdict == "degraded"
        assert rig.twins["y"].writes() == ["SET a 1"] * 3


async def test_a_refusal_is_rejected_with_the_devices_reason(tmp_path: Path) -> None:
    async with Rig(
        tmp_path, {"x": LineBox, "y": LineBox}, [scene("duty", {"x.a": 1, "y.a": 1}, must=("y.a",))]
    ) as rig:
        await rig.online()
        await rig.twins["y"].fault("reject")
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        assert run.verdict == "failed"
        assert (run.cards["y.a"].outcome, run.cards["y.a"].detail) == ("rejected", "refused")


async def test_order_waits_for_proof_and_a_failure_blocks(tmp_path: Path) -> None:
    ordered = scene("duty", {"x.a": 1, "y.a": 1}, after={"y.a": ["x.a"]})
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [ordered]) as rig:
        await rig.online()
        rig.twins["x"].slow_s = 0.3
        run = await rig.switch("duty")
        assert run.verdict == "ready"
        proved = next(e.t for e in rig.twins["x"].log if e.data == b"VAL a 1\n")
        sent = next(e.t for e in rig.twins["y"].log if e.data == b"SET a 1\n")
        assert sent > proved
        rig.twins["x"].poke("a", 0)
        rig.twins["y"].poke("a", 0)
        await rig.twins["x"].fault("ignore")
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        assert (run.cards["y.a"].outcome, run.cards["y.a"].detail) == ("blocked", "x.a")
        assert rig.twins["y"].writes() == ["SET a 1"]


async def test_if_failed_go_on_lets_the_dependent_pass(tmp_path: Path) -> None:
    ordered = scene("duty", {"x.a": 1, "y.a": 1}, after={"y.a": ["x.a"]}, if_failed="go_on")
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [ordered]) as rig:
        await rig.online()
        await rig.twins["x"].fault("ignore")
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        assert (run.cards["x.a"].outcome, run.cards["y.a"].outcome) == ("not_settled", "ok")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guarded_preset_is_muted_loaded_verified_and_opened(tmp_path: Path, kind: type[LineBox]) -> None:
    guarded = scene("duty", {"x.preset": "emergency", "x.c": 5})
    async with Rig(tmp_path, {"x": kind}, [guarded]) as rig:
        await rig.online()
        run = await rig.switch("duty")
        assert run.verdict == "ready"
        await until(lambda: rig.twins["x"].state["mute"] == "0")
        writes = rig.twins["x"].writes()
        assert writes.index("SET mute 1") < writes.index("SET preset 1") < writes.index("SET mute 0")
        # The preset moved c to 77: it was written after the quiet time, whatever had been written before.
        assert rig.twins["x"].state["c"] == "5"


async def test_a_guard_stays_when_the_preset_fails(tmp_path: Path) -> None:
    guarded = scene("duty", {"x.preset": "emergency"})
    async with Rig(tmp_path, {"x": LineBox}, [guarded]) as rig:
        await rig.online()
        twin = rig.twins["x"]
        answer = twin.answer

        def refuse_preset(peer: object, frame: bytes) -> list[bytes]:
            return [b"NO preset broken\n"] if frame.startswith(b"SET preset") else list(answer(peer, frame))

        twin.answer = refuse_preset
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        assert run.cards["x.preset"].outcome == "rejected"
        await until(lambda: "guard_stays:x.mute" in rig.engine.store.alarms)
        assert twin.state["mute"] == "1"


async def test_a_blind_point_is_unverifiable_and_fine(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, [scene("duty", {"x.lamp": 3})]) as rig:
        await rig.online()
        run = await rig.switch("duty")
        assert run.verdict == "ready"
        assert (run.cards["x.lamp"].outcome, run.cards["x.lamp"].evidence.word) == ("unverifiable", "acknowledged")


async def test_an_absent_device_is_offline_with_its_reason_and_converges_when_it_returns(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        await rig.twins["y"].fault("refuse")
        await until(lambda: rig.engine.store.devices["y"].link == "offline")
        run = await rig.press("duty")
        await until(lambda: run.state == "assessed")
        assert (run.cards["y.a"].outcome, run.cards["y.a"].reason) == ("offline", "refused_connection")
        assert run.verdict == "degraded"
        await rig.twins["y"].heal()
        await rig.finished(run)
        assert run.verdict == "ready"
        assert rig.twins["y"].state["a"] == "1"


async def test_a_new_scene_supersedes_and_an_emergency_holds(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY, EMERGENCY]) as rig:
        await rig.online()
        rig.twins["x"].slow_s = rig.twins["y"].slow_s = 0.3
        first = await rig.press("duty")
        second = await rig.press("emergency")
        assert first.verdict == "superseded"
        assert first.superseded_by == second.id
        await rig.finished(second)
        assert second.verdict == "ready"
        with pytest.raises(Refused) as refused:
            await rig.press("duty")
        assert refused.value.helps["held_by"]["scene"] == "emergency"
        third = await rig.switch("duty", Press(by="张三", stand_down=True))
        assert third.verdict == "ready"
        assert rig.twins["x"].state["a"] == "1"


async def test_the_same_scene_joins_the_run_in_progress(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        rig.twins["x"].slow_s = 0.3
        first = await rig.press("duty", Press(by="a", key="k1", digest="d"))
        second = await rig.press("duty", Press(by="b", key="k2", digest="d"))
        assert first is second
        assert await rig.engine.arbiter.known_key(Press(by="b", key="k2", digest="d")) == first.id
        with pytest.raises(Refused) as reused:
            await rig.engine.arbiter.known_key(Press(by="b", key="k2", digest="other"))
        assert reused.value.status == 422


async def test_a_manual_wish_overrides_and_release_gives_it_back(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        entry = rig.entry("x.a")
        wish = await rig.engine.hands.set(entry, 7, Press(by="张三"))
        life = await rig.engine.hands.wait(entry, wish, 5)
        assert life is not None
        assert life.outcome == "ok"
        assert rig.twins["x"].state["a"] == "7"
        assert await rig.engine.hands.release(entry, Press(by="张三"))
        await until(lambda: rig.twins["x"].state["a"] == "1")
        assert not await rig.engine.hands.release(entry, Press(by="张三"))


async def test_drift_is_seen_and_reopens_nothing_by_itself(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        rig.twins["x"].poke("a", 9)
        entry = rig.entry("x.a")
        await until(lambda: entry.life is not None and entry.life.drifted)
        assert not entry.life.as_wanted
        assert rig.twins["x"].writes() == ["SET a 1", "SET b 1"]
        rig.twins["x"].poke("a", 1)
        await until(lambda: entry.life.as_wanted)


async def test_a_rebooted_device_is_brought_back(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        await rig.twins["x"].fault("reboot")
        await until(lambda: rig.twins["x"].state["a"] == "1" and rig.twins["x"].state["b"] == "1")


async def test_a_restart_reads_before_it_writes(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [DUTY, EMERGENCY]) as rig:
        await rig.online()
        run = await rig.switch("emergency")
        assert run.verdict == "ready"
        await rig.stop()
        before = len(rig.twins["x"].writes())
        rig.twins["y"].state["a"] = "0"
        await rig.start()
        assert rig.engine.arbiter.active.scene == "emergency"
        await until(lambda: rig.twins["y"].state["a"] == "4")
        await until(lambda: rig.entry("x.a").life.as_wanted and rig.entry("x.a").observed == 2)
        assert len(rig.twins["x"].writes()) == before


async def test_actions_are_sent_once(tmp_path: Path) -> None:
    chime = scene("duty", {"x.a": 1}, actions=(("x", "ping"),))
    async with Rig(tmp_path, {"x": LineBox}, [chime]) as rig:
        await rig.online()
        run = await rig.switch("duty")
        await until(lambda: run.deeds[0].state == "acknowledged")
        assert rig.twins["x"].writes().count("SET ping 1") == 1


async def test_a_manual_wish_waits_for_what_the_driver_puts_first(tmp_path: Path) -> None:
    """c is disturbed by the preset: a hand's wish for c comes after a preset that is still being loaded."""
    async with Rig(tmp_path, {"x": LineBox}, [scene("duty", {"x.preset": "emergency"})]) as rig:
        await rig.online()
        rig.twins["x"].slow_s = 0.2
        await rig.press("duty")
        entry = rig.entry("x.c")
        wish = await rig.engine.hands.set(entry, 5, Press(by="张三"))
        life = await rig.engine.hands.wait(entry, wish, 10)
        assert life is not None
        assert life.outcome == "ok"
        writes = rig.twins["x"].writes()
        assert writes.index("SET preset 1") < writes.index("SET c 5")
        assert rig.twins["x"].state["c"] == "5"


class NoB(LineBox):
    """A model without b: the poll leaves it out, and a question about it is refused for good."""

    def observe(self) -> list[Exchange]:
        return [super(NoB, self).query(name) for name in ("a", "c", "mute", "preset")]

    def query(self, point: str) -> Exchange:
        made = super().query(point)
        if point != "b":
            return made
        return Exchange(made.send, lambda message: Refusal("no b", not_fitted=True) if message[1] == "b" else None)


async def test_a_point_that_the_model_lacks_is_asked_for_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": NoB}, [scene("duty", {"x.a": 1})]) as rig:

        def asked(name: str) -> int:
            return sum(entry.data == f"GET {name}\n".encode() for entry in rig.twins["x"].log)

        entry = rig.entry("x.b")
        await until(lambda: not entry.fitted)
        before = asked("a")
        await until(lambda: asked("a") >= before + 3)
        assert asked("b") == 1
