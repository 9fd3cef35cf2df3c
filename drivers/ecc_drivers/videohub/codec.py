"""Videohub Ethernet Protocol 2.x, sans-I/O: bytes to blocks, requests to bytes.

Sections named here are those of the manual's "Developer Information" ("Initial Status Dump", "Status Updates",
"Requesting Changes", "Requesting a Status Dump"). Everything on the wire is counted from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ecc_controld.sdk import LocalProtocolError, RemoteProtocolError

PREAMBLE = "PROTOCOL PREAMBLE"
DEVICE = "VIDEOHUB DEVICE"
INPUT_LABELS = "INPUT LABELS"
OUTPUT_LABELS = "OUTPUT LABELS"
ROUTING = "VIDEO OUTPUT ROUTING"
LOCKS = "VIDEO OUTPUT LOCKS"
END_PRELUDE = "END PRELUDE"

BLOCK_LIMIT = 256 * 1024
"""Bytes of one block: the labels of a 288 x 288 hub in Chinese take about 60 KiB."""

_HEADER = re.compile(r"[A-Z][A-Z0-9 ]{0,62}:")
_INDEX_DIGITS = 5


@dataclass(frozen=True)
class Block:
    """One block: its header without the colon, and its lines as they came."""

    header: str
    lines: tuple[str, ...] = ()

    def entries(self) -> dict[int, str]:
        """`index value` lines as a table; the value may be empty or hold blanks. Unknown lines are skipped."""
        found = {}
        for line in self.lines:
            index, _, value = line.partition(" ")
            if index.isascii() and index.isdecimal() and len(index) <= _INDEX_DIGITS:
                found[int(index)] = value
        return found

    def fields(self) -> dict[str, str]:
        """`Name: value` lines as a table, names in lower case. Unknown lines are skipped."""
        pairs = (line.partition(":") for line in self.lines)
        return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


@dataclass(eq=False)
class Ack:
    """The hub understood a request. It has no id, so whoever takes one marks it: it answers one question."""

    taken: bool = False


@dataclass(eq=False)
class Nak:
    """The hub did not understand a request, or will not do it."""


Message: TypeAlias = Block | Ack | Nak


class VideohubCodec:
    """Cuts what the hub sends into blocks, ACK and NAK; raises RemoteProtocolError for what is none of them."""

    def __init__(self, limit: int = BLOCK_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now."""
        # No value can hold a line break, so CR only ever belongs to a line end.
        self._buffer += data.replace(b"\r", b"")
        while (end := self._buffer.find(b"\n\n", self._seen)) >= 0:
            self._check(end)
            raw = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._seen = 0
            text = raw.decode("utf-8", "replace").lstrip("\n")
            if text:
                yield _message(text)
        # The last byte may be the first half of the next empty line.
        self._seen = max(0, len(self._buffer) - 1)
        self._check(self._seen)

    def _check(self, length: int) -> None:
        if length > self._limit:
            self._buffer.clear()
            self._seen = 0
            raise RemoteProtocolError(f"more than {self._limit} bytes without an empty line")


def _message(text: str) -> Message:
    header, *lines = text.split("\n")
    if not lines and header == "ACK":
        return Ack()
    if not lines and header == "NAK":
        return Nak()
    if _HEADER.fullmatch(header) is None:
        raise RemoteProtocolError(f"not a block header: {header[:80]!r}")
    return Block(header[:-1], tuple(lines))


def request(header: str, entries: Iterable[tuple[int, str]]) -> bytes:
    """A change of some entries of a block ("Requesting Changes"); raises LocalProtocolError."""
    lines = [f"{index} {value}" for index, value in entries]
    if not lines:
        raise LocalProtocolError(f"a change of {header} without a line would be a question")
    if any("\n" in line or "\r" in line for line in lines):
        raise LocalProtocolError(f"a line break cannot be said in {header}")
    return "\n".join((f"{header}:", *lines, "", "")).encode()


def question(header: str) -> bytes:
    """The request to send a whole block again ("Requesting a Status Dump"): the header and an empty line."""
    return f"{header}:\n\n".encode()
