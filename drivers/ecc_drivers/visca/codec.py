"""VISCA over IP: datagrams to messages and back. Pure: no sockets, no clock.

Framing, control messages and errors: Sony SRG-300H technical manual p. 28-31; command bytes: the command lists
of the same manual and of PTZOptics cameras. The version inquiry: Sony BRC-300, BRC-H900 and FCB-EV7500 manuals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ecc_controld.sdk import LocalProtocolError, RemoteProtocolError

COMMAND = 0x0100
INQUIRY = 0x0110
REPLY = 0x0111
CONTROL = 0x0200
CONTROL_REPLY = 0x0201

HEADER = struct.Struct(">HHI")
PAYLOAD_LIMIT = 16
NUMBERS = 1 << 32
END = 0xFF

RESET = b"\x01"

SYNTAX = 0x02
BUFFER_FULL = 0x03
CANCELLED = 0x04
NO_SOCKET = 0x05
NOT_EXECUTABLE = 0x41

WRONG_NUMBER = 0x01

STOP = 0x03
PAN = {-1: 0x01, 0: STOP, 1: 0x02}
"""Left, stop, right."""
TILT = {1: 0x01, 0: STOP, -1: 0x02}
"""Up, stop, down."""


class What(Enum):
    """What a message of the camera says."""

    ACK = "accepted, running in a socket"
    DONE = "completed"
    ANSWER = "answer to an inquiry"
    ERROR = "refused"
    NETWORK = "network change"
    RESET = "numbers start anew"
    FAULT = "message not accepted"


@dataclass(frozen=True)
class Message:
    """One message of the camera. `socket` 1 or 2 where it has one; `code` of ERROR and FAULT; `data` of ANSWER."""

    what: What
    number: int
    socket: int = 0
    code: int = 0
    data: bytes = b""


class ViscaCodec:
    """Datagrams to messages. Holds nothing: a datagram carries exactly one message."""

    def feed(self, data: bytes) -> Iterable[Message]:
        """The message of one datagram; raises RemoteProtocolError for anything that VISCA over IP is not."""
        if len(data) < HEADER.size:
            raise RemoteProtocolError(f"a datagram of {len(data)} bytes is no VISCA over IP")
        kind, length, number = HEADER.unpack_from(data)
        payload = data[HEADER.size :]
        if length != len(payload) or not 1 <= length <= PAYLOAD_LIMIT:
            raise RemoteProtocolError(f"payload of {len(payload)} bytes, announced {length}")
        if kind == REPLY:
            return [_reply(number, payload)]
        if kind in (CONTROL, CONTROL_REPLY):
            return [_control(kind, number, payload)]
        raise RemoteProtocolError(f"a camera does not send type {kind:04x}")


def _reply(number: int, payload: bytes) -> Message:
    if payload[-1] != END or payload.count(END) != 1 or len(payload) < 3:
        raise RemoteProtocolError(f"not a VISCA packet: {payload.hex(' ')}")
    head, body = payload[1], payload[2:-1]
    if head == 0x38 and not body:
        return Message(What.NETWORK, number)  # whatever its first byte is
    if payload[0] & 0x0F or not 0x90 <= payload[0] <= 0xF0:
        raise RemoteProtocolError(f"not from a camera: {payload.hex(' ')}")
    kind, socket = head >> 4, head & 0x0F
    if kind == 4 and not body:
        return Message(What.ACK, number, socket)
    if kind == 5:
        return Message(What.ANSWER, number, data=body) if body else Message(What.DONE, number, socket)
    if kind == 6 and len(body) == 1:
        return Message(What.ERROR, number, socket, code=body[0])
    raise RemoteProtocolError(f"unknown VISCA reply: {payload.hex(' ')}")


def _control(kind: int, number: int, payload: bytes) -> Message:
    if len(payload) == 2 and payload[0] == 0x0F:
        return Message(What.FAULT, number, code=payload[1])
    if kind == CONTROL_REPLY and payload == RESET:
        return Message(What.RESET, number)
    raise RemoteProtocolError(f"unknown control message: {payload.hex(' ')}")


def datagram(kind: int, number: int, payload: bytes) -> bytes:
    """One message in its header."""
    if not 1 <= len(payload) <= PAYLOAD_LIMIT:
        raise LocalProtocolError(f"a payload of {len(payload)} bytes does not fit into VISCA over IP")
    return HEADER.pack(kind, len(payload), number % NUMBERS) + payload


def nibbles(value: int, digits: int) -> bytes:
    """`value` as that many bytes `0n`, two's complement; raises LocalProtocolError if it does not fit."""
    if not -(1 << (4 * digits - 1)) <= value < 1 << (4 * digits):
        raise LocalProtocolError(f"{value} does not fit into {digits} digits")
    return bytes((value >> 4 * n) & 0x0F for n in reversed(range(digits)))


