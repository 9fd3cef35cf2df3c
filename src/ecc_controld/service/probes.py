"""What the watchdog asks: do keepers, journal and API make progress?"""

from __future__ import annotations

import asyncio
import socket

from ecc_controld.control.engine import Engine
from ecc_controld.journal import Change, Journal, JournalError

SLICE = 100
"""Keepers that are looked at before the loop may do something else."""
NAMED = 5


class Keepers:
    """Each round wakes all keepers; one that has not taken a step since it was woken stands still.

    A keeper that waits for its device is excused: the session has its own time limits, and a device that does
    not answer must never end the daemon.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._steps: dict[str, int] = {}

    async def __call__(self) -> str | None:
        """Names the keepers that stand still, or whose tasks have ended."""
        still = list(self._engine.dead())
        before, self._steps = self._steps, {}
        for n, (device, keeper) in enumerate(list(self._engine.keepers.items())):
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if keeper.steps == before.get(device) and not keeper.waits_for_device and device not in still:
                still.append(device)
            self._steps[device] = keeper.steps
            keeper.wake()
        if not still:
            return None
        rest = f" and {len(still) - NAMED} more" if len(still) > NAMED else ""
        return ", ".join(still[:NAMED]) + rest


class JournalThread:
    """The writer thread takes jobs and answers. A disk that says no is told elsewhere, and is progress here."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def __call__(self) -> str | None:
        """An empty change waits for what is queued, and writes nothing."""
        try:
            await self._journal.commit(Change())
        except JournalError as error:
            if error.code == "closed":
                return "its thread has ended"
        return None


class Api:
    """Asks our own listener for /healthz, as a panel would."""

    def __init__(self, listener: socket.socket) -> None:
        self._host, self._port = listener.getsockname()[:2]

    async def __call__(self) -> str | None:
        """Anything but 200 stands still."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            host = f"[{self._host}]" if ":" in self._host else self._host
            writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
            return None if line.split(b" ")[1:2] == [b"200"] else f"answered {line!r}"
        finally:
            writer.transport.abort()
