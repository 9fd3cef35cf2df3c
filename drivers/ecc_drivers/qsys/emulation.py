"""The design that a twin runs: its controls with ramps, its snapshots, its mixer. Knows nothing of messages.

Built from a device's configuration alone; shares no code with the driver.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping
from typing import Any

from ecc_controld.sdk import DeviceConfig, Value

Key = tuple[str, str]
"""Component (empty for a named control) and control."""

RANGES: Mapping[str, tuple[float, float]] = {
    "gain": (-100.0, 20.0),
    "level": (0.0, 100.0),
    "position": (0.0, 1.0),
    "meter": (-120.0, 20.0),
    "trigger": (0.0, 1.0),
}
AT_POWER_ON: Mapping[str, float] = {"gain": -20.0, "level": 0.0, "position": 0.0, "meter": -60.0, "trigger": 0.0}


class Knob:
    """One control. `value` is a float, a bool, a text, or what a selector is at."""

    def __init__(self, key: Key, kind: str, low: float, high: float, codes: Mapping[str, Any]) -> None:
        self.key = key
        self.kind = kind
        self.low, self.high = low, high
        self.codes = codes
        self.pressed = 0
        self._target: Any = self._first()
        self._from, self._since, self._lasts = 0.0, 0.0, 0.0

    @property
    def value(self) -> Any:
        """Where it is now: on its way while a ramp runs."""
        if self._lasts > 0 and isinstance(self._target, float):
            share = (time.monotonic() - self._since) / self._lasts
            if share < 1:
                return self._from + (self._target - self._from) * share
        return self._target

    @property
    def numeric(self) -> bool:
        """Whether it has a range, so that it can ramp."""
        return self.kind in RANGES

    def set(self, raw: Any, ramp_s: float = 0.0) -> None:
        """Move it as a client does: numbers are clamped to its range; raises ValueError for what it cannot be."""
        target = self._accepted(raw)
        now = self.value
        self._target, self._lasts = target, 0.0
        if self.kind == "trigger" and target:
            self.pressed += 1
            self._target = 0.0  # a trigger falls back at once
        elif self.numeric and ramp_s > 0:
            self._from, self._since, self._lasts = float(now), time.monotonic(), ramp_s

    def set_position(self, position: float) -> None:
        """Move it by its position, 0 to 1."""
        if not self.numeric:
            raise ValueError("it has no position")
        self.set(self.low + (self.high - self.low) * min(max(float(position), 0.0), 1.0))

    @property
    def position(self) -> float:
        """0 to 1 over its range."""
        now = self.value
        if self.numeric:
            return (float(now) - self.low) / (self.high - self.low)
        return 1.0 if now is True else 0.0

    def from_hand(self, value: Value) -> Any:
        """What the control is at when people say `value`; raises ValueError for what it cannot be."""
        if self.kind == "choice":
            if value not in self.codes:
                raise ValueError(f"{value!r} is not one of {', '.join(self.codes)}")
            return self.codes[str(value)]
        return self._accepted(value)

    def _first(self) -> Any:
        if self.kind == "mute":
            return False
        if self.kind == "text":
            return ""
        if self.kind == "choice":
            return next(iter(self.codes.values()), 0)
        return min(max(AT_POWER_ON[self.kind], self.low), self.high)

    def _accepted(self, raw: Any) -> Any:
        if self.kind == "mute":
            return _boolean(raw)
        if self.kind == "text":
            return str(raw)
        if self.kind == "choice":
            for code in self.codes.values():
                if code == raw:
                    return code
            raise ValueError(f"{raw!r} is not selectable")
        return min(max(_number(raw), self.low), self.high)


class Design:
    """All controls of a running design, by key and by the configured point."""

    def __init__(self, config: DeviceConfig) -> None:
        options = config.options
        self.knobs: dict[Key, Knob] = {}
        self.by_point: dict[str, tuple[Knob, str]] = {}
        for point, given in getattr(options, "controls", {}).items():
            knob = self._knob(given)
            self.by_point[point] = knob, given.kind
        for given in getattr(options, "actions", {}).values():
            key = (given.component, given.control)
            self.knobs.setdefault(key, Knob(key, "trigger", *RANGES["trigger"], {}))
        self.banks: dict[str, dict[int, dict[Key, Any]]] = {}
        self.words: dict[str, int] = {word: int(number) for word, number in config.presets.items()}
        self.bank = ""
        snapshot = getattr(options, "snapshot", None)
        if snapshot is not None:
            self.bank = snapshot.bank
            self.banks[snapshot.bank] = {
                number: self._seed(snapshot.verify.get(word, {})) for word, number in self.words.items()
            }
        self.mixer: dict[tuple[str, int, int], Any] = {}

    def components(self) -> dict[str, list[Knob]]:
        """The named components with their controls."""
        found: dict[str, list[Knob]] = {}
        for (component, _), knob in self.knobs.items():
            if component:
                found.setdefault(component, []).append(knob)
        return found

    def cells(self, params: Mapping[str, Any], count: int) -> list[tuple[int, int]]:
        """The crosspoints, inputs or outputs that a mixer method means; raises ValueError for none such."""
        rows = channels(params.get("Inputs", params.get("Cues", "1")), count)
        columns = channels(params.get("Outputs", "1"), count)
        return [(row, column) for row in sorted(rows) for column in sorted(columns)]

    def _knob(self, given: Any) -> Knob:
        key = (given.component, given.control)
        known = self.knobs.get(key)
        if known is not None and (known.kind != "position" or given.kind == "position"):
            return known
        low, high = RANGES.get(given.kind, (0.0, 1.0))
        low = low if given.min is None else given.min
        high = high if given.max is None else given.max
        codes = {word: _plain(code) for word, code in given.words.items()}
        self.knobs[key] = knob = Knob(key, given.kind, low, high, codes)
        for point, (other, kind) in list(self.by_point.items()):
            if other is known:
                self.by_point[point] = knob, kind
        return knob

    def _seed(self, verify: Mapping[str, Any]) -> dict[Key, Any]:
        seeded: dict[Key, Any] = {}
        for point, value in verify.items():
            knob, kind = self.by_point[point]
            seeded[knob.key] = by_hand(knob, kind, value)
        return seeded


def by_hand(knob: Knob, kind: str, value: Value) -> Any:
    """The value of a control when its point of `kind` is said to be `value`; raises ValueError."""
    if kind == "position":
        return knob.low + (knob.high - knob.low) * _number(value)
    return knob.from_hand(value)


def channels(text: Any, count: int) -> set[int]:
    """The channels of a mixer string: `*`, `1-4 !3`, `2 5`; raises ValueError for one that does not exist."""
    if not isinstance(text, str):
        raise ValueError("channels are a string")
    chosen: set[int] = set()
    for token in text.split():
        found = re.fullmatch(r"(!?)(?:(\*)|(\d+)(?:-(\d+))?)", token)
        if found is None:
            raise ValueError(f"no channels: {token!r}")
        first = 1 if found[2] else int(found[3])
        last = count if found[2] else int(found[4] or first)
        if not 1 <= first <= last <= count:
            raise ValueError(f"no such channel: {token!r}")
        chosen = chosen - set(range(first, last + 1)) if found[1] else chosen | set(range(first, last + 1))
    return chosen


def single(value: float) -> float:
    """As it comes out of single-precision arithmetic."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


def _plain(code: Any) -> Any:
    if isinstance(code, str) and re.fullmatch(r"-?\d+", code):
        return int(code)
    return code


def _boolean(raw: Any) -> bool:
    if isinstance(raw, str):
        word = raw.strip().lower()
        if word not in ("true", "false", "on", "off", "1", "0"):
            raise ValueError(f"neither true nor false: {raw!r}")
        return word in ("true", "on", "1")
    return bool(_number(raw))


def _number(raw: Any) -> float:
    if isinstance(raw, (bool, int, float)) or (isinstance(raw, str) and re.fullmatch(r"-?\d+(\.\d+)?", raw)):
        return float(raw)
    raise ValueError(f"no number: {raw!r}")
