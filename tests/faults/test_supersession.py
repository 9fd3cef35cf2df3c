"""Supersession at the wire: any order of presses, wishes by hand, faults, reboots and restarts, seeded.

`make soak` plays a thousand interleavings; a slice runs here. A failure names its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from ecc_controld.control.acceptance import Press
from ecc_controld.hall.wish import State
from ecc_controld.link import backoff
from faults.keeping import BOX, PIPELINED_BOX, POINTS, SLOWEST_S, KeepingHall, moment
from support.rig import scene, until

SOAK = bool(os.environ.get("ECC_SOAK"))
SEEDS = range(1000) if SOAK else range(24)
AT_ONCE = 24
STEPS = 30
DEVICES = {"x": BOX, "y": PIPELINED_BOX}


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dial again at once: an interleaving is worth more than a pause."""
    monkeypatch.setattr(backoff, "FLAT_S", 0.1)
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "MOST_S", 0.2)


class Play:
    """One seeded interleaving."""

    def __init__(self, seed: int, hall: KeepingHall) -> None:
        self.dice = random.Random(seed)
        self.hall = hall
        self.fresh = 0

    async def run(self) -> None:
        """Play all steps, heal, and see that the hall becomes what was asked for last."""
        moves = [self.press] * 5 + [self.by_hand] * 6 + [self.take_back] * 2
        moves += [self.disturb] * 6 + [self.heal] * 5 + [self.reboot] * 2 + [self.restart] * 1 + [self.storm] * 1
        for _ in range(STEPS):
            await self.dice.choice(moves)()
            if self.dice.random() < 0.6:
                await moment(self.dice.choice((0.0, 0.0, 0.005, 0.03, 0.1, SLOWEST_S, 0.6)))
        await self.healed()

    async def healed(self) -> None:
        """Every device is well again; everything becomes true."""
        for twin in self.hall.twins.values():
            twin.mishaps, twin.slow_s = [], 0.0
            await twin.heal()
        await self.converged()

    async def converged(self) -> None:
        """Healthy devices: a person retries what ended badly, everything becomes true."""
        for _ in range(3):
            self.retry_what_ended()
            try:
                await until(lambda: self.hall.settled() or self.hall.wrong or self.ended(), 12.0)
            except TimeoutError:
                break
            if not self.ended():
                break
        assert not self.hall.wrong, self.hall.wrong
        assert self.hall.settled(), self.hall.told_state()

    def ended(self) -> list[str]:
        """Points whose wish waits for a person, while the device is online."""
        found = []
        for name, entry in self.hall.engine.store.entries.items():
            if entry.life is not None and entry.life.state in (State.UNSETTLED, State.BLOCKED):
                found.append(name)
        return found

    def retry_what_ended(self) -> None:
        """As the API does it (api/acting.py)."""
        for name in self.ended():
            device, local = name.split(".", 1)
            self.hall.retry(device, local)

    # -- moves -------------------------------------------------------------------------------------------

    def value(self, local: str) -> int | bool | str:
        """A value that no other wish ever has, where there are enough of them."""
        if local == "mute":
            return self.dice.random() < 0.5
        if local == "preset":
            return self.dice.choice(("duty", "emergency"))
        self.fresh += 1
        return 100 + self.fresh

    def point(self) -> str:
        return f"{self.dice.choice(list(self.hall.kinds))}.{self.dice.choice(POINTS)}"

    async def press(self) -> None:
        names = {self.point() for _ in range(self.dice.randint(1, 6))}
        wants = {name: self.value(name.split(".", 1)[1]) for name in sorted(names)}
        self.hall.scene_wants = dict(wants)
        for name in wants:
            self.hall.manual_wants.pop(name, None)
        self.fresh += 1
        pressed = self.hall.press(scene(f"s{self.fresh}", wants, deadline_s=60.0))
        await pressed

    async def by_hand(self) -> None:
        name = self.point()
        value = self.value(name.split(".", 1)[1])
        self.hall.manual_wants[name] = value
        await self.hall.engine.hands.set(self.hall.engine.store.entries[name], value, Press(by="手"))

    async def storm(self) -> None:
        await asyncio.gather(*(self.by_hand() for _ in range(20)))

    async def take_back(self) -> None:
        if self.hall.manual_wants:
            name = self.dice.choice(sorted(self.hall.manual_wants))
            self.hall.manual_wants.pop(name)
            assert await self.hall.engine.hands.release(self.hall.engine.store.entries[name], Press(by="手"))

    async def disturb(self) -> None:
        twin = self.hall.twins[self.dice.choice(list(self.hall.twins))]
        if self.dice.random() < 0.6:
            # Something goes wrong with exactly the next commands, which are inside the device all the same.
            mishaps = ("unanswered", "cut", "cut", "answered_cut", "busy", "no")
            twin.mishaps = [self.dice.choice(mishaps) for _ in range(self.dice.randint(1, 3))]
            twin.slow_s = self.dice.choice((0.0, 0.05, 0.15, SLOWEST_S))
        else:
            await twin.fault(self.dice.choice(("reset", "silent", "late", "refuse", "reject", "ignore", "split")))

    async def heal(self) -> None:
        await self.hall.twins[self.dice.choice(list(self.hall.twins))].heal()

    async def reboot(self) -> None:
        await self.hall.twins[self.dice.choice(list(self.hall.twins))].fault("reboot")

    async def restart(self) -> None:
        await self.hall.stop()
        assert not self.hall.engine.faults()
        await self.hall.start()


async def _play(seed: int, state: Path, limit: asyncio.Semaphore) -> str:
    """What went wrong with a seed, empty if nothing did."""
    async with limit:
        try:
            async with KeepingHall(state, DEVICES) as hall:
                await hall.start()
                await Play(seed, hall).run()
        except Exception as error:
            return f"seed {seed}: {type(error).__name__}: {error}"
    return ""


async def test_any_interleaving_ends_as_it_was_wanted_last(tmp_path: Path) -> None:
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
    limit = asyncio.Semaphore(AT_ONCE)
    found = await asyncio.gather(*(_play(seed, tmp_path / str(seed), limit) for seed in SEEDS))
    assert not [one for one in found if one]
    assert not trouble
