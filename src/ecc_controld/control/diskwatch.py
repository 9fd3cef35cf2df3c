"""Notices a disk that fails or fills while nobody presses: lazy notes are lost in silence."""

from __future__ import annotations

import asyncio
import time

import structlog

from ecc_controld.hall.store import Alarm
from ecc_controld.journal import JournalError
from ecc_controld.sdk.text import Text

from .acceptance import Acceptance

log = structlog.get_logger("journal")

WATCH_S = 5.0
LOW = 4 << 20
"""Bytes: less room than this is the alarm `disk_low`; it ends at twice as much."""


class DiskWatch:
    """Looks at the journal and its disk, for ever."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self._store = acceptance.store
        self._journal = acceptance.journal

    async def run(self) -> None:
        """The task; ends only by being cancelled."""
        while True:
            error = self._journal.healthy
            if error is not None and "journal" not in self._store.alarms:
                self._acceptance.disk_failed(error)
            await self._look_for_room()
            await asyncio.sleep(WATCH_S)

    async def _look_for_room(self) -> None:
        try:
            room = await self._journal.room()
        except JournalError:
            return
        if room >= 2 * LOW:
            self._store.clear_alarm("disk_low")
        elif room < LOW and "disk_low" not in self._store.alarms:
            text = Text(
                f"磁盘将满，只剩 {room >> 10} KB，请清理",
                f"the disk is nearly full: {room >> 10} kB left; free some",
            )
            log.error("disk nearly full", code="disk_low", room=room)
            self._store.raise_alarm(Alarm("disk_low", "disk_low", text, since=time.time()))
