"""One task a device that keeps it connected: dial, identify, hand over the session, wait for its end, again.

Loss is told once and recovery once. How many devices may be dialled at the same time is bounded, so that a
hall that is all dark at boot does not choke the loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from ecc_controld.sdk.driver import Driver, Identity
from ecc_controld.sdk.errors import LinkError, LinkRefused, Rejected
from ecc_controld.sdk.session import Session
from ecc_controld.sdk.wire import Address, ByteWire

from .backoff import Backoff
from .state import Link, step

IDENTIFY_S = 8.0
"""Login and identification together may not take longer."""

DIALS_AT_ONCE = 64

Dial = Callable[[Address], Awaitable[ByteWire]]


class Watcher(Protocol):
    """Who must know about a link (the keeper)."""

    def link_changed(self, link: Link, code: str, detail: str) -> None:
        """The link went to another state; `code` is a reason code, empty when online."""

    def session_began(self, session: Session, identity: Identity) -> None:
        """The device is logged in; exchanges may begin."""

    def session_lost(self, code: str, detail: str, *, by_us: bool) -> None:
        """The session is over. Called before the link's state changes."""


class Supervisor:
    """Keeps one device connected for as long as `run` runs."""

    def __init__(
        self, driver: Driver, dial: Dial, watcher: Watcher, limit: asyncio.Semaphore, dice: random.Random
    ) -> None:
        self._driver = driver
        self._dial = dial
        self._watcher = watcher
        self._limit = limit
        self._backoff = Backoff(dice)
        self._link = Link.OFFLINE
        self._again = asyncio.Event()
        self._session: Session | None = None

    def dial_now(self) -> None:
        """Do not wait for the next attempt (a person asked for it)."""
        self._again.set()

    def halt(self, code: str) -> None:
        """Drop the wire at once, for good: the task is about to be cancelled."""
        if self._session is not None:
            self._session.abort(code)

    async def run(self) -> None:
        """Connect for ever; ends only by cancellation, and then leaves no open wire."""
        try:
            while True:
                delay = await self._once()
                self._again.clear()
                try:
                    async with asyncio.timeout(delay):
                        await self._again.wait()
                except TimeoutError:
                    pass
        finally:
            if self._session is not None:
                self._session.abort("stopped")

    async def _once(self) -> float:
        loop = asyncio.get_running_loop()
        try:
            session, ended = await self._connect()
        except LinkRefused as error:
            self._go(Link.REFUSED, error.code, error.detail)
            return self._backoff.after_refusal()
        except LinkError as error:
            self._go(Link.OFFLINE, error.code, error.detail)
            return self._backoff.after_failure()
        began = loop.time()
        code, detail = await ended
        self._session = None
        self._watcher.session_lost(code, detail, by_us=session.aborted_by_us)
        self._go(Link.OFFLINE, code, detail)
        return self._backoff.after_session(loop.time() - began)

    async def _connect(self) -> tuple[Session, asyncio.Future[tuple[str, str]]]:
        ended: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()

        def lost(code: str, detail: str) -> None:
            if not ended.done():
                ended.set_result((code, detail))

        async with self._limit:
            self._go(Link.CONNECTING, "", "")
            wire = await self._dial(self._driver.config.address)
            session = Session(wire, self._driver.codec(), answer_s=self._driver.answer_s, on_lost=lost)
            self._session = session
            self._go(Link.IDENTIFYING, "", "")
            identity = await self._identify(session)
        self._go(Link.ONLINE, "", "")
        self._watcher.session_began(session, identity)
        return session, ended

    async def _identify(self, session: Session) -> Identity:
        try:
            async with asyncio.timeout(IDENTIFY_S):
                return await self._driver.attach(session)
        except TimeoutError:
            session.abort("no_answer")
            raise LinkError("no_answer", f"not identified within {IDENTIFY_S:g} s") from None
        except Rejected as error:
            session.abort("not_ready")
            raise LinkError("not_ready", error.reason) from error
        except LinkError as error:
            session.abort(error.code)
            raise
        except Exception as error:  # a driver's bug must not end the supervision of its device
            session.abort("driver_error")
            raise LinkError("driver_error", f"{type(error).__name__}: {error}") from error

    def _go(self, link: Link, code: str, detail: str) -> None:
        self._link = step(self._link, link)
        self._watcher.link_changed(self._link, code, detail)
