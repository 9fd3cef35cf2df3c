"""Watches the hall's time: a jump of the wall clock, or the loss of its synchronisation, is recorded and told.

Nothing in the hall is moved by it (control/wallclock.py says why); people must know that recorded times are off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import tzinfo

import structlog

from ecc_controld.control.engine import Engine
from ecc_controld.control.stamp import rfc3339
from ecc_controld.control.wallclock import Jump
from ecc_controld.hall.store import Alarm
from ecc_controld.ntp import synchronised
from ecc_controld.sdk.text import Text

log = structlog.get_logger("clock")

EVERY_S = 1.0
NTP_EVERY_S = 30.0
NTP_LOST_S = 300.0
"""The clock may be out of step for so long (a start, a short outage) before people are told."""
SHOWN_S = 3600.0
"""How long the alarm of a jump stands."""
JUMPED, UNSYNCED = "clock_jump", "clock_unsynchronised"


class ClockWatch:
    """Looks at the clock for ever. `ntp`: whether it is synchronised (None: unknown); None: nobody asks."""

    def __init__(
        self,
        engine: Engine,
        zone: Callable[[], tzinfo],
        *,
        ntp: Callable[[], bool | None] | None = synchronised,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._zone = zone
        self._ntp = ntp
        self._every_s = every_s
        self._monotonic = monotonic
        self._shown_until = 0.0
        self._ask_ntp_at = 0.0
        self._in_step_at = monotonic()

    async def run(self) -> None:
        """The task; ends only by cancellation."""
        while True:
            self.look()
            await asyncio.sleep(self._every_s)

    def look(self) -> None:
        """One look at both clocks, and now and then at their synchronisation."""
        now = self._monotonic()
        for jump in self._engine.clock.take_jumps():
            self._jumped(jump, now)
        if self._shown_until and now >= self._shown_until:
            self._shown_until = 0.0
            self._engine.store.clear_alarm(JUMPED)
        if self._ntp is not None and now >= self._ask_ntp_at:
            self._ask_ntp_at = now + NTP_EVERY_S
            self._judge(self._ntp(), now)

    def _jumped(self, jump: Jump, now: float) -> None:
        before, after = (rfc3339(one, self._zone()) for one in (jump.before, jump.after))
        log.warning("wall clock jumped", code=JUMPED, before=before, after=after, seconds=round(jump.by, 3))
        self._engine.acceptance.note_event(JUMPED, before=before, after=after, seconds=round(jump.by, 3))
        zh, en = ("向前", "forward") if jump.by > 0 else ("向后", "back")
        far = _words(abs(jump.by))
        text = Text(
            f"系统时间{zh}跳变了{far.zh}（{before} → {after}），此前记录的时刻可能不准",
            f"the clock jumped {en} by {far.en} ({before} -> {after}): times recorded before may be wrong",
        )
        store = self._engine.store
        store.clear_alarm(JUMPED)  # a newer jump says more than the first
        store.raise_alarm(Alarm(JUMPED, JUMPED, text, since=time.time()))
        self._shown_until = now + SHOWN_S

    def _judge(self, in_step: bool | None, now: float) -> None:
        store = self._engine.store
        if in_step is not False:
            self._in_step_at = now
            if UNSYNCED in store.alarms:
                store.clear_alarm(UNSYNCED)
                log.info("clock synchronised again", code="clock_synchronised")
                self._engine.acceptance.note_event("clock_synchronised")
        elif now - self._in_step_at >= NTP_LOST_S and UNSYNCED not in store.alarms:
            log.warning("clock not synchronised", code=UNSYNCED)
            self._engine.acceptance.note_event(UNSYNCED)
            text = Text(
                "系统时间未与时间服务器同步，记录的时刻可能不准",
                "the clock is not synchronised with a time server: recorded times may be wrong",
            )
            store.raise_alarm(Alarm(UNSYNCED, UNSYNCED, text, since=time.time()))


def _words(seconds: float) -> Text:
    for unit, zh, en in ((365.25 * 86400, "年", "years"), (86400, "天", "days"), (3600, "小时", "hours")):
        if seconds >= unit * 0.95:
            return Text(f" {seconds / unit:.1f} {zh}", f"{seconds / unit:.1f} {en}")
    return Text(f" {seconds:.1f} 秒", f"{seconds:.1f} s")
