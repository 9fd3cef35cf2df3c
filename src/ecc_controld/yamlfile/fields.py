"""Taking typed values out of nodes. Each function returns None and notes a problem if the node does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ecc_controld.sdk.point import BadValue, Switch
from ecc_controld.sdk.text import Text

from .nodes import Mapping, Mark, Node, Problems, Scalar, Sequence

TEXT_LIMIT = 500
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|min|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


class Fields:
    """The entries of one mapping, taken one by one; what is never taken is unknown and told by `done`."""

    def __init__(self, node: Mapping, problems: Problems) -> None:
        self.node = node
        self._problems = problems
        self._known: dict[str, None] = {}
        self._refused: set[str] = set()

    def take(self, key: str) -> Node | None:
        """The value of a key, if it is there."""
        self._known[key] = None
        return self.node.get(key)

    def need(self, key: str) -> Node | None:
        """The value of a key; a problem if it is missing."""
        found = self.take(key)
        if found is None:
            self._problems.add(self.node.mark, f"缺少 {key}:", f"{key}: is missing")
        return found

    def refuse(self, keys: Iterable[str], zh: str, en: str) -> None:
        """Note a problem at each of these keys that is there."""
        for key in keys:
            self._refused.add(key)
            found = self.node.entry(key)
            if found is not None:
                self._problems.add(found[0].mark, f"{key}：{zh}", f"{key}: {en}")

    def done(self) -> None:
        """Note every key that nobody took."""
        for key, _ in self.node.entries:
            if key.text not in self._known and key.text not in self._refused:
                self._problems.add(
                    key.mark, f"未知的键 {key.text}", f"unknown key {key.text}", self._known, key.text
                )


def as_mapping(node: Node | None, problems: Problems) -> Mapping | None:
    """The node as a mapping."""
    if node is None or isinstance(node, Mapping):
        return node
    zh, en = "此处应为 键: 值", "expected keys and values (key: value)"
    if isinstance(node, Scalar) and "：" in node.text:
        zh, en = f"{zh}；冒号须用半角（: 加空格）", f"{en}; use the ASCII colon and a space, not ："
    problems.add(node.mark, zh, en)
    return None


def as_items(node: Node | None, problems: Problems) -> tuple[Node, ...] | None:
    """The items of a list."""
    if node is None:
        return None
    if isinstance(node, Sequence):
        return node.items
    problems.add(
        node.mark, "此处应为列表（[a, b] 或每行一个 - a）", "expected a list ([a, b], or one - a per line)"
    )
    return None


def as_text(node: Node | None, problems: Problems) -> str | None:
    """A text on one line."""
    found = _scalar(node, problems, Text("一段文字", "a text"))
    if found is None:
        return None
    text = found.text.strip()
    if not text or len(text) > TEXT_LIMIT or "\n" in text:
        problems.add(
            found.mark,
            f"应为一行文字，1 至 {TEXT_LIMIT} 个字符",
            f"expected a text on one line, 1 to {TEXT_LIMIT} characters",
        )
        return None
    return text


def as_word(node: Node | None, valid: Iterable[str], problems: Problems) -> str | None:
    """One of a set of words."""
    words = tuple(valid)
    found = _scalar(node, problems, Text("一个词", "a word"), words)
    if found is None or found.text in words:
        return None if found is None else found.text
    problems.add(
        found.mark, f"{_quote(found.text)} 不可用", f"{_quote(found.text)} is not valid here", words, found.text
    )
    return None


def as_bool(node: Node | None, problems: Problems) -> bool | None:
    """On or off, in any of the usual words."""
    found = _scalar(node, problems, Text("on 或 off", "on or off"))
    if found is None:
        return None
    try:
        return Switch().parse(found.text)
    except BadValue:
        problems.add(found.mark, "应为 on 或 off", "expected on or off", ("on", "off"))
        return None


def as_int(node: Node | None, low: int, high: int, problems: Problems) -> int | None:
    """A whole number, decimal."""
    range_ = Text(f"{low} 至 {high} 的整数", f"a whole number from {low} to {high}")
    found = _scalar(node, problems, range_)
    if found is None:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", found.text) or not low <= int(found.text) <= high:
        problems.add(
            found.mark,
            f"应为{range_.zh}，写的是 {_quote(found.text)}",
            f"expected {range_.en}, got {_quote(found.text)}",
        )
        return None
    return int(found.text)


def as_seconds(node: Node | None, low: float, high: float, problems: Problems) -> float | None:
    """A duration (`200ms`, `1.5s`, `5min`, `1h`) in seconds."""
    wanted = Text(
        f"时长，如 200ms、1.5s、5min（{low:g} 至 {high:g} s）",
        f"a duration such as 200ms, 1.5s, 5min ({low:g} to {high:g} s)",
    )
    found = _scalar(node, problems, wanted)
    if found is None:
        return None
    match = _DURATION.fullmatch(found.text)
    seconds = None if match is None else float(match[1]) * _UNITS[match[2]]
    if seconds is None or not low <= seconds <= high:
        problems.add(
            found.mark,
            f"应为{wanted.zh}，写的是 {_quote(found.text)}",
            f"expected {wanted.en}, got {_quote(found.text)}",
        )
        return None
    return seconds


def as_name(node: Node | None, problems: Problems) -> Text | None:
    """A name for people: `{zh: .., en: ..}`, or one text for both languages."""
    if not isinstance(node, Mapping):
        text = as_text(node, problems)
        return None if text is None else Text(text, text)
    fields = Fields(node, problems)
    zh, en = as_text(fields.take("zh"), problems), as_text(fields.take("en"), problems)
    fields.done()
    if zh is None and en is None:
        if not node.entries:
            problems.add(node.mark, "应为 {zh: 中文名, en: English}", "expected {zh: .., en: ..}")
        return None
    return Text(zh or en or "", en or zh or "")


def plain(node: Node) -> Any:
    """The node as dict, list and str."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def missing(mark: Mark, wanted: Text, problems: Problems, valid: Iterable[str] = ()) -> None:
    """Note that nothing stands where a value must."""
    problems.add(mark, f"此处为空，应为{wanted.zh}", f"nothing here, expected {wanted.en}", valid)


def _scalar(node: Node | None, problems: Problems, wanted: Text, valid: Iterable[str] = ()) -> Scalar | None:
    if node is None:
        return None
    if not isinstance(node, Scalar):
        problems.add(node.mark, f"此处应为{wanted.zh}", f"expected {wanted.en}", valid)
        return None
    if node.is_null:
        missing(node.mark, wanted, problems, valid)
        return None
    return node


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
