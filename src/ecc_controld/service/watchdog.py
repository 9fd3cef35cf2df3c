"""The watchdog: the service manager is fed only while everything that keeps the hall makes progress.

Each round asks every probe. A probe answers None (fine) or says what stands still; one that does not answer at
all stands still too. A loop that is blocked asks nobody, and so feeds nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from .notify import Notifier

log = structlog.get_logger("watchdog")

Probe = Callable[[], Awaitable[str | None]]

ROUNDS = 4
"""Rounds within the time that the manager gives us: one or two may be lost."""
LAG_S = 2.0
"""A loop that wakes later than this does not switch a hall in time."""
UNWATCHED_S = 10.0
"""The time assumed where no manager watches; the probes still tell the log."""


class Watchdog:
    """Runs the probes for ever. `standing_still` maps a probe to what it said in the last round."""

    def __init__(self, notifier: Notifier, watchdog_s: float | None, probes: Mapping[str, Probe]) -> None:
        self._notifier = notifier
        self._feeds = watchdog_s is not None
        self.every_s = (watchdog_s or UNWATCHED_S) / ROUNDS
        self._probes = dict(probes)
        self._asked: dict[str, asyncio.Task[str | None]] = {}
        self._loop = asyncio.get_running_loop()
        self.standing_still: dict[str, str] = {}
        self.rounds = 0
        self.fed = 0
        self.lag_s = 0.0
        self.on_change: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Ask, feed, wait; ends only by cancellation, and then leaves no probe behind."""
        try:
            while True:
                due = self._loop.time() + self.every_s
                await self.round()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                self.lag_s = max(0.0, self._loop.time() - due)
        finally:
            for task in self._asked.values():
                task.cancel()
            await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def round(self) -> None:
        """One round: ask all probes, wait for them for at most a round's time, feed if all is well."""
        for name, probe in self._probes.items():
            if name not in self._asked:
                self._asked[name] = self._loop.create_task(_ask(probe), name=f"watchdog {name}")
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=self.every_s * 0.8)
        found = {}
        for name, task in list(self._asked.items()):
            if not task.done():
                found[name] = "no answer"
                continue
            del self._asked[name]
            said = task.result()
            if said is not None:
                found[name] = said
        if self.lag_s > LAG_S:
            found["loop"] = f"{self.lag_s:.1f} s late"
        self._judge(found)
        self.rounds += 1

    def _judge(self, found: dict[str, str]) -> None:
        before, self.standing_still = self.standing_still, found
        if not found and self._feeds:
            self._notifier.watchdog()
            self.fed += 1
        if found.keys() == before.keys():
            return
        if found:
            log.error("watchdog not fed", code="watchdog_stall", **found)
        else:
            log.info("watchdog fed again", code="watchdog_fed")
        for listener in self.on_change:
            listener()


async def _ask(probe: Probe) -> str | None:
    """A probe that raises has not seen what it wanted to see."""
    try:
        return await probe()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
