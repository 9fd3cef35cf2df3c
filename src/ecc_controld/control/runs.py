"""All open runs: feeds them with what happens to wishes, closes them in time, and tells who waits.

Nothing here acts on a device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Life, Wish

from .run import Run

log = structlog.get_logger("run")

KEEP_CLOSED = 50


class Runs:
    """The open runs and the newest closed ones. `on_run(run)` hears of every change, at once."""

    def __init__(self, store: Store) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._open: dict[str, Run] = {}
        self._closed: dict[str, Run] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._due: set[str] = set()
        self.on_run: list[Callable[[Run], None]] = []
        store.on_life.append(self._life_changed)

    def get(self, run_id: str) -> Run | None:
        """An open run, or one that closed lately."""
        return self._open.get(run_id) or self._closed.get(run_id)

    def opened(self) -> list[Run]:
        """The open runs, oldest first."""
        return list(self._open.values())

    def lately(self) -> list[Run]:
        """Open and lately closed runs, newest first."""
        return sorted([*self._open.values(), *self._closed.values()], key=lambda run: run.id, reverse=True)

    def open(self, run: Run) -> None:
        """Begin to count."""
        self._open[run.id] = run
        self._timers[run.id] = self._loop.call_at(run.began + run.deadline_s, self._review, run)
        log.info("run opened", run=run.id, scene=run.scene, by=run.by, points=len(run.cards), drill=run.drill)
        self._changed(run)

    def withdraw(self, run: Run) -> None:
        """It never happened: its wishes could not be made durable. Whoever was told of it is told that it failed."""
        self._open.pop(run.id, None)
        self._closed.pop(run.id, None)
        self._end_timer(run)
        run.withdraw(self._loop.time())
        self._release(run)
        self._changed(run)

    def reinstate(self, run: Run) -> None:
        """The press that superseded it was withdrawn: it goes on, with the wishes that stand again."""
        self._closed.pop(run.id, None)
        self._open[run.id] = run
        self._timers[run.id] = self._loop.call_at(run.began + run.deadline_s, self._review, run)
        run.reinstate(self._store.entries, self._loop.time())
        self._due.add(run.id)
        self._loop.call_soon(self._review, run)
        self._changed(run)

    def supersede(self, run: Run, by: str) -> None:
        """Another scene took the hall."""
        if run.state != "closed":
            run.supersede(by, self._loop.time())
            self._finish(run)

    async def wait(self, run: Run, timeout_s: float) -> bool:
        """Wait until the run is assessed (every point has an outcome); False if the time ends first."""
        if run.state != "open":
            return True
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.setdefault(run.id, []).append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        finally:
            waiters = self._waiters.get(run.id)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
        return True

    def changed(self, run: Run) -> None:
        """Something beside the points changed (an action, a person)."""
        self._changed(run)

    def close(self) -> None:
        """Stop all timers; nobody is told."""
        for timer in self._timers.values():
            timer.cancel()
        for run in list(self._open.values()):
            self._release(run)

    # -- inside ------------------------------------------------------------------------------------------

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        now = self._loop.time()
        for run in self._open.values():
            if run.enter(entry, wish, life, now) and run.id not in self._due:
                # Judged once a tick, however many points changed in it.
                self._due.add(run.id)
                self._loop.call_soon(self._review, run)

    def _review(self, run: Run) -> None:
        self._due.discard(run.id)
        if run.id not in self._open:
            return
        run.review(self._loop.time())
        if run.state == "closed":
            self._finish(run)
        else:
            if run.state == "assessed":
                self._release(run)
            self._changed(run)

    def _finish(self, run: Run) -> None:
        self._open.pop(run.id, None)
        self._closed[run.id] = run
        while len(self._closed) > KEEP_CLOSED:
            self._closed.pop(next(iter(self._closed)))
        self._end_timer(run)
        log.info(
            "run closed",
            run=run.id,
            scene=run.scene,
            verdict=str(run.verdict),
            elapsed_s=run.elapsed_s,
            **run.counts(),
        )
        self._release(run)
        self._changed(run)

    def _end_timer(self, run: Run) -> None:
        timer = self._timers.pop(run.id, None)
        if timer is not None:
            timer.cancel()

    def _release(self, run: Run) -> None:
        for waiter in self._waiters.pop(run.id, []):
            if not waiter.done():
                waiter.set_result(None)

    def _changed(self, run: Run) -> None:
        for listener in self.on_run:
            listener(run)
