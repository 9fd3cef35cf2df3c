"""PJLink displays, class 1 and 2: projectors, flat panels and the splicing screens that offer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

from ecc_controld.sdk import (
    Answer,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    LinkError,
    LinkRefused,
    LocalProtocolError,
    Reading,
    Refusal,
    Rejected,
    Session,
    Value,
    Verdict,
)

from .codec import (
    ERRORS,
    FAILURE,
    NOT_NOW,
    OUT_OF_RANGE,
    UNKNOWN_COMMAND,
    Greeting,
    Message,
    PJLinkCodec,
    Reply,
    class_of,
    digest,
    needs_class_2,
    request,
)
from .points import (
    PJLinkOptions,
    fault_readings,
    freeze_reading,
    input_kind,
    lamp_reading,
    make_points,
    mute_reading,
    power_readings,
    signal_reading,
)

GREETING_S = 4.0
"""A unit that still drops an earlier session greets late; the specification has no time for it."""

WRONG_DIGEST = "ERRA"

_MEANING = {
    UNKNOWN_COMMAND: "the unit does not know this command",
    OUT_OF_RANGE: "out of range for this unit",
    NOT_NOW: "not now (standby, warming up, cooling down or busy)",
    FAILURE: "the unit has a failure",
}
_MUTE_TYPE = {"picture": "1", "sound": "2", "both": "3"}
_BITS = {True: "1", False: "0"}


@dataclass(frozen=True)
class _Question:
    """One command that reads back some points. `level`: the class that it belongs to."""

    command: str
    level: int
    points: tuple[str, ...]
    read: Callable[[str], tuple[Reading, ...]]


class PJLink(Driver):
    """Driver of everything that speaks PJLink on TCP 4352."""

    name = "pjlink"
    port = 4352
    Options: ClassVar[type[Any]] = PJLinkOptions
    # One command is outstanding at a time (2.1). The specification allows 2 s for an answer and many units need
    # more. Polling this often keeps a unit from closing an idle connection (about 30 s).
    window = 1
    answer_s = 3.0
    poll_s = 2.0

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._options: PJLinkOptions = config.options
        self._inputs = input_kind(self._options.inputs, config.sources)
        self.points = {point.name: point for point in make_points(self._options, self._inputs)}
        self._wide = any(needs_class_2(str(code)) for code in self._inputs.words.values())
        self._level = 1
        self._absent: set[str] = set()
        self._ask_in(1)

    def codec(self) -> PJLinkCodec:
        return PJLinkCodec()

    async def attach(self, session: Session) -> Identity:
        self._absent = set()
        greeting = await _greeting(session)
        self._ask_in(await self._log_in(session, greeting))
        maker, model, name = [await _text(session, command) for command in ("INF1", "INF2", "NAME")]
        product = f"{maker} {model}".strip()
        if self._options.model.casefold() not in product.casefold():
            raise LinkRefused("wrong_model", f"it is a {product!r}, configured is {self._options.model!r}")
        serial = firmware = ""
        if self._level == 2:
            serial, firmware = await _text(session, "SNUM", 2), await _text(session, "SVER", 2)
        return Identity(product or f"PJLink class {self._level}", name, serial, firmware)

    def observe(self) -> Sequence[Exchange]:
        # What the unit said it does not know is not asked again; power always is, so that silence is noticed.
        return [
            self._ask(question)
            for question in self._questions
            if question.level <= self._level and question.command not in self._absent
        ]

    def query(self, point: str) -> Exchange:
        question = self._where[point]
        return self._ask(question) if question.level <= self._level else self._lacking(question)

    def write(self, point: str, value: Value) -> Exchange:
        if point == "input":
            code = str(self._inputs.code(value))
            return _tell("INPT", code, self._where["input"].level)
        if not isinstance(value, bool):
            raise LocalProtocolError(f"{point} cannot become {value!r}")
        if point == "power":
            return _tell("POWR", _BITS[value])
        if point == "mute":
            return _tell("AVMT", _MUTE_TYPE[self._options.mutes] + _BITS[value])
        if point != "freeze":
            raise LocalProtocolError(f"{point} is read only")
        return _tell("FREZ", _BITS[value], 2) if self._level == 2 else self._lacking(self._where[point])

    # -- inside ------------------------------------------------------------------------------------------

    def _ask_in(self, level: int) -> None:
        """Choose the questions for a unit of this class."""
        self._level = level
        # Only class 2 can name inputs beyond 59; otherwise its class 1 form is what every unit knows.
        wide = 2 if self._wide and level == 2 else 1
        mutes = self._options.mutes
        self._questions = (
            _Question("POWR", 1, ("power", "power.state"), power_readings),
            _Question("INPT", wide, ("input",), self._input_reading),
            _Question("AVMT", 1, ("mute",), lambda value: mute_reading(value, mutes)),
            _Question("FREZ", 2, ("freeze",), freeze_reading),
            _Question("ERST", 1, tuple(p for p in self.points if p.startswith("fault.")), fault_readings),
            _Question("LAMP", 1, ("lamp.hours",), lamp_reading),
            _Question("IRES", 2, ("signal",), signal_reading),
        )
        self._where = {point: question for question in self._questions for point in question.points}

    def _input_reading(self, value: str) -> tuple[Reading, ...]:
        return (Reading("input", self._inputs.word(value.upper())),)

    def _ask(self, question: _Question) -> Exchange:
        def judge(message: Message) -> Verdict:
            if not _answers(message, question.command, question.level) or message.word == "OK":
                return None  # (an acknowledgement answers no question)
            if message.word not in ERRORS:
                return Answer(question.read(message.value))
            if message.word == UNKNOWN_COMMAND and question.command != "POWR":
                self._absent.add(question.command)
            if message.word == NOT_NOW and question.command == "IRES":
                return Answer(signal_reading("*"))  # what arrived before standby arrives no more
            return _refusal(message)

        return Exchange(request(question.command, "?", question.level), judge)

    def _lacking(self, question: _Question) -> Exchange:
        """A unit of class 1 may be silent to class 2; its class, asked anew, is the answer."""

        def judge(message: Message) -> Verdict:
            if not _answers(message, "CLSS", 1):
                return None
            reason = f"{question.command} is a command of class 2; the unit says class {message.value[:20]}"
            return Refusal(reason, not_fitted=True)

        return Exchange(request("CLSS", "?"), judge)

    async def _log_in(self, session: Session, greeting: Greeting) -> int:
        """Send the first command, with the digest before it where one is asked for; returns the unit's class."""
        proof = b""
        if greeting.salt is not None:
            if not self.config.secret:
                raise LinkRefused("wrong_password", "the unit asks for a password and none is configured")
            proof = digest(greeting.salt, self.config.secret)
        try:
            answer = await session.exchange(Exchange(proof + request("CLSS", "?"), _first))
        except Rejected as error:
            if error.reason == WRONG_DIGEST:
                raise LinkRefused("wrong_password", "the unit answered PJLINK ERRA") from error
            raise LinkError("not_ready", error.reason) from error
        return class_of(answer.detail)


