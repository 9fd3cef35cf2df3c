"""Twin of a Videohub: a hub in software that many clients may use at once, with pushes and locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ecc_controld.sdk import DeviceConfig, Peer, TcpTwin, Value

ACK = b"ACK\n\n"
NAK = b"NAK\n\n"
REQUEST_LIMIT = 64 * 1024
FRONT_PANEL = "front panel"
"""The owner of a lock that somebody set at the hub itself: another client for everybody else."""

Changed: TypeAlias = "list[int] | None"
"""The ports that a request changed, or None: the hub will not do it."""


@dataclass
class _Crosspoint:
    """The state of one output; `owner` is the host that locked it, empty if it is free."""

    source: int
    owner: str = ""


@dataclass
class _State:
    """All that a hub knows; the same for every client but for whose locks are whose."""

    friendly_name: str
    inputs: list[str]
    outputs: list[str]
    crosspoints: list[_Crosspoint]
    take_mode: bool = False
    present: str = "true"


class VideohubTwin(TcpTwin):
    """Emulates the size of `options`. Models and firmware differ in these, which a test may set:

    `version` of the protocol, `end_prelude` whether the dump ends with END PRELUDE, `has_locks` whether there
    are output locks, `locked_nak` whether routing a locked output is answered NAK (else ACK, and nothing
    happens), `switch_s` seconds from the ACK of a route to the crosspoint.
    """

    version: str = "2.8"
    end_prelude: bool = True
    has_locks: bool = True
    locked_nak: bool = True
    switch_s: float = 0.0

    def __init__(self, config: DeviceConfig) -> None:
        self.size = (int(config.options.inputs), int(config.options.outputs))
        self.model = str(config.options.model) or f"Blackmagic Videohub {self.size[0]}x{self.size[1]}"
        super().__init__(config)
        self._changers: dict[str, Callable[[Peer, list[str]], Changed]] = {
            "VIDEO OUTPUT ROUTING": self._route,
            "VIDEO OUTPUT LOCKS": self._lock,
            "INPUT LABELS": lambda _, lines: self._label(self.state.inputs, lines),
            "OUTPUT LABELS": lambda _, lines: self._label(self.state.outputs, lines),
            "VIDEOHUB DEVICE": lambda _, lines: self._set_device(lines),
            "CONFIGURATION": lambda _, lines: self._configure(lines),
        }

    # -- the state -----------------------------------------------------------------------------------------

    def power_on(self) -> None:
        inputs, outputs = self.size
        self.state = _State(
            friendly_name=self.config.name.zh,
            inputs=[f"Input {n + 1}" for n in range(inputs)],
            outputs=[f"Output {n + 1}" for n in range(outputs)],
            crosspoints=[_Crosspoint(source=min(n, inputs - 1)) for n in range(outputs)],
        )

    def set_present(self, present: str) -> None:
        """Lose or find the switcher behind the server: `true`, `false` or `needs_update`; tells all clients."""
        self.state.present = present
        for peer in list(self.peers):
            self.say(peer, self._dump(peer))

    def poke(self, point: str, value: Value) -> None:
        parts = point.split(".")
        if parts[0] not in ("in", "out") or len(parts) not in (2, 3) or not parts[1].isdecimal():
            raise KeyError(point)
        index, what = int(parts[1]) - 1, (parts[0], *parts[2:])
        if not 0 <= index < self.size[0 if parts[0] == "in" else 1]:
            raise KeyError(point)
        if what == ("out",):
            self.state.crosspoints[index].source = self._source(str(value))
            self._announce("VIDEO OUTPUT ROUTING", [index])
        elif what == ("out", "lock"):
            self.state.crosspoints[index].owner = self._owner(str(value))
            self._announce("VIDEO OUTPUT LOCKS", [index])
        elif what[1:] == ("label",):
            labels, header = (
                (self.state.inputs, "INPUT LABELS") if what[0] == "in" else (self.state.outputs, "OUTPUT LABELS")
            )
            labels[index] = str(value)
            self._announce(header, [index])
        else:
            raise KeyError(point)

    def _source(self, word: str) -> int:
        name = self.config.sources.get(word, word).removeprefix("in.")
        if not name.isdecimal() or not 1 <= int(name) <= self.size[0]:
            raise ValueError(f"no such input: {word}")
        return int(name) - 1

    def _owner(self, word: str) -> str:
        daemon = next((peer.host for peer in self.peers), "127.0.0.1")
        try:
            return {"free": "", "held": daemon, "other": FRONT_PANEL}[word]
        except KeyError:
            raise ValueError(f"a lock is free, held or other, not {word}") from None

    # -- the protocol --------------------------------------------------------------------------------------

    def greet(self, peer: Peer) -> bytes:
        return _block("PROTOCOL PREAMBLE", [f"Version: {self.version}"]) + self._dump(peer)

    def frames(self, peer: Peer, data: bytes) -> Iterator[bytes]:
        peer.buffer += data.replace(b"\r", b"")
        while b"\n\n" in peer.buffer:
            frame, _, rest = bytes(peer.buffer).partition(b"\n\n")
            peer.buffer[:] = rest
            if frame := frame.lstrip(b"\n"):
                yield frame
        if len(peer.buffer) > REQUEST_LIMIT:
            peer.buffer.clear()
            peer.close()

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        first, *lines = frame.decode("utf-8", "replace").split("\n")
        header = first.removesuffix(":")
        if first == "PING:":
            yield ACK
        elif not first.endswith(":") or header not in self._known() or self.state.present != "true":
            yield NAK
        elif not lines:
            yield ACK
            yield self._render(header, peer)
        elif self.rejecting:
            yield NAK
        elif self.ignoring:
            yield ACK
        else:
            yield from self._change(peer, header, lines)

    def _change(self, peer: Peer, header: str, lines: list[str]) -> Iterator[bytes]:
        changed = self._changers[header](peer, lines)
        if changed is None:
            yield NAK
            return
        yield ACK
        if changed:
            self._announce(header, changed)

    def _known(self) -> set[str]:
        return {header for header in self._changers if self.has_locks or header != "VIDEO OUTPUT LOCKS"}

    def _announce(self, header: str, ports: list[int]) -> None:
        """Tell every client, the one that asked for it too, what has changed."""
        for peer in list(self.peers):
            self.say(peer, self._render(header, peer, ports))

    # -- what it says --------------------------------------------------------------------------------------

    def _dump(self, peer: Peer) -> bytes:
        if self.state.present != "true":
            return self._render("VIDEOHUB DEVICE", peer)
        known = self._known()
        order = ("VIDEOHUB DEVICE", "INPUT LABELS", "OUTPUT LABELS", "VIDEO OUTPUT LOCKS", "VIDEO OUTPUT ROUTING")
        blocks = [self._render(header, peer) for header in (*order, "CONFIGURATION") if header in known]
        end = _block("END PRELUDE", []) if self.end_prelude else b""
        return b"".join(blocks) + end

    def _render(self, header: str, peer: Peer, ports: list[int] | None = None) -> bytes:
        """A block as this client sees it: whole, or only some ports."""
        state = self.state
        if header == "VIDEOHUB DEVICE":
            return _block(header, self._device_lines())
        if header == "CONFIGURATION":
            return _block(header, [f"Take Mode: {str(state.take_mode).lower()}"])
        rows: list[str]
        if header == "VIDEO OUTPUT ROUTING":
            rows = [str(crosspoint.source) for crosspoint in state.crosspoints]
        elif header == "VIDEO OUTPUT LOCKS":
            rows = [_lock_letter(crosspoint.owner, peer) for crosspoint in state.crosspoints]
        else:
            rows = state.inputs if header == "INPUT LABELS" else state.outputs
        return _block(header, [f"{n} {rows[n]}" for n in (range(len(rows)) if ports is None else ports)])

    def _device_lines(self) -> list[str]:
        if self.state.present != "true":
            return [f"Device present: {self.state.present}"]
        return [
            "Device present: true",
            f"Model name: {self.model}",
            f"Friendly name: {self.state.friendly_name}",
            "Unique ID: 7C2E0D0217A4",
            f"Video inputs: {self.size[0]}",
            "Video processing units: 0",
            f"Video outputs: {self.size[1]}",
            "Video monitoring outputs: 0",
            "Serial ports: 0",
        ]

    # -- what it does --------------------------------------------------------------------------------------

    def _route(self, peer: Peer, lines: list[str]) -> Changed:
        wanted = [_pair(line) for line in lines]
        if not all(pair and pair[0] < self.size[1] and pair[1] < self.size[0] for pair in wanted):
            return None
        free = [pair for pair in wanted if pair and self._is_open(pair[0], peer)]
        if self.locked_nak and len(free) < len(wanted):
            return None
        if self.switch_s > 0:
            self.later(self.switch_s, lambda: self._announce("VIDEO OUTPUT ROUTING", self._switch(free)))
            return []
        return self._switch(free)

    def _switch(self, routes: list[tuple[int, int]]) -> list[int]:
        for output, source in routes:
            self.state.crosspoints[output].source = source
        return [output for output, _ in routes]

    def _lock(self, peer: Peer, lines: list[str]) -> Changed:
        wanted = [line.partition(" ") for line in lines]
        if not all(_port(output, self.size[1]) and letter in ("O", "U", "F") for output, _, letter in wanted):
            return None
        letters = {int(output): letter for output, _, letter in wanted}
        forced = {output for output, letter in letters.items() if letter == "F"}
        may = [output for output in letters if output in forced or self._is_open(output, peer)]
        if self.locked_nak and len(may) < len(letters):
            return None
        for output in may:
            self.state.crosspoints[output].owner = peer.host if letters[output] == "O" else ""
        return may

    def _is_open(self, output: int, peer: Peer) -> bool:
        """Whether no other client has locked an output: the owner of a lock is known by its address."""
        return self.state.crosspoints[output].owner in ("", peer.host)

    def _label(self, labels: list[str], lines: list[str]) -> Changed:
        wanted = [line.partition(" ") for line in lines]
        if not all(_port(index, len(labels)) for index, _, _ in wanted):
            return None
        for index, _, label in wanted:
            labels[int(index)] = label
        return [int(index) for index, _, _ in wanted]

    def _set_device(self, lines: list[str]) -> Changed:
        settings = _settings(lines)
        if set(settings) != {"Friendly name"}:
            return None
        self.state.friendly_name = settings["Friendly name"]
        return [0]

    def _configure(self, lines: list[str]) -> Changed:
        settings = _settings(lines)
        if set(settings) != {"Take Mode"} or settings["Take Mode"] not in ("true", "false"):
            return None
        self.state.take_mode = settings["Take Mode"] == "true"
        return [0]


def _block(header: str, lines: list[str]) -> bytes:
    return "\n".join((f"{header}:", *lines, "", "")).encode()


def _lock_letter(owner: str, peer: Peer) -> str:
    if not owner:
        return "U"
    return "O" if owner == peer.host else "L"


def _port(text: str, count: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < count


def _pair(line: str) -> tuple[int, int] | None:
    words = line.split(" ")
    if len(words) != 2 or not all(_port(word, 100_000) for word in words):
        return None
    return int(words[0]), int(words[1])


def _settings(lines: list[str]) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
