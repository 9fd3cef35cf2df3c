"""A small device of our own for tests of the core: a line protocol, its driver and its twin.

`SET name value` -> `OK name value` or `NO name reason`; `GET name` -> `VAL name value`. Points: `a b c` (integers),
`mute` (switch), `preset` (guarded by mute, disturbs c), `lamp` (blind), and an action `ping`. `HandBox` has more for
hands: `pan` (momentary, moves `place`), `level` (dB), `label` (text), `heat` (read-only, fleeting).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ecc_controld.sdk import (
    Action,
    Address,
    Answer,
    Choice,
    Codec,
    DelimitedFramer,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    Integer,
    LinkRefused,
    Number,
    Peer,
    Point,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Switch,
    TcpTwin,
    Text,
    Value,
    Words,
)


class LineCodec:
    def __init__(self) -> None:
        self._framer = DelimitedFramer(b"\n", 200)

    def feed(self, data: bytes) -> Iterable[list[str]]:
        for line in self._framer.feed(data):
            try:
                yield line.decode("ascii").split(" ")
            except UnicodeDecodeError:
                raise RemoteProtocolError("not ASCII") from None


@dataclass(frozen=True)
class Options:
    settle: float = 0.5
    model: str = "linebox"


def _text(name: str) -> Text:
    return Text(f"{name} 点", name)


class LineBox(Driver):
    name = "linebox"
    port = 7000
    Options = Options
    answer_s: ClassVar[float] = 0.5
    poll_s: ClassVar[float] = 0.5

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        settle = config.options.settle
        numbers = [
            Point(name=n, kind=Integer(0, 9999), title=_text(n), trait="number", settle_s=settle, requery_s=0.02)
            for n in "abc"
        ]
        rest = [
            Point(name="mute", kind=Switch(), title=_text("mute"), trait="mute", settle_s=settle, requery_s=0.02),
            Point(
                name="preset",
                kind=Choice({"duty": 0, "emergency": 1}),
                title=_text("preset"),
                trait="preset",
                settle_s=settle,
                requery_s=0.02,
                disturbs=frozenset({"c"}),
                quiet_s=0.1,
                guard={"mute": True},
            ),
            Point(name="lamp", kind=Integer(0, 9), title=_text("lamp"), trait="light", access="write"),
        ]
        self.points = {point.name: point for point in [*numbers, *rest]}
        self.actions = {"ping": Action("ping", _text("ping"))}

    def codec(self) -> Codec:
        return LineCodec()

    async def attach(self, session: Session) -> Identity:
        answer = await session.exchange(Exchange(b"GET model\n", lambda m: _answer(m, "VAL", "model")))
        if answer.detail != self.config.options.model:
            raise LinkRefused("wrong_model", answer.detail)
        return Identity(model=answer.detail)

    def observe(self) -> Sequence[Exchange]:
        return [self.query(name) for name, point in self.points.items() if point.readable]

    def query(self, point: str) -> Exchange:
        def judge(message: list[str]) -> Answer | None:
            found = _answer(message, "VAL", point)
            return found and Answer((Reading(point, self._value(point, found.detail)),))

        return Exchange(f"GET {point}\n".encode(), judge)

    def write(self, point: str, value: Value) -> Exchange:
        kind = self.points[point].kind
        code = kind.code(value) if isinstance(kind, Choice) else int(value)

        def judge(message: list[str]) -> Answer | Refusal | None:
            if message[:2] == ["NO", point]:
                return Refusal(message[2], busy=message[2] == "busy")
            return _answer(message, "OK", point)

        return Exchange(f"SET {point} {code}\n".encode(), judge)

    def act(self, action: str) -> Exchange:
        return Exchange(f"SET {action} 1\n".encode(), lambda m: _answer(m, "OK", action))

    def heard(self, message: list[str]) -> Sequence[Reading]:
        if message[:1] == ["PUSH"] and len(message) == 3 and message[1] in self.points:
            return [Reading(message[1], self._value(message[1], message[2]))]
        return super().heard(message)

    def _value(self, point: str, text: str) -> Value:
        kind = self.points[point].kind
        if not text.isascii() or not text.removeprefix("-").isdecimal():
            raise RemoteProtocolError(f"not a value of {point}: {text!r}")
        if isinstance(kind, Choice):
            return kind.word(int(text))
        return text == "1" if isinstance(kind, Switch) else int(text)


def _answer(message: list[str], word: str, point: str) -> Answer | None:
    return Answer(detail=message[2]) if message[:2] == [word, point] and len(message) == 3 else None


class PipelinedBox(LineBox):
    window: ClassVar[int] = 16
    pipelines: ClassVar[bool] = True


class HandBox(LineBox):
    """With what people move by hand. The head turns while `pan` is renewed and rests at a `place`."""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        settle = config.options.settle
        more = [
            Point(
                name="pan",
                kind=Integer(-5, 5),
                title=_text("pan"),
                trait="move",
                access="momentary",
                stop=0,
                disturbs=frozenset({"place"}),
            ),
            Point(
                name="place",
                kind=Integer(-9999, 9999),
                title=_text("place"),
                trait="place",
                settle_s=settle,
                requery_s=0.02,
            ),
            Point(
                name="level",
                kind=Number(-60, 10, "dB", 0.05),
                title=_text("level"),
                trait="gain",
                settle_s=settle,
                requery_s=0.02,
            ),
            Point(
                name="label", kind=Words(16), title=_text("label"), trait="text", settle_s=settle, requery_s=0.02
            ),
            Point(
                name="heat",
                kind=Number(0, 90, "°C"),
                title=_text("heat"),
                trait="temperature",
                access="read",
                fleeting=True,
            ),
        ]
        self.points = {**self.points, **{point.name: point for point in more}}

    def write(self, point: str, value: Value) -> Exchange:
        if isinstance(self.points[point].kind, Number | Words):
            return Exchange(f"SET {point} {value}\n".encode(), lambda m: _answer(m, "OK", point))
        return super().write(point, value)

    def _value(self, point: str, text: str) -> Value:
        kind = self.points[point].kind
        if isinstance(kind, Number):
            return float(text)
        return text if isinstance(kind, Words) else super()._value(point, text)


class LineTwin(TcpTwin):
    """`slow_s`: how long a value takes to become true after its acknowledgement."""

    slow_s: float = 0.0
    turn_s: float = 0.02
    preset_moves_c: bool = True

    def power_on(self) -> None:
        names = ("a", "b", "c", "mute", "preset", "lamp", "ping", "pan", "place", "level", "label", "heat")
        self.state: dict[str, str] = dict.fromkeys(names, "0")
        self.state["model"] = "linebox"

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        peer.buffer += data
        *lines, rest = bytes(peer.buffer).split(b"\n")
        peer.buffer[:] = rest
        return lines

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        verb, name, *rest = frame.decode().split(" ")
        if verb == "GET":
            return [f"VAL {name} {self.state[name]}\n".encode()]
        if self.rejecting:
            return [f"NO {name} refused\n".encode()]
        if not self.ignoring:
            self._set(name, rest[0])
        return [f"OK {name} {rest[0]}\n".encode()]

    def _set(self, name: str, value: str) -> None:
        def become() -> None:
            was, self.state[name] = self.state[name], value
            if name == "preset" and self.preset_moves_c:
                self.state["c"] = "77"
            if name == "pan" and value != "0" and was == "0":
                self.later(self.turn_s, self._turn)

        if self.slow_s:
            self.later(self.slow_s, become)
        else:
            become()

    def _turn(self) -> None:
        step = int(self.state["pan"])
        if step:
            self.state["place"] = str(int(self.state["place"]) + step)
            self.later(self.turn_s, self._turn)

    def poke(self, point: str, value: Value) -> None:
        self.state[point] = str(int(value)) if not isinstance(value, str) else value
        self.push(f"PUSH {point} {self.state[point]}\n".encode())

    def writes(self) -> list[str]:
        """The commands that changed something, in order."""
        return [
            line
            for entry in self.log
            if entry.who == "daemon"
            for line in entry.data.decode().splitlines()
            if line.startswith("SET ")
        ]


def config(device: str = "box", **options: Any) -> DeviceConfig:
    return DeviceConfig(device, _text(device), Address("tcp", "127.0.0.1", 1), Options(**options))