async def _greeting(session: Session) -> Greeting:
    """The greeting (5). Raises LinkError: a unit for one client closes, or lets a second one wait unheard."""
    try:
        greeting = await session.receive(_only_greeting, GREETING_S)
    except LinkError as error:
        if session.lost is None and error.code == "no_answer":
            hint = "it hangs, or another program holds its only session"
            raise LinkError("no_answer", f"no greeting within {GREETING_S:g} s: {hint}") from error
        if error.code in ("closed_by_device", "reset"):
            raise LinkError("session_taken", "closed before it greeted") from error
        raise
    if greeting.refused:
        raise LinkRefused("wrong_password", "the unit greeted with PJLINK ERRA")
    return greeting


def _only_greeting(message: Message) -> Greeting:
    if not isinstance(message, Greeting):
        raise LinkError("protocol_error", f"{message.command} answered before the greeting")
    return message


def _first(message: Message) -> Verdict:
    """Judges the answer to the first command, which is CLSS: the class, or the word on our digest."""
    if isinstance(message, Greeting):
        return Refusal(WRONG_DIGEST) if message.refused else None
    if not _answers(message, "CLSS", 1):
        return None
    if message.word in (NOT_NOW, FAILURE, WRONG_DIGEST):
        return Refusal(WRONG_DIGEST if message.word == WRONG_DIGEST else f"CLSS: {_MEANING[message.word]}")
    return Answer(detail="1" if message.word in ERRORS else message.value)


async def _text(session: Session, command: str, level: int = 1) -> str:
    """What the unit says about itself; empty if it does not want to."""

    def judge(message: Message) -> Verdict:
        if not _answers(message, command, level):
            return None
        shown = "".join(c for c in message.value if c.isprintable()).strip()
        return Answer(detail="" if message.word in ERRORS else shown)

    return (await session.exchange(Exchange(request(command, "?", level), judge))).detail


def _tell(command: str, parameter: str, level: int = 1) -> Exchange:
    """A command; its answer is OK or one of the errors, nothing else."""

    def judge(message: Message) -> Verdict:
        if not _answers(message, command, level):
            return None
        if message.word in ERRORS:
            return _refusal(message)
        return Answer() if message.word == "OK" else None

    return Exchange(request(command, parameter, level), judge)


def _answers(message: Message, command: str, level: int) -> TypeGuard[Reply]:
    return isinstance(message, Reply) and (message.command, message.level) == (command, level)


def _refusal(reply: Reply) -> Refusal:
    return Refusal(
        f"{reply.word} to {reply.command}: {_MEANING[reply.word]}",
        busy=reply.word == NOT_NOW,
        not_fitted=reply.word == UNKNOWN_COMMAND,
    )
