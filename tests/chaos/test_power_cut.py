"""Power cuts at seeded moments of a stream of presses: no answered press is lost. ECC_SOAK=1 cuts a hundred times."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.cuts import Place, place
from chaos.world import SEED, SOAK, daemon_at, press, twins_running
from support.daemon import Daemon

LOOK = Path(__file__).with_name("look.py")
CUTS = 100 if SOAK else 5
POINTS = [f"matrix.out.{n}" for n in range(10, 20)]


@dataclass
class Told:
    """What was pressed, and how much of it was answered, in order."""

    pressed: list[tuple[str, str]] = field(default_factory=list)
    answered: int = 0

    def copy(self) -> Told:
        return Told(list(self.pressed), self.answered)

    def possible(self, thing: str) -> set[str | None]:
        """The last answered word about this thing, or a later one that was pressed."""
        settled = [word for name, word in self.pressed[: self.answered] if name == thing]
        later = [word for name, word in self.pressed[self.answered :] if name == thing]
        return {settled[-1] if settled else None, *later}


async def pressing(daemon: Daemon, told: Told, dice: random.Random) -> None:
    """One press after the other; in between a scene with its key."""
    while True:
        number = len(told.pressed)
        if dice.random() < 0.2:
            scene = dice.choice(("duty", "emergency"))
            told.pressed.append(("scene", scene))
            status, _ = await press(daemon, scene, f"key-{number}")
        else:
            point, value = dice.choice(POINTS), str(dice.randint(1, 40))
            told.pressed.append((point, value))
            status, _ = await daemon.ask("PUT", f"/points/{point}", {"value": value})
        assert status == 202
        told.answered += 1


async def test_no_power_cut_loses_an_answered_press(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    told, cuts = Told(), []
    async with twins_running() as twins, place(tmp_path) as disk:
        async with daemon_at(disk.state, twins, disk.prefix) as daemon:
            await daemon.online()
            presses = asyncio.create_task(pressing(daemon, told, dice))
            for number in range(CUTS):
                answered = told.answered
                while told.answered == answered:  # something new is at stake in every cut
                    await asyncio.sleep(0)
                await asyncio.sleep(dice.uniform(0, 0.15))  # the moment of the cut
                daemon.process.send_signal(signal.SIGSTOP)
                copy = tmp_path / f"cut-{number}"
                await asyncio.to_thread(disk.cut, copy)
                cuts.append((copy, told.copy()))  # an answer that was on its way has arrived by now
                daemon.process.send_signal(signal.SIGCONT)
                assert not presses.done(), presses
                if SOAK:
                    await judge(disk, *cuts.pop())
                    copy.unlink()
            presses.cancel()
            await asyncio.gather(presses, return_exceptions=True)
        assert told.answered > CUTS
        for copy, until_then in cuts:
            await judge(disk, copy, until_then)


async def judge(disk: Place, copy: Path, told: Told) -> None:
    """Open the journal after the cut as the next start would, and look for everything that was answered."""
    async with disk.after(copy, copy.with_name(copy.name + "-disk")) as (state, prefix):
        found = await remembered(state, prefix)
    assert not found["quarantined"], "a power cut is no damage"
    for number, (name, _) in enumerate(told.pressed[: told.answered]):
        assert name != "scene" or f"key-{number}" in found["keys"]
    assert found["scene"] in told.possible("scene")
    for point in POINTS:
        assert found["manual"].get(point) in told.possible(point), point


async def remembered(state: Path, prefix: tuple[str, ...]) -> dict[str, Any]:
    """What the next start would find (look.py)."""
    process = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, str(LOOK), str(state), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found
