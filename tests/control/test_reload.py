"""Other files for a running hall, over real sockets: who is touched, who is not, and what becomes of wishes and runs."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecc_controld.control.acceptance import Press, Refused
from ecc_controld.control.engine import Engine, Unit
from ecc_controld.control.reconfigure import Changes, reconfigure
from ecc_controld.control.run import Run
from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Layer
from ecc_controld.journal import Change, Journal
from ecc_controld.scene.model import Scene
from ecc_controld.sdk import Address, DeviceConfig, Integer, Text
from ecc_controld.wires import tcp
from support.linebox import LineBox, LineTwin, config
from support.rig import PERSON, scene, until


class SmallBox(LineBox):
    """The same device with other points: `a` only to 10, no `b`, and a new `d`."""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        points = dict(self.points)
        del points["b"]
        points["a"] = replace(points["a"], kind=Integer(0, 10))
        points["d"] = replace(points["c"], name="d")
        points["preset"] = replace(points["preset"], disturbs=frozenset({"c"}))
        self.points = points


class SmallTwin(LineTwin):
    def power_on(self) -> None:
        super().power_on()
        self.state["d"] = "0"


class World:
    """Twins that outlive every reload, and an engine that is given other units and scenes."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.twins: dict[str, LineTwin] = {}
        self.addresses: dict[str, Address] = {}
        self.engine: Engine
        self.journal: Journal

    async def twin(self, name: str) -> None:
        twin = self.twins[name] = SmallTwin(config(name))
        host, port = await twin.serve("127.0.0.1", 0)
        self.addresses[name] = Address("tcp", host, port)

    def unit(self, name: str, kind: type[LineBox] = LineBox, *, called: str = "", **how: Any) -> Unit:
        made = replace(config(name), address=self.addresses[name])
        return Unit(kind(replace(made, name=Text(called, called)) if called else made), **how)

    def units(self, *names: str) -> dict[str, Unit]:
        return {name: self.unit(name) for name in names}

    def start(self, units: dict[str, Unit], *scenes: Scene) -> None:
        self.journal = Journal.open(self.state, stamp="simulated")
        self.engine = Engine(units, {one.name: one for one in scenes}, self.journal, tcp.dial)
        self.engine.start()

    async def stop(self) -> None:
        assert not self.engine.faults()
        await self.engine.stop()
        await self.journal.close()

    async def reload(self, units: dict[str, Unit], *scenes: Scene) -> Changes:
        found = {one.name: one for one in scenes} if scenes else self.engine.scenes
        return await reconfigure(self.engine, units, found)

    async def online(self) -> None:
        await until(lambda: all(d.link == "online" for d in self.engine.store.devices.values()))

    def entry(self, name: str) -> Entry:
        return self.engine.store.entries[name]

    def logins(self, name: str) -> int:
        return sum(entry.data == b"GET model\n" for entry in self.twins[name].log)

    def said(self, name: str, text: bytes) -> int:
        return sum(text in entry.data for entry in self.twins[name].log)

    async def press(self, name: str, press: Press = PERSON) -> Run:
        return await self.engine.arbiter.activate(self.engine.scenes[name], press, {})

    async def switch(self, name: str) -> Run:
        run = await self.press(name)
        await until(lambda: run.state == "closed")
        return run


@asynccontextmanager
async def world(state: Path, *names: str) -> AsyncIterator[World]:
    found = World(state)
    for name in names:
        await found.twin(name)
    try:
        yield found
    finally:
        await found.stop()
        for twin in found.twins.values():
            await twin.close()


async def test_the_same_files_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        duty = scene("duty", {"x.a": 1, "y.a": 2})
        hall.start(hall.units("x", "y"), duty)
        await hall.online()
        await hall.switch("duty")
        entries, keepers = dict(hall.engine.store.entries), dict(hall.engine.keepers)
        changes = await hall.reload(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}))
        assert changes == Changes()
        assert {n: id(e) for n, e in hall.engine.store.entries.items()} == {n: id(e) for n, e in entries.items()}
        assert hall.engine.keepers == keepers
        assert (hall.logins("x"), hall.logins("y")) == (1, 1)
        run = await hall.switch("duty")
        assert {str(card.outcome) for card in run.cards.values()} == {"already"}


