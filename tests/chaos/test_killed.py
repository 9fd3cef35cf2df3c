"""`kill -9` at seeded moments, then a start on the same state beside the same twins.

ECC_SEED repeats a programme; ECC_SOAK=1 makes it long.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from chaos.world import (
    DEVICES,
    SEED,
    SOAK,
    WANTS,
    Twins,
    daemon_at,
    kill,
    noted,
    points,
    press,
    settled,
    twins_running,
)
from ecc_controld.control.stamp import from_rfc3339
from support.daemon import Daemon

KINDS = ("switch", "answered", "manual", "manual_answered", "switch")
ROUNDS = 150 if SOAK else 4
FINE = {"ok", "already"}
OTHER = {"emergency": "duty", "duty": "emergency"}


@dataclass
class Story:
    """What the hall must be after the next start. `maybe` is a press that nobody saw answered."""

    scene: str | None = None
    manual: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    answered: bool = True
    maybe_scene: str | None = None
    maybe_manual: dict[str, str] = field(default_factory=dict)
    killed_at: float = 0.0
    open_when_killed: bool = False
    right: tuple[str, ...] = ()

    def wants(self) -> dict[str, object]:
        return {**(WANTS[self.scene] if self.scene else {}), **self.manual}


async def test_no_kill_loses_an_answered_press_or_repeats_a_command(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    story = Story()
    async with twins_running() as twins:
        mark = await twins.mark()
        for number in range(ROUNDS + 1):
            async with daemon_at(tmp_path / "state", twins) as daemon:
                await daemon.online()
                await judge(daemon, twins, story, mark)
                if number < ROUNDS:
                    await disturb(daemon, story, KINDS[number % len(KINDS)], dice, f"key-{number}")
                    mark = await quiet(twins)


async def disturb(daemon: Daemon, story: Story, kind: str, dice: random.Random, key: str) -> None:
    """One press, and a kill in the middle of what it does."""
    by_hand = kind.startswith("manual")
    story.key = None if by_hand else key
    story.maybe_scene = None if by_hand else OTHER.get(story.scene or "", "emergency")
    story.maybe_manual = {f"matrix.out.{dice.randint(5, 9)}": str(dice.randint(1, 40))} if by_hand else {}
    pressing = asyncio.create_task(send(daemon, story))
    moment = dice.uniform(0.0, 0.02) if by_hand else dice.choice((dice.uniform(0, 0.03), dice.uniform(0, 1.2)))
    if kind.endswith("answered"):
        await pressing
    else:
        await asyncio.sleep(moment)  # the moment of the kill, not a wait for something
    story.right, story.open_when_killed = (), kind == "answered"
    if pressing.done() and story.maybe_scene:
        story.right = await devices_that_are_right(daemon, WANTS[story.maybe_scene])
    await kill(daemon)
    story.killed_at = time.time()
    answer = None
    with contextlib.suppress(aiohttp.ClientError):
        answer = await pressing
    story.answered = answer is not None
    assert answer in (None, 202), answer


async def send(daemon: Daemon, story: Story) -> int:
    if story.maybe_scene:
        assert story.key is not None
        return (await press(daemon, story.maybe_scene, story.key))[0]
    ((name, value),) = story.maybe_manual.items()
    return (await daemon.ask("PUT", f"/points/{name}", {"value": value}))[0]


async def devices_that_are_right(daemon: Daemon, wants: Any) -> tuple[str, ...]:
    """Devices all of whose points are proved to be as the new scene wants them, at this moment."""
    now = await points(daemon)
    wrong = {
        now[name]["device"]
        for name, value in wants.items()
        if now[name]["want"] != value or not now[name]["as_wanted"] or now[name]["evidence"] != "read_back"
    }
    return tuple(device for device in DEVICES if device not in wrong)


async def quiet(twins: Twins) -> dict[str, float]:
    """The mark behind the last thing that the dead daemon said."""
    before = await twins.mark()
    while (now := await twins.mark()) != before:
        before = now
    return now


async def judge(daemon: Daemon, twins: Twins, story: Story, mark: dict[str, float]) -> None:
    """The hall after a start: wishes, run, commands, actions."""
    hall = await daemon.get("/hall")
    if story.maybe_scene:
        if story.answered:
            assert hall["scene"] == story.maybe_scene, "an answered press was lost"
        assert hall["scene"] in (story.scene, story.maybe_scene)
        story.scene = hall["scene"]
    now = await points(daemon)
    for name, value in story.maybe_manual.items():
        want = now[name]["want"]
        if story.answered:
            assert (want, now[name]["layer"]) == (value, "manual"), "an answered wish was lost"
        assert want in (story.manual.get(name), value)
        if want is not None:
            story.manual[name] = want
    if story.key is not None:
        await judge_run(daemon, story)
    await settled(daemon, story.wants())
    await twins.polled_since(await twins.mark())
    told = await twins.commands(mark)
    assert not any("ChimeTrigger" in text for text in told["dsp"]), "an action was repeated"
    if story.scene == story.maybe_scene:
        for device in story.right:
            assert told[device] == [], f"{device} was right already"
    for device, texts in told.items():
        assert len(texts) == len(set(texts)), f"{device} was told twice: {texts}"
    story.maybe_scene, story.maybe_manual, story.key, story.right = None, {}, None, ()


async def judge_run(daemon: Daemon, story: Story) -> None:
    found = (await daemon.get(f"/runs?key={story.key}"))["runs"]
    if story.scene != story.maybe_scene:
        assert found == [], "half a press is on the disk"
        return
    (run,) = found
    card = await daemon.until(f"/runs/{run['id']}", lambda card: card["state"] == "closed", 40)
    bad = [
        (p["point"], p["outcome"], p["reason"], p["elapsed_s"]) for p in card["points"] if p["outcome"] not in FINE
    ]
    assert card["verdict"] == "ready", (card["opened"], card["closed"], bad)
    assert {point["outcome"] for point in card["points"]} <= FINE
    if story.open_when_killed:
        assert card["resumed"] is True
    if not card["resumed"]:
        assert from_rfc3339(card["closed"]) <= story.killed_at, "a run was taken for a new one"
    for action in card["actions"]:
        assert action["state"] == "unknown" or not story.open_when_killed


async def test_a_settled_hall_gets_no_command_after_a_kill(tmp_path: Path) -> None:
    wants = {**WANTS["emergency"], "matrix.out.7": "12"}
    async with twins_running() as twins:
        async with daemon_at(tmp_path / "state", twins) as daemon:
            await daemon.online()
            assert (await press(daemon, "emergency", "k"))[0] == 202
            assert (await daemon.ask("PUT", "/points/matrix.out.7", {"value": "12"}))[0] == 202
            await settled(daemon, wants)
            await noted(tmp_path / "state", wants)
            assert sum("ChimeTrigger" in text for text in (await twins.commands())["dsp"]) == 1
            await kill(daemon)
        mark = await quiet(twins)
        async with daemon_at(tmp_path / "state", twins) as daemon:
            await daemon.online()
            await settled(daemon, wants)
            await twins.polled_since(await twins.mark())
            told = await twins.commands(mark)
            assert not any(told.values()), told
            assert {(await points(daemon))[name]["outcome"] for name in wants} <= FINE
            # The key of the press is known over the restart: it opens no second run.
            status, again = await press(daemon, "emergency", "k")
            assert status in (200, 202)
            assert again["run"]["key"] == "k"
            assert len((await daemon.get("/runs"))["runs"]) == 1


async def test_only_what_differs_is_sent_after_a_kill(tmp_path: Path) -> None:
    async with twins_running() as twins:
        async with daemon_at(tmp_path / "state", twins) as daemon:
            await daemon.online()
            assert (await press(daemon, "duty", "k"))[0] == 202
            await settled(daemon, WANTS["duty"])
            await noted(tmp_path / "state", WANTS["duty"])
            await kill(daemon)
        mark = await quiet(twins)
        await twins.poke("matrix", "out.2", "17")  # while nobody looks
        async with daemon_at(tmp_path / "state", twins) as daemon:
            await daemon.online()
            await settled(daemon, WANTS["duty"])
            told = await twins.commands(mark)
            assert told.pop("matrix") == ["VIDEO OUTPUT ROUTING:\n1 1"]
            assert not any(told.values()), told
