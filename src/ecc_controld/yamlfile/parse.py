"""From text to a tree of nodes. Only the plain core of YAML: maps, lists, texts.

What surprises people is left out: anchors and aliases, merge keys, tags, several documents, keys that are not
text, words that turn into booleans, times or octal numbers. Type is given by the place, not by the look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from ecc_controld.sdk.text import Text

from .nodes import Mapping, Mark, Node, Problems, Scalar, Sequence
from .source import Source

MAX_DEPTH = 20
MAX_NODES = 50_000

WIDE_COLON = "\uff1a"
_WIDE_KEY = re.compile(rf"[ -]*[^\s:#\"'{{\[]+(?={WIDE_COLON})")

_TOO_DEEP = Text(f"嵌套超过 {MAX_DEPTH} 层", f"nested deeper than {MAX_DEPTH} levels")

# The parser in C reads a full-size file in a fraction of a second; the one in Python gives the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stop(Exception):
    """The file cannot be read further; the problem is noted."""


def parse(source: Source, problems: Problems) -> Node | None:
    """The tree of a file. None, and problems, if it is empty or not strict YAML."""
    before = len(problems)
    reader = _Reader(source, problems)
    try:
        node = reader.document(yaml.parse(source.text, Loader=_LOADER))
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        reader.syntax(error)
        return None
    except yaml.YAMLError as error:
        problems.add(Mark(source.file), f"不是有效的 YAML：{error}", f"not valid YAML: {error}")
        return None
    return node if len(problems) == before else None


class _Reader:
    """Builds the tree from the parser's events."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self._file = source.file
        self._text = source.text
        self._problems = problems
        self._nodes = 0

    def document(self, events: Iterator[Any]) -> Node:
        self._events = events
        for event in events:
            if isinstance(event, yaml.StreamStartEvent):
                continue
            if not isinstance(event, yaml.DocumentStartEvent):
                break
            if event.version or event.tags:
                self._stop(event, "不支持 % 指令；请删除", "directives (%) are not supported; delete them")
            node = self._node(next(events), 1)
            next(events)  # the end of the document
            self._only(next(events))
            return node
        self._problems.add(Mark(self._file), "文件是空的", "the file is empty")
        raise _Stop

    def syntax(self, error: yaml.MarkedYAMLError) -> None:
        """Note what the parser could not read."""
        at = error.problem_mark or error.context_mark
        mark = Mark(self._file) if at is None else Mark(self._file, at.line + 1, at.column + 1)
        what = error.problem or "syntax error"
        if "nesting depth" in what:  # the parser looks ahead, and has a limit of its own
            self._problems.add(mark, _TOO_DEEP.zh, _TOO_DEEP.en)
            return
        if (wide := self._wide_colon(mark.line)) is not None:
            en = f"a full-width colon {WIDE_COLON} ends no key; write : and a space"
            self._problems.add(wide, f"键后是全角冒号“{WIDE_COLON}”；请改为半角冒号加空格", en)
            return
        hint = " (check the indentation, and quote texts that hold a colon, # or brackets)"
        zh = "YAML 语法错误：请检查缩进和括号；含冒号、# 或括号的文字请加引号"
        self._problems.add(mark, zh, f"YAML syntax error: {what}{hint}")

    def _wide_colon(self, line: int) -> Mark | None:
        """Where a key ends in a full-width colon: in the line that the parser stumbled over, or the one before it."""
        lines = self._text.splitlines()
        for number in (line - 1, line):
            found = _WIDE_KEY.match(lines[number - 1]) if 0 < number <= len(lines) else None
            if found:
                return Mark(self._file, number, found.end() + 1)
        return None

    def _only(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._stop(
                event, "一个文件只能有一个文档；请删除后面的 ---", "one document a file; remove the second ---"
            )

    def _node(self, event: Any, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, f"超过 {MAX_NODES} 项；请拆分文件", f"more than {MAX_NODES} items; split the file")
        if depth > MAX_DEPTH:
            self._stop(event, *_TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            self._stop(event, "不支持别名（*）；请写出内容", "aliases (*) are not supported; write it out")
        if event.anchor is not None:
            self._stop(event, "不支持锚点（&）；请写出内容", "anchors (&) are not supported; write it out")
        if event.tag is not None:
            self._stop(event, "不支持标签（!）；请删除", "tags (!) are not supported; delete it")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, bool(event.style), self._mark(event))
        return (
            self._sequence(event, depth) if isinstance(event, yaml.SequenceStartEvent) else self._map(event, depth)
        )

    def _sequence(self, start: Any, depth: int) -> Sequence:
        items = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, depth + 1))
        return Sequence(tuple(items), self._mark(start))

    def _map(self, start: Any, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if self._good_key(key, entries):
                assert isinstance(key, Scalar)
                entries[key.text] = (key, value)
        return Mapping(tuple(entries.values()), self._mark(start))

    def _good_key(self, key: Node, entries: dict[str, tuple[Scalar, Node]]) -> bool:
        add = self._problems.add
        if not isinstance(key, Scalar):
            add(
                key.mark,
                "键必须是文字（含花括号的文字请加引号）",
                "a key must be a text (quote texts with braces)",
            )
        elif key.is_null:
            add(key.mark, "键是空的", "the key is empty")
        elif key.text == "<<" and not key.quoted:
            add(key.mark, "不支持合并键（<<）；请写出内容", "merge keys (<<) are not supported; write it out")
        elif key.text in entries:
            line = entries[key.text][0].mark.line
            zh = f"键 {key.text} 重复，第 {line} 行已有；请删除一处"
            add(key.mark, zh, f"key {key.text} is given twice, first in line {line}; remove one")
        else:
            return True
        return False

    def _stop(self, event: Any, zh: str, en: str) -> None:
        self._problems.add(self._mark(event), zh, en)
        raise _Stop

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