async def test_a_device_is_added_and_wanted_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y", "z") as hall:
        hall.start(hall.units("x", "z"), scene("duty", {"x.a": 1, "z.a": 3}))
        await hall.online()
        await hall.switch("duty")
        wider = scene("duty", {"x.a": 1, "y.a": 2, "z.a": 3})
        changes = await hall.reload(hall.units("x", "y", "z"), wider)
        assert (changes.added, changes.changed, changes.removed, changes.scenes) == (["y"], [], [], ["duty"])
        assert list(hall.engine.store.devices) == ["x", "y", "z"], "in the order of the files"
        await hall.online()
        run = await hall.switch("duty")
        assert {name: str(card.outcome) for name, card in run.cards.items()} == {
            "x.a": "already",
            "y.a": "ok",
            "z.a": "already",
        }
        assert hall.twins["y"].state["a"] == "2"
        assert (hall.logins("x"), hall.logins("z")) == (1, 1)


async def test_a_removed_device_goes_with_its_wishes_and_never_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        duty = scene("duty", {"x.a": 1, "y.a": 2})
        hall.start(hall.units("x", "y"), duty)
        await hall.online()
        await hall.switch("duty")
        await hall.engine.hands.set(hall.entry("y.b"), 5, PERSON)
        await hall.engine.hands.set(hall.entry("x.b"), 6, PERSON)
        tasks = hall.engine._tasks["y"]
        changes = await hall.reload(hall.units("x"), scene("duty", {"x.a": 1}))
        assert changes.removed == ["y"]
        await until(lambda: all(task.done() for task in tasks))
        assert sorted(changes.dropped) == [("y.a", Layer.SCENE), ("y.b", Layer.MANUAL)]
        assert set(hall.engine.store.devices) == {"x"}
        assert not any(name.startswith("y.") for name in hall.engine.store.entries)
        await until(lambda: not hall.twins["y"].peers)
        assert hall.logins("x") == 1
        await until(lambda: hall.entry("x.b").life is not None and hall.entry("x.b").life.as_wanted)
        # The device comes back into the files, and the daemon starts anew: the old wishes are gone for good.
        await hall.stop()
        hall.start(hall.units("x", "y"), duty)
        assert hall.entry("y.a").top is None
        assert hall.entry("y.b").top is None
        assert hall.entry("x.a").top is not None
        assert hall.entry("x.b").top is not None


async def test_a_changed_device_connects_anew_and_keeps_the_wishes_that_are_still_possible(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 100, "x.b": 2, "x.c": 3, "y.a": 4}))
        await hall.online()
        await hall.switch("duty")
        units = {"x": hall.unit("x", SmallBox), "y": hall.unit("y")}
        changes = await hall.reload(units, scene("duty", {"x.c": 3, "x.d": 9, "y.a": 4}))
        assert changes.changed == ["x"]
        assert sorted(changes.dropped) == [("x.a", Layer.SCENE), ("x.b", Layer.SCENE)]
        await hall.online()
        assert "x.b" not in hall.engine.store.entries
        assert hall.entry("x.a").top is None
        assert hall.entry("x.c").top is not None
        await until(lambda: hall.entry("x.c").life is not None and hall.entry("x.c").life.as_wanted)
        run = await hall.switch("duty")
        assert {name: str(card.outcome) for name, card in run.cards.items()} == {
            "x.c": "already",
            "x.d": "ok",
            "y.a": "already",
        }
        assert (hall.logins("x"), hall.logins("y")) == (2, 1)


async def test_a_write_under_way_when_its_device_changes_is_in_doubt_and_ends_true(tmp_path: Path) -> None:
    async with world(tmp_path, "x") as hall:
        hall.start(hall.units("x"), scene("duty", {"x.c": 3}))
        await hall.online()
        await hall.twins["x"].fault("silent")
        run = await hall.press("duty")
        await until(lambda: hall.said("x", b"SET c 3"))
        await hall.reload({"x": hall.unit("x", SmallBox)})
        assert hall.entry("x.c").dirty
        await hall.twins["x"].heal()
        await until(lambda: run.state == "closed")
        assert str(run.verdict) == "ready"
        assert hall.twins["x"].state["c"] == "3"


