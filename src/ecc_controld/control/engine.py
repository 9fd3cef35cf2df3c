"""Everything that acts, put together once: store, keepers, supervisors, arbiter."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from ecc_controld.hall.store import Entry, Store
from ecc_controld.journal import Journal
from ecc_controld.link.supervisor import DIALS_AT_ONCE, Dial, Supervisor
from ecc_controld.scene.model import Scene
from ecc_controld.sdk.driver import Driver

from .acceptance import Acceptance
from .alarms import WishAlarms
from .arbiter import Arbiter
from .book import Book
from .deeds import Deeds
from .diskwatch import DiskWatch
from .gate import Gate
from .hands import Hands
from .keeper import Keeper
from .law import Event
from .observing import Observing
from .recall import recall
from .runs import Runs
from .wallclock import WallClock
from .wishes import Wishes

log = structlog.get_logger("engine")

REMOVED = "removed"
"""The reason of what ended because its device or point is in no file any more."""


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
        self.clock = WallClock()
        self.store = Store((device, unit.driver.points) for device, unit in units.items())
        for device, unit in units.items():
            self.store.devices[device].in_service = unit.in_service
            self.store.devices[device].observe_only = unit.observe_only
        self.gate = Gate(self.store, self._wake)
        self.wishes = Wishes(self.store, self.gate, self._wake)
        self.keepers = {device: self._keeper(device, unit) for device, unit in units.items()}
        self._dial = dial
        self._limit = asyncio.Semaphore(DIALS_AT_ONCE)
        self._dice = dice or random.Random()
        self.supervisors = {device: self._supervisor(device, unit) for device, unit in units.items()}
        self.runs = Runs(self.store)
        self.acceptance = Acceptance(self.store, self.wishes, journal)
        self.arbiter = Arbiter(self.acceptance, self.runs, lambda: self.scenes, self._do, self.retry)
        self.hands = Hands(self.acceptance, self.keepers, self.arbiter.fire)
        self.deeds = Deeds(self.acceptance, self.arbiter.keys, self._do)
        self.observing = Observing(self.store)
        self.alarms = WishAlarms(self.store, lambda device: self.units[device].driver.config.name)
        self._disk_watch: asyncio.Task[None] | None = None
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Recall what was wanted, then keep it."""
        recall(self.journal.recall(), self.store, self.gate, self.arbiter, self.runs, self.keepers)
        self._disk_watch = self._spawn("disk watch", DiskWatch(self.acceptance).run())
        self.observing.begin()
        for device in self.units:
            self.begin(device)

    async def stop(self) -> None:
        """End all tasks and wires; wishes stay as they are, in the journal."""
        tasks = self._all_tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.runs.close()
        await self.hands.close()
        await self.acceptance.close()

    def faults(self) -> list[BaseException]:
        """What tasks died of; empty for ever unless there is a bug of ours."""
        done = [task for task in self._all_tasks() if task.done() and not task.cancelled()]
        return [error for task in done if (error := task.exception()) is not None]

    def dead(self) -> list[str]:
        """Devices that nobody keeps any more, because a task of theirs has ended; empty unless there is a bug."""
        return [device for device, both in self._tasks.items() if any(task.done() for task in both)]

    def asleep(self, device: str) -> str | None:
        """Why nothing may be sent to a device (out_of_service, observe_only), or None."""
        if not self.store.devices[device].in_service:
            return "out_of_service"
        return "observe_only" if self.units[device].observe_only else None

    def retry(self, entry: Entry) -> None:
        """A person wants a point to be striven for again; a link that waits for its time is dialled at once."""
        keeper = self.keepers[entry.device]
        keeper.ledger.fire(entry, Event.RETRY, self.now())
        self.supervisors[entry.device].dial_now()
        keeper.wake()

    def skip(self, entry: Entry) -> None:
        """A person goes on without a point."""
        keeper = self.keepers[entry.device]
        keeper.ledger.fire(entry, Event.SKIP, self.now())
        keeper.wake()

    # -- for control/reconfigure.py ----------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds."""
        return asyncio.get_running_loop().time()

    def halt(self, device: str, reason: str) -> None:
        """End tasks and wire of a device at once; what was under way is in doubt."""
        self.supervisors[device].halt(reason)
        self.keepers[device].session_lost(reason, "", by_us=False)
        for task in self._tasks.pop(device):
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def drop_unit(self, device: str) -> None:
        """Forget a device that was halted."""
        del self.keepers[device], self.supervisors[device]

    def make(self, device: str) -> None:
        """A keeper and a supervisor for a device of the store, new or anew."""
        unit = self.units[device]
        self.keepers[device] = self._keeper(device, unit)
        self.supervisors[device] = self._supervisor(device, unit)
        self.hands.adopt(self.keepers[device])

    def begin(self, device: str) -> None:
        """Start to keep a device."""
        self._tasks[device] = [
            self._spawn(f"keeper {device}", self.keepers[device].run()),
            self._spawn(f"link {device}", self.supervisors[device].run()),
        ]

    # -- inside ------------------------------------------------------------------------------------------

    def _all_tasks(self) -> list[asyncio.Task[None]]:
        alone = list(self._leaving) if self._disk_watch is None else [self._disk_watch, *self._leaving]
        return alone + [task for both in self._tasks.values() for task in both]

    def _supervisor(self, device: str, unit: Unit) -> Supervisor:
        dice = random.Random(self._dice.random())
        return Supervisor(unit.driver, self._dial, self.keepers[device], self._limit, dice)

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
        keeper = self.keepers.get(device)
        if keeper is not None:
            keeper.wake()

    def _do(self, device: str, action: str, tell: Callable[[str, str, str], None]) -> None:
        if device not in self.keepers:
            tell(action, "failed", REMOVED)
            return
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
