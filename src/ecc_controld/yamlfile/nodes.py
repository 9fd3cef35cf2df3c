"""What a file holds, with positions, and what is wrong in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

TOLD = 500
"""A file that is nothing but errors must not take minutes to say so."""

SHOWN = 12
"""How many valid names a sentence lists; a problem's `valid` carries them all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text. `quoted`: written in quotes or as a block, so that `"null"` is a word and `null` is nothing."""

    text: str
    quoted: bool
    mark: Mark

    @property
    def is_null(self) -> bool:
        """Whether nothing stands here: empty, `~` or `null`."""
        return not self.quoted and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; keys are unique."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def entry(self, key: str) -> tuple[Scalar, Node] | None:
        """The key (with its position) and its value."""
        return next((entry for entry in self.entries if entry[0].text == key), None)

    def get(self, key: str) -> Node | None:
        """The value of a key."""
        found = self.entry(key)
        return None if found is None else found[1]


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Problem:
    """One error in a file: where, what was expected, what to do. `valid` are the names that would do."""

    file: str
    line: int
    column: int
    message: Text
    valid: tuple[str, ...] = ()
    nearest: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message.en} / {self.message.zh}"

    def as_warning(self) -> str:
        """The line of what is no error."""
        return f"{self.file}:{self.line}:{self.column}: warning: {self.message.en} / {self.message.zh}"


class FilesInvalid(EccError):
    """Files that cannot be used; carries every problem of all of them, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Problems:
    """Collects problems, so that all errors are told at once. Past the first `TOLD` they are only counted."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._more: Mark | None = None
        self._untold = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found) + self._untold

    def add(self, mark: Mark, zh: str, en: str, valid: Iterable[str] = (), word: str | None = None) -> None:
        """Note a problem. With `valid`, the sentence lists them and names the nearest to `word`."""
        if len(self._found) >= TOLD:  # looking for the nearest name takes long
            self._over(mark)
            return
        names = tuple(valid)
        near = None if word is None else nearest(word, names)
        listed = one_of(names)
        if names:
            zh, en = f"{zh}；可用：{listed.zh}", f"{en}; valid: {listed.en}"
        if near is not None:
            zh, en = f"{zh}；是否想写 {near}？", f"{en}; did you mean {near}?"
        self.put(Problem(mark.file, mark.line, mark.column, Text(zh, en), names, near))

    def put(self, problem: Problem) -> None:
        """Note a problem that was found elsewhere."""
        if len(self._found) >= TOLD:
            self._over(Mark(problem.file, problem.line, problem.column))
        else:
            self._found[problem] = None

    def all(self) -> tuple[Problem, ...]:
        """Every problem once, by file and position."""
        told = tuple(sorted(self._found, key=lambda p: (p.file, p.line, p.column)))
        if self._more is None:
            return told
        text = Text(f"此后还有 {self._untold} 处错误未列出", f"{self._untold} more errors are not listed")
        return (*told, Problem(self._more.file, self._more.line, self._more.column, text))

    def _over(self, mark: Mark) -> None:
        self._more = self._more or mark
        self._untold += 1

    def raise_any(self) -> None:
        """Raise FilesInvalid if there is a problem."""
        if self._found:
            raise FilesInvalid(self.all())


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid name that `word` was probably meant to be."""
    near = difflib.get_close_matches(word[:100], tuple(valid), 1)
    return near[0] if near else None


def one_of(names: Iterable[str]) -> Text:
    """A list of names for a sentence, cut where it gets long."""
    found = tuple(names)
    if len(found) <= SHOWN:
        return Text("、".join(found), ", ".join(found))
    few = found[:SHOWN]
    return Text(f"{'、'.join(few)} 等 {len(found)} 项", f"{', '.join(few)} and {len(found) - SHOWN} more")
