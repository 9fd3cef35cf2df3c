"""The one thread that touches the journal's file; the event loop only puts jobs into its queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import db
from .errors import JournalError, commit_error
from .rows import Change

LINGER_S = 0.5  # a note waits at most this long for a commit to ride along with
MAX_NOTES = 10_000  # changes; a disk that hangs must not fill the memory

Ask = Callable[[sqlite3.Connection], Any]


class Reply:
    """Where an answer goes: to a waiter on an event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()

    def set(self, result: Any, error: JournalError | None) -> None:
        """On the loop's own thread. A waiter that was cancelled is left alone; its commit stands."""
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class BlockingReply:
    """Where an answer goes: to a thread that waits (only at start)."""

    loop = None

    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def set(self, result: Any, error: JournalError | None) -> None:
        """From the writer's thread."""
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


AnyReply = Reply | BlockingReply
Answers = list[tuple[AnyReply, Any, JournalError | None]]


@dataclass(eq=False, slots=True)
class Job:
    """A change to write or a question to ask; without a reply it is a note."""

    change: Change | None
    ask: Ask | None
    reply: AnyReply | None


class Writer:
    """Queue and thread. Everything that waits is written in one transaction (group commit)."""

    def __init__(self, home: Path, on_exit: Callable[[], None]) -> None:
        self.home = home
        self.quarantined: Path | None = None
        self.transactions = 0
        self.failed_notes = 0
        self.trouble: JournalError | None = None
        self._path = home / db.FILE
        self._on_exit = on_exit
        self._wake = threading.Condition()
        self._queue: list[Job] = []
        self._notes = 0
        self._due: float | None = None  # monotonic; None: nothing waits, or wait for more
        self._closing = False
        self._con: sqlite3.Connection | None = None
        self._inode: tuple[int, int] = (0, 0)
        self._thread = threading.Thread(target=self._main, name="journal", daemon=True)
        self._opened: Future[None] = Future()
        self._leavers: list[AnyReply] = []

    def start(self) -> None:
        """Open the file in the writer's thread and wait for it. Raises a JournalOpenError."""
        self._thread.start()
        self._opened.result()

    def put(self, job: Job) -> None:
        """Queue a job that somebody waits for. Raises JournalError(closed)."""
        with self._wake:
            if self._closing:
                raise JournalError("closed")
            self._queue.append(job)
            self._due = 0.0
            self._wake.notify()

    def note(self, change: Change) -> None:
        """Queue a change that nobody waits for; dropped and counted when too many wait or after close."""
        with self._wake:
            if self._closing or self._notes >= MAX_NOTES:
                self.failed_notes += 1
                return
            self._queue.append(Job(change, None, None))
            self._notes += 1
            if self._due is None:
                self._due = time.monotonic() + LINGER_S
                self._wake.notify()

    def close(self, reply: AnyReply) -> None:
        """Write what is queued, close the file, then answer."""
        with self._wake:
            self._closing = True
            if self._thread.is_alive():
                self._leavers.append(reply)
                self._wake.notify()
                return
        _answer([(reply, None, None)])

    def join(self) -> None:
        """Wait for the thread, which has nothing left to do once close was answered."""
        self._thread.join()

    # The rest runs in the writer's thread.

    def _main(self) -> None:
        try:
            opened = db.open_file(self.home)
            self._con, self.quarantined = opened.con, opened.quarantined
            self._inode = self._look()
            self.trouble = self._attempt([db.begin_boot])
        except BaseException as error:
            self._on_exit()
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        try:
            while (jobs := self._take()) is not None:
                _answer(self._write([job for job in jobs if job.change is not None]))
                _answer(self._read([job for job in jobs if job.ask is not None]))
        finally:
            self._leave()

    def _take(self) -> list[Job] | None:
        with self._wake:
            while not self._closing:
                if self._due is None:
                    self._wake.wait()
                elif (rest := self._due - time.monotonic()) > 0:
                    self._wake.wait(rest)
                else:
                    break
            jobs, self._queue, self._notes, self._due = self._queue, [], 0, None
            return jobs if jobs or not self._closing else None

    def _leave(self) -> None:
        with self._wake:
            self._closing = True
            left, self._queue = self._queue, []
        if self._con is not None:
            with contextlib.suppress(sqlite3.Error):
                self._con.close()
        self._on_exit()
        gone = JournalError("closed")
        _answer([(job.reply, None, gone) for job in left if job.reply is not None])
        with self._wake:
            leavers, self._leavers = self._leavers, []
        _answer([(reply, None, None) for reply in leavers])

    def _write(self, jobs: list[Job]) -> Answers:
        """All in one transaction; if that fails, one by one, so that a bad or big change harms only itself."""
        if not jobs:
            return []
        error = self._commit(jobs)
        if error is None or len(jobs) == 1:
            return self._done(jobs, error)
        answers: Answers = []
        for job in jobs:
            if error is None or error.code != "io_error":  # a disk that fails is not asked a thousand times
                error = self._commit([job])
            answers += self._done([job], error)
        return answers

    def _commit(self, jobs: list[Job]) -> JournalError | None:
        changes = [job.change for job in jobs if job.change]
        if not changes:
            return None
        error = self._attempt([_writing(change) for change in changes])
        if error is None or error.of_disk:
            self.trouble = error
        return error

    def _done(self, jobs: list[Job], error: JournalError | None) -> Answers:
        if error is not None:
            self.failed_notes += sum(job.reply is None for job in jobs)
        return [(job.reply, None, error) for job in jobs if job.reply is not None]

    def _attempt(self, works: Iterable[Ask]) -> JournalError | None:
        try:
            con = self._connection()
            con.execute("BEGIN IMMEDIATE")
            for work in works:
                work(con)
            con.execute("COMMIT")
        except Exception as raised:
            error = commit_error(raised, self.home)
            self._undo(reconnect=error.code == "io_error")
            return error
        self.transactions += 1
        return None

    def _undo(self, *, reconnect: bool) -> None:
        con = self._con
        if con is None:
            return
        with contextlib.suppress(sqlite3.Error):
            if con.in_transaction:
                con.execute("ROLLBACK")
        if reconnect:  # after a failed disk, begin with fresh file handles
            with contextlib.suppress(sqlite3.Error):
                con.close()
            self._con = None

    def _connection(self) -> sqlite3.Connection:
        """The connection, made anew after an I/O error; never to a file that is not ours any more."""
        if self._look() != self._inode:
            raise OSError("the journal's file was replaced while it was open")
        if self._con is None:
            self._con = db.connect(self._path)
        return self._con

    def room(self) -> int:
        """Bytes that are free for us on the journal's disk; looks at the disk, so for the writer's thread."""
        found = os.statvfs(self.home)
        return found.f_bavail * found.f_frsize

    def _look(self) -> tuple[int, int]:
        found = os.stat(self._path)
        return found.st_dev, found.st_ino

    def _read(self, jobs: list[Job]) -> Answers:
        answers: Answers = []
        for job in jobs:
            if job.ask is None or job.reply is None:
                continue
            try:
                answers.append((job.reply, job.ask(self._connection()), None))
            except Exception as error:
                answers.append((job.reply, None, commit_error(error, self.home)))
        return answers


def _writing(change: Change) -> Ask:
    return lambda con: db.apply(con, change)


def _answer(answers: Answers) -> None:
    """Wake each event loop once for all of its answers."""
    loops: dict[asyncio.AbstractEventLoop, Answers] = {}
    for answer in answers:
        reply, result, error = answer
        if reply.loop is None:
            reply.set(result, error)
        else:
            loops.setdefault(reply.loop, []).append(answer)
    for loop, mine in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_deliver, mine)


def _deliver(answers: Answers) -> None:
    for reply, result, error in answers:
        reply.set(result, error)
