"""A session: exchanges over one open wire. Matches answers to questions and gives up on silence.

A session never retries and never reconnects. When an answer does not come in time, or comes for nobody, the
wire is aborted: a late answer can then never be taken for the answer to a later command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from .codec import Codec
from .errors import LinkError, Rejected, RemoteProtocolError
from .exchange import Answer, Exchange, Refusal
from .wire import ByteWire

T = TypeVar("T")

INBOX_LIMIT = 1000
"""Messages kept while the driver logs in; more is a device that floods us."""


@dataclass(slots=True)
class Tally:
    """What was said over one or many sessions: exchanges that want an answer, refusals, losses for want of an
    answer, and the time waited for answers in s. Only ever grows.
    """

    exchanges: int = 0
    refusals: int = 0
    silences: int = 0
    waited_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Take another's numbers in."""
        self.exchanges += other.exchanges
        self.refusals += other.refusals
        self.silences += other.silences
        self.waited_s += other.waited_s


class Pending:
    """One exchange that has been handed over. Await `outcome`: Answer or Refusal, or LinkError raised."""

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop, asked_at: float = 0.0) -> None:
        self.exchange = exchange
        self.asked_at = asked_at
        self.outcome: asyncio.Future[Answer | Refusal] = loop.create_future()
        self.timers: list[asyncio.TimerHandle] = []

    def settle(self, verdict: Answer | Refusal | LinkError) -> None:
        """End it: with the device's word, or with the reason why there is none."""
        for timer in self.timers:
            timer.cancel()
        if self.outcome.done():
            return
        if isinstance(verdict, LinkError):
            self.outcome.set_exception(verdict)
            self.outcome.exception()  # marked as seen: nobody may be waiting any more
        else:
            self.outcome.set_result(verdict)


