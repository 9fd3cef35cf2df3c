"""Everything that acts, put together once: store, keepers, supervisors, arbiter."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from ecc_controld.hall.store import Store
from ecc_controld.journal import Journal
from ecc_controld.link.supervisor import DIALS_AT_ONCE, Dial, Supervisor
from ecc_controld.scene.model import Scene
from ecc_controld.sdk.driver import Driver

from .acceptance import Acceptance
from .arbiter import Arbiter
from .book import Book
from .deeds import Deeds
from .diskwatch import DiskWatch
from .gate import Gate
from .hands import Hands
from .keeper import Keeper
from .observing import Observing
from .recall import recall
from .runs import Runs
from .wishes import Wishes

log = structlog.get_logger("engine")


@dataclass(frozen=True)
class Unit:
    """One device as the engine needs it; times in s."""

    driver: Driver
    gap_s: float = 0.0
    observe_only: bool = False
    in_service: bool = True


class Engine:
    """The hall's machinery. `start` recalls the journal and begins; `stop` leaves no task and no wire."""

    def __init__(
        self,
        units: Mapping[str, Unit],
        scenes: Mapping[str, Scene],
        journal: Journal,
        dial: Dial,
        *,
        dice: random.Random | None = None,
    ) -> None:
        self.units = units
        self.scenes = scenes
        self.journal = journal
        self.store = Store((device, unit.driver.points) for device, unit in units.items())
        for device, unit in units.items():
            self.store.devices[device].in_service = unit.in_service
            self.store.devices[device].observe_only = unit.observe_only
        self.gate = Gate(self.store, self._wake)
        self.wishes = Wishes(self.store, self.gate, self._wake)
        self.keepers = {device: self._keeper(device, unit) for device, unit in units.items()}
        limit = asyncio.Semaphore(DIALS_AT_ONCE)
        dice = dice or random.Random()
        self.supervisors = {
            device: Supervisor(unit.driver, dial, self.keepers[device], limit, random.Random(dice.random()))
            for device, unit in units.items()
        }
        self.runs = Runs(self.store)
        self.acceptance = Acceptance(self.store, self.wishes, journal)
        self.arbiter = Arbiter(self.acceptance, self.runs, lambda: self.scenes, self._do)
        self.hands = Hands(self.acceptance, self.keepers, self.arbiter.fire)
        self.deeds = Deeds(self.acceptance, self.arbiter.keys, self._do)
        self.observing = Observing(self.store)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Recall what was wanted, then keep it."""
        recall(self.journal.recall(), self.store, self.gate, self.arbiter, self.runs, self.keepers)
        self._tasks.append(self._spawn("disk watch", DiskWatch(self.acceptance).run()))
        self.observing.begin()
        for device in self.units:
            self._tasks.append(self._spawn(f"keeper {device}", self.keepers[device].run()))
            self._tasks.append(self._spawn(f"link {device}", self.supervisors[device].run()))

    async def stop(self) -> None:
        """End all tasks and wires; wishes stay as they are, in the journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.runs.close()
        await self.hands.close()
        await self.acceptance.close()

    def faults(self) -> list[BaseException]:
        """What tasks died of; empty for ever unless there is a bug of ours."""
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in done if (error := task.exception()) is not None]

    def asleep(self, device: str) -> str | None:
        """Why nothing may be sent to a device (out_of_service, observe_only), or None."""
        if not self.store.devices[device].in_service:
            return "out_of_service"
        return "observe_only" if self.units[device].observe_only else None

    # -- inside ------------------------------------------------------------------------------------------

    def _keeper(self, device: str, unit: Unit) -> Keeper:
        driver = unit.driver
        book = Book(
            device=device,
            entries=self.store.by_device[device],
            poll_s=driver.poll_s,
            gap_s=unit.gap_s,
            window=driver.window,
            pipelines=driver.pipelines,
            observe_only=unit.observe_only,
        )
        return Keeper(book, driver, self.store, self.gate, self.wishes.begin)

    def _wake(self, device: str) -> None:
        self.keepers[device].wake()

    def _do(self, device: str, action: str, tell: Callable[[str, str, str], None]) -> None:
        asleep = self.asleep(device)
        if asleep is not None:
            tell(action, "failed", asleep)
            return
        self.keepers[device].do(action, tell)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(_report)
        return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("task died", code="task_died", task=task.get_name(), exc_info=task.exception())
