"""The motors of the twin: axes that take their time. Times are the monotonic clock's, in seconds."""

from __future__ import annotations


class Axis:
    """One motor between two stops. `full_s`: how long it takes from one stop to the other at top speed."""

    def __init__(self, low: int, high: int, full_s: float) -> None:
        self.low, self.high = low, high
        self._top = (high - low) / full_s
        self._start = 0.0
        self._since = 0.0
        self._speed = 0.0
        self._target = 0.0

    def where(self, now: float) -> int:
        """Where it stands at `now`."""
        gone = self._start + self._speed * (now - self._since)
        if self._speed > 0:
            return round(min(gone, self._target))
        if self._speed < 0:
            return round(max(gone, self._target))
        return round(self._start)

    def jump(self, place: int) -> None:
        """Be somewhere at once (moved by hand, or after power-on)."""
        self._start, self._speed = float(self._inside(place)), 0.0

    def stop(self, now: float) -> None:
        """Stand still where it is."""
        self.jump(self.where(now))

    def drive(self, now: float, share: float) -> None:
        """Move until stopped, or until the end stop: -1 to 1 of top speed."""
        self._run(now, float(self.high if share > 0 else self.low), share * self._top)

    def go(self, now: float, place: int, share: float = 1.0) -> float:
        """Move to a place with that share of top speed; returns how long it will take."""
        target = self._inside(place)
        way = target - self.where(now)
        speed = share * self._top * (1 if way >= 0 else -1)
        self._run(now, float(target), speed if way else 0.0)
        return abs(way / speed) if way else 0.0

    def _run(self, now: float, target: float, speed: float) -> None:
        self.stop(now)
        self._since, self._target, self._speed = now, target, speed

    def _inside(self, place: int) -> int:
        return max(self.low, min(self.high, place))