class Session:
    """Exchanges over one wire. `heard` gets messages that answer nothing, once `begin` has been called;
    until then they wait for `receive` (greetings, dumps). `on_lost(code, detail)` is called once.
    """

    def __init__(
        self, wire: ByteWire, codec: Codec, *, answer_s: float, on_lost: Callable[[str, str], None]
    ) -> None:
        self._wire = wire
        self._codec = codec
        self._answer_s = answer_s
        self._on_lost = on_lost
        self._pending: deque[Pending] = deque()
        self._inbox: deque[Any] = deque()
        self._reader: asyncio.Event = asyncio.Event()
        self._heard: Callable[[Any], None] | None = None
        self._lost: LinkError | None = None
        self.aborted_by_us = False
        self.last_heard: float | None = None
        self.tally = Tally()
        self._loop = asyncio.get_running_loop()
        wire.listen(self._data, self._wire_lost)

    # -- for drivers -------------------------------------------------------------------------------------

    async def exchange(self, exchange: Exchange) -> Answer:
        """Send one exchange and return its answer; raises Rejected or LinkError."""
        await self.drained()
        (pending,) = self.hand_over([exchange])
        verdict = await pending.outcome
        if isinstance(verdict, Refusal):
            raise Rejected(verdict.reason, busy=verdict.busy)
        return verdict

    async def receive(self, accept: Callable[[Any], T | None], timeout_s: float | None = None) -> T:
        """Wait for a message that nobody asked for (a greeting). Messages that `accept` turns down are dropped.

        Raises LinkError("no_answer") after `timeout_s` (default: the driver's `answer_s`).
        """
        try:
            async with asyncio.timeout(self._answer_s if timeout_s is None else timeout_s):
                while True:
                    while self._inbox:
                        found = accept(self._inbox.popleft())
                        if found is not None:
                            return found
                    if self._lost:
                        raise self._lost
                    self._reader.clear()
                    await self._reader.wait()
        except TimeoutError:
            raise LinkError("no_answer", "nothing arrived after connecting") from None

    # -- for the core ------------------------------------------------------------------------------------

    @property
    def lost(self) -> LinkError | None:
        """Why the session is over, or None while it lives."""
        return self._lost

    @property
    def unanswered(self) -> int:
        """How many exchanges were handed over and are still unanswered."""
        return len(self._pending)

    def begin(self, heard: Callable[[Any], None]) -> None:
        """Login is over: from now on messages that answer nothing go to `heard`."""
        self._heard = heard
        while self._inbox:
            self._unasked(self._inbox.popleft())

    async def drained(self) -> None:
        """Wait until the transport is empty: what is sent next leaves at once."""
        await self._wire.drained()
        if self._lost:
            raise self._lost

    def hand_over(self, exchanges: Sequence[Exchange]) -> list[Pending]:
        """Hand the bytes of all exchanges to the transport in one segment; does not wait.

        Exchanges for datagram wires (`resends` or `more`) are never glued: each datagram leaves by itself.
        An exchange without a judge is answered at once with an empty Answer. Raises LinkError when lost, and when
        the driver fails to say what it wanted (`driver_error`).
        """
        if self._lost:
            raise self._lost
        now = self._loop.time()
        pendings = [Pending(exchange, self._loop, now) for exchange in exchanges]
        for pending in pendings:
            if pending.exchange.judge is None:
                pending.settle(Answer())
            else:
                self._pending.append(pending)
                self._arm(pending)
                self.tally.exchanges += 1
        if any(exchange.resends or exchange.more for exchange in exchanges):
            for exchange in exchanges:
                self._put(exchange)
        else:
            segment = b""
            with self._drivers_own():
                segment = b"".join(exchange.send for exchange in exchanges)
            if self._lost:
                raise self._lost  # nothing left: nobody has to doubt it
            self._wire.write(segment)
        return pendings

    def abort(self, code: str, detail: str = "") -> None:
        """Drop the connection for our own reason; everything unanswered ends with LinkError(code)."""
        if self._lost is None:
            self.aborted_by_us = True
            self._wire.abort()
            self._end(code, detail)

    # -- inside ------------------------------------------------------------------------------------------

    def _arm(self, pending: Pending) -> None:
        limit = pending.exchange.timeout_s
        limit = self._answer_s if limit is None else limit
        again = pending.exchange.resends
        for n in range(1, again + 1):
            pending.timers.append(self._loop.call_later(limit * n / (again + 1), self._put, pending.exchange))
        pending.timers.append(self._loop.call_later(limit, self._silent, limit))

    def _put(self, exchange: Exchange) -> None:
        with self._drivers_own():
            self._wire.write(exchange.send)
            for datagram in exchange.more:
                self._wire.write(datagram)

    def _silent(self, limit: float) -> None:
        self.tally.silences += 1
        self.abort("no_answer", f"no answer within {limit:g} s")

    def _data(self, data: bytes) -> None:
        if self._lost:
            return
        self.last_heard = self._loop.time()
        with self._drivers_own():
            try:
                for message in self._codec.feed(data):
                    self._deliver(message)
                    if self._lost:
                        return
            except RemoteProtocolError as error:
                self.abort("protocol_error", str(error))

    @contextmanager
    def _drivers_own(self) -> Iterator[None]:
        """A bug in a driver's code costs its device the connection, never the loop or a task of the core."""
        try:
            yield
        except Exception as error:
            self.abort("driver_error", f"{type(error).__name__}: {error}"[:200])

    def _deliver(self, message: Any) -> None:
        for pending in self._pending:
            assert pending.exchange.judge is not None
            verdict = pending.exchange.judge(message)
            if verdict is not None:
                self._pending.remove(pending)
                self.tally.refusals += isinstance(verdict, Refusal)
                if self.last_heard is not None:
                    self.tally.waited_s += self.last_heard - pending.asked_at
                pending.settle(verdict)
                return
        if self._heard is not None:
            self._unasked(message)
            return
        if len(self._inbox) >= INBOX_LIMIT:
            raise RemoteProtocolError("too many messages before the login was over")
        self._inbox.append(message)
        self._reader.set()

    def _unasked(self, message: Any) -> None:
        assert self._heard is not None
        with self._drivers_own():
            try:
                self._heard(message)
            except RemoteProtocolError as error:
                self.abort("mismatched_answer", str(error))

    def _wire_lost(self, code: str, detail: str) -> None:
        if self._lost is None:
            self._end(code, detail)

    def _end(self, code: str, detail: str) -> None:
        self._lost = LinkError(code, detail)
        while self._pending:
            self._pending.popleft().settle(self._lost)
        self._reader.set()
        self._on_lost(code, detail)
