"""The stream of events (SSE): a ring that all clients read, encoded once a tick.

There is no queue a client: each has a position in the ring. One that falls off the ring, or comes back with an
id that is no longer there, gets a new snapshot; one that does not read at all is dropped. Nothing that happens
here can slow a press.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from ecc_controld.control.engine import Engine
from ecc_controld.control.run import Run
from ecc_controld.hall.store import Alarm, DeviceState, Entry

RING = 4000
TICK_S = 0.1
"""Changes of one point are told at most ten times a second."""
BEAT_S = 1.0
STUCK_S = 5.0
"""A client that takes nothing for so long is dropped."""


class Events:
    """Collects what changed and encodes it once a tick. `shape(kind, thing)` makes the JSON."""

    def __init__(self, engine: Engine, shape: Callable[[str, Any], dict[str, Any]], boot: str) -> None:
        self._engine = engine
        self._shape = shape
        self.boot = boot
        self.ring: deque[tuple[int, bytes]] = deque(maxlen=RING)
        self.number = 0
        self.clients = 0
        self._points: dict[str, Entry] = {}
        self._devices: dict[str, DeviceState] = {}
        self._runs: dict[str, Run] = {}
        self._hall = False
        self._news = asyncio.Event()
        self._due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._beat = self._loop.call_later(BEAT_S, self._beats)
        self._closed = False
        store = engine.store
        store.on_point.append(self._point)
        store.on_device.append(self._device)
        store.on_alarm.append(self._alarm)
        engine.runs.on_run.append(self._run)
        engine.arbiter.on_hall.append(self._hall_changed)

    async def wait(self, seen: int) -> list[bytes] | None:
        """The events behind number `seen`, waiting for the next; None: it fell off the ring, or all is over."""
        while self.number == seen and not self._closed:
            await self._news.wait()
        if self._closed or not self.holds(seen):
            return None
        behind = self.number - seen
        return [data for _, data in list(self.ring)[-behind:]]

    @property
    def closed(self) -> bool:
        """The daemon is stopping."""
        return self._closed

    def holds(self, seen: int) -> bool:
        """Whether a client that has seen number `seen` can go on without a snapshot."""
        return seen == self.number or bool(self.ring and self.ring[0][0] <= seen + 1 <= self.number)

    def encode(self, kind: str, body: dict[str, Any], number: int) -> bytes:
        """One event as bytes."""
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return f"id: {self.boot}-{number}\nevent: {kind}\ndata: {text}\n\n".encode(errors="replace")

    def flush(self) -> None:
        """Encode what changed now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        points, self._points = self._points, {}
        devices, self._devices = self._devices, {}
        runs, self._runs = self._runs, {}
        for entry in points.values():
            self._add("point", self._shape("point", entry))
        for device in devices.values():
            self._add("device", self._shape("device", device))
        for run in runs.values():
            self._add("run", self._shape("run", run))
        if self._hall or runs or points:
            self._hall = False
            self._add("hall", self._shape("hall", None))

    def close(self) -> None:
        """Let every stream end."""
        self._closed = True
        self._beat.cancel()
        if self._due is not None:
            self._due.cancel()
        self._tell()

    # -- inside ------------------------------------------------------------------------------------------

    def _add(self, kind: str, body: dict[str, Any]) -> None:
        self.number += 1
        self.ring.append((self.number, self.encode(kind, body, self.number)))
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _later(self) -> None:
        if self._due is None and not self._closed:
            self._due = self._loop.call_later(TICK_S, self.flush)

    def _beats(self) -> None:
        self._add("beat", self._shape("beat", None))
        self._beat = self._loop.call_later(BEAT_S, self._beats)

    def _point(self, entry: Entry) -> None:
        self._points[entry.name] = entry
        self._later()

    def _device(self, device: DeviceState) -> None:
        self._devices[device.id] = device
        self._later()

    def _run(self, run: Run) -> None:
        self._runs[run.id] = run
        self._later()

    def _hall_changed(self) -> None:
        self._hall = True
        self._later()

    def _alarm(self, alarm: Alarm) -> None:
        if not self._closed:
            self._add("alarm", self._shape("alarm", alarm))
