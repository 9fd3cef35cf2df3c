"""Numbers, copies and sockets: what VISCA over IP asks of a controller, for one connection.

A number is taken when the bytes leave, not when the exchange is made: a strict camera refuses a gap, and an
exchange that is made but never handed over must not leave one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ecc_controld.sdk import Answer, Exchange, Refusal, RemoteProtocolError, Verdict

from .codec import (
    BUFFER_FULL,
    CANCELLED,
    COMMAND,
    CONTROL,
    INQUIRY,
    NO_SOCKET,
    NOT_EXECUTABLE,
    NUMBERS,
    RESET,
    SYNTAX,
    WRONG_NUMBER,
    Message,
    What,
    cancel,
    datagram,
    packet,
)

RESENDS = 2
SOCKETS = (1, 2)

Conclude = Callable[[Sequence[bytes]], "Answer | Refusal"]
"""Makes the answer of an exchange from the data of its parts (empty for commands)."""


@dataclass(frozen=True)
class Part:
    """One datagram of an exchange. `answers`: lengths of data that its answer may have (inquiries).

    `awaited`: whether the exchange waits for its answer. `when_full`: only sent once the camera has said that
    both sockets are busy.
    """

    kind: int
    payload: bytes
    awaited: bool = True
    answers: tuple[int, ...] = ()
    when_full: bool = False


class Dialogue:
    """The state of one connection: the last number given out, and which sockets of the camera are at work."""

    def __init__(self, *, address: int, fixed: bool, answer_s: float) -> None:
        self.fixed = fixed
        self.copy_after_s = answer_s / (RESENDS + 1)
        self.last = 0
        self.running: dict[int, int] = {}
        self._address = address

    def take_number(self) -> int:
        """The next sequence number. The first one after RESET is 1: the RESET itself stands for 0."""
        if not self.fixed:
            self.last = (self.last + 1) % NUMBERS
        return self.last

    def command(self, *bodies: bytes, urgent: bool = False) -> Exchange:
        """Commands that leave together; the answer is there when each of them is accepted.

        While both sockets of the camera are at work it refuses anything further, a stop included. What comes
        now replaces what we have running, so that is cancelled first; an `urgent` command also cancels what
        somebody else has running, once it is refused for that.
        """
        full = set(SOCKETS) <= set(self.running)
        parts: list[Part] = []
        if full or urgent:
            parts = [Part(COMMAND, self._packet(cancel(n)), awaited=False, when_full=not full) for n in SOCKETS]
        parts += [Part(COMMAND, self._packet(body)) for body in bodies]
        return NumberedExchange(self, parts, lambda _: Answer())

    def inquiry(self, conclude: Conclude, *questions: tuple[bytes, tuple[int, ...]]) -> Exchange:
        """Inquiries that leave together, each with the lengths that its answer may have."""
        return NumberedExchange(
            self, [Part(INQUIRY, self._packet(body), answers=lengths) for body, lengths in questions], conclude
        )

    def hello(self, conclude: Conclude, question: tuple[bytes, tuple[int, ...]]) -> Exchange:
        """RESET and one inquiry behind it. Only the inquiry's answer counts: some cameras never answer RESET."""
        self.last = 0
        self.running.clear()
        ask = Part(INQUIRY, self._packet(question[0]), answers=question[1])
        reset = [] if self.fixed else [Part(CONTROL, RESET, awaited=False)]
        return NumberedExchange(self, [*reset, ask], conclude)

    def heard(self, message: Message) -> None:
        """A message that answers no exchange: completions and copies. Raises RemoteProtocolError for a number
        that was never given out.
        """
        self.note(message)
        if self.fixed or message.what in (What.NETWORK, What.RESET):
            return
        if (self.last - message.number) % NUMBERS >= NUMBERS // 2:
            raise RemoteProtocolError(f"an answer to number {message.number}, which was never asked")

    def note(self, message: Message) -> None:
        """Keep count of the camera's sockets."""
        if message.what is What.ACK:
            self.running[message.socket] = message.number
            return
        held = self.running.get(message.socket)
        if held is None or not (message.what is What.DONE or message.code in (CANCELLED, NO_SOCKET)):
            return
        if self.fixed or held <= message.number:  # an older copy says nothing about what runs there now
            del self.running[message.socket]

    def _packet(self, body: bytes) -> bytes:
        return packet(self._address, body)


