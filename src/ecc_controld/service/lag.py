"""The event loop's lag, always measured; a stall over a second tells in the log where the loop stands.

A timer in the loop measures how late it is called. A thread beside it sees what the loop cannot see of itself:
that it does not come back. A process that stood still as a whole (SIGSTOP, a call that kept the interpreter) is
told apart, because then the thread was late as well.
"""

from __future__ import annotations

import asyncio
import bisect
import sys
import threading
import time
import traceback
from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from ecc_controld.hall.store import Alarm, Store
from ecc_controld.sdk.text import Text

log = structlog.get_logger("loop")

TICK_S = 0.1
STALL_S = 1.0
"""A loop that is away for longer is dumped, and an alarm."""
STEPS = 4
"""How often the thread looks in the time of a stall."""
CALM_S = 60.0
"""The alarm is cleared when there was no stall for so long; also the window of the worst lag."""
BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Lag(Collector):
    """How late the loop is, in s: counts by bucket, sum, and the worst of the last one to two minutes."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0
        self.stalls = 0
        self._worst = [0.0, 0.0]
        self._window = 0

    def enter(self, late: float, now: float) -> None:
        """One measurement at a monotonic time."""
        self.counts[bisect.bisect_left(BUCKETS, late)] += 1
        self.total += late
        self._turn(now)
        self._worst[0] = max(self._worst[0], late)

    def worst(self, now: float) -> float:
        """The worst lag of this window and the one before it."""
        self._turn(now)
        return max(self._worst)

    def _turn(self, now: float) -> None:
        window = int(now / CALM_S)
        if window != self._window:
            self._worst = [0.0, self._worst[0] if window == self._window + 1 else 0.0]
            self._window = window

    def collect(self) -> Iterable[HistogramMetricFamily | GaugeMetricFamily]:
        """For Prometheus."""
        buckets, below = [], 0
        for limit, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            buckets.append((limit, float(below)))
        yield HistogramMetricFamily(
            "ecc_loop_lag_seconds", "How late the event loop calls a timer", buckets=buckets, sum_value=self.total
        )
        yield GaugeMetricFamily(
            "ecc_loop_lag_worst_seconds",
            "The worst lag of the last one to two minutes",
            value=self.worst(time.monotonic()),
        )
        yield GaugeMetricFamily(
            "ecc_loop_stalls", "Stalls over a second since the start", value=float(self.stalls)
        )


class LoopWatch:
    """Measures the running loop from `start` to `stop`, and raises the alarm `loop_lag` in the store."""

    def __init__(self, store: Store, *, tick_s: float = TICK_S, stall_s: float = STALL_S) -> None:
        self.lag = Lag()
        self._store = store
        self._tick_s = tick_s
        self._stall_s = stall_s
        self._loop = asyncio.get_running_loop()
        self._beat = time.monotonic()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._calm_at: float | None = None
        self._seen = self._beat
        self._frozen = False
        self._ident = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)

    def start(self) -> None:
        """From the loop's own thread."""
        self._beat = self._seen = time.monotonic()
        self._next()
        self._thread.start()

    async def stop(self) -> None:
        """Leaves no timer and no thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._end.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    # -- in the loop ---------------------------------------------------------------------------------------

    def _next(self) -> None:
        self._due = self._loop.time() + self._tick_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        late = max(0.0, self._loop.time() - self._due)
        frozen = self._frozen or self._away(now)  # whoever of the two wakes first
        gone = now - self._beat
        self._beat, self._frozen = now, False
        self.lag.enter(late, now)
        if gone > self._stall_s and not frozen:
            self._stalled(gone, now)
        elif self._calm_at is not None and now >= self._calm_at:
            self._calm_at = None
            self._store.clear_alarm("loop_lag")
        self._next()

    def _stalled(self, gone: float, now: float) -> None:
        self.lag.stalls += 1
        self._calm_at = now + CALM_S
        log.error("event loop was late", code="loop_lag", seconds=round(gone, 3))
        text = Text(
            f"控制程序停顿了 {gone:.1f} 秒，请把日志交给工程师",
            f"the control daemon stood still for {gone:.1f} s; show its log to an engineer",
        )
        self._store.raise_alarm(Alarm("loop_lag", "loop_lag", text, since=time.time()))

    # -- in the thread -------------------------------------------------------------------------------------

    def _watch(self) -> None:
        told: float | None = None
        while not self._end.wait(self._stall_s / STEPS):
            now = time.monotonic()
            if self._away(now):
                # The loop has had no chance yet, and stacks of now would say nothing.
                seconds = now - self._seen
                self._frozen, self._beat = True, now
                log.warning("process was frozen", code="process_frozen", seconds=round(seconds, 3))
            elif now - self._beat > self._stall_s and told != self._beat:
                told = self._beat
                self._dump(now - told)
            self._seen = now

    def _away(self, now: float) -> bool:
        """The thread itself was not called for longer than a stall."""
        return now - self._seen > self._stall_s * (1 + 1 / STEPS)

    def _dump(self, seconds: float) -> None:
        """One line a thread, the loop's own first."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        frames = sys._current_frames()
        for ident in sorted(frames, key=lambda one: one != self._ident):
            if ident == self._thread.ident:
                continue
            log.error(
                "event loop stalled",
                code="loop_stalled",
                seconds=round(seconds, 3),
                thread=names.get(ident, str(ident)),
                exception="".join(traceback.format_stack(frames[ident])),
            )
