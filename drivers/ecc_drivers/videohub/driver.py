"""Blackmagic Videohub: a matrix switcher with routes, locks and labels, pushed by the hub on every change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ecc_controld.sdk import (
    Answer,
    Choice,
    ConfigError,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    LinkError,
    LinkRefused,
    LocalProtocolError,
    Point,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Text,
    Value,
    Verdict,
    Words,
)

from .codec import (
    DEVICE,
    END_PRELUDE,
    INPUT_LABELS,
    LOCKS,
    OUTPUT_LABELS,
    PREAMBLE,
    ROUTING,
    Ack,
    Block,
    Message,
    Nak,
    VideohubCodec,
    question,
    request,
)

DUMP_S = 6.0
"""How long the state dump may take as a whole."""

QUIET_S = 0.3
"""Firmware before END PRELUDE: the dump is over when the line has been quiet for so long."""

PORTS_LIMIT = 1024

_LOCK = Choice(
    words={"free": "U", "held": "O"},
    aliases={
        **dict.fromkeys(("true", "on", "locked", "锁定"), "held"),
        **dict.fromkeys(("false", "off", "unlocked", "解锁"), "free"),
    },
)
_LOCK_READINGS = {"U": "free", "O": "held", "L": "other"}


@dataclass(frozen=True)
class VideohubOptions:
    """`inputs`, `outputs`: the size of the hub, checked when connecting. `model`: the model name that it must
    report, empty for any. `force_unlock`: "free" also breaks the lock of another client. `labels`: show the
    hub's own labels as read-only points (two more questions a poll).
    """

    inputs: int = 40
    outputs: int = 40
    model: str = ""
    force_unlock: bool = False
    labels: bool = False


@dataclass(frozen=True)
class _Table:
    """One indexed block of the hub: `points` by wire index, `value` what a line's text means as a reading."""

    header: str
    points: tuple[str, ...]
    value: Callable[[str], Value]
    needed: bool = False

    def readings(self, block: Block) -> tuple[Reading, ...]:
        """What a block says about our points; indices beyond the configured size are skipped."""
        size = len(self.points)
        return tuple(
            Reading(self.points[index], self.value(text))
            for index, text in block.entries().items()
            if index < size
        )


@dataclass
class _Question:
    """Judges the answer to a whole-block question: first ACK, then the block with every line.

    A block before the ACK was said before the hub read the question, and a block with some lines is another
    client's change: neither is the answer.
    """

    table: _Table
    acked: bool = False

    def __call__(self, message: Message) -> Verdict:
        if isinstance(message, Block):
            if not self.acked or message.header != self.table.header:
                return None
            readings = self.table.readings(message)
            return Answer(readings) if len(readings) == len(self.table.points) else None
        if self.acked:
            return None
        if isinstance(message, Nak):
            return Refusal(f"NAK to {self.table.header}", not_fitted=not self.table.needed)
        self.acked = _take(message)
        return None


def _accepted(message: Message) -> Verdict:
    """Judges a change, which ends at ACK or NAK; what came of it is for the read-back."""
    if isinstance(message, Nak):
        return Refusal("NAK: the hub will not do it (is the output locked?)")
    return Answer() if isinstance(message, Ack) and _take(message) else None


def _take(ack: Ack) -> bool:
    """Make an ACK ours, unless an earlier question has it."""
    if ack.taken:
        return False
    ack.taken = True
    return True


@dataclass
class _Dump:
    """What the hub said about itself after connecting ("Initial Status Dump")."""

    version: str = ""
    device: dict[str, str] = field(default_factory=dict)
    routing: Block | None = None
    ended: bool = False

    @property
    def may_end(self) -> bool:
        """Whether silence now means that the dump is complete."""
        return bool(self.device) and self.routing is not None

    def take(self, message: Message) -> None:
        """Note one message; raises LinkError("not_ready") when the hub has no device to speak for."""
        if not isinstance(message, Block):
            raise LinkError("protocol_error", f"{type(message).__name__.upper()} before any request")
        if message.header == PREAMBLE:
            self.version = message.fields().get("version", "")
        elif message.header == DEVICE:
            self.device = message.fields()
            if absent := _absent(self.device):
                raise LinkError("not_ready", absent)
        elif message.header == ROUTING:
            self.routing = message
        elif message.header == END_PRELUDE:
            self.ended = True


