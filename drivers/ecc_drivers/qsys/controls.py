"""What a configured control means: its options, its point, and how a core's report becomes the point's value.

The core does not say the type of a named control, and it writes a boolean as 0/1, true/false or text
(sheet, "Quirks"): the configured kind decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ecc_controld.sdk import Action, Choice, ConfigError, Kind, Number, Point, Switch, Text, Value, Words

from .codec import ControlState

KindName: TypeAlias = Literal["gain", "mute", "level", "position", "meter", "choice", "text"]
Code: TypeAlias = bool | int | float | str

POINT_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_TRUE = frozenset({"true", "on", "muted", "mute", "yes", "1"})
_FALSE = frozenset({"false", "off", "unmuted", "unmute", "no", "0"})
_LEADING_NUMBER = re.compile(r"\s*([-+\u2212]?\d+(?:\.\d*)?)")

_TITLES: Mapping[str, Text] = {
    "gain": Text("增益", "Gain"),
    "mute": Text("静音", "Mute"),
    "level": Text("电平", "Level"),
    "position": Text("推子位置", "Position"),
    "meter": Text("电平表", "Meter"),
    "choice": Text("选择", "Selection"),
    "text": Text("文本", "Text"),
}


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    unit: str
    tolerance: float


_RANGES: Mapping[str, _Range] = {
    "gain": _Range(-100.0, 20.0, "dB", 0.1),
    "level": _Range(0.0, 100.0, "", 0.01),
    "position": _Range(0.0, 1.0, "", 0.005),
    "meter": _Range(-120.0, 20.0, "dB", 0.0),
}


@dataclass(frozen=True)
class ControlOptions:
    """One control of the design that becomes a point. Without `component` it is a named control.

    `min`, `max`, `unit`, `tolerance` of the numbers have defaults by kind; `ramp` s for gain and level;
    `settle` s beyond the ramp; `words` of a choice map to the control's value (number) or text.
    """

    control: str
    kind: KindName
    component: str = ""
    min: float | None = None
    max: float | None = None
    unit: str | None = None
    tolerance: float | None = None
    ramp: float = 0.0
    settle: float = 2.0
    words: Mapping[str, Code] = field(default_factory=dict)
    read_only: bool = False
    title_zh: str = ""
    title_en: str = ""


@dataclass(frozen=True)
class ActionOptions:
    """A one-shot deed: a control that is set to a value (a trigger: 1)."""

    control: str
    component: str = ""
    value: Code = 1
    title_zh: str = ""
    title_en: str = ""


@dataclass(frozen=True)
class Control:
    """A configured control: its point and its translation between core and hall."""

    point: Point
    options: ControlOptions

    @property
    def key(self) -> tuple[str, str]:
        """Component (empty for a named control) and control name, as the design spells them."""
        return self.options.component, self.options.control

    def reported_in(self, state: ControlState) -> bool:
        """Whether the report says anything about it: many do not carry the position."""
        if self.options.kind == "position":
            return state.position is not None
        return state.value is not None or state.string is not None

    def decode(self, state: ControlState) -> Value:
        """The canonical value, or the core's own words in angle brackets where the kind cannot hold them."""
        kind = self.options.kind
        if kind == "mute":
            found: Value | None = _switch(state)
        elif kind == "choice":
            found = self._word(state)
        elif kind == "text":
            found = _first(state.string, state.value)
        elif kind == "position":
            found = state.position
        else:
            found = _quantity(state)
        return f"<{_first(state.value, state.string)}>" if found is None else found

    def encode(self, value: Value) -> dict[str, Any]:
        """What a set says about the control beside its name."""
        kind = self.options.kind
        if kind == "position":
            return {"Position": float(value)}
        if kind == "choice":
            assert isinstance(self.point.kind, Choice)
            return {"Value": self.point.kind.code(value)}
        if kind in ("mute", "text"):
            return {"Value": value}
        ramp = {"Ramp": self.options.ramp} if self.options.ramp else {}
        return {"Value": float(value), **ramp}

    def _word(self, state: ControlState) -> str | None:
        assert isinstance(self.point.kind, Choice)
        for word, code in self.point.kind.words.items():
            if _is_code(state, code):
                return word
        return None