async def test_a_new_name_pace_or_service_leaves_the_connection_alone(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}))
        await hall.online()
        changes = await hall.reload(
            {"x": hall.unit("x", called="新名"), "y": hall.unit("y", gap_s=0.05, in_service=False)}
        )
        assert (changes.changed, changes.tuned) == ([], ["y"])
        run = await hall.switch("duty")
        assert str(run.cards["y.a"].outcome) == "out_of_service"
        assert not hall.said("y", b"SET a")
        assert hall.engine.keepers["y"].book.gap_s == 0.05
        changes = await hall.reload(hall.units("x", "y"))
        assert changes.tuned == ["y"]
        await until(lambda: hall.twins["y"].state["a"] == "2")
        assert (hall.logins("x"), hall.logins("y")) == (1, 1)


async def test_only_observed_and_back(tmp_path: Path) -> None:
    async with world(tmp_path, "x") as hall:
        hall.start(hall.units("x"), scene("duty", {"x.a": 1}))
        await hall.online()
        await hall.reload({"x": hall.unit("x", observe_only=True)})
        run = await hall.switch("duty")
        assert (str(run.cards["x.a"].outcome), run.cards["x.a"].reason) == ("out_of_service", "observe_only")
        assert not hall.said("x", b"SET")
        await hall.reload(hall.units("x"))
        await until(lambda: hall.twins["x"].state["a"] == "1")
        assert hall.logins("x") == 1


async def test_a_run_keeps_the_text_that_it_began_with(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}))
        await hall.online()
        await hall.twins["y"].fault("silent")
        run = await hall.press("duty")
        await until(lambda: run.cards["x.a"].outcome is not None)
        digest = run.digest
        await hall.reload(hall.units("x", "y"), scene("duty", {"x.a": 7}))
        assert (run.digest, set(run.cards), run.cards["x.a"].want) == (digest, {"x.a", "y.a"}, 1)
        assert hall.entry("x.a").top is not None
        assert hall.entry("x.a").top.value == 1
        await hall.twins["y"].heal()
        await until(lambda: run.state == "closed")
        assert (str(run.verdict), hall.twins["y"].state["a"]) == ("ready", "2")
        new = await hall.switch("duty")
        assert new.id != run.id
        assert hall.twins["x"].state["a"] == "7"


async def test_a_run_whose_device_is_removed_is_judged_without_it(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}, must=("y.a",)))
        await hall.online()
        await hall.twins["y"].fault("silent")
        run = await hall.press("duty")
        await until(lambda: run.cards["x.a"].outcome is not None)
        await hall.reload(hall.units("x"), scene("duty", {"x.a": 1}))
        await until(lambda: run.state == "closed")
        assert (str(run.verdict), str(run.cards["y.a"].outcome)) == ("degraded", "overridden")
        assert run.cards["y.a"].reason == "removed"


async def test_the_same_text_over_more_devices_is_a_new_run_and_durable_whole(tmp_path: Path) -> None:
    """`display/*: {power: on}` is the same text when a display is added."""
    async with world(tmp_path, "x", "y") as hall:
        small = scene("duty", {"x.a": 1})
        wide = replace(scene("duty", {"x.a": 1, "y.a": 1}), digest=small.digest)
        hall.start(hall.units("x"), small)
        await hall.online()
        await hall.twins["x"].fault("silent")
        first = await hall.press("duty")
        await hall.reload(hall.units("x", "y"), wide)
        second = await hall.press("duty")
        assert second.id != first.id
        await hall.twins["x"].heal()
        await until(lambda: second.state == "closed")
        await hall.stop()
        hall.start(hall.units("x", "y"), wide)
        assert hall.entry("y.a").top is not None


async def test_a_press_made_before_and_carried_out_after_a_reload(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}), scene("late", {"y.a": 3}))
        await hall.online()
        old, gone, entry = hall.engine.scenes["duty"], hall.engine.scenes["late"], hall.entry("y.a")
        await hall.reload(hall.units("x"), scene("duty", {"x.a": 5}))
        run = await hall.engine.arbiter.activate(old, PERSON, {})
        assert {name: card.want for name, card in run.cards.items()} == {"x.a": 5}, "what the files say now"
        with pytest.raises(Refused, match="late"):
            await hall.engine.arbiter.activate(gone, PERSON, {})
        with pytest.raises(Refused, match=r"y\.a"):
            await hall.engine.hands.set(entry, 4, PERSON)
        told: list[tuple[str, str]] = []
        hall.engine._do("y", "ping", lambda _, state, reason: told.append((state, reason)))
        assert told == [("failed", "removed")]


