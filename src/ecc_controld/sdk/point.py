"""Points: the things of a device that can be read or wanted, and the kinds of their values.

All that is known about a type of value (how it is parsed, when two values are the same, how it is described
to people and programs) lives with the type, never in a central table.
"""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .text import Text

Value: TypeAlias = bool | int | float | str
"""What a point can hold: a JSON scalar."""

Access = Literal["read", "write", "readwrite", "momentary"]
Drift = Literal["alarm", "restore", "adopt"]
OnReturn = Literal["apply", "ask", "ignore"]

SHOWN = 12
"""How many words of a choice a sentence lists."""

_TRUE = frozenset({"true", "on", "yes", "1", "开", "是"})
_FALSE = frozenset({"false", "off", "no", "0", "关", "否"})


class BadValue(ValueError):
    """A value that a kind cannot hold; says what was expected and, for words, which are valid."""

    def __init__(self, expected: Text, *, valid: tuple[str, ...] = (), nearest: str | None = None) -> None:
        super().__init__(f"expected {expected.en}" + (f"; did you mean {nearest!r}?" if nearest else ""))
        self.expected = expected
        self.zh = f"应为{expected.zh}" + (f"；是否想写 {nearest!r}？" if nearest else "")
        self.valid = valid
        self.nearest = nearest


class Kind(ABC):
    """A type of value. `parse` takes YAML text or JSON scalars and returns the canonical value."""

    name: str
    unit: str = ""

    @abstractmethod
    def parse(self, raw: object) -> Value:
        """The canonical value of `raw`; raises BadValue."""

    def same(self, a: Value, b: Value) -> bool:
        """Whether two canonical values are one and the same for the hall."""
        return a == b

    def range(self) -> dict[str, Any]:
        """What may be wanted, as JSON: `{}`, `{"min","max","step"}` or `{"words": [..]}`."""
        return {}


@dataclass(frozen=True)
class Switch(Kind):
    """On or off; canonical value bool."""

    name: str = "boolean"

    def parse(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        word = str(raw).strip().lower()
        if isinstance(raw, (str, int)) and word in _TRUE:
            return True
        if isinstance(raw, (str, int)) and word in _FALSE:
            return False
        raise BadValue(Text("开或关（on、off）", "on or off"), valid=("on", "off"))


@dataclass(frozen=True)
class Number(Kind):
    """A quantity with a unit; canonical value float. `tolerance` is how far apart two equal values may be."""

    low: float
    high: float
    unit: str = ""
    tolerance: float = 0.0
    step: float | None = None
    name: str = "number"

    def parse(self, raw: object) -> float:
        value = _to_float(raw, self.unit)
        if value is None or not math.isfinite(value):
            raise BadValue(Text(f"数值，{self._span('至')}", f"a number from {self._span('to')}"))
        if not self.low <= value <= self.high:
            raise BadValue(Text(f" {self._span('至')}，得到 {value:g}", f"{self._span('to')}, got {value:g}"))
        return value

    def same(self, a: Value, b: Value) -> bool:
        if isinstance(a, str) or isinstance(b, str):
            return a == b
        # The margin absorbs the rounding of decimal text into binary floats, nothing more.
        return abs(a - b) <= self.tolerance + 1e-9

    def range(self) -> dict[str, Any]:
        out: dict[str, Any] = {"min": self.low, "max": self.high}
        if self.step is not None:
            out["step"] = self.step
        return out

    def _span(self, to: str) -> str:
        return f"{self.low:g} {to} {self.high:g}{f' {self.unit}' if self.unit else ''}"


@dataclass(frozen=True)
class Integer(Kind):
    """A whole number; canonical value int. Text is decimal: `010` is ten."""

    low: int
    high: int
    unit: str = ""
    name: str = "integer"

    def parse(self, raw: object) -> int:
        value = _to_float(raw, self.unit)
        if value is None or not math.isfinite(value) or value != int(value):
            raise BadValue(
                Text(f"整数，{self.low} 至 {self.high}", f"a whole number from {self.low} to {self.high}")
            )
        if not self.low <= value <= self.high:
            raise BadValue(
                Text(
                    f" {self.low} 至 {self.high}，得到 {int(value)}",
                    f"{self.low} to {self.high}, got {int(value)}",
                )
            )
        return int(value)

    def range(self) -> dict[str, Any]:
        return {"min": self.low, "max": self.high}


@dataclass(frozen=True)
class Choice(Kind):
    """One word of a fixed set; canonical value is the word.

    `words` maps each word to what the device calls it (a preset number, an input code); `aliases` maps further
    accepted spellings to a word. A device may also report a state that is not in the set: it is shown as the
    text that `word` makes of it and equals no wish.
    """

    words: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    name: str = "choice"

    def parse(self, raw: object) -> str:
        word = ("true" if raw else "false") if isinstance(raw, bool) else str(raw).strip()
        if word in self.words:
            return word
        if word in self.aliases:
            return self.aliases[word]
        valid = tuple(self.words)
        near = difflib.get_close_matches(word, valid, 1)
        more = len(valid) - SHOWN
        zh, en = "、".join(valid[:SHOWN]), ", ".join(valid[:SHOWN])
        expected = Text(f"以下之一：{zh}", f"one of {en}")
        if more > 0:
            expected = Text(f"以下之一：{zh} 等 {len(valid)} 项", f"one of {en} and {more} more")
        raise BadValue(expected, valid=valid, nearest=near[0] if near else None)

    def code(self, word: Value) -> Any:
        """What the device calls `word`."""
        return self.words[str(word)]

    def word(self, code: object) -> str:
        """The word for a device's code, or the code as text in angle brackets if it has none."""
        for word, known in self.words.items():
            if known == code:
                return word
        return f"<{code}>"

    def range(self) -> dict[str, Any]:
        return {"words": list(self.words)}


@dataclass(frozen=True)
class Words(Kind):
    """Free text; canonical value str."""

    max_length: int = 256
    name: str = "text"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, (str, int, float)) or isinstance(raw, bool):
            raise BadValue(Text("文字", "text"))
        text = str(raw)
        if len(text) > self.max_length or any(ord(c) < 32 for c in text):
            n = self.max_length
            raise BadValue(Text(f"一行文字，至多 {n} 个字符", f"text of at most {n} characters on one line"))
        return text


