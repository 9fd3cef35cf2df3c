"""The thread that writes log lines: a bounded queue, so that a reader that stops never holds the event loop."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

MAX_BYTES = 8 << 20  # of all lines that wait
BATCH = 64  # lines a write
TOO_LONG = (errno.EMSGSIZE, errno.ENOBUFS)
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
JOURNAL = "/run/systemd/journal/socket"


class Sink(Protocol):
    """Takes finished lines; may block, raises OSError when the reader is gone."""

    def __call__(self, lines: Sequence[bytes]) -> None: ...

    def close(self) -> None:
        """Called once, by the thread that wrote."""


class FdSink:
    """Lines to a descriptor: a terminal, a pipe, a file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        """The descriptor is not ours to close."""

    def __call__(self, lines: Sequence[bytes]) -> None:
        view = memoryview(b"".join(lines))
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody made the terminal non-blocking
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll()


class JournalSink:
    """Entries to systemd-journald in its native protocol, a datagram each; a very long one by descriptor."""

    def __init__(self, path: str = JOURNAL) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def close(self) -> None:
        """Nothing is written any more."""
        self._socket.close()

    def __call__(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            try:
                self._socket.sendto(line, self._path)
            except OSError as error:
                if error.errno not in TOO_LONG:
                    raise
                self._by_descriptor(line)

    def _by_descriptor(self, line: bytes) -> None:
        fd = os.memfd_create("ecc-log", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.write(fd, line)
            # journald takes only what nobody can change any more.
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            self._socket.sendmsg([b""], rights, 0, self._path)
        finally:
            os.close(fd)


def is_journal(fd: int, stream: str | None) -> bool:
    """Whether a descriptor is the journal's own stream, as JOURNAL_STREAM (`device:inode`) says."""
    device, _, inode = (stream or "").partition(":")
    if not device.isdigit() or not inode.isdigit():
        return False
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (int(device), int(inode))


class LineWriter:
    """A bounded queue and a thread that gives it to a sink; what does not fit is dropped and counted."""

    def __init__(self, sink: Sink, *, capacity: int, dropped_line: Callable[[int], bytes]) -> None:
        self._write = sink
        self._capacity = capacity
        self._dropped_line = dropped_line
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._untold = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._main, name="log", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Queue a finished line; never waits for the reader."""
        with self._wake:
            full = len(self._lines) >= self._capacity or self._bytes + len(data) > MAX_BYTES
            if self._closing or full:
                self._count(1)
                return
            self._lines.append(data)
            self._bytes += len(data)
            self._wake.notify()

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; a reader that has stopped cannot hold us."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)

    def _count(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines

    def _main(self) -> None:
        while batch := self._take():
            try:
                self._write(batch)
            except OSError:  # the reader is gone; another one may come (a restarted collector)
                with self._wake:
                    self._count(len(batch))
            self._tell()
        self._tell()
        self._write.close()

    def _take(self) -> list[bytes]:
        with self._wake:
            while not self._lines and not self._closing:
                self._wake.wait()
            batch = [self._lines.popleft() for _ in range(min(BATCH, len(self._lines)))]
            self._bytes -= sum(map(len, batch))
            return batch

    def _tell(self) -> None:
        """Say in the log itself how much of it is missing."""
        with self._wake:
            count, self._untold = self._untold, 0
        if not count:
            return
        try:
            self._write([self._dropped_line(count)])
        except OSError:
            with self._wake:
                self._untold += count
