"""A device that is only observed is read, shown and never written, whatever is pressed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecc_controld.hall.plan import plan
from support.linebox import LineBox, PipelinedBox
from support.rig import PERSON, Rig, scene, until

DUTY = scene("duty", {"x.a": 1, "x.b": 1, "y.a": 1}, actions=(("x", "ping"),), after={"y.a": ["x.a"]})
EMERGENCY = scene("emergency", {"x.preset": "emergency", "x.lamp": 3, "x.c": 5, "y.a": 4}, priority=80, holds=True)
FIRE = scene("fire", {"x.a": 9}, priority=100, mode="fire")
KINDS = [LineBox, PipelinedBox]


def hall(path: Path, kind: type[LineBox] = LineBox) -> Rig:
    rig = Rig(path, {"x": kind, "y": kind}, [DUTY, EMERGENCY, FIRE])
    rig.observed = frozenset({"x"})
    return rig


async def read_again(rig: Rig) -> None:
    """A whole poll of `x` has gone by: whatever was to be written had its chance."""
    seen = len(rig.twins["x"].log)
    await until(lambda: len(rig.twins["x"].log) > seen + 30)


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_written_by_scene_hand_action_or_retry(tmp_path: Path, kind: type[LineBox]) -> None:
    async with hall(tmp_path, kind) as rig:
        await rig.online()
        for name in ("duty", "emergency"):
            run = await rig.switch(name)
            mine = [card for card in run.cards.values() if card.device == "x"]
            assert {(card.outcome, card.reason) for card in mine} == {("out_of_service", "observe_only")}
            assert run.cards["y.a"].outcome == "ok"
            assert run.verdict == "degraded"
        wish = await rig.engine.hands.set(rig.entry("x.a"), 7, PERSON)
        life = await rig.engine.hands.wait(rig.entry("x.a"), wish, 5)
        assert life is not None
        assert (life.outcome, life.reason) == ("out_of_service", "observe_only")
        await rig.engine.hands.release(rig.entry("x.a"), PERSON)
        told: list[tuple[str, str]] = []
        rig.engine.keepers["x"].do("ping", lambda _, state, reason: told.append((state, reason)))
        rig.engine.keepers["x"].hold("a", 3, "person")
        assert told == [("failed", "observe_only")]
        await rig.press("fire")
        await rig.switch("duty")
        await read_again(rig)
        assert rig.twins["x"].writes() == []
        assert rig.twins["y"].writes() != []


async def test_the_action_of_a_scene_says_why_it_failed(tmp_path: Path) -> None:
    async with hall(tmp_path) as rig:
        await rig.online()
        run = await rig.switch("duty")
        assert [(deed.state, deed.reason) for deed in run.deeds] == [("failed", "observe_only")]


async def test_it_is_read_all_the_same_and_the_plan_says_so(tmp_path: Path) -> None:
    async with hall(tmp_path) as rig:
        await rig.online()
        rig.twins["x"].poke("a", 42)
        await until(lambda: rig.entry("x.a").observed == 42)
        assert rig.engine.store.devices["x"].observe_only
        assert not rig.engine.store.devices["y"].observe_only
        wants = [want_of(want) for want in DUTY.wants]
        actions = {item.point: item.action for wave in plan(rig.engine.store, wants) for item in wave}
        assert actions == {"x.a": "write", "x.b": "write", "y.a": "write"}, (
            "what would change if it were not only observed"
        )


class want_of:
    """A scene's want as the planner sees it."""

    def __init__(self, want: object) -> None:
        self.point, self.value = want.point, want.value  # type: ignore[attr-defined]
        self.criticality = "should"
        self.after: tuple[str, ...] = ()


@pytest.mark.parametrize("first", ["duty", "emergency"])
async def test_held_wishes_of_a_former_life_are_not_restored_after_a_restart(tmp_path: Path, first: str) -> None:
    rig = hall(tmp_path)
    rig.observed = frozenset()
    async with rig:
        await rig.online()
        await rig.switch(first)
        written = rig.twins["x"].writes()
        assert written
        await rig.stop()
        for twin in rig.twins.values():
            twin.power_on()
        rig.observed = frozenset({"x"})
        await rig.start()
        await rig.online()
        await until(lambda: rig.entry("y.a").observed == rig.entry("y.a").living.value)  # type: ignore[union-attr]
        await read_again(rig)
        assert rig.twins["x"].writes() == written
        lives = [e.life for e in rig.engine.store.entries.values() if e.device == "x" and e.living is not None]
        assert {life.reason for life in lives if life is not None} == {"observe_only"}
