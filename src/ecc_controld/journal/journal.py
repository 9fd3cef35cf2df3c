"""The journal: wishes, runs, idempotency keys and history, durable before they are acted upon."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from . import db
from .errors import JournalError
from .home import Home, Stamp
from .rows import Change, EventRow, KeyRow, Recalled, RunRow
from .writer import BlockingReply, Job, Reply, Writer

T = TypeVar("T")


class Journal:
    """A handle on the open journal. Its methods belong to the event loop's thread; the file to the writer's."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.boot = uuid.uuid4().hex

    @classmethod
    def open(cls, state_dir: Path, *, stamp: Stamp) -> Journal:
        """Open or begin the journal; blocking, at start. Raises a JournalOpenError with `code` and `text`."""
        home = Home.take(state_dir, stamp)
        writer = Writer(home.path, home.release)
        writer.start()
        return cls(writer)

    @property
    def quarantined(self) -> Path | None:
        """Where a damaged journal was moved to at open; None if it was sound."""
        return self._writer.quarantined

    @property
    def healthy(self) -> JournalError | None:
        """The last write's failure by the disk; None once a write has succeeded again."""
        return self._writer.trouble

    @property
    def failed_notes(self) -> int:
        """How many notes were lost: queue full, disk failed, or after close."""
        return self._writer.failed_notes

    @property
    def transactions(self) -> int:
        """How many transactions were committed; far fewer than changes under load."""
        return self._writer.transactions

    def recall(self) -> Recalled:
        """What the last life of the daemon left; blocking, at start."""
        reply = BlockingReply()
        self._writer.put(Job(None, db.recall, reply))
        return cast(Recalled, reply.future.result())

    async def commit(self, change: Change) -> None:
        """Durable when it returns, with all notes before it. Raises JournalError; then nothing of it is written.

        A waiter that is cancelled does not take its change back. An empty change only waits for what is queued.
        """
        reply = Reply()
        self._writer.put(Job(change, None, reply))
        await reply.future

    def note(self, change: Change) -> None:
        """Write with the next commit, or at most half a second later; a failure is only counted."""
        self._writer.note(change)

    async def run(self, run_id: str) -> RunRow | None:
        """One run by its id. Reads see all commits and notes made before them."""
        return await self._ask(lambda con: db.run(con, run_id))

    async def runs(self, *, limit: int, before: str | None) -> list[RunRow]:
        """At most `limit` runs, newest first, whose id sorts before `before`."""
        return await self._ask(lambda con: db.runs(con, limit, before))

    async def run_by_key(self, key: str) -> KeyRow | None:
        """The idempotency key, if it is younger than 24 hours."""
        return await self._ask(lambda con: db.run_by_key(con, key))

    async def events(self, *, limit: int, after: int = 0) -> list[tuple[int, EventRow]]:
        """History entries behind sequence number `after`, oldest first."""
        return await self._ask(lambda con: db.events(con, limit, after))

    async def room(self) -> int:
        """Bytes that are free where the journal is. Raises JournalError."""
        return await self._ask(lambda con: self._writer.room())

    async def close(self) -> None:
        """Write what is queued, close the file and give the lock back; harmless when repeated."""
        reply = Reply()
        self._writer.close(reply)
        await reply.future
        self._writer.join()

    async def _ask(self, question: Callable[..., T]) -> T:
        reply = Reply()
        self._writer.put(Job(None, question, reply))
        return cast(T, await reply.future)