class Videohub(Driver):
    """Driver of every Videohub that speaks the Ethernet protocol 2.x on port 9990."""

    name = "videohub"
    port = 9990
    Options: ClassVar[type[Any]] = VideohubOptions
    # ACK carries no id, so one request is outstanding at a time; poll and answer together stay below 5 s,
    # which makes the protocol's own keepalive (PING) needless.
    window = 1
    answer_s = 2.0
    poll_s = 2.0

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._options: VideohubOptions = config.options
        for option in ("inputs", "outputs"):
            if not 1 <= getattr(self._options, option) <= PORTS_LIMIT:
                text = Text(f"矩阵的 {option} 为 1 至 {PORTS_LIMIT}", f"a hub has 1 to {PORTS_LIMIT} {option}")
                raise ConfigError(text, option=option)
        self._sources = _source_kind(config.sources, self._options.inputs)
        self._words = tuple(self._sources.words)
        self._tables = self._make_tables()
        self._by_header = {table.header: table for table in self._tables}
        self._where = {point: (table, n) for table in self._tables for n, point in enumerate(table.points)}
        self.points = {point.name: point for point in self._make_points()}

    def codec(self) -> VideohubCodec:
        return VideohubCodec()

    async def attach(self, session: Session) -> Identity:
        dump = _Dump()
        try:
            async with asyncio.timeout(DUMP_S):
                while not dump.ended:
                    await _listen(session, dump)
        except TimeoutError:
            raise LinkError("no_answer", f"the state dump did not end within {DUMP_S:g} s") from None
        self._check(dump)
        device = dump.device
        return Identity(
            model=device.get("model name", ""),
            name=device.get("friendly name", ""),
            serial=device.get("unique id", ""),
            firmware=f"protocol {dump.version}".rstrip(),
        )

    def observe(self) -> Sequence[Exchange]:
        return [_ask(table) for table in self._tables]

    def query(self, point: str) -> Exchange:
        return _ask(self._where[point][0])

    def write(self, point: str, value: Value) -> Exchange:
        table, index = self._where[point]
        if table.header == ROUTING:
            text = str(self._sources.code(value))
        elif table.header == LOCKS:
            text = str(_LOCK.code(value))
            if text == "U" and self._options.force_unlock:
                text = "F"  # reads back as U
        else:
            raise LocalProtocolError(f"{point} is read only")
        return Exchange(request(table.header, [(index, text)]), _accepted)

    def heard(self, message: Message) -> Sequence[Reading]:
        if isinstance(message, Ack) and message.taken:
            return ()  # a question has it and waits for its block
        if not isinstance(message, Block):
            raise RemoteProtocolError(f"{type(message).__name__.upper()} without a request")
        if message.header == DEVICE:
            fields = message.fields()
            trouble = _absent(fields) or self._mismatch(fields)
            if trouble:
                raise RemoteProtocolError(trouble)  # the next attach says which reason code
            return ()
        table = self._by_header.get(message.header)
        return table.readings(message) if table else ()

    # -- inside ------------------------------------------------------------------------------------------

    def _make_tables(self) -> tuple[_Table, ...]:
        outs = [f"out.{n}" for n in range(1, self._options.outputs + 1)]
        ins = [f"in.{n}" for n in range(1, self._options.inputs + 1)]
        tables = [
            _Table(ROUTING, tuple(outs), self._source, needed=True),
            _Table(LOCKS, tuple(f"{out}.lock" for out in outs), _lock_reading),
        ]
        if self._options.labels:
            tables.append(_Table(INPUT_LABELS, tuple(f"{one}.label" for one in ins), str))
            tables.append(_Table(OUTPUT_LABELS, tuple(f"{out}.label" for out in outs), str))
        return tuple(tables)

    def _make_points(self) -> list[Point]:
        made = []
        for n in range(1, self._options.outputs + 1):
            lock, title = f"out.{n}.lock", Text(f"输出 {n}", f"Output {n}")
            # A route follows its lock: freeing may be what allows it, and the owner of a lock may route.
            made.append(
                Point(name=f"out.{n}", kind=self._sources, title=title, trait="source", after=frozenset({lock}))
            )
            title = Text(f"输出 {n} 锁定", f"Output {n} lock")
            made.append(Point(name=lock, kind=_LOCK, title=title, trait="lock"))
        for table in self._tables[2:]:
            zh, en = ("输入", "Input") if table.header == INPUT_LABELS else ("输出", "Output")
            for n, name in enumerate(table.points, 1):
                title = Text(f"{zh} {n} 标签", f"{en} {n} label")
                made.append(Point(name=name, kind=Words(), title=title, trait="label", access="read"))
        return made

    def _source(self, text: str) -> str:
        """The canonical value of a routing line's input."""
        text = text.strip()
        if not (text.isascii() and text.isdecimal()) or len(text) > 5:
            return f"<{text}>"
        index = int(text)
        return self._words[index] if index < len(self._words) else f"<{index + 1}>"

    def _check(self, dump: _Dump) -> None:
        """Raises LinkRefused for another model or size, LinkError for a dump that lacks outputs."""
        if trouble := self._mismatch(dump.device):
            raise LinkRefused("wrong_model", trouble)
        known = 0 if dump.routing is None else len(self._tables[0].readings(dump.routing))
        if known < self._options.outputs:
            raise LinkError("protocol_error", f"the dump routes {known} of {self._options.outputs} outputs")

    def _mismatch(self, fields: Mapping[str, str]) -> str:
        """How the device differs from the configured one, in what it says at all; empty if it does not."""
        model = fields.get("model name")
        if self._options.model and model is not None and _plain(model) != _plain(self._options.model):
            return f"the hub is a {model!r}, configured is {self._options.model!r}"
        for option, key in (("inputs", "video inputs"), ("outputs", "video outputs")):
            said = fields.get(key)
            # Only the number counts: one server glues the next line to it.
            number = re.match(r"[0-9]{1,5}", said) if said is not None else None
            want = getattr(self._options, option)
            if said is not None and (number is None or int(number[0]) != want):
                return f"the hub says {key}: {said[:40]}, configured are {want}"
        return ""


