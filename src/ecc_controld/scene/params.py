"""The parameters of a scene: what they may be, and what a press gives for them. Pure.

A value is canonical once `Param.parse` has taken it: a word, a text, True or False, a number, or a tuple of words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ecc_controld.sdk.point import BadValue, Number, Switch
from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import nearest, one_of

ParamValue: TypeAlias = bool | int | float | str | tuple[str, ...]
Given: TypeAlias = Mapping[str, ParamValue | None]
"""The value of every parameter; None is a required text that nobody has given yet (only while files are checked)."""

TYPES = ("choice", "boolean", "number", "list", "text")
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
PARAMS = 16
"""How many parameters a scene may have."""
CHOICES = 64
"""How many choices a parameter may have."""
ITEMS = 200
TEXT_LIMIT = 256
TEXT_USUAL = 64
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that no text of a press may hold: controls, marks of direction, half pairs."""


class BadParams(ValueError):
    """A press's parameters that the scene cannot take. `helps`: `valid`, `nearest`, `range`, as far as known."""

    def __init__(self, code: str, text: Text, **helps: Any) -> None:
        super().__init__(text.en)
        self.code = code
        self.text = text
        self.helps = {name: value for name, value in helps.items() if value}


@dataclass(frozen=True)
class Param:
    """One parameter. `low`, `high` in `unit` bound a number, `max_length` a text, `choices` a choice or a list.

    `default` None: every press must give it. `lists`: what `@name` stands for in a press.
    """

    name: str
    title: Text
    type: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    unit: str = ""
    max_length: int = TEXT_USUAL
    default: ParamValue | None = None
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def parse(self, raw: object) -> ParamValue:
        """The canonical value of what a file or a press says; raises BadValue."""
        if self.type == "boolean":
            return Switch().parse(raw)
        if self.type == "number":
            return _short(Number(self.low, self.high, self.unit).parse(raw))
        if self.type == "list":
            return self._items(raw)
        return self._word(raw) if self.type == "choice" else self._text(raw)

    def alternatives(self) -> tuple[ParamValue, ...]:
        """Every value, of a parameter that has few; () of a free one."""
        if self.type == "boolean":
            return (True, False)
        return self.choices if self.type == "choice" else ()

    def probes(self) -> tuple[ParamValue | None, ...]:
        """Values of a free parameter that stand for all of them when files are checked: its usual one and its ends."""
        if self.type == "number":
            usual = _short(self.low) if self.default is None else self.default
            return tuple(dict.fromkeys((usual, _short(self.low), _short(self.high))))
        if self.type == "list":
            return tuple(dict.fromkeys((self.choices if self.default is None else self.default, self.choices)))
        return (self.default,) if self.type == "text" else ()

    def range(self) -> dict[str, Any]:
        """What a press may give, as JSON."""
        if self.type == "number":
            return {"min": self.low, "max": self.high}
        return {"max_length": self.max_length} if self.type == "text" else {}

    def _word(self, raw: object) -> str:
        word = _scalar(raw)
        if word in self.choices:
            return word
        raise _no_choice(word, self.choices)

    def _text(self, raw: object) -> str:
        text = _scalar(raw).strip()
        if not text or len(text) > self.max_length or any(unicodedata.category(c) in UNSEEN for c in text):
            n = self.max_length
            zh, en = (
                f"一行文字，1 至 {n} 个字符，不含控制字符",
                f"text on one line, 1 to {n} characters, no control characters",
            )
            raise BadValue(Text(zh, en))
        return text

    def _items(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, str) and raw.startswith("@"):
            if raw[1:] not in self.lists:
                known = tuple(f"@{name}" for name in self.lists)
                zh, en = f"{ITEMS} 项以内的列表或列表名", "a list, or the name of one"
                raise BadValue(Text(zh, en), valid=known, nearest=nearest(raw, known))
            raw = self.lists[raw[1:]]
        items = [raw] if isinstance(raw, str) else raw
        if not isinstance(items, (list, tuple)) or len(items) > ITEMS:
            raise BadValue(Text(f"列表，至多 {ITEMS} 项", f"a list of at most {ITEMS} items"))
        words = tuple(dict.fromkeys(self._text(item) for item in items))
        wrong = next((word for word in words if self.choices and word not in self.choices), None)
        if wrong is not None:
            raise _no_choice(wrong, self.choices)
        return words


def resolve(params: Mapping[str, Param], raw: Mapping[str, object]) -> dict[str, ParamValue]:
    """The value of every parameter of a press, defaults included; raises BadParams that names all that is wrong."""
    unknown = [name for name in raw if name not in params]
    if unknown:
        shown = one_of([name[:80] for name in sorted(unknown)])
        text = Text(f"场景没有参数 {shown.zh}", f"the scene has no parameters: {shown.en}")
        near = nearest(unknown[0], params)
        # `valid` is told also where nothing is valid: that is the answer.
        bad = BadParams("unknown_param", text, nearest=near)
        bad.helps["valid"] = list(params)
        raise bad
    found: dict[str, ParamValue] = {}
    missing = []
    for name, param in params.items():
        if name in raw:
            found[name] = _given(param, raw[name])
        elif param.default is not None:
            found[name] = param.default
        else:
            missing.append(name)
    if missing:
        shown = one_of(missing)
        text = Text(f"缺少参数 {shown.zh}", f"parameters are missing: {shown.en}")
        first = params[missing[0]]
        raise BadParams("missing_param", text, valid=list(first.choices), range=first.range())
    return found


def as_json(given: Given) -> dict[str, Any]:
    """Parameters as JSON has them, for runs, the hall and the journal."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def word(value: ParamValue | None) -> str:
    """A value as it stands inside a text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return ",".join(value) if isinstance(value, tuple) else str(value)


def shorten(text: str) -> str:
    """A text from outside for a sentence: whatever it holds, it is short and shows."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _given(param: Param, raw: object) -> ParamValue:
    try:
        return param.parse(raw)
    except BadValue as bad:
        shown = shorten(raw) if isinstance(raw, str) else f"{raw:g}" if isinstance(raw, (float, bool)) else ""
        zh, en = f"参数 {param.name}", f"parameter {param.name}"
        if shown:
            zh, en = f"{zh} 不能是 {shown}", f"{en} cannot be {shown}"
        if not bad.valid:  # these are listed by whoever shows the answer
            zh, en = f"{zh}，应为{bad.expected.zh}", f"{en}, expected {bad.expected.en}"
        raise BadParams(
            "bad_param", Text(zh, en), valid=list(bad.valid), nearest=bad.nearest, range=param.range()
        ) from None


def _scalar(raw: object) -> str:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise BadValue(Text("文字", "a text"))
    try:
        return str(raw)
    except ValueError:  # an integer of thousands of digits
        raise BadValue(Text("文字", "a text")) from None


def _no_choice(text: str, choices: Iterable[str]) -> BadValue:
    valid = tuple(choices)
    listed = one_of(valid)
    return BadValue(
        Text(f"以下之一：{listed.zh}", f"one of {listed.en}"), valid=valid, nearest=nearest(text, valid)
    )


def _short(number: float | bool | int | str) -> ParamValue:
    """A whole number without its `.0`, so that it reads well inside a text."""
    return int(number) if isinstance(number, float) and number.is_integer() else number
