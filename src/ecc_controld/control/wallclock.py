"""The clock on the wall, watched against the monotonic one: people read it, nothing waits for it.

All deadlines, ages and settle times are monotonic. Wall time enters in four places only: what people read, how old
a press says it is, how old a wish is after a restart, and how long an idempotency key is kept over one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

JUMP_S = 1.5
"""A difference between the clocks that grows by more than this between two looks is a jump; NTP slews far slower."""
REMEMBER_S = 15.0
"""How long after a jump a press may still carry the time from before it."""


@dataclass(frozen=True)
class Jump:
    """The wall clock went from `before` to `after` (Unix time) in no time; `by` in s, negative: backwards."""

    before: float
    after: float

    @property
    def by(self) -> float:
        """How far."""
        return self.after - self.before


def _since_boot() -> float:
    """Goes on while the machine sleeps, which is no jump; a press from before the sleep is an old one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WallClock:
    """One for the daemon. `check` is cheap; whoever is about to judge a wall time calls it first."""

    def __init__(
        self, wall: Callable[[], float] | None = None, monotonic: Callable[[], float] | None = None
    ) -> None:
        self._wall = wall or time.time
        self._monotonic = monotonic or _since_boot
        self._offset = self._wall() - self._monotonic()
        self._earlier: list[tuple[float, float]] = []
        self._jumps: list[Jump] = []

    def check(self) -> None:
        """Look at both clocks; a jump is kept for `take_jumps`."""
        now, wall = self._monotonic(), self._wall()
        offset = wall - now
        if abs(offset - self._offset) > JUMP_S:
            self._jumps.append(Jump(self._offset + now, wall))
            self._earlier.append((self._offset, now + REMEMBER_S))
        self._offset = offset
        self._earlier = [one for one in self._earlier if one[1] > now]

    def take_jumps(self) -> list[Jump]:
        """The jumps since the last call, oldest first."""
        self.check()
        jumps, self._jumps = self._jumps, []
        return jumps

    def age(self, stamp: float, slack: float) -> float:
        """How long ago `stamp` (Unix time of a press) was, in s, by the clock that it was read from.

        Shortly after a jump that may be the clock from before it. A stamp more than `slack` in the future is from
        another clock; if it fits none, its (negative) age by the present one is returned.
        """
        self.check()
        now = self._monotonic()
        ages = [offset + now - stamp for offset in (self._offset, *(one for one, _ in self._earlier))]
        fitting = [age for age in ages if age >= -slack]
        return min(fitting) if fitting else ages[0]