def _to_float(raw: object, unit: str) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, (int, float)):
        try:
            return float(raw)
        except OverflowError:  # an integer of hundreds of digits
            return None
    if not isinstance(raw, str) or len(raw) > 64:
        return None
    text = raw.strip().replace("−", "-")  # the trade writes a true minus
    if unit and text.endswith(unit):
        text = text[: -len(unit)].rstrip()
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One thing of a device that can be read or wanted. Names are local to the device (`out.7`), times in s.

    - `settle_s`: how long after the device's acknowledgement the value may take to become true.
    - `requery_s`: pause between two read-backs while it settles.
    - `after`: local points that must be as wanted first (`input` after `power`).
    - `disturbs`, `quiet_s`: local points that a write of this one may change, and for how long after its
      acknowledgement they may still move. Mutual disturbance is an error at load.
    - `guard`: local points that are held at a value while this one is written (`{"mute": True}`).
    - `idempotent`: the same write sent twice does no harm (blind points are re-sent only then).
    - `measured`: reading it back is independent evidence (a meter, a current), not the device's own word.
    - `fleeting`: it moves by itself (meters, temperatures); never drift, not stored.
    - `stop`: for access `momentary`, the value that ends the movement.
    """

    name: str
    kind: Kind
    title: Text
    trait: str
    access: Access = "readwrite"
    settle_s: float = 2.0
    requery_s: float = 0.2
    after: frozenset[str] = frozenset()
    disturbs: frozenset[str] = frozenset()
    quiet_s: float = 0.0
    guard: Mapping[str, Value] = field(default_factory=dict)
    drift: Drift = "alarm"
    on_return: OnReturn = "apply"
    idempotent: bool = True
    measured: bool = False
    fleeting: bool = False
    stop: Value | None = None

    @property
    def readable(self) -> bool:
        """Whether the device can be asked for it."""
        return self.access in ("read", "readwrite")

    @property
    def writable(self) -> bool:
        """Whether it can be wanted."""
        return self.access in ("write", "readwrite")


@dataclass(frozen=True)
class Action:
    """A one-shot deed (chime, reboot an outlet): sent at most once a run, never repeated."""

    name: str
    title: Text


@dataclass(frozen=True)
class Reading:
    """What the device said about one of its points (local name, canonical value)."""

    point: str
    value: Value
