"""What a PJLink display has: its options, its points, and what the device's codes mean as readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ecc_controld.sdk import Choice, ConfigError, Integer, Kind, Point, Reading, Switch, Text, Value, Words

from .codec import FAULTS, fault_digits, is_input, lamp_hours

POWER_LIMIT_S: Final = 900.0

AFTER_INPUT_S: Final = 1.0
"""A change of input releases a frozen picture, on some models a moment after the acknowledgement."""

_STATE: Final = Choice(words={"standby": "0", "on": "1", "cooling": "2", "warming": "3"})
_LEVEL: Final = Choice(words={"ok": "0", "warning": "1", "error": "2"})
_SIGNAL: Final = {"-": "none", "*": "unknown"}
_POWER: Final = {"0": False, "1": True}
_MUTED: Final = {"30": (False, False), "11": (True, False), "21": (False, True), "31": (True, True)}
"""Whether picture and sound are muted, by the code of AVMT (4.6)."""

_FAULT_TITLES: Final = {
    "fan": Text("风扇故障", "Fan fault"),
    "lamp": Text("光源故障", "Lamp fault"),
    "temperature": Text("温度故障", "Temperature fault"),
    "cover": Text("机盖故障", "Cover fault"),
    "filter": Text("滤网故障", "Filter fault"),
    "other": Text("其他故障", "Other fault"),
}
_MUTE_TITLES: Final = {
    "both": Text("画面和声音静默", "Picture and sound mute"),
    "picture": Text("画面静默", "Picture mute"),
    "sound": Text("静音", "Sound mute"),
}


def _usual_inputs() -> dict[str, str]:
    """What most models call their sockets; which socket has which number is in the model's own manual."""
    return {
        "vga1": "11",
        "vga2": "12",
        "video1": "21",
        "video2": "22",
        "hdmi1": "31",
        "hdmi2": "32",
        "hdmi3": "33",
        "hdmi4": "34",
        "usb1": "41",
        "lan1": "51",
    }


@dataclass(frozen=True)
class PJLinkOptions:
    """`inputs`: words for the model's input codes (type and number, `"31"`). `mutes`: what the point `mute`
    stands for; many units can mute only one of the two. `power_s`: the longer of warm-up and cool-down, with
    half as much to spare. `model`: text that manufacturer and product name must contain, empty for any.
    """

    inputs: Mapping[str, str] = field(default_factory=_usual_inputs)
    mutes: Literal["both", "picture", "sound"] = "both"
    power_s: float = 90.0
    model: str = ""


def input_kind(inputs: Mapping[str, str], sources: Mapping[str, str]) -> Choice:
    """The kind of `input`: one word a code; further words for it, the code itself and source words are aliases.

    Raises ConfigError for a code that PJLink does not have, or a word that means two inputs.
    """
    if not inputs:
        raise ConfigError(Text("显示设备至少有一个输入", "a display has at least one input"), option="inputs")
    words: dict[str, str] = {}
    meanings: dict[str, str] = {}
    for word, raw in inputs.items():
        code = str(raw).strip().upper()
        if not is_input(code):
            raise ConfigError(
                Text(
                    f'输入 {word!r} 的代码是 {raw!r}；代码为类型 1-6 加编号 1-9 或 A-Z，如 "31"',
                    f'input {word!r} has code {raw!r}; a code is a type 1-6 and a number 1-9 or A-Z, as in "31"',
                ),
                option=f"inputs.{word}",
            )
        meanings[word] = code
        if code not in words.values():
            words[word] = code
    for word, code in list(meanings.items()):
        # Another input may have this name; then the name counts.
        meanings.setdefault(code, code)
        meanings.setdefault(f"in.{word}", code)
    for source, at in sources.items():
        if at not in meanings:
            valid = tuple(inputs)
            raise ConfigError(
                Text(
                    f"信号源 {source!r} 接在 {at!r}，本设备只有 {'、'.join(valid)}",
                    f"source {source!r} is at {at!r}, this display has {', '.join(valid)}",
                ),
                valid=valid,
            )
        if meanings.setdefault(source, meanings[at]) != meanings[at]:
            raise ConfigError(
                Text(
                    f"信号源 {source!r}（{at}）与另一个输入同名",
                    f"source {source!r} at {at} has the name of another input",
                )
            )
    by_code = {code: word for word, code in words.items()}
    return Choice(
        words=words, aliases={word: by_code[code] for word, code in meanings.items() if word not in words}
    )


