"""The disk fails: below priority 80 nothing changes, from 80 on the hall switches and is durable again by itself.

The journal's file is really taken away: every commit then ends with an I/O error, as on a disk that died.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.apihall import Served, serving
from support.linebox import HandBox, LineBox
from support.rig import scene, until

KEY = "Idempotency-Key"


class Disk:
    """The journal's file, which can be away."""

    def __init__(self, state: Path) -> None:
        self.file, self.away = state / "journal.db", state / "journal.away"

    def fail(self) -> None:
        self.file.rename(self.away)

    def heal(self) -> None:
        self.away.rename(self.file)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is owed is paid as soon as the disk is back."""
    monkeypatch.setattr("ecc_controld.control.acceptance.RETRY_S", 0.03)


@pytest.fixture
def disk(hall: Served) -> Disk:
    return Disk(hall.rig.state)


async def alarms(hall: Served) -> list[Any]:
    found: list[Any] = (await hall.get("alarms"))["alarms"]
    return found


async def test_below_80_a_press_is_503_and_nothing_changed(hall: Served, disk: Disk) -> None:
    run = (await hall.press("duty", wait=5)).json["run"]["id"]
    before = await hall.get("hall")
    sent = hall.writes("x"), hall.writes("y")
    disk.fail()
    answer = await hall.press("conference", wait=5, key="k")
    assert (answer.status, answer.json["code"]) == (503, "io_error")
    after = await hall.get("hall")
    assert {k: v for k, v in after.items() if k != "time"} == {k: v for k, v in before.items() if k != "time"} | {
        "as_wanted": after["as_wanted"]
    }
    await hall.until("hall", lambda now: now["as_wanted"] == before["wanted"])
    assert {one["point"]: one["want"] for one in (await hall.get("points"))["points"] if one["want"]} == {
        "x.a": 1,
        "x.b": 1,
        "y.a": 1,
    }
    assert (hall.writes("x"), hall.writes("y")) == sent
    (alarm,) = await alarms(hall)
    assert (alarm["id"], alarm["code"], alarm["cleared"]) == ("journal", "io_error", False)
    assert alarm["text"]["zh"]
    ready = await hall.ask("GET", "/readyz")
    assert (ready.status, ready.json["code"]) == (503, "io_error")
    assert "ecc_journal_failing 1.0" in (await hall.ask("GET", "/metrics")).text
    assert (await hall.get("/healthz"))["status"] == "ok"
    disk.heal()
    await hall.until("alarms", lambda d: d["alarms"] == [])
    assert await hall.get("/readyz") == {"status": "ok"}
    assert [one["id"] for one in (await hall.get("runs"))["runs"]] == [run]
    assert (await hall.get("runs?key=k"))["runs"] == []
    again = await hall.press("conference", wait=5, key="k")
    assert (again.status, again.json["run"]["verdict"]) == (200, "ready")


async def test_a_withdrawn_press_is_not_in_the_journal_of_the_next_life(hall: Served, disk: Disk) -> None:
    await hall.press("duty", wait=5)
    disk.fail()
    assert (await hall.press("conference", key="k")).status == 503
    disk.heal()
    await hall.until("alarms", lambda d: d["alarms"] == [])
    sent = hall.writes("y")
    await hall.restart()
    assert (await hall.get("hall"))["scene"] == "duty"
    assert [one["scene"] for one in (await hall.get("runs"))["runs"]] == ["duty"]
    await hall.until("hall", lambda now: now["as_wanted"] == now["wanted"] == 3)
    assert hall.writes("y") == sent


async def test_the_run_that_a_withdrawn_press_had_displaced_goes_on(hall: Served, disk: Disk) -> None:
    await hall.rig.twins["y"].fault("silent")
    run = (await hall.press("duty")).json["run"]["id"]
    await hall.card(run, lambda card: card["counts"].get("ok") == 2)
    disk.fail()
    assert (await hall.press("conference")).status == 503
    card = await hall.get(f"runs/{run}")
    assert (card["state"], card["verdict"], card["superseded_by"], card["closed"]) == ("open", None, None, None)
    await hall.rig.twins["y"].heal()
    card = await hall.card(run, lambda card: card["state"] == "closed")
    assert (card["verdict"], card["counts"]["total"]) == ("ready", 3)
    assert (await hall.get("hall"))["verdict"] == "ready"
    assert "SET a 3" not in hall.writes("x") + hall.writes("y")
    answer = await hall.ask("POST", f"runs/{run}/points/y.a/retry", {})
    assert answer.status == 202


async def test_two_presses_on_a_dead_disk_leave_what_stood_before_both(hall: Served) -> None:
    await hall.press("duty", wait=5)
    sent = hall.writes("x") + hall.writes("y")
    gate = asyncio.Event()
    commit = hall.rig.journal.commit
    disk = Disk(hall.rig.state)

    async def slow(change: Any) -> None:
        await gate.wait()
        await commit(change)

    hall.rig.journal.commit = slow  # type: ignore[method-assign]
    first = asyncio.create_task(hall.press("conference"))
    await until(lambda: hall.rig.engine.arbiter.active.scene == "conference")
    joins = asyncio.create_task(hall.press("conference"))
    second = asyncio.create_task(hall.press("duty"))
    await until(lambda: hall.rig.engine.arbiter.active.scene == "duty")
    disk.fail()
    gate.set()
    assert [(await one).status for one in (first, second, joins)] == [503] * 3
    disk.heal()
    now = await hall.until("hall", lambda now: now["as_wanted"] == 3)
    assert (now["scene"], now["verdict"], now["wanted"]) == ("duty", "ready", 3)
    assert {one["want"] for one in (await hall.get("points"))["points"]} == {None, 1}
    assert hall.writes("x") + hall.writes("y") == sent
    assert len((await hall.get("runs"))["runs"]) == 1


async def test_an_emergency_switches_all_the_same_and_is_durable_by_itself(hall: Served, disk: Disk) -> None:
    await hall.press("duty", wait=5)
    hall.rig.journal.note = lambda _: None  # type: ignore[method-assign]
    disk.fail()
    answer = await hall.press("emergency", wait=5, key="k")
    run = answer.json["run"]
    assert (answer.status, run["verdict"]) == (200, "ready")
    assert (hall.rig.twins["x"].state["a"], hall.rig.twins["y"].state["a"]) == ("2", "2")
    assert [one["id"] for one in await alarms(hall)] == ["journal"]
    assert (await hall.press("emergency", key="k")).json["run"]["id"] == run["id"]
    assert hall.rig.entry("x.a").life.durable is False
    disk.heal()
    await hall.until("alarms", lambda d: d["alarms"] == [])
    assert hall.rig.entry("x.a").life.durable is True
    kept = hall.rig.journal.recall()
    assert [(row.key, row.run) for row in kept.keys] == [("k", run["id"])]
    assert kept.counters["run"] == 2
    await hall.restart()
    now = await hall.get("hall")
    assert (now["scene"], now["holds"], now["run"], now["verdict"]) == ("emergency", True, run["id"], "ready")
    assert (await hall.get(f"runs/{run['id']}"))["verdict"] == "ready"
    assert (await hall.press("emergency", key="k")).json["run"]["id"] == run["id"]
    assert {one["want"] for one in (await hall.get("points?device=x"))["points"]} == {None, 2}
    assert (await hall.press("duty")).status == 409
    await hall.until("hall", lambda now: now["as_wanted"] == 3)


async def test_the_list_of_runs_has_the_emergency_before_the_disk_has(hall: Served, disk: Disk) -> None:
    old = (await hall.press("duty", wait=5)).json["run"]["id"]
    disk.fail()
    run = (await hall.press("emergency", wait=5)).json["run"]["id"]
    assert (await hall.get(f"runs/{run}"))["verdict"] == "ready"
    disk.heal()
    await until(lambda: hall.rig.journal.healthy is None)
    assert [one["id"] for one in (await hall.get("runs"))["runs"]] == [run, old]


async def test_a_hand_and_its_release_fail_whole(hall: Served, disk: Disk) -> None:
    await hall.press("duty", wait=5)
    await hall.ask("PUT", "points/x.b?wait=5", {"value": 5})
    sent = hall.writes()
    disk.fail()
    assert (await hall.ask("PUT", "points/x.a?wait=5", {"value": 7})).status == 503
    assert (await hall.ask("PUT", "points/x.b?wait=5", {"value": 7})).status == 503
    assert (await hall.ask("DELETE", "points/x.b/want")).status == 503
    a, b = await hall.point("x.a"), await hall.point("x.b")
    assert (a["want"], a["layer"], b["want"], b["layer"]) == (1, "scene", 5, "manual")
    disk.heal()
    await hall.until("hall", lambda now: now["as_wanted"] == 3)
    assert hall.writes() == sent


async def test_an_action_whose_key_cannot_be_kept_is_not_sent(hall: Served, disk: Disk) -> None:
    disk.fail()
    path = "devices/x/actions/ping"
    assert (await hall.ask("POST", path, {}, headers={KEY: "p"})).status == 503
    assert hall.writes() == []
    disk.heal()
    answer = await hall.ask("POST", path, {}, headers={KEY: "p"})
    assert (answer.status, answer.json["action"]["state"]) == (200, "acknowledged")
    assert hall.writes() == ["SET ping 1"]


async def test_a_movement_needs_no_disk(hall: Served, disk: Disk) -> None:
    disk.fail()
    twin = hall.rig.twins["x"]
    assert (await hall.ask("POST", "points/x.pan/hold", {"value": 2})).status == 202
    await until(lambda: int(twin.state["place"]) > 0)
    await hall.ask("POST", "points/x.pan/hold", {"value": 0})
    await until(lambda: twin.state["pan"] == "0")
    await until(lambda: "journal" in hall.rig.engine.store.alarms and not hall.rig.engine.hands._resting)
    assert (await hall.point("x.place"))["want"] is None
    disk.heal()


FIRE = [
    scene("fire", {"x.a": 9}, priority=100, holds=True),
    scene("duty", {"x.a": 1, "x.b": 1}),
]


@pytest.fixture
async def burning(tmp_path: Path) -> AsyncIterator[Served]:
    """A hall in which fire has the say over duty."""
    async with serving(tmp_path / "state", {"x": HandBox, "y": LineBox}, FIRE) as hall:
        await hall.press("duty", wait=5)
        await hall.press("fire", wait=5)
        yield hall


async def test_leaving_fire_on_a_dead_disk_leaves_the_fire_standing(burning: Served) -> None:
    disk = Disk(burning.rig.state)
    disk.fail()
    assert (await burning.press("duty", stand_down=True)).status == 503
    now = await burning.get("hall")
    assert (now["scene"], now["holds"]) == ("fire", True)
    a, b = await burning.point("x.a"), await burning.point("x.b")
    assert (a["want"], a["layer"], b["state"]) == (9, "fire", "suspended")
    disk.heal()
    await burning.until("points?device=x", lambda d: d["points"][0]["as_wanted"])
    assert burning.rig.twins["x"].state["a"] == "9"
    answer = await burning.press("duty", stand_down=True, wait=5)
    assert (answer.status, answer.json["run"]["verdict"]) == (200, "ready")


async def test_a_fire_on_a_dead_disk_is_paid_whole(tmp_path: Path) -> None:
    async with serving(tmp_path / "state", {"x": HandBox}, FIRE) as hall:
        await hall.press("duty", wait=5)
        disk = Disk(hall.rig.state)
        disk.fail()
        assert (await hall.press("fire", wait=5)).json["run"]["verdict"] == "ready"
        disk.heal()
        await hall.until("alarms", lambda d: d["alarms"] == [])
        await hall.restart()
        assert ((await hall.get("hall"))["scene"], (await hall.point("x.a"))["layer"]) == ("fire", "fire")


async def test_a_stand_down_to_nothing_on_a_dead_disk_keeps_the_hold(tmp_path: Path) -> None:
    held = scene("emergency", {"x.a": 2}, priority=80, holds=True)
    async with serving(tmp_path / "state", {"x": LineBox}, [held]) as hall:
        await hall.press("emergency", wait=5)
        disk = Disk(hall.rig.state)
        disk.fail()
        answer = await hall.ask("POST", "stand-down", {}, headers={KEY: "k"})
        assert (answer.status, (await hall.get("hall"))["holds"]) == (503, True)
        disk.heal()
        answer = await hall.ask("POST", "stand-down", {}, headers={KEY: "k"})
        assert (answer.status, (await hall.get("hall"))["holds"]) == (200, False)
