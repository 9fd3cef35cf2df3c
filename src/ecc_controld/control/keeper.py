"""A keeper: the one task that moves a device from observed to desired. The shell around the agenda.

It waits, asks the agenda for the next step, hands bytes to the session at once, and enters what came back into
the ledger. It holds the wire alone: no exchange of this device happens outside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import time as wall_time
from typing import Any

import structlog

from ecc_controld.hall.store import Entry, Store
from ecc_controld.link.state import Link
from ecc_controld.sdk.driver import Driver, Identity
from ecc_controld.sdk.errors import LinkError, RemoteProtocolError
from ecc_controld.sdk.exchange import Answer, Exchange, Refusal
from ecc_controld.sdk.point import Value
from ecc_controld.sdk.session import Pending, Session, Tally

from .agenda import Agenda, Ask, Move, Observe, Pause, Write
from .book import FOREVER, Book, Drive
from .gate import Gate
from .guard import Guards
from .law import Event
from .ledger import Ledger
from .observing import OBSERVE_ONLY

log = structlog.get_logger("keeper")

HOLD_S = 0.9
"""A momentary control that is not renewed for so long stops by itself (renewals come every 0.3 s)."""

DeedDone = Callable[[str, str, str], None]
"""Told `(action, state, reason)`: sent, acknowledged or failed."""


class Keeper:
    """Keeps one device. `run()` is its task; everything else may be called from the event loop at any time."""

    def __init__(
        self, book: Book, driver: Driver, store: Store, gate: Gate, begin: Callable[[Entry], object]
    ) -> None:
        self.book = book
        self.driver = driver
        self._store = store
        self._loop = asyncio.get_running_loop()
        self.ledger = Ledger(book, store, gate)
        self._guards = Guards(book, store, begin)
        self._agenda = Agenda(book, store, self.ledger, self._guards)
        self._session: Session | None = None
        self._wake = asyncio.Event()
        self._deeds: deque[tuple[str, DeedDone]] = deque()
        self._asked: dict[str, list[asyncio.Future[None]]] = {}
        self._draining = False
        self.steps = 0
        self.losses = 0
        self._before = Tally()
        self.on_rest: Callable[[str, str], None] | None = None
        self._state = store.devices[book.device]
        self._told = Link.OFFLINE
        self._away_told = False
        book.offline_since = self._loop.time()

    # -- from others -------------------------------------------------------------------------------------

    @property
    def waits_for_device(self) -> bool:
        """Its next step is the device's: an answer is due, or the wire has not taken all bytes yet."""
        return self._session is not None and (self._draining or self._session.unanswered > 0)

    def tally(self) -> Tally:
        """What was said to this device since the start, over all connections."""
        found = replace(self._before)
        if self._session is not None:
            found.add(self._session.tally)
        return found

    def wake(self) -> None:
        """Something changed: look again."""
        self._wake.set()

    def do(self, action: str, tell: DeedDone) -> None:
        """Queue a one-shot action; it is sent at most once, and fails at once while the device is away."""
        if self.book.observe_only:
            tell(action, "failed", OBSERVE_ONLY)
            return
        if self._session is None:
            tell(action, "failed", self.book.reason)
            return
        self._deeds.append((action, tell))
        self._wake.set()

    def hold(self, local: str, value: Value, by: str) -> None:
        """Start or renew a momentary movement; the stop value ends it at once."""
        if self.book.observe_only:
            return
        until = self._loop.time() + HOLD_S
        drive = self.book.drives.get(local)
        if drive is None:
            self.book.drives[local] = Drive(value, until, by)
        else:
            drive.value, drive.until, drive.by = value, until, by
        self._wake.set()

    # -- link.Watcher ------------------------------------------------------------------------------------

    def link_changed(self, link: Link, code: str, detail: str) -> None:
        """Tell the store; while the device stays away, its wishes learn the newest reason."""
        state = self._state
        was_up = state.link == Link.ONLINE
        if link in (Link.OFFLINE, Link.REFUSED):
            if was_up or not self._away_told:
                # Once a loss: an absent device is dialled for ever, and nobody reads a line for each attempt.
                log.warning("device lost" if was_up else "device away", device=state.id, code=code, detail=detail)
            elif (link, code) != (self._told, state.reason):
                log.debug("device still away", device=state.id, code=code, detail=detail)
            self._away_told = True
            self._told = link
            self.ledger.link_down(self._loop.time(), code, detail, by_us=False, refused=link is Link.REFUSED)
            state.reason, state.detail = code, detail
        elif link is Link.ONLINE:
            state.reason = state.detail = ""
            self._told = link
            self._away_told = False
        if was_up or link is Link.ONLINE or not state.since:
            state.since = wall_time()
        state.link = str(link)
        self._store.device_changed(state)
        self._wake.set()

    def session_began(self, session: Session, identity: Identity) -> None:
        """Begin: everything is read before anything is written."""
        self._session = session
        self._state.identity = identity
        self.ledger.link_up(self._loop.time())
        session.begin(self._heard)
        log.info("device online", device=self.book.device, model=identity.model)
        self._store.device_changed(self._state)
        self._wake.set()

    def session_lost(self, code: str, detail: str, *, by_us: bool) -> None:
        """The wire is gone: what was unanswered is in doubt."""
        if self._session is not None:
            self._before.add(self._session.tally)
            self.losses += 1
        self._session = None
        for local in list(self.book.drives):
            self._drive_over(local)
        while self._deeds:
            action, tell = self._deeds.popleft()
            tell(action, "failed", code)
        self.ledger.link_down(self._loop.time(), code, detail, by_us=by_us)

    def _heard(self, message: Any) -> None:
        """A push. Whatever the driver raises makes the session drop the wire."""
        try:
            readings = self.driver.heard(message)
        except RemoteProtocolError:
            raise
        except Exception:
            log.exception("driver fault", code="driver_error", device=self.book.device)
            raise
        self.ledger.pushed(readings, self._loop.time())
        self._wake.set()

    # -- the task ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the device for ever; ends only by cancellation."""
        while True:
            self._wake.clear()
            self.steps += 1
            try:
                await self._step()
            except LinkError:
                # The session ended under us; the supervisor tells session_lost. Nothing to do until then.
                await self._rest(self._loop.time() + 0.05)

    async def _step(self) -> None:
        session = self._session
        if session is not None:
            self._draining = True
            try:
                await session.drained()
            finally:
                self._draining = False
        now = self._loop.time()
        self._guards.tend(now, wall_time())
        if session is not None and self._deeds:
            await self._act(session)
            return
        step = self._agenda.next(now)
        if isinstance(step, Pause) or session is None or self._session is not session:
            await self._rest(step.until if isinstance(step, Pause) else FOREVER)
        elif isinstance(step, Write):
            await self._write(session, step, now)
        elif isinstance(step, Ask):
            await self._ask(session, step.entries)
        elif isinstance(step, Observe):
            await self._observe(session)
        elif isinstance(step, Move):
            await self._move(session, step)
        self._state.heard_at = session.last_heard if session is not None else self._state.heard_at

    async def _rest(self, until: float) -> None:
        if until == FOREVER:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _write(self, session: Session, step: Write, now: float) -> None:
        """Hand over the batch in the same instant in which the agenda chose it."""
        numbers: list[int] = []
        exchanges: list[Exchange] = []
        for entry in step.entries:
            wish = entry.living
            assert wish is not None
            numbers.append(wish.number)
            exchanges.append(self._made(partial(self.driver.write, entry.local, wish.value)))
        questions = [self._made(partial(self.driver.query, entry.local)) for entry in step.ask]
        pendings = session.hand_over([*exchanges, *questions])
        for entry in step.entries:
            self.ledger.handed_over(entry, now)
        writes, reads = pendings[: len(exchanges)], pendings[len(exchanges) :]
        for entry, number, pending in zip(step.entries, numbers, writes, strict=True):
            verdict = await pending.outcome
            said = pending.exchange.judge is not None
            if isinstance(verdict, Refusal):
                self.ledger.refused(entry, number, verdict, self._loop.time())
            else:
                self.ledger.acknowledged(entry, number, self._loop.time(), said=said, detail=verdict.detail)
                self.ledger.read(verdict.readings, now, self._loop.time())
        await self._take(step.ask, reads, now)
        self._pace()

    async def _ask(self, session: Session, entries: Sequence[Entry]) -> None:
        now = self._loop.time()
        questions = [self._made(partial(self.driver.query, entry.local)) for entry in entries]
        await self._take(entries, session.hand_over(questions), now)
        self._pace()

    async def _take(self, entries: Sequence[Entry], pendings: Sequence[Pending], asked_at: float) -> None:
        for entry, pending in zip(entries, pendings, strict=True):
            verdict = await pending.outcome
            self._enter(verdict, asked_at)
            answered = isinstance(verdict, Answer) and any(r.point == entry.local for r in verdict.readings)
            for waiter in self._asked.pop(entry.local, []):
                if not waiter.done():
                    waiter.set_result(None)
            if not answered:
                refusal = verdict if isinstance(verdict, Refusal) else None
                self.ledger.unread(entry, refusal, asked_at, self._loop.time())

    async def _observe(self, session: Session) -> None:
        book = self.book
        if not book.observing:
            book.observing.extend(self._made_all())
            book.observe_at = self._loop.time() + book.poll_s
            if not book.observing:
                return
        exchange = book.observing.popleft()
        asked_at = self._loop.time()
        (pending,) = session.hand_over([exchange])
        self._enter(await pending.outcome, asked_at)
        self._pace()

    async def _move(self, session: Session, step: Move) -> None:
        local = step.entry.local
        drive = self.book.drives[local]
        if drive.sent is None:
            # What the movement disturbs is nobody's wish until it rests.
            for other in step.entry.point.disturbs:
                self.ledger.fire(self.book.entries[other], Event.SUSPEND, self._loop.time())
        drive.sent = step.value
        (pending,) = session.hand_over([self._made(partial(self.driver.write, local, step.value))])
        verdict = await pending.outcome
        stopped = step.value == step.entry.point.stop
        renewed = drive.value != step.entry.point.stop and self._loop.time() < drive.until
        if isinstance(verdict, Refusal) or (stopped and not renewed):
            self._drive_over(local)

    def _drive_over(self, local: str) -> None:
        """It rests: whoever listens makes the place where it came to rest a manual wish."""
        drive = self.book.drives.pop(local)
        for other in self.book.entries[local].point.disturbs:
            disturbed = self.book.entries[other]
            if self.on_rest is not None and self._session is not None:
                self.on_rest(disturbed.name, drive.by)
            else:
                self.ledger.fire(disturbed, Event.RESUME, self._loop.time())

    async def read_anew(self, local: str) -> Value | None:
        """What the device says to a question asked from now on; waits as long as it takes."""
        answered: asyncio.Future[None] = self._loop.create_future()
        self._asked.setdefault(local, []).append(answered)
        self.book.tracks[local].ask_at = self._loop.time()
        self._wake.set()
        await answered
        return self.book.entries[local].observed

    async def _act(self, session: Session) -> None:
        action, tell = self._deeds.popleft()
        try:
            (pending,) = session.hand_over([self._made(partial(self.driver.act, action))])
            tell(action, "sent", "")
            verdict = await pending.outcome
        except LinkError as error:
            tell(action, "failed", error.code)
            raise
        except asyncio.CancelledError:
            tell(action, "unknown", "stopped")
            raise
        if isinstance(verdict, Refusal):
            tell(action, "failed", verdict.reason)
        else:
            tell(action, "acknowledged", "")
        self._pace()

    # -- small things ------------------------------------------------------------------------------------

    def _enter(self, verdict: Answer | Refusal, asked_at: float) -> None:
        if isinstance(verdict, Answer):
            self.ledger.read(verdict.readings, asked_at, self._loop.time())

    def _pace(self) -> None:
        if self.book.gap_s:
            self.book.free_at = self._loop.time() + self.book.gap_s

    def _made(self, make: Callable[[], Exchange]) -> Exchange:
        """An exchange from the driver; a driver that raises loses its wire, not the keeper's task."""
        try:
            return make()
        except Exception as error:
            log.exception("driver fault", code="driver_error", device=self.book.device)
            if self._session is not None:
                self._session.abort("driver_error", str(error))
            raise LinkError("driver_error", str(error)) from error

    def _made_all(self) -> Sequence[Exchange]:
        try:
            return self.driver.observe()
        except Exception as error:
            log.exception("driver fault", code="driver_error", device=self.book.device)
            if self._session is not None:
                self._session.abort("driver_error", str(error))
            raise LinkError("driver_error", str(error)) from error