def number_of(data: bytes, *, signed: bool) -> int:
    """The number in bytes `0n`; raises RemoteProtocolError if a high half is not zero."""
    value = 0
    for byte in data:
        if byte > 0x0F:
            raise RemoteProtocolError(f"not a number in half bytes: {data.hex(' ')}")
        value = value << 4 | byte
    return value - (1 << 4 * len(data)) if signed and data and data[0] >= 8 else value


# -- payloads, without the address byte and the end mark; `packet` adds them ---------------------------------

POWER_INQUIRY = bytes.fromhex("09 04 00")
ZOOM_INQUIRY = bytes.fromhex("09 04 47")
PAN_TILT_INQUIRY = bytes.fromhex("09 06 12")
VERSION_INQUIRY = bytes.fromhex("09 00 02")


def packet(address: int, body: bytes) -> bytes:
    """The VISCA packet for the camera at `address` (81 over IP)."""
    if END in body:
        raise LocalProtocolError(f"FF inside a packet: {body.hex(' ')}")
    return bytes((address,)) + body + bytes((END,))


def power(on: bool) -> bytes:
    """Power on or to standby."""
    return bytes((0x01, 0x04, 0x00, 0x02 if on else 0x03))


def recall(number: int) -> bytes:
    """Go to a stored preset."""
    return bytes((0x01, 0x04, 0x3F, 0x02, number))


def zoom_to(position: int) -> bytes:
    """Absolute zoom, 0 wide to 4000 hex tele."""
    return bytes((0x01, 0x04, 0x47)) + nibbles(position, 4)


def zoom_drive(direction: int, speed: int) -> bytes:
    """Zoom until stopped: direction 1 tele, -1 wide, 0 stop; speed 0..7."""
    return bytes((0x01, 0x04, 0x07, {1: 0x20 | speed, -1: 0x30 | speed, 0: 0x00}[direction]))


def pan_tilt_drive(pan: int, tilt: int, pan_speed: int, tilt_speed: int) -> bytes:
    """Turn until stopped: pan -1 left, 1 right; tilt -1 down, 1 up; both 0 stops. Speeds are never 0."""
    return bytes((0x01, 0x06, 0x01, pan_speed, tilt_speed, PAN[pan], TILT[tilt]))


def pan_tilt_to(pan: int, tilt: int, pan_speed: int, tilt_speed: int, pan_digits: int) -> bytes:
    """Absolute pan and tilt."""
    head = bytes((0x01, 0x06, 0x02, pan_speed, tilt_speed))
    return head + nibbles(pan, pan_digits) + nibbles(tilt, 4)


def cancel(socket: int) -> bytes:
    """Cancel the command that runs in a socket."""
    return bytes((0x20 | socket,))


@dataclass(frozen=True)
class Version:
    """Answer to the version inquiry: vendor (0001 or 0020 Sony), model code, ROM revision, number of sockets."""

    vendor: int
    model: int
    rom: int
    sockets: int


def version(data: bytes) -> Version:
    """The version in an answer; raises RemoteProtocolError."""
    if len(data) != 7:
        raise RemoteProtocolError(f"not a version: {data.hex(' ')}")
    return Version(*struct.unpack(">HHHB", data))
