"""The shape of a codec: bytes to messages, no I/O, no clock; and the framers that most protocols need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from .errors import RemoteProtocolError


class Codec(Protocol):
    """Turns received bytes into messages. One instance lives as long as one connection.

    `feed` must give the same messages however the bytes are cut, keep its buffer bounded, and raise nothing
    but RemoteProtocolError. For datagram wires each call carries exactly one datagram.
    """

    def feed(self, data: bytes) -> Iterable[Any]:
        """All messages that are complete now."""


class DelimitedFramer:
    """Cuts a byte stream at a delimiter; raises RemoteProtocolError past `limit` bytes without one."""

    def __init__(self, delimiter: bytes, limit: int) -> None:
        self._delimiter = delimiter
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now, without their delimiter."""
        self._buffer += data
        *frames, rest = bytes(self._buffer).split(self._delimiter)
        self._buffer = bytearray(rest)
        if len(rest) > self._limit or any(len(frame) > self._limit for frame in frames):
            self._buffer.clear()
            raise RemoteProtocolError(f"more than {self._limit} bytes without an end of frame")
        return frames