def make_points(options: PJLinkOptions, inputs: Choice) -> list[Point]:
    """All points; which of them the model has not is known only when it is asked. Raises ConfigError."""
    if not 1.0 <= options.power_s <= POWER_LIMIT_S:
        raise ConfigError(
            Text(f"预热时间为 1 至 {POWER_LIMIT_S:g} 秒", f"warm-up takes 1 to {POWER_LIMIT_S:g} s"),
            option="power_s",
        )
    on = frozenset({"power"})
    made = [
        Point(
            name="power",
            kind=Switch(),
            title=Text("电源", "Power"),
            trait="power",
            settle_s=options.power_s,
            requery_s=1.0,
            # Most models wake up unmuted, and on the input that they like.
            disturbs=frozenset({"input", "mute", "freeze"}),
        ),
        Point(
            name="input",
            kind=inputs,
            title=Text("输入", "Input"),
            trait="source",
            settle_s=12.0,  # some units refuse it for seconds after they are on
            requery_s=0.5,
            after=on,
            disturbs=frozenset({"freeze"}),
            quiet_s=AFTER_INPUT_S,
        ),
        _switch("mute", _MUTE_TITLES[options.mutes], on),
        _switch("freeze", Text("画面冻结", "Freeze"), on),
        _shown("power.state", _STATE, Text("电源状态", "Power state"), "state"),
        _shown("signal", Words(), Text("输入信号", "Input signal"), "signal"),
        _shown("lamp.hours", Integer(0, 9_999_999, unit="h"), Text("光源使用时间", "Lamp hours"), "hours"),
    ]
    return made + [_shown(f"fault.{part}", _LEVEL, _FAULT_TITLES[part], "fault") for part in FAULTS]


def _switch(name: str, title: Text, after: frozenset[str]) -> Point:
    return Point(name=name, kind=Switch(), title=title, trait=name, settle_s=6.0, requery_s=0.3, after=after)


def _shown(name: str, kind: Kind, title: Text, trait: str) -> Point:
    return Point(name=name, kind=kind, title=title, trait=trait, access="read")


def power_readings(value: str) -> tuple[Reading, ...]:
    """`power` is on at state 1 and off at state 0. On the way it reads as the word of the state, which equals
    neither wish: a display that warms up by another hand is not "off", and one that cools down is not "on".
    """
    word = _STATE.word(value)
    return Reading("power", _POWER.get(value, word)), Reading("power.state", word)


def mute_reading(value: str, mutes: str) -> tuple[Reading, ...]:
    """`mute`; with both wanted, a unit that muted one of them reads as its word (`picture`, `sound`)."""
    said: Value
    if value not in _MUTED:
        said = f"<{value}>"
    else:
        picture, sound = _MUTED[value]
        if mutes == "both":
            said = picture if picture == sound else "picture" if picture else "sound"
        else:
            said = picture if mutes == "picture" else sound
    return (Reading("mute", said),)


def freeze_reading(value: str) -> tuple[Reading, ...]:
    """`freeze` from the answer to FREZ (4.26)."""
    return (Reading("freeze", _POWER.get(value, f"<{value}>")),)


def fault_readings(value: str) -> tuple[Reading, ...]:
    """All `fault.*`; text that is not six digits is shown at each of them."""
    digits = fault_digits(value) or (value,) * len(FAULTS)
    return tuple(Reading(f"fault.{part}", _LEVEL.word(digit)) for part, digit in zip(FAULTS, digits, strict=True))


def lamp_reading(value: str) -> tuple[Reading, ...]:
    """`lamp.hours`: of the lamp that has burnt longest."""
    hours = lamp_hours(value)
    return (Reading("lamp.hours", f"<{value}>" if hours is None else hours),)


def signal_reading(value: str) -> tuple[Reading, ...]:
    """`signal`: the resolution that arrives (`1920x1080`), `none`, or `unknown`."""
    return (Reading("signal", _SIGNAL.get(value, value)),)
