"""Acceptances that the disk refuses, one after another and on top of one another: what stands in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ecc_controld.control.acceptance import Press, Refused
from ecc_controld.journal import JournalError
from support.linebox import HandBox, LineBox
from support.rig import Rig, scene, until

A = scene("a", {"x.a": 1, "x.b": 1})
B = scene("b", {"x.a": 2, "x.c": 2})
C = scene("c", {"x.b": 3, "x.c": 3})
EMERGENCY = scene("emergency", {"x.c": 9}, priority=80, holds=True)
SCENES = [A, B, C, EMERGENCY]
PERSON = Press(by="值班员")


class Disk:
    """Stands before the journal's commit: holds commits back until `go`, then carries out or refuses them."""

    def __init__(self, rig: Rig) -> None:
        self._commit = rig.journal.commit
        self.waiting: list[asyncio.Future[bool]] = []
        rig.journal.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, change: Any) -> None:
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        if not await turn:
            raise JournalError("disk_full")
        await self._commit(change)

    def go(self, *fine: bool) -> None:
        """Answer what waits, in order."""
        waiting, self.waiting = self.waiting, []
        for turn, one in zip(waiting, fine, strict=True):
            turn.set_result(one)


def wants(rig: Rig) -> dict[str, tuple[object, str]]:
    """What counts for each point, and in which layer."""
    return {
        name: (entry.top.value, entry.top.layer.word)
        for name, entry in rig.engine.store.entries.items()
        if entry.top is not None
    }


async def stacked(rig: Rig, disk: Disk, *acts: Callable[[], Awaitable[object]]) -> list[asyncio.Future[object]]:
    """Begin each act before the disk has answered the one before."""
    tasks = []
    for n, act in enumerate(acts):
        tasks.append(asyncio.ensure_future(act()))
        await until(lambda n=n: len(disk.waiting) == n + 1)
    return tasks


async def outcomes(tasks: list[asyncio.Future[object]]) -> list[str]:
    async with asyncio.timeout(10):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    return ["refused" if isinstance(one, Refused) else "done" for one in found]


@pytest.fixture(autouse=True)
def never_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is owed is not paid during a test: each commit here is somebody's press."""
    monkeypatch.setattr("ecc_controld.control.acceptance.RETRY_S", 3600.0)


async def test_two_refused_presses_leave_what_stood_before_both(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, SCENES) as rig:
        await rig.online()
        await rig.switch("a")
        sent = rig.twins["x"].writes()
        disk = Disk(rig)
        tasks = await stacked(rig, disk, lambda: rig.press("b"), lambda: rig.press("c"))
        disk.go(False, False)
        assert await outcomes(tasks) == ["refused", "refused"]
        assert wants(rig) == {"x.a": (1, "scene"), "x.b": (1, "scene")}
        assert (rig.engine.arbiter.active.scene, rig.engine.store.pending) == ("a", set())
        await until(lambda: rig.entry("x.a").life.as_wanted and rig.entry("x.b").life.as_wanted)
        assert rig.twins["x"].writes() == sent


async def test_a_refused_press_leaves_nothing_in_the_one_that_followed(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, SCENES) as rig:
        await rig.online()
        await rig.switch("a")
        first = rig.engine.runs.lately()[0]
        disk = Disk(rig)
        tasks = await stacked(rig, disk, lambda: rig.press("b"), lambda: rig.press("emergency"))
        disk.go(False, False)
        assert await outcomes(tasks) == ["refused", "done"]
        assert wants(rig) == {"x.c": (9, "scene")}
        assert rig.engine.arbiter.active.scene == "emergency"
        await until(lambda: rig.entry("x.c").life.as_wanted)
        assert rig.twins["x"].writes() == ["SET a 1", "SET b 1", "SET c 9"]
        assert [run.scene for run in rig.engine.runs.lately()] == ["emergency", "a"]
        assert first.verdict == "ready"


