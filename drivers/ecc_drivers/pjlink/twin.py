"""A display in software that speaks PJLink: warm-up and cool-down, one client at a time, no pushes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from ecc_controld.sdk import DeviceConfig, Peer, TcpTwin, Value

STANDBY, ON, COOLING, WARMING = "0", "1", "2", "3"
STATES = {"standby": STANDBY, "on": ON, "cooling": COOLING, "warming": WARMING}
LEVELS = {"ok": "0", "warning": "1", "error": "2"}
PARTS = ("fan", "lamp", "temperature", "cover", "filter", "other")

LINE = re.compile(r"%([12])([A-Z0-9]{4}) (.+)", re.IGNORECASE)
RUBBISH_LIMIT = 512
"""A client that sends more than this without a CR does not speak PJLink."""

LAST_WORD_S = 0.01
LOUDEST = 20


class PJLinkTwin(TcpTwin):
    """One display. Its class attributes choose the model; a test or a sample hall may set others.

    `level` the class; `warm_s`, `cool_s` how long POWR takes after its OK; `switch_s` how long INPT takes;
    `idle_s` when a silent client is dropped; `salt` a fixed one (None: random); `shouts` whether it answers in
    upper case; `has_lamp`, `has_filter` whether it counts them (a laser display has no lamp); `can_mute` what
    AVMT can mute, by its first digit (one that lacks picture or sound answers ERR2).
    """

    single_session: ClassVar[bool] = True
    level: ClassVar[int] = 2
    warm_s: ClassVar[float] = 3.0
    cool_s: ClassVar[float] = 2.0
    switch_s: ClassVar[float] = 0.2
    idle_s: ClassVar[float] = 30.0
    salt: ClassVar[str | None] = None
    shouts: ClassVar[bool] = True
    has_lamp: ClassVar[bool] = True
    has_filter: ClassVar[bool] = True
    can_mute: ClassVar[str] = "123"
    maker: ClassVar[str] = "ECC"
    product: ClassVar[str] = "Twin Display"
    native: ClassVar[str] = "1920x1080"

    def __init__(self, config: DeviceConfig) -> None:
        self._codes = {str(word): str(code).upper() for word, code in config.options.inputs.items()}
        self.inputs = list(dict.fromkeys(self._codes.values()))
        self._input = self.inputs[0]
        self._lamps = [(1234, False)]
        super().__init__(config)

    def power_on(self) -> None:
        """Mains is back: standby. The input and the hours are remembered over a power cut."""
        self.state = STANDBY
        self.picture_muted = self.sound_muted = self.frozen = False
        self.faults_seen = dict.fromkeys(PARTS, "0")
        self.signal = self.native
        self.volume = {"SVOL": LOUDEST // 2, "MVOL": LOUDEST // 2}

    # -- the wire ----------------------------------------------------------------------------------------

    def greet(self, peer: Peer) -> bytes:
        self._watch(peer)
        if self.config.secret is None:
            peer.memory["trusted"] = True
            return b"PJLINK 0\r"
        salt = self.salt or secrets.token_hex(4)
        peer.memory["proof"] = hashlib.md5(
            f"{salt}{self.config.secret}".encode(), usedforsecurity=False
        ).hexdigest()
        return f"PJLINK 1 {salt}\r".encode()

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        peer.memory["heard"] = asyncio.get_running_loop().time()
        peer.buffer += data
        *lines, rest = bytes(peer.buffer).split(b"\r")
        peer.buffer[:] = rest
        if len(rest) > RUBBISH_LIMIT:
            self._hang_up(peer)
        return lines

    def answer(self, peer: Peer, frame: bytes) -> Iterator[bytes]:
        if peer not in self.peers or peer.memory.get("refused"):
            return
        text = frame.decode("utf-8", "replace")
        if not peer.memory.get("trusted"):
            proof, text = text[:32], text[32:]
            if proof.lower() != peer.memory["proof"]:
                peer.memory["refused"] = True
                yield b"PJLINK ERRA\r"
                self._dismiss(peer)
                return
            peer.memory["trusted"] = True
        found = LINE.fullmatch(text)
        if found is None:
            return  # no PJLink: a display says nothing
        level, command, parameter = found[1], found[2].upper(), found[3]
        value = self._obey(int(level), command, parameter)
        line = f"%{level}{command}={value}\r"
        yield (line if self.shouts else line.lower()).encode()

    def _watch(self, peer: Peer) -> None:
        """Drop the peer when it has been silent for `idle_s`."""
        peer.memory["heard"] = asyncio.get_running_loop().time()

        def look() -> None:
            left = peer.memory["heard"] + self.idle_s - asyncio.get_running_loop().time()
            if peer not in self.peers:
                return
            if left <= 0:
                self._hang_up(peer)
            else:
                self.later(left, look)

        self.later(self.idle_s, look)

    def _dismiss(self, peer: Peer) -> None:
        """Hang up as soon as everything is said: a fault may hold the last word back."""
        if peer.outbox:
            self.later(LAST_WORD_S, lambda: self._dismiss(peer))
        else:
            self._hang_up(peer)

    def _hang_up(self, peer: Peer) -> None:
        self.peers.discard(peer)
        peer.close()

    # -- commands ----------------------------------------------------------------------------------------

    def _obey(self, level: int, command: str, parameter: str) -> str:
        """The value of the answer: what was asked for, OK, or an error."""
        known = self._known(level)
        if level > self.level or command not in known:
            return "ERR1"
        ask, tell = known[command]
        if parameter.startswith("?"):
            return ask(parameter[1:]) if ask and (command == "INNM" or parameter == "?") else "ERR2"
        return tell(parameter.upper()) if tell else "ERR2"

    def _known(self, level: int) -> dict[str, tuple[Callable[[str], str] | None, Callable[[str], str] | None]]:
        """The commands of a class: how each is asked and how it is told, None where it cannot be."""
        inputs = {"INPT": (lambda _: self._when_on(self._input), self._tell_input), "INST": (self._list, None)}
        if level == 2:
            return {
                **inputs,
                "SNUM": (lambda _: f"T{self.config.id}", None),
                "SVER": (lambda _: "1.00", None),
                "INNM": (self._input_name, None),
                "IRES": (lambda _: self._when_on(self.signal), None),
                "RRES": (lambda _: self.native, None),
                "FILT": (lambda _: "321" if self.has_filter else "ERR1", None),
                "RLMP": (lambda _: "ELP-01 ELP-02" if self.has_lamp else "", None),
                "RFIL": (lambda _: "ELF-01" if self.has_filter else "", None),
                "SVOL": (None, lambda step: self._tell_volume("SVOL", step)),
                "MVOL": (None, lambda step: self._tell_volume("MVOL", step)),
                "FREZ": (lambda _: self._when_on("1" if self.frozen else "0"), self._tell_freeze),
            }
        return {
            **inputs,
            "POWR": (lambda _: self.state, self._tell_power),
            "AVMT": (lambda _: self._when_on(self._muted()), self._tell_mute),
            "ERST": (lambda _: "".join(self.faults_seen[part] for part in PARTS), None),
            "LAMP": (lambda _: self._lamp_text(), None),
            "NAME": (lambda _: self.config.name.zh, None),
            "INF1": (lambda _: self.maker, None),
            "INF2": (lambda _: self.product, None),
            "INFO": (lambda _: "", None),
            "CLSS": (lambda _: str(self.level), None),
        }

    def _when_on(self, value: str) -> str:
        return value if self.state == ON else "ERR3"

    def _muted(self) -> str:
        return {(0, 0): "30", (1, 0): "11", (0, 1): "21", (1, 1): "31"}[self.picture_muted, self.sound_muted]

    def _lamp_text(self) -> str:
        if not self.has_lamp:
            return "ERR1"
        return " ".join(f"{hours} {int(burns or self.state == ON)}" for hours, burns in self._lamps)

    def _list(self, _: str) -> str:
        return " ".join(self.inputs)

    def _input_name(self, code: str) -> str:
        words = [word for word, known in self._codes.items() if known == code.upper()]
        return words[0].upper() if words else "ERR2"

    def _tell_power(self, wanted: str) -> str:
        if wanted not in (STANDBY, ON):
            return "ERR2"
        # On its way up it cannot be sent down, nor the other way round.
        if self.state == (WARMING if wanted == STANDBY else COOLING):
            return "ERR3"
        return self._do(lambda: self._set_power(wanted))

    def _set_power(self, wanted: str) -> None:
        if wanted == ON and self.state == STANDBY:
            self.picture_muted = self.sound_muted = self.frozen = False
            self._go(WARMING, self.warm_s, ON)
        elif wanted == STANDBY and self.state == ON:
            self._go(COOLING, self.cool_s, STANDBY)

    def _go(self, through: str, delay_s: float, to: str) -> None:
        def arrive() -> None:
            if self.state == through:  # else somebody poked another state
                self.state = to

        self.state = through
        self.later(delay_s, arrive)

    def _tell_input(self, code: str) -> str:
        if code not in self.inputs:
            return "ERR2"

        def switch() -> None:
            self._input, self.frozen = code, False

        return self._do(lambda: self.later(self.switch_s, switch), needs_on=True)

    def _tell_mute(self, code: str) -> str:
        if len(code) != 2 or code[0] not in self.can_mute or code[1] not in "01":
            return "ERR2"

        def mute() -> None:
            if code[0] in "13" and "1" in self.can_mute:
                self.picture_muted = code[1] == "1"
            if code[0] in "23" and "2" in self.can_mute:
                self.sound_muted = code[1] == "1"

        return self._do(mute, needs_on=True)

    def _tell_freeze(self, bit: str) -> str:
        def freeze() -> None:
            self.frozen = bit == "1"

        return self._do(freeze, needs_on=True) if bit in ("0", "1") else "ERR2"

    def _tell_volume(self, which: str, step: str) -> str:
        def turn() -> None:
            self.volume[which] = min(LOUDEST, max(0, self.volume[which] + (1 if step == "1" else -1)))

        return self._do(turn, needs_on=True) if step in ("0", "1") else "ERR2"

    def _do(self, deed: Callable[[], None], *, needs_on: bool = False) -> str:
        """Carry out a well-formed command, unless a fault or the power state is against it."""
        if self.rejecting:
            return "ERR4"
        if needs_on and self.state != ON:
            return "ERR3"
        if not self.ignoring:
            deed()
        return "OK"

    # -- by hand -----------------------------------------------------------------------------------------

    def poke(self, point: str, value: Value) -> None:
        """`power` presses the remote control's key (warm-up and cool-down run), `power.state` sets the state at
        once; `mute` is both picture and sound, or `picture` or `sound`.
        """
        kind, _, part = point.partition(".")
        if point == "power":
            self._press_power(_switch(value))
        elif point == "power.state":
            self.state = _of(STATES, value)
        elif point == "input":
            self._input, self.frozen = _of(self._codes, value), False
        elif point == "mute":
            both = value not in ("picture", "sound") and _switch(value)
            self.picture_muted = both or value == "picture"
            self.sound_muted = both or value == "sound"
        elif point == "freeze":
            self.frozen = _switch(value)
        elif point == "signal":
            self.signal = {"none": "-", "unknown": "*"}.get(str(value), str(value))
        elif point == "lamp.hours":
            if isinstance(value, (bool, str)) or value < 0:
                raise ValueError(f"hours, not {value!r}")
            self._lamps = [(int(value), False)]
        elif kind == "fault" and part in PARTS:
            self.faults_seen[part] = _of(LEVELS, value)
        else:
            raise KeyError(point)

    def _press_power(self, on: bool) -> None:
        if self.state == (COOLING if on else WARMING):
            raise ValueError("the key does nothing while the display warms up or cools down")
        self._set_power(ON if on else STANDBY)


def _switch(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"on or off, not {value!r}")
    return value


def _of(words: dict[str, str], value: Value) -> str:
    if value not in words:
        raise ValueError(f"one of {', '.join(words)}, not {value!r}")
    return words[str(value)]
