"""Presets: snapshots of a bank, proved through controls, since the number last loaded cannot be read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations

from ecc_controld.sdk import BadValue, Choice, ConfigError, Point, Text, Value

from .controls import Code, Control, plain_code

UNKNOWN = "<unknown>"


@dataclass(frozen=True)
class SnapshotOptions:
    """How the words of `presets:` are loaded and proved.

    `bank` is the snapshot bank's name in the design. `verify` says for each word which values its controls have
    afterwards; without it the preset cannot be read. `guard` names mutes that are held closed while a preset
    is loaded. `disturbs` names the points that a snapshot may change (default: those of `verify`). Seconds:
    `ramp` of the load, `settle` beyond the ramp until it must be true, `quiet` after the acknowledgement until
    nothing moves any more (default ramp + 0.2).
    """

    bank: str = "Presets"
    ramp: float = 0.0
    verify: Mapping[str, Mapping[str, Code]] = field(default_factory=dict)
    guard: tuple[str, ...] = ()
    disturbs: tuple[str, ...] = ()
    settle: float = 3.0
    quiet: float | None = None


@dataclass(frozen=True)
class Presets:
    """The point `preset`, and what must be true of which control for each word."""

    point: Point
    options: SnapshotOptions
    wants: Mapping[str, Mapping[str, Value]]

    @property
    def witnesses(self) -> tuple[str, ...]:
        """The points that prove a preset, in a stable order."""
        return tuple(dict.fromkeys(name for wants in self.wants.values() for name in wants))

    def number(self, word: Value) -> int:
        """The number of the snapshot in its bank."""
        assert isinstance(self.point.kind, Choice)
        return int(self.point.kind.code(word))

    def word(self, values: Mapping[str, Value], controls: Mapping[str, Control]) -> str:
        """The word whose controls all are as they must be; UNKNOWN when none or several are."""
        found = [
            word
            for word, wants in self.wants.items()
            if all(
                name in values and controls[name].point.kind.same(values[name], want)
                for name, want in wants.items()
            )
        ]
        return found[0] if len(found) == 1 else UNKNOWN


def build_presets(
    presets: Mapping[str, int | str], options: SnapshotOptions, controls: Mapping[str, Control]
) -> Presets | None:
    """The presets of a device, None without any; raises ConfigError below `snapshot`."""
    if not presets:
        if options.verify or options.guard:
            raise ConfigError(
                Text("没有可验证或保护的预设", "there are no presets to verify or guard"), option="snapshot"
            )
        return None
    numbers = {word: _number(word, raw) for word, raw in presets.items()}
    if len(set(numbers.values())) != len(numbers):
        raise ConfigError(Text("两个预设调用同一个快照", "two presets load one snapshot"), option="snapshot")
    wants = _wants(options, numbers, controls)
    _check_guard(options, wants, controls)
    witnesses = {name for wanted in wants.values() for name in wanted}
    disturbs = frozenset(options.disturbs or witnesses)
    for name in disturbs - set(controls):
        raise _unknown(f"disturbs.{name}", name, controls)
    if options.ramp < 0 or options.settle < 0 or (options.quiet or 0.0) < 0:
        raise ConfigError(Text("秒数，不为负", "seconds, not negative"), option="snapshot")
    point = Point(
        name="preset",
        kind=Choice(numbers),
        title=Text("预设", "Preset"),
        trait="preset",
        access="readwrite" if wants else "write",
        settle_s=options.ramp + options.settle,
        disturbs=disturbs,
        quiet_s=options.ramp + 0.2 if options.quiet is None else options.quiet,
        guard={name: True for name in options.guard},
    )
    return Presets(point, options, wants)


def _number(word: str, raw: int | str) -> int:
    code = plain_code(raw)
    if isinstance(code, bool) or not isinstance(code, int) or code < 1:
        raise ConfigError(
            Text(
                f"预设 {word!r}：快照编号从 1 起，得到 {raw!r}",
                f"preset {word!r}: a snapshot number from 1, got {raw!r}",
            ),
            option="snapshot",
        )
    return code


def _wants(
    options: SnapshotOptions, numbers: Mapping[str, int], controls: Mapping[str, Control]
) -> dict[str, dict[str, Value]]:
    """The parsed `verify`. It names all presets or none, each in a way that tells it from the others."""
    for word in options.verify:
        if word not in numbers:
            raise ConfigError(
                Text(f"没有名为 {word!r} 的预设", f"no preset is called {word!r}"),
                option=f"snapshot.verify.{word}",
                valid=tuple(numbers),
            )
    if options.verify and set(options.verify) != set(numbers):
        lacking = ", ".join(sorted(set(numbers) - set(options.verify)))
        raise ConfigError(
            Text(f"要么列出全部预设，要么都不列；缺 {lacking}", f"names every preset or none; lacks {lacking}"),
            option="snapshot.verify",
        )
    wants = {word: _parsed(word, raw, controls) for word, raw in options.verify.items()}
    for one, other in permutations(wants, 2):
        if all(
            name in wants[one] and controls[name].point.kind.same(wants[one][name], value)
            for name, value in wants[other].items()
        ):
            raise ConfigError(
                Text(
                    f"{one!r} 为真时 {other!r} 也为真：请列出能区分二者的控件",
                    f"{other!r} is also true whenever {one!r} is: name a control that tells them apart",
                ),
                option=f"snapshot.verify.{other}",
            )
    return wants


def _parsed(word: str, raw: Mapping[str, Code], controls: Mapping[str, Control]) -> dict[str, Value]:
    parsed: dict[str, Value] = {}
    for name, value in raw.items():
        if name not in controls:
            raise _unknown(f"verify.{word}.{name}", name, controls)
        point = controls[name].point
        if point.fleeting:
            raise ConfigError(
                Text("电平表自己会动，不能作证", "a meter moves by itself and proves nothing"),
                option=f"snapshot.verify.{word}.{name}",
            )
        try:
            parsed[name] = point.kind.parse(value)
        except BadValue as error:
            text = Text(error.zh, str(error))
            raise ConfigError(text, option=f"snapshot.verify.{word}.{name}", valid=error.valid) from error
    return parsed


def _check_guard(
    options: SnapshotOptions, wants: Mapping[str, Mapping[str, Value]], controls: Mapping[str, Control]
) -> None:
    for name in options.guard:
        if name not in controls:
            raise _unknown("guard", name, controls)
        if controls[name].options.kind != "mute" or controls[name].options.read_only:
            raise ConfigError(
                Text(f"{name} 不是可写的静音", f"{name} is no mute that can be written"), option="snapshot.guard"
            )
        if any(name in wanted for wanted in wants.values()):
            # The core holds it closed until the preset is proved, and opens it afterwards: either way it lies.
            raise ConfigError(
                Text(f"{name} 是保护项，不能证明预设", f"{name} is a guard, so it cannot prove a preset"),
                option="snapshot.verify",
            )


def _unknown(key: str, name: str, controls: Mapping[str, Control]) -> ConfigError:
    text = Text(f"没有名为 {name!r} 的控件", f"no control is called {name!r}")
    return ConfigError(text, option=f"snapshot.{key}", valid=tuple(controls))