async def test_a_press_that_follows_a_refused_one_displaces_what_that_had_displaced(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, SCENES) as rig:
        await rig.online()
        await rig.twins["x"].fault("silent")
        first = await rig.press("a")
        disk = Disk(rig)
        tasks = await stacked(rig, disk, lambda: rig.press("b"), lambda: rig.press("c"))
        disk.go(False, True)
        assert await outcomes(tasks) == ["refused", "done"]
        assert (first.state, first.verdict) == ("closed", "superseded")
        assert [run.scene for run in rig.engine.runs.opened()] == ["c"]
        assert first.superseded_by == rig.engine.runs.opened()[0].id
        assert wants(rig) == {"x.b": (3, "scene"), "x.c": (3, "scene")}


async def test_a_refused_press_gives_back_the_hands_wish_that_it_cleared(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, SCENES) as rig:
        await rig.online()
        await rig.switch("a")
        await rig.engine.hands.set(rig.entry("x.b"), 7, PERSON)
        await until(lambda: rig.entry("x.b").life.as_wanted)
        disk = Disk(rig)
        for fine, left in ((False, (7, "manual")), (True, (3, "scene"))):
            # c names x.b and clears it, b does not name it; both are refused, then c alone is not.
            tasks = await stacked(rig, disk, lambda: rig.press("c"), lambda: rig.press("b"))
            disk.go(fine, False)
            assert await outcomes(tasks) == ["done" if fine else "refused", "refused"]
            assert wants(rig)["x.b"] == left
            assert rig.engine.arbiter.active.scene == ("c" if fine else "a")


async def test_a_wish_that_a_release_uncovers_waits_for_the_disk(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox}, SCENES) as rig:
        await rig.online()
        await rig.switch("a")
        entry = rig.entry("x.a")
        await rig.engine.hands.set(entry, 7, PERSON)
        await until(lambda: entry.life.as_wanted)
        sent = rig.twins["x"].writes()
        disk = Disk(rig)
        tasks = await stacked(rig, disk, lambda: rig.engine.hands.release(entry, PERSON))
        steps = rig.engine.keepers["x"].steps
        await until(lambda: rig.engine.keepers["x"].steps > steps + 5)
        assert (entry.top.value, entry.life.state) == (1, "new")
        assert rig.twins["x"].writes() == sent
        disk.go(True)
        assert await outcomes(tasks) == ["done"]
        await until(lambda: entry.life.as_wanted)
        assert rig.twins["x"].writes() == [*sent, "SET a 1"]


async def test_a_wish_for_a_device_out_of_service_waits_whoever_wants_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"x": LineBox}, SCENES)
    rig.unit = {"in_service": False}
    async with rig:
        await rig.online()
        await rig.engine.hands.set(rig.entry("x.a"), 7, PERSON)
        run = await rig.press("b")
        await until(lambda: run.state == "closed")
        assert {card.outcome for card in run.cards.values()} == {"out_of_service"}
        assert rig.entry("x.a").life.state == rig.entry("x.c").life.state == "parked"
        await until(lambda: rig.entry("x.c").observed == 0)
        assert rig.twins["x"].writes() == []


async def test_a_held_wish_is_in_the_card_of_a_resumed_run(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [scene("both", {"x.a": 1, "y.a": 1})]) as rig:
        await rig.online()
        await rig.twins["y"].fault("silent")
        run = await rig.press("both")
        await until(lambda: run.cards["x.a"].outcome == "ok")
        await rig.stop()
        await rig.start()
        card = rig.engine.runs.opened()[0].cards["x.a"]
        await until(lambda: card.outcome is not None)  # with the first read; the run is still open for y
        assert (card.outcome, card.evidence.word, card.state) == ("ok", "read_back", "held")


async def test_a_movement_that_ends_in_a_fire_or_on_a_dead_disk_leaves_the_wish_that_was(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": HandBox}, [scene("a", {"x.place": 50})]) as rig:
        await rig.online()
        await rig.switch("a")
        twin, place = rig.twins["x"], rig.entry("x.place")
        disk = Disk(rig)
        rig.engine.hands.hold(rig.entry("x.pan"), 3, PERSON)
        await until(lambda: int(twin.state["place"]) > 50)
        rig.engine.hands.hold(rig.entry("x.pan"), 0, PERSON)
        await until(lambda: disk.waiting)
        disk.go(False)
        await until(lambda: place.life.as_wanted)
        assert (place.top.value, twin.state["place"]) == (50, "50")