class NumberedExchange(Exchange):
    """An exchange whose datagrams get their numbers when they are first looked at, that is when they leave.

    A copy consists of the parts that are still unanswered: under their old numbers, or under new ones where
    the camera has turned the old number down.
    """

    def __init__(self, dialogue: Dialogue, parts: Sequence[Part], conclude: Conclude) -> None:
        self.__dict__.update(  # a frozen dataclass; `send` and `more` are properties here
            judge=self._judge,
            timeout_s=None,
            resends=RESENDS,
            _dialogue=dialogue,
            _parts=tuple(parts),
            _conclude=conclude,
            _numbers={},
            _got={},
            _clock=[],
            _full=[],
        )

    _dialogue: Dialogue
    _parts: tuple[Part, ...]
    _conclude: Conclude
    _numbers: dict[int, int]
    _got: dict[int, bytes]
    _clock: list[float]
    _full: list[int]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"NumberedExchange({[part.payload.hex(' ') for part in self._parts]})"

    @property
    def send(self) -> bytes:
        """The first datagram."""
        return self._datagrams()[0]

    @property
    def more(self) -> tuple[bytes, ...]:
        """The datagrams behind it."""
        return tuple(self._datagrams()[1:])

    def _datagrams(self) -> list[bytes]:
        if not self._clock:
            self._clock.append(time.monotonic())
        out = []
        for index, part in enumerate(self._parts):
            if index in self._got or (part.when_full and not self._full):
                continue
            if index not in self._numbers:
                self._numbers[index] = 0 if part.kind == CONTROL else self._dialogue.take_number()
            out.append(datagram(part.kind, self._numbers[index], part.payload))
        return out

    # -- judging -----------------------------------------------------------------------------------------

    def _judge(self, message: Any) -> Verdict:
        index = self._about(message)
        if index is None:
            return None
        if message.what is What.FAULT:
            return self._fault(index, message)
        verdict = self._take(index, message)
        return self._all() if verdict is None else verdict

    def _about(self, message: Message) -> int | None:
        """Which awaited part without an answer a message is about."""
        if message.what in (What.NETWORK, What.RESET):
            return None
        for index, part in enumerate(self._parts):
            if not part.awaited or index in self._got or index not in self._numbers:
                continue
            if self._fits(part, message) if self._dialogue.fixed else message.number == self._numbers[index]:
                return index
        return None

    @staticmethod
    def _fits(part: Part, message: Message) -> bool:
        # Without numbers only the shape tells what an answer belongs to.
        if message.what in (What.ERROR, What.FAULT):
            return message.code != CANCELLED  # said of a command that had been accepted before
        if part.kind == INQUIRY:
            return message.what is What.ANSWER and len(message.data) in part.answers
        return message.what is What.ACK

    def _take(self, index: int, message: Message) -> Verdict:
        part = self._parts[index]
        self._dialogue.note(message)
        if message.what is What.ERROR:
            if message.code == BUFFER_FULL and self._parts[0].when_full and self._copies() < RESENDS:
                self._full.append(index)
                del self._numbers[index]
                return None  # the next copy makes room first
            return refusal(message.code, inquiry=part.kind == INQUIRY)
        if part.kind == INQUIRY:
            if message.what is not What.ANSWER:
                return None  # some cameras acknowledge inquiries too
            if len(message.data) not in part.answers:
                raise RemoteProtocolError(f"{message.data.hex(' ')} does not answer {part.payload.hex(' ')}")
        elif message.what is What.ANSWER:
            raise RemoteProtocolError(f"data in the answer to a command: {message.data.hex(' ')}")
        self._got[index] = message.data
        return None

    def _copies(self) -> int:
        """How many copies have been sent, by the clock: the session sends them, spread over the time-out."""
        return int((time.monotonic() - self._clock[0]) / self._dialogue.copy_after_s)

    def _all(self) -> Verdict:
        awaited = [index for index, part in enumerate(self._parts) if part.awaited]
        if all(index in self._got for index in awaited):
            return self._conclude([self._got[index] for index in awaited])
        return None

    def _fault(self, index: int, message: Message) -> Verdict:
        """`0F 01`: the camera did not expect this number (delivery rules 2 and 3)."""
        if message.code != WRONG_NUMBER:
            return Refusal(f"message type not accepted (0F {message.code:02X})")
        if self._copies() == 0 or self._dialogue.fixed:
            if any(earlier in self._numbers and earlier not in self._got for earlier in range(index)):
                return None  # only because the one before it (a RESET too) was lost: both are sent again
            raise RemoteProtocolError(f"the camera does not accept number {message.number}")
        if self._parts[index].kind == COMMAND and self._numbers[index] == self._dialogue.last:
            self._got[index] = b""  # nothing later was sent, so it is the copy that is refused
            return self._all()
        # An inquiry, or a later number has been accepted while this one was lost: its copy is refused all the
        # same. Either way it is sent anew under a new number, by the next copy or by the core.
        del self._numbers[index]
        return None if self._copies() < RESENDS else Refusal("the answer was lost on the way", busy=True)


def refusal(code: int, *, inquiry: bool) -> Refusal:
    """What a `6y code` means for us."""
    if code == SYNTAX:
        return Refusal("syntax error: the camera does not know this", not_fitted=inquiry)
    if code == BUFFER_FULL:
        return Refusal("both command sockets are busy", busy=True)
    if code == NOT_EXECUTABLE:
        return Refusal("not executable now (standby, starting, or in a menu)", busy=True)
    if code == CANCELLED:
        return Refusal("cancelled", busy=True)
    if code == NO_SOCKET:
        return Refusal("no such socket")
    return Refusal(f"error {code:02X}")