async def _listen(session: Session, dump: _Dump) -> None:
    """Take the next message into the dump; silence after the essentials ends it (older firmware)."""
    try:
        message: Message = await session.receive(_anything, QUIET_S if dump.may_end else None)
    except LinkError:
        if not dump.may_end or session.lost is not None:
            raise
        dump.ended = True
    else:
        dump.take(message)


def _anything(message: Message) -> Message:
    return message


def _ask(table: _Table) -> Exchange:
    return Exchange(question(table.header), _Question(table))


def _absent(fields: Mapping[str, str]) -> str:
    """Why the hub cannot serve now, empty if it can: `Device present` is `true`, `false` or `needs_update`."""
    present = fields.get("device present", "true")
    return "" if present.startswith("true") else f"Device present: {present[:40]}"


def _lock_reading(text: str) -> str:
    text = text.strip()
    return _LOCK_READINGS.get(text, f"<{text}>")


def _plain(model: str) -> str:
    return "".join(model.split()).casefold()


def _source_kind(sources: Mapping[str, str], inputs: int) -> Choice:
    """The kind of a route: one word an input (its first source word, else its number), and other spellings.

    Raises ConfigError for a source at an input that the hub lacks, or a word that means another input.
    """
    valid = tuple(f"in.{n}" for n in range(1, inputs + 1))
    numbers = {name: n for n, name in enumerate(valid)}
    numbers.update((str(n), n - 1) for n in range(1, inputs + 1))
    words: dict[int, str] = {}
    spellings = dict(numbers)
    for word, at in sources.items():
        if at not in valid:
            raise ConfigError(
                Text(
                    f"信号源 {word!r} 接在 {at!r}，本矩阵只有 in.1 至 {valid[-1]}",
                    f"source {word!r} is at {at!r}, this hub has in.1 to {valid[-1]}",
                ),
                valid=valid,
            )
        if numbers.get(word, numbers[at]) != numbers[at]:
            raise ConfigError(
                Text(
                    f"信号源 {word!r}（{at}）与另一个输入同名",
                    f"source {word!r} at {at} has the name of another input",
                )
            )
        words.setdefault(numbers[at], word)
        spellings[word] = numbers[at]
    canonical = {words.get(n, str(n + 1)): n for n in range(inputs)}
    by_index = tuple(canonical)
    return Choice(
        words=canonical,
        aliases={word: by_index[n] for word, n in spellings.items() if word not in canonical},
    )
