"""How long to wait before the next connection attempt. Pure.

An absent device is retried for ever at a flat interval: the hall must come back by itself within seconds when
power returns. Only a device that comes and goes is left alone for longer. One that refuses us needs a person.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

FLAT_S = 3.0
FIRST_S = 0.3
FLAP_S = 5.0
"""A session shorter than this counts as flapping."""
MOST_S = 6.0
REFUSED_S = 60.0
JITTER = 0.2


@dataclass(slots=True)
class Backoff:
    """One device's waiting times, in seconds, with a jitter of 20 % either way."""

    dice: random.Random
    flaps: int = 0

    def after_failure(self) -> float:
        """It did not answer."""
        return self._jitter(FLAT_S)

    def after_session(self, lasted_s: float) -> float:
        """It was online for `lasted_s` and is gone."""
        if lasted_s >= FLAP_S:
            self.flaps = 0
            return self._jitter(FIRST_S)
        self.flaps += 1
        return self._jitter(min(FIRST_S * 2.0**self.flaps, MOST_S))

    def after_refusal(self) -> float:
        """It answered, but not to us."""
        return self._jitter(REFUSED_S)

    def _jitter(self, seconds: float) -> float:
        return seconds * self.dice.uniform(1 - JITTER, 1 + JITTER)