async def test_presses_that_wait_for_the_disk_survive_the_removal_of_their_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}))
        await hall.online()

        go_on = asyncio.Event()
        commit = hall.journal.commit

        async def slow(change: Change) -> None:
            if change.runs:
                await go_on.wait()
            await commit(change)

        monkeypatch.setattr(hall.journal, "commit", slow)
        pressing = asyncio.create_task(hall.press("duty"))
        await until(lambda: hall.engine.store.pending)
        await hall.reload(hall.units("x"), scene("duty", {"x.a": 1}))
        go_on.set()
        run = await pressing
        await until(lambda: run.state == "closed")
        assert hall.twins["x"].state["a"] == "1"
        assert not hall.said("y", b"SET")


async def test_everybody_may_come_and_go_at_random(tmp_path: Path) -> None:
    """Many reloads under presses: tasks, wires and wishes always match the files."""

    dice = random.Random(7)
    async with world(tmp_path, "u", "v", "w", "x", "y") as hall:
        names = list(hall.twins)

        def pick() -> tuple[dict[str, Unit], Scene]:
            chosen = sorted(dice.sample(names, dice.randint(1, len(names))))
            units = {name: hall.unit(name, dice.choice([LineBox, SmallBox])) for name in chosen}
            return units, scene("duty", {f"{name}.c": dice.randint(0, 9) for name in chosen})

        units, duty = pick()
        hall.start(units, duty)
        for _ in range(25):
            await hall.press("duty")
            units, duty = pick()
            await hall.reload(units, duty)
            store = hall.engine.store
            assert list(units) == list(store.devices) == list(store.by_device) == list(hall.engine.keepers)
            assert set(store.entries) == {f"{d}.{local}" for d, u in units.items() for local in u.driver.points}
            assert set(hall.engine._tasks) == set(units)
            assert not hall.engine.faults()
        run = await hall.switch("duty")
        assert str(run.verdict) == "ready"
        for name in units:
            assert hall.twins[name].state["c"] == str(run.cards[f"{name}.c"].want)
        await until(lambda: all(bool(twin.peers) == (name in units) for name, twin in hall.twins.items()))


async def test_the_history_has_no_wish_of_a_removed_point(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        hall.start(hall.units("x", "y"), scene("duty", {"x.a": 1, "y.a": 2}))
        await hall.online()
        await hall.switch("duty")
        await hall.reload(hall.units("x"), scene("duty", {"x.a": 1}))
        await hall.journal.commit(Change())
        puts = hall.journal.recall().puts
        assert [want["point"] for want in json.loads(puts["scene_layer"]["scene"])["wants"]] == ["x.a"]
        assert not [key for key in puts["life"] if key.startswith("y.")]


async def test_nobody_waits_for_or_in_a_point_that_is_gone(tmp_path: Path) -> None:
    async with world(tmp_path, "x", "y") as hall:
        both = scene("duty", {"x.a": 1, "y.a": 2}, after={"y.a": ["x.a"]})
        hall.start(hall.units("x", "y"), both)
        await hall.online()
        await hall.switch("duty")
        await hall.reload(hall.units("x"), scene("duty", {"x.a": 5}))
        assert str((await hall.switch("duty")).verdict) == "ready"
        await hall.reload(hall.units("x", "y"), both)
        await hall.online()
        await hall.twins["x"].fault("silent")
        run = await hall.press("duty")
        await until(lambda: str(run.cards["y.a"].state) == "waiting")
        await hall.reload(hall.units("y"), scene("duty", {"y.a": 2}))
        await until(lambda: run.cards["y.a"].outcome is not None)
        assert str(run.cards["y.a"].outcome) == "blocked", "what must come first will never come"
        assert str((await hall.switch("duty")).verdict) == "ready"
