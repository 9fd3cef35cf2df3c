"""Where a camera looks: one value for presets and absolute positions alike.

A preset recall and an absolute move steer the same motors, so they are one point. Its values are preset words
and texts `at:PAN,TILT,ZOOM`; both stand for a place, and two values are the same when their places are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ecc_controld.sdk import BadValue, Kind, Text, Value

AT = re.compile(r"at:\s*([+-]?\d{1,6})\s*,\s*([+-]?\d{1,6})\s*,\s*(\d{1,5})", re.ASCII)
ZOOM_MAX = 0xFFFF
TILT_LIMIT = 0x8000


class Place(NamedTuple):
    """Pan (right positive), tilt (up positive) and zoom in the camera's own units."""

    pan: int
    tilt: int
    zoom: int

    def __str__(self) -> str:
        return f"at:{self.pan},{self.tilt},{self.zoom}"


@dataclass(frozen=True)
class Tolerance:
    """How far the camera may stand from a place and still be there, in its own units."""

    pan: int = 16
    tilt: int = 16
    zoom: int = 64


@dataclass(frozen=True)
class Placement(Kind):
    """A preset word or `at:PAN,TILT,ZOOM`. `numbers`: the camera's preset of a word; `places`: where it looks."""

    numbers: Mapping[str, int]
    places: Mapping[str, Place]
    tolerance: Tolerance
    pan_digits: int = 4
    name: str = "placement"

    def parse(self, raw: object) -> str:
        text = str(raw).strip().replace("−", "-")  # the trade writes a true minus
        if not isinstance(raw, bool):
            if text in self.words():
                return text
            if match := AT.fullmatch(text):
                place = Place(*(int(part) for part in match.groups()))
                wrong = self.check(place)
                if wrong:
                    raise BadValue(wrong)
                return str(place)
        near = difflib.get_close_matches(text, self.words(), 1)
        raise BadValue(
            Text("预置位或 at:水平,俯仰,变焦", "a preset or at:PAN,TILT,ZOOM"),
            valid=tuple(self.words()),
            nearest=near[0] if near else None,
        )

    def same(self, a: Value, b: Value) -> bool:
        one, other = self.place(a), self.place(b)
        return a == b or (one is not None and other is not None and self._near(one, other))

    def range(self) -> dict[str, Any]:
        return {"words": self.words()}

    def words(self) -> list[str]:
        """All preset words, in the order of the configuration."""
        return list(dict.fromkeys((*self.numbers, *self.places)))

    def place(self, value: Value) -> Place | None:
        """Where a canonical value lies; None for a preset whose place is not known."""
        if match := AT.fullmatch(str(value)):
            return Place(*(int(part) for part in match.groups()))
        return self.places.get(str(value))

    def value(self, place: Place) -> str:
        """The word of the nearest known place within tolerance, else the `at:` text."""
        near = [word for word, known in self.places.items() if self._near(place, known)]
        if not near:
            return str(place)
        return min(near, key=lambda word: sum(abs(a - b) for a, b in zip(place, self.places[word], strict=True)))

    def check(self, place: Place) -> Text | None:
        """Why the camera cannot be told to go to `place`, or None."""
        pan_limit = 1 << (4 * self.pan_digits - 1)
        if not -pan_limit <= place.pan < pan_limit:
            return _span("水平", "pan", -pan_limit, pan_limit - 1)
        if not -TILT_LIMIT <= place.tilt < TILT_LIMIT:
            return _span("俯仰", "tilt", -TILT_LIMIT, TILT_LIMIT - 1)
        if not 0 <= place.zoom <= ZOOM_MAX:
            return _span("变焦", "zoom", 0, ZOOM_MAX)
        return None

    def _near(self, a: Place, b: Place) -> bool:
        return all(abs(x - y) <= limit for x, y, limit in zip(a, b, self._limits(), strict=True))

    def _limits(self) -> tuple[int, int, int]:
        return self.tolerance.pan, self.tolerance.tilt, self.tolerance.zoom


def _span(zh: str, en: str, low: int, high: int) -> Text:
    return Text(f"{zh} {low} 至 {high}", f"{en} from {low} to {high}")
