"""An emulated PTZ camera on VISCA over IP: two sockets, strict numbers, motors that take their time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from ecc_controld.sdk import DeviceConfig, Peer, UdpTwin, Value

from .motion import Axis

PAN_TILT = frozenset({"pan", "tilt"})
ZOOM = frozenset({"zoom"})
ALL = PAN_TILT | ZOOM

PAN_STEPS, TILT_STEPS, ZOOM_STEPS = 24, 23, 7
HOME = (0, 0)
SPREAD = 97
"""How far apart the presets stand whose place nobody configured."""


@dataclass(frozen=True)
class Job:
    """A command that runs in a socket."""

    peer: Peer
    number: int
    moves: frozenset[str]


class ViscaTwin(UdpTwin):
    """One camera. Its times and habits are class attributes: a test or a sample hall may set others.

    `strict`: the numbers of a peer go up by exactly 1, and inquiries come as type 0110. Without it any higher
    number and any type will do, as many real cameras have it. `fixed_number`: does not look at numbers and
    always answers with this one. `answers_reset`, `knows_version`: cameras exist that do not.
    """

    strict: ClassVar[bool] = True
    fixed_number: ClassVar[int | None] = None
    answers_reset: ClassVar[bool] = True
    knows_version: ClassVar[bool] = True
    model: ClassVar[tuple[int, int, int]] = (0x0001, 0x050B, 0x0100)

    power_up_s: ClassVar[float] = 2.0
    boot_s: ClassVar[float] = 4.0
    """How long it is deaf after a power cut: long enough to be missed, as with a real camera."""
    pan_full_s: ClassVar[float] = 3.0
    tilt_full_s: ClassVar[float] = 2.0
    zoom_full_s: ClassVar[float] = 2.0
    recall_s: ClassVar[float] = 0.2
    """What a recall takes on top of the way."""

    pan_range: ClassVar[tuple[int, int]] = (-2448, 2448)
    fine_pan_range: ClassVar[tuple[int, int]] = (-61440, 61440)
    """Of a model that counts pan with five digits."""
    tilt_range: ClassVar[tuple[int, int]] = (-432, 1296)
    zoom_range: ClassVar[tuple[int, int]] = (0, 0x4000)

    def __init__(self, config: DeviceConfig) -> None:
        self._digits = int(getattr(config.options, "pan_digits", 4))
        self._address = int(getattr(config.options, "address", 0x81))
        places = {word: tuple(place) for word, place in getattr(config.options, "positions", {}).items()}
        numbers = {word: int(number) for word, number in config.presets.items()}
        self.words = places
        self.stored: dict[int, tuple[int, ...]] = {
            number: places.get(word, (SPREAD * (number + 1), 0, 10 * SPREAD * (number % 10)))
            for word, number in numbers.items()
        }
        """What is stored under each preset number; survives a power cut, as in the camera's own memory."""
        super().__init__(config)

    def power_on(self) -> None:
        ranges = {
            "pan": (*(self.fine_pan_range if self._digits == 5 else self.pan_range), self.pan_full_s),
            "tilt": (*self.tilt_range, self.tilt_full_s),
            "zoom": (*self.zoom_range, self.zoom_full_s),
        }
        known = list(zip(*self.stored.values(), *self.words.values(), strict=True)) or [(0,)] * len(ranges)
        # A place that the configuration names lies within reach, whatever the range of this model.
        self.axes = {
            name: Axis(min(low, *places), max(high, *places), full_s)
            for (name, (low, high, full_s)), places in zip(ranges.items(), known, strict=True)
        }
        self.power = True
        self.starting = False
        self.booting = False
        self.autofocus = True
        self.last_preset = 0
        self.sockets: dict[int, Job] = {}

    @property
    def place(self) -> tuple[int, ...]:
        """Pan, tilt and zoom now."""
        return tuple(axis.where(time.monotonic()) for axis in self.axes.values())

    def poke(self, point: str, value: Value) -> None:
        """Turn the camera by hand, or press its power button. VISCA pushes nothing."""
        if point == "power":
            if not isinstance(value, bool):
                raise ValueError("on or off")
            self._switch(value)
        elif point == "preset":
            text = str(value)
            place = tuple(map(int, text[3:].split(","))) if text.startswith("at:") else self.words.get(text, ())
            if len(place) != len(self.axes):
                raise ValueError(f"no place is known for {text!r}")
            for axis, at in zip(self.axes.values(), place, strict=True):
                axis.jump(at)
        else:
            axis = self.axes[point.removeprefix("position.")]
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError("a whole number")
            axis.jump(value)

    async def _reboot(self) -> None:
        await super()._reboot()
        self.booting = True
        self.later(self.boot_s, self._booted)

    def _booted(self) -> None:
        self.booting = False

    # -- datagrams ---------------------------------------------------------------------------------------

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        return () if self.booting else (data,)

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        length = int.from_bytes(frame[2:4], "big")
        payload = frame[8:]
        if len(frame) < 9 or length != len(payload) or length > 16:
            return
        kind, number = frame[:2], int.from_bytes(frame[4:8], "big")
        if kind == b"\x02\x00":
            if payload == b"\x01":
                peer.memory["last"] = -1
                if self.answers_reset:
                    yield self._frame(b"\x02\x01", number, b"\x01")
            return
        if not self._in_sequence(peer, number):
            yield self._frame(b"\x02\x00", number, b"\x0f\x01")
            return
        if not self._right_type(kind, payload):
            yield self._frame(b"\x02\x00", number, b"\x0f\x02")
            return
        yield from (self._frame(b"\x01\x11", number, reply) for reply in self._visca(peer, number, payload))

    def _in_sequence(self, peer: Peer, number: int) -> bool:
        last = peer.memory.get("last")
        if self.fixed_number is not None:
            return True
        if last is not None:
            # The RESET may or may not count as number 0: both are seen.
            fine = number in (0, 1) if last == -1 else number == (last + 1) % (1 << 32)
            if not fine and (self.strict or number <= last):
                return False
        peer.memory["last"] = number
        return True

    def _right_type(self, kind: bytes, payload: bytes) -> bool:
        inquiry = payload[1:2] == b"\x09"
        if self.strict:
            return kind == (b"\x01\x10" if inquiry else b"\x01\x00")
        return kind in (b"\x01\x00", b"\x01\x10")

    def _frame(self, kind: bytes, number: int, payload: bytes) -> bytes:
        shown = number if self.fixed_number is None else self.fixed_number
        return kind + len(payload).to_bytes(2, "big") + shown.to_bytes(4, "big") + payload

    # -- VISCA -------------------------------------------------------------------------------------------

    def _visca(self, peer: Peer, number: int, payload: bytes) -> Iterator[bytes]:
        if payload[0] != self._address or payload[-1] != 0xFF or len(payload) < 3:
            return  # not for this camera
        body = payload[1:-1]
        if body[0] == 0x09:
            yield self._inquire(body)
        elif body == b"\x01\x00\x01":
            yield self._clear()
        elif len(body) == 1 and body[0] & 0xF0 == 0x20:
            yield self._cancel(body[0] & 0x0F)
        else:
            yield from self._command(peer, number, body)

    def _inquire(self, body: bytes) -> bytes:
        pan, tilt, zoom = self.place
        answers = {
            b"\x09\x04\x00": bytes((0x02 if self.power else 0x03,)),
            b"\x09\x04\x38": bytes((0x02 if self.autofocus else 0x03,)),
            b"\x09\x04\x3f": bytes((self.last_preset,)),
            b"\x09\x04\x47": _spread(zoom, 4),
            b"\x09\x06\x12": _spread(pan, self._digits) + _spread(tilt, 4),
        }
        if self.knows_version:
            answers[b"\x09\x00\x02"] = b"".join(part.to_bytes(2, "big") for part in self.model) + b"\x02"
        found = answers.get(body)
        return b"\x90\x60\x02\xff" if found is None else b"\x90\x50" + found + b"\xff"

    def _command(self, peer: Peer, number: int, body: bytes) -> Iterator[bytes]:
        deed = None if self.rejecting else self._deed(body)
        if deed is None:
            yield b"\x90\x60\x02\xff"
            return
        free = next((n for n in (1, 2) if n not in self.sockets), None)
        if free is None:
            yield b"\x90\x60\x03\xff"
            return
        moves, run = deed
        power = body[:3] == b"\x01\x04\x00"
        if self.starting or not (self.power or power):
            yield bytes((0x90, 0x60 | free, 0x41, 0xFF))
            return
        yield from self._execute(Job(peer, number, moves), free, run)

    def _execute(self, job: Job, free: int, run: Callable[[], float | None]) -> Iterator[bytes]:
        if not self.ignoring:
            self._make_way(job.moves)
            took = run()
            if took is None:
                yield bytes((0x90, 0x60 | free, 0x41, 0xFF))
                return
            if took > 0:
                yield bytes((0x90, 0x40 | free, 0xFF))
                self.sockets[free] = job
                self.later(took, lambda: self._finish(free, job))
                return
        yield bytes((0x90, 0x40 | free, 0xFF))
        yield bytes((0x90, 0x50 | free, 0xFF))

    def _finish(self, number: int, job: Job) -> None:
        if self.sockets.get(number) is job:
            del self.sockets[number]
            self._tell(job, bytes((0x90, 0x50 | number, 0xFF)))

    def _tell(self, job: Job, payload: bytes) -> None:
        self.say(job.peer, self._frame(b"\x01\x11", job.number, payload))

    def _make_way(self, moves: frozenset[str]) -> None:
        """A new motion ends what moves the same motors; the old one is told that it was cancelled."""
        for number, job in list(self.sockets.items()):
            if job.moves & moves:
                self._halt(number)
                self._tell(job, bytes((0x90, 0x60 | number, 0x04, 0xFF)))

    def _halt(self, number: int) -> None:
        for name in self.sockets.pop(number).moves:
            self.axes[name].stop(time.monotonic())

    def _cancel(self, number: int) -> bytes:
        if number not in self.sockets:
            return bytes((0x90, 0x60 | number, 0x05, 0xFF))
        self._halt(number)
        return bytes((0x90, 0x60 | number, 0x04, 0xFF))

    def _clear(self) -> bytes:
        if self.rejecting:
            return b"\x90\x60\x02\xff"
        for number in [] if self.ignoring else list(self.sockets):
            self._halt(number)
        return b"\x90\x50\xff"

    # -- what commands do --------------------------------------------------------------------------------

    def _deed(self, body: bytes) -> tuple[frozenset[str], Callable[[], float | None]] | None:
        """Which motors a command moves, and how it is done (returns its duration, None: not executable)."""
        head, rest = body[:3], body[3:]
        nothing: frozenset[str] = frozenset()
        if head == b"\x01\x04\x00" and rest in (b"\x02", b"\x03"):
            return nothing, lambda: self._power_command(rest == b"\x02")
        if head == b"\x01\x04\x3f" and len(rest) == 2 and rest[0] <= 2:
            return ALL if rest[0] == 2 else nothing, lambda: self._preset(rest[0], rest[1])
        if head == b"\x01\x04\x38" and rest in (b"\x02", b"\x03"):
            return nothing, lambda: self._focus(rest == b"\x02")
        if head == b"\x01\x04\x07" and len(rest) == 1:
            return self._zoom_drive(rest[0])
        if head == b"\x01\x04\x47" and _is_spread(rest, 4):
            return ZOOM, lambda: self._go(zoom=(_gather(rest, signed=False), 1.0))
        if body in (b"\x01\x06\x04", b"\x01\x06\x05"):
            return PAN_TILT, lambda: self._go(pan=(HOME[0], 1.0), tilt=(HOME[1], 1.0))
        if head == b"\x01\x06\x01" and len(rest) == 4:
            return self._pan_tilt_drive(*rest)
        if head in (b"\x01\x06\x02", b"\x01\x06\x03") and _is_spread(rest[2:], self._digits + 4):
            return self._pan_tilt_go(rest, relative=head[2] == 3)
        return None

    def _power_command(self, on: bool) -> float:
        if on == self.power:
            return 0.0
        if not on:
            self._switch(False)
            return 0.0
        self.starting = True
        self.later(self.power_up_s, lambda: self._switch(True))
        return self.power_up_s

    def _switch(self, on: bool) -> None:
        self.power, self.starting = on, False
        if not on:
            self.sockets.clear()
            for axis in self.axes.values():
                axis.stop(time.monotonic())

    def _preset(self, verb: int, number: int) -> float | None:
        if verb == 0:
            self.stored.pop(number, None)
            return 0.0
        if verb == 1:
            self.stored[number] = self.place
            return 0.0
        if number not in self.stored:
            return None
        self.last_preset = number
        pan, tilt, zoom = self.stored[number]
        return self._go(pan=(pan, 1.0), tilt=(tilt, 1.0), zoom=(zoom, 1.0)) + self.recall_s

    def _focus(self, auto: bool) -> float:
        self.autofocus = auto
        return 0.0

    def _go(self, **targets: tuple[int, float]) -> float:
        now = time.monotonic()
        return max(self.axes[name].go(now, place, share) for name, (place, share) in targets.items())

    def _drive(self, **shares: float) -> float:
        now = time.monotonic()
        for name, share in shares.items():
            self.axes[name].drive(now, share) if share else self.axes[name].stop(now)
        return 0.0

    def _zoom_drive(self, code: int) -> tuple[frozenset[str], Callable[[], float]] | None:
        direction, step = code >> 4, code & 0x0F
        if code in (0x02, 0x03):  # standard speed
            direction, step = code, 3
        if direction not in (0x00, 0x02, 0x03) or step > ZOOM_STEPS:
            return None
        share = {0x00: 0.0, 0x02: 1.0, 0x03: -1.0}[direction] * (step + 1) / (ZOOM_STEPS + 1)
        return ZOOM, lambda: self._drive(zoom=share)

    def _pan_tilt_drive(
        self, pan_step: int, tilt_step: int, pan: int, tilt: int
    ) -> tuple[frozenset[str], Callable[[], float]] | None:
        ways = {0x01: -1, 0x02: 1, 0x03: 0}
        if pan not in ways or tilt not in ways or not self._steps(pan_step, tilt_step):
            return None
        shares = {"pan": ways[pan] * pan_step / PAN_STEPS, "tilt": -ways[tilt] * tilt_step / TILT_STEPS}
        return PAN_TILT, lambda: self._drive(**shares)

    def _pan_tilt_go(self, rest: bytes, *, relative: bool) -> tuple[frozenset[str], Callable[[], float]] | None:
        if not self._steps(rest[0], rest[1]):
            return None
        pan, tilt = _gather(rest[2 : 2 + self._digits]), _gather(rest[2 + self._digits :])

        def go() -> float:
            at = self.place if relative else (0, 0)
            return self._go(
                pan=(at[0] + pan, rest[0] / PAN_STEPS or 1.0), tilt=(at[1] + tilt, rest[1] / TILT_STEPS or 1.0)
            )

        return PAN_TILT, go

    def _steps(self, pan: int, tilt: int) -> bool:
        """Whether the speeds are allowed: never 0 for a strict camera, a stop included."""
        least = 1 if self.strict else 0
        return least <= pan <= PAN_STEPS and least <= tilt <= max(TILT_STEPS, 0 if self.strict else PAN_STEPS)


def _spread(value: int, digits: int) -> bytes:
    """A number as half bytes, the highest first."""
    text = format(value % 16**digits, f"0{digits}x")
    return bytes(int(digit, 16) for digit in text)


def _is_spread(data: bytes, digits: int) -> bool:
    return len(data) == digits and all(byte < 16 for byte in data)


def _gather(data: bytes, *, signed: bool = True) -> int:
    value = int("".join(format(byte, "x") for byte in data), 16)
    return value - 16 ** len(data) if signed and data[0] > 7 else value
