"""PJLink grammar, class 1 and 2: lines that end in one CR. No I/O.

Facts: the project's protocol sheet and the section numbers of "PJLink Specifications" 2.00 (JBMIA) that it cites:
2.2 messages and errors, 4 commands, 5 authentication.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ecc_controld.sdk import DelimitedFramer, LocalProtocolError, RemoteProtocolError

PARAMETER_LIMIT: Final = 128
"""Bytes of one parameter (2.2)."""

LINE_LIMIT: Final = 256
"""The longest line of the specification has 136 bytes; units with long names exceed it."""

UNKNOWN_COMMAND: Final = "ERR1"
OUT_OF_RANGE: Final = "ERR2"
NOT_NOW: Final = "ERR3"
FAILURE: Final = "ERR4"
ERRORS: Final = frozenset({UNKNOWN_COMMAND, OUT_OF_RANGE, NOT_NOW, FAILURE})

FAULTS: Final = ("fan", "lamp", "temperature", "cover", "filter", "other")
"""What the six digits of ERST stand for, in their order (4.7)."""

LAMPS: Final = 8
"""So many lamps LAMP may list (4.8)."""

_REPLY: Final = re.compile(r"%([12])([A-Za-z0-9]{4})=(.*)", re.DOTALL)
_GREETING: Final = re.compile(r"PJLINK (?:0|1 ([!-~]{1,32})|(ERRA))", re.IGNORECASE)
_COMMAND: Final = re.compile(r"[A-Z0-9]{4}")
_INPUT: Final = re.compile(r"[1-6][1-9A-Z]")
_CLASS_1_INPUT: Final = re.compile(r"[1-5][1-9]")
_FAULT_DIGITS: Final = re.compile(r"[0-9]{6}")
_LAMP_PAIRS: Final = re.compile(r"[0-9]{1,7} [01](?: [0-9]{1,7} [01])*")


@dataclass(frozen=True)
class Greeting:
    """What the display says first (5): no password (`salt` None), or the salt of the digest.

    `refused`: `PJLINK ERRA`, the answer to a wrong digest; the display then closes.
    """

    salt: str | None = None
    refused: bool = False


@dataclass(frozen=True)
class Reply:
    """`%` class command `=` value (2.2). `level` is 1 or 2, `command` upper case, `value` as it came."""

    level: int
    command: str
    value: str

    @property
    def word(self) -> str:
        """The value in upper case: `OK`, `ERR1` and codes are compared so, some units answer in lower case."""
        return self.value.upper()


Message: TypeAlias = Greeting | Reply


class PJLinkCodec:
    """Cuts the stream at CR. Empty lines and the LF of units that send CR LF are skipped."""

    def __init__(self) -> None:
        self._framer = DelimitedFramer(b"\r", LINE_LIMIT)

    def feed(self, data: bytes) -> Iterable[Message]:
        """All messages that are complete now; raises RemoteProtocolError for a line that is no PJLink."""
        for frame in self._framer.feed(data):
            line = frame.removeprefix(b"\n")
            if line:
                yield _parsed(line)


def _parsed(line: bytes) -> Message:
    # Names may be in any character set, whatever the specification says (UTF-8); they are only shown.
    text = line.decode("utf-8", "replace")
    if found := _REPLY.fullmatch(text):
        return Reply(int(found[1]), found[2].upper(), found[3])
    if found := _GREETING.fullmatch(text.rstrip(" ")):
        return Greeting(salt=found[1], refused=found[2] is not None)
    raise RemoteProtocolError(f"not PJLink: {line[:40]!r}")


def request(command: str, parameter: str, level: int = 1) -> bytes:
    """One command line (2.2); raises LocalProtocolError for what the grammar cannot say."""
    raw = parameter.encode("ascii", "replace")
    if level not in (1, 2) or not _COMMAND.fullmatch(command):
        raise LocalProtocolError(f"no PJLink command: class {level} {command!r}")
    if not raw.decode().isprintable() or not parameter.isascii() or not 1 <= len(raw) <= PARAMETER_LIMIT:
        raise LocalProtocolError(f"no PJLink parameter: {parameter!r}")
    return b"%%%d%s %s\r" % (level, command.encode(), raw)


def digest(salt: str, password: str) -> bytes:
    """What stands directly before the first command of a connection (5): 32 hex digits."""
    # The protocol prescribes MD5; it protects against a look at the wire, not against an attacker on it.
    return hashlib.md5((salt + password).encode(), usedforsecurity=False).hexdigest().encode()


def is_input(code: str) -> bool:
    """Whether `code` can name an input: type and number (4.3)."""
    return _INPUT.fullmatch(code) is not None


def needs_class_2(code: str) -> bool:
    """Whether an input can be told only in class 2 (type 6, or a number above 9)."""
    return _CLASS_1_INPUT.fullmatch(code) is None


def class_of(value: str) -> int:
    """The class in a reply to CLSS; some units answer in words (`Class 2`)."""
    return 2 if "2" in value else 1


def fault_digits(value: str) -> tuple[str, ...] | None:
    """The six digits of ERST, None if they are not six digits."""
    return tuple(value) if _FAULT_DIGITS.fullmatch(value) else None


def lamp_hours(value: str) -> int | None:
    """The hours of the lamp that has burnt longest; None for text that is not pairs of hours and state."""
    if not _LAMP_PAIRS.fullmatch(value):
        return None
    hours = value.split(" ")[::2]
    return max(map(int, hours)) if len(hours) <= LAMPS else None
