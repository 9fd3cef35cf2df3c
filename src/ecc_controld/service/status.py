"""The one line that `systemctl status` shows: mode, devices, what is not as wanted. Told when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ecc_controld.control.engine import Engine

from .notify import Notifier

DELAY_S = 0.25
"""Changes within this time are told together."""


class Status:
    """Follows the hall and tells the notifier. `note` (a failed reload, a stall) stands before everything else."""

    def __init__(self, engine: Engine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._told = ""
        self._notes: dict[str, str] = {}
        store = engine.store
        later: Callable[..., None] = self.changed
        store.on_device.append(later)
        store.on_point.append(later)
        store.on_alarm.append(later)
        engine.arbiter.on_hall.append(later)

    def note(self, about: str, text: str | None) -> None:
        """Set or take away (None) what must be seen first."""
        if text is None:
            self._notes.pop(about, None)
        else:
            self._notes[about] = text
        self.changed()

    def changed(self, *_: object) -> None:
        """Something changed; it is told a moment later."""
        if self._due is None and self._notifier.active:
            self._due = self._loop.call_later(DELAY_S, self.tell)

    def tell(self) -> None:
        """Tell now, if the line is another one."""
        self._due = None
        text = self.line()
        if text != self._told:
            self._told = text
            self._notifier.status(text)

    def line(self) -> str:
        """The line in both languages."""
        store, active = self._engine.store, self._engine.arbiter.active
        mode = "无模式 no mode" if active is None else f"{active.title.zh} {active.title.en}"
        online = sum(1 for device in store.devices.values() if device.link == "online")
        lives = [entry.life for entry in store.entries.values() if entry.life is not None]
        missed = sum(1 for life in lives if not life.as_wanted)
        parts = [
            *self._notes.values(),
            mode,
            f"设备 devices {online}/{len(store.devices)}",
            f"期望 wishes {len(lives) - missed}/{len(lives)}",
        ]
        if store.alarms:
            parts.append(f"报警 alarms {len(store.alarms)}")
        return " · ".join(parts)

    def close(self) -> None:
        """Tell nothing more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._notifier = Notifier(None)