def build_control(name: str, options: ControlOptions) -> Control:
    """The control behind the point `name`; raises ConfigError below `controls.<name>`."""

    def bad(key: str, why: Text) -> ConfigError:
        return ConfigError(why, option=f"controls.{name}.{key}" if key else f"controls.{name}")

    if not POINT_NAME.fullmatch(name) or name == "preset":
        raise bad(
            "",
            Text(
                "点位名为小写单词，以点相连；preset 已占用",
                "a point name is lower-case words joined by dots; `preset` is taken",
            ),
        )
    if not options.control:
        raise bad("control", _NAMELESS)
    if options.ramp and options.kind not in ("gain", "level"):
        raise bad("ramp", Text("只有增益或电平可以渐变", "only a gain or a level can ramp"))
    if options.ramp < 0 or options.settle < 0:
        raise bad("ramp" if options.ramp < 0 else "settle", Text("秒数，不为负", "seconds, not negative"))
    if bool(options.words) != (options.kind == "choice"):
        raise bad("words", Text("choice 须列出 words，其他种类不可", "a choice needs words, and only a choice"))
    meter = options.kind == "meter"
    title = _TITLES[options.kind]
    point = Point(
        name=name,
        kind=_kind(options, bad),
        title=Text(options.title_zh or f"{title.zh} {name}", options.title_en or f"{title.en} {name}"),
        trait=options.kind,
        access="read" if meter or options.read_only else "readwrite",
        settle_s=options.settle + options.ramp,
        fleeting=meter,
        measured=meter,
    )
    return Control(point, options)


_NAMELESS = Text("缺少设计文件中的控件名", "the control's name in the design is missing")


def build_action(name: str, given: ActionOptions) -> Action:
    """The action `name`; raises ConfigError below `actions.<name>`."""
    if not POINT_NAME.fullmatch(name):
        raise ConfigError(
            Text("动作名为小写单词，以点相连", "an action's name is lower-case words joined by dots"),
            option=f"actions.{name}",
        )
    if not given.control:
        raise ConfigError(_NAMELESS, option=f"actions.{name}.control")
    return Action(name, Text(given.title_zh or name, given.title_en or name))


def plain_code(raw: Code) -> Code:
    """The number in a text that is one: YAML text and JSON numbers name the same value of a control."""
    if not isinstance(raw, str):
        return raw
    text = raw.strip()
    try:
        return int(text)
    except ValueError:
        pass
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else raw


def _kind(options: ControlOptions, bad: Any) -> Kind:
    if options.kind == "mute":
        return Switch()
    if options.kind == "text":
        return Words()
    if options.kind == "choice":
        words = {word: plain_code(code) for word, code in options.words.items()}
        if len(set(words.values())) != len(words):
            raise bad(
                "words",
                Text(
                    "两个词对应同一个值：后一个永远读不回来",
                    "two words for one value: the second could never be read back",
                ),
            )
        return Choice(words)
    usual = _RANGES[options.kind]
    low = usual.low if options.min is None else options.min
    high = usual.high if options.max is None else options.max
    tolerance = usual.tolerance if options.tolerance is None else options.tolerance
    if not low < high:
        raise bad("max", Text(f"应大于 min（{low:g}）", f"more than min ({low:g})"))
    if tolerance < 0:
        raise bad("tolerance", Text("不为负", "not negative"))
    return Number(low, high, usual.unit if options.unit is None else options.unit, tolerance)


def _switch(state: ControlState) -> bool | None:
    for said in (state.value, state.string):
        if isinstance(said, (bool, int, float)):
            return bool(said) if said in (0, 1) else None
        word = "" if said is None else said.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    return None


def _quantity(state: ControlState) -> float | None:
    for said in (state.value, state.string):
        if isinstance(said, (bool, int, float)):
            return float(said)
        found = _LEADING_NUMBER.match(said) if said else None
        if found:
            return float(found[1].replace("\u2212", "-"))
    return None


def _is_code(state: ControlState, code: Code) -> bool:
    if isinstance(code, str):
        return code in (state.value, state.string)
    said = state.value if state.value is not None else state.string
    if isinstance(said, str):
        said = plain_code(said)
    # Values pass through single precision inside the core.
    return not isinstance(said, str) and said is not None and abs(said - code) <= 1e-5 * max(1.0, abs(code))


def _first(*candidates: Code | None) -> str:
    return next((str(said) for said in candidates if said is not None), "")
