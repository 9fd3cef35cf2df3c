"""Many people at once: one story of a press after another, and a storm of wishes on one point that costs nothing.

The law of a storm, asserted on the bytes of the wire:
1. Each command is, in the instant in which it is handed over, what was wanted last (checked by KeepingHall).
2. Between two commands of one device lies at least its gap, counted from the answer to the first.
3. So a storm of S seconds costs at most 1 + S / gap commands while it lasts, and one more behind its end: that of the
   last wish, if it was not the last command already. Nothing else is handed over after the last wish was accepted.
"""

from __future__ import annotations

import asyncio
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from ecc_controld.control.acceptance import Press
from ecc_controld.control.run import Run
from faults.devices import Kind
from faults.keeping import BOX, PIPELINED_BOX, KeepingHall, moment
from support.rig import scene, until

WISHES = 1000
GAP_S = 0.05
SEEDS = range(1000 // 20) if os.environ.get("ECC_SOAK") else range(2)


def commands(hall: KeepingHall, point: str) -> list[tuple[float, str]]:
    """When which value of a point was handed over."""
    device, local = point.split(".", 1)
    return [
        (t, line.split(b" ")[2].decode())
        for t, data in hall.sent[device]
        for line in data.splitlines()
        if line.startswith(f"SET {local} ".encode())
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [BOX, PIPELINED_BOX], ids=["one", "pipelined"])
async def test_a_storm_of_a_thousand_wishes_sends_the_last_one(tmp_path: Path, kind: Kind, seed: int) -> None:
    dice = random.Random(seed)
    loop = asyncio.get_running_loop()
    async with KeepingHall(tmp_path, {"x": kind}, gap_s=GAP_S) as hall:
        await hall.start()
        await hall.online()
        entry = hall.entry("x", "a")
        accepted: list[float] = []

        async def want(value: int) -> None:
            hall.manual_wants["x.a"] = value
            accepted.append(loop.time())
            await hall.engine.hands.set(entry, value, Press(by=f"client{value % 4}"))

        wishes = []
        for value in range(1, WISHES + 1):
            wishes.append(asyncio.create_task(want(value)))
            if dice.random() < 0.05:
                await moment(dice.choice((0.0, 0.001, 0.02)))
        await asyncio.gather(*wishes)
        await until(hall.settled)
        assert not hall.wrong
        sent = commands(hall, "x.a")
        assert sent[-1][1] == str(WISHES)
        assert [value for t, value in sent if t > accepted[-1]] in ([], [str(WISHES)])
        assert all(b - a >= GAP_S for (a, _), (b, _) in pairwise(sent))
        assert len(sent) <= 2 + (accepted[-1] - accepted[0]) / GAP_S
        assert [int(value) for _, value in sent] == sorted({int(value) for _, value in sent})


async def test_a_thousand_wishes_in_one_instant_are_one_command(tmp_path: Path) -> None:
    async with KeepingHall(tmp_path, {"x": BOX}) as hall:
        await hall.start()
        await hall.online()
        entry = hall.entry("x", "a")

        async def want(value: int) -> None:
            hall.manual_wants["x.a"] = value
            await hall.engine.hands.set(entry, value, Press(by="手"))

        await asyncio.gather(*(want(value) for value in range(1, WISHES + 1)))
        await until(hall.settled)
        assert not hall.wrong
        assert [value for _, value in commands(hall, "x.a")] == [str(WISHES)]


@pytest.mark.parametrize("seed", SEEDS)
async def test_twenty_presses_of_four_clients_are_one_story(tmp_path: Path, seed: int) -> None:
    """A run is done before the next press or superseded by just that; no device ever goes back to an earlier one."""
    dice = random.Random(seed)
    async with KeepingHall(tmp_path, {"x": BOX, "y": PIPELINED_BOX}) as hall:
        await hall.start()
        await hall.online()
        for twin in hall.twins.values():
            twin.slow_s = 0.05
        order: list[tuple[Run | None, int]] = []
        points = ["x.a", "x.b", "y.a", "y.b"]

        async def press(client: str, number: int) -> Run:
            wants = dict.fromkeys(points, number)
            hall.scene_wants = dict(wants)
            place = len(order)
            order.append((None, number))
            made = scene(f"s{number}", wants, deadline_s=60.0)
            run = await hall.press(made, Press(by=client, key=f"{client}-{number}", digest=str(number)))
            order[place] = run, number
            assert (
                await hall.engine.arbiter.known_key(Press(by=client, key=f"{client}-{number}", digest=str(number)))
                == run.id
            )
            return run

        async def client(name: str, numbers: list[int]) -> None:
            for number in numbers:
                await moment(dice.uniform(0.0, 0.2))
                await press(name, number)

        numbers = list(range(1, 21))
        await asyncio.gather(*(client(f"client{n}", numbers[n * 5 : n * 5 + 5]) for n in range(4)))
        runs = [run for run, _ in order if run is not None]
        assert len(runs) == len({run.id for run in runs}) == 20
        last = runs[-1]
        await until(lambda: last.state == "closed")
        assert last.verdict == "ready"
        assert hall.engine.arbiter.active is not None
        assert hall.engine.arbiter.active.run == last.id
        assert not hall.engine.runs.opened()
        for run, following in pairwise(runs):
            assert run.state == "closed"
            if run.verdict != "ready":  # (it may have been done before the next press)
                assert (run.verdict, run.superseded_by) == ("superseded", following.id)
                assert {card.outcome for card in run.cards.values()} == {"superseded"}
        assert any(run.verdict == "superseded" for run in runs)
        assert hall.settled()
        assert not hall.wrong
        place = {str(number): index for index, (_, number) in enumerate(order)}
        for point in points:
            story = [place[value] for _, value in commands(hall, point)]
            assert story == sorted(story), (point, story)
            assert story[-1] == 19


@pytest.mark.parametrize("kind", [BOX, PIPELINED_BOX], ids=["one", "pipelined"])
async def test_what_was_handed_over_may_run_and_the_new_wish_follows_it(tmp_path: Path, kind: Kind) -> None:
    """Superseded in the middle of a window: its rest never leaves, the new scene follows on the same connection."""
    async with KeepingHall(tmp_path, {"x": kind}) as hall:
        await hall.start()
        await hall.online()
        twin = hall.twins["x"]
        await twin.fault("slow", ms=100)
        old = {"x.a": 1, "x.b": 1, "x.c": 1}
        new = {"x.a": 2, "x.b": 2, "x.c": 2}
        hall.scene_wants = dict(old)
        first = await hall.press(scene("old", old))
        await until(lambda: commands(hall, "x.a"))
        hall.scene_wants = dict(new)
        second = await hall.press(scene("new", new))
        await until(lambda: second.state == "closed")
        assert (first.verdict, second.verdict) == ("superseded", "ready")
        assert hall.settled()
        assert not hall.wrong
        handed = [value for point in old for _, value in commands(hall, point)]
        assert handed.count("1") <= kind.driver.window
        assert handed.count("2") == 3
        if not kind.driver.pipelines:
            assert [value for _, value in commands(hall, "x.b")] == ["2"], "the rest of the old scene left"
        assert len(hall.dials) == 1
        answered = next(e.t for e in twin.log if e.who == "twin" and e.data.startswith(b"OK a 1"))
        assert min(t for t, value in commands(hall, "x.a") if value == "2") > answered
