"""A device that keeps what it was told, also when the connection is gone, and a hall that watches every byte.

The checks here know nothing of the law's states. They compare three things: what people asked for last (kept by the
test, at the moment of asking), what is handed over to a wire, and what the devices truly are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Layer, Life, Outcome, State, Wish
from ecc_controld.journal import Change
from ecc_controld.sdk import ByteWire, DeviceConfig, Peer, Value
from faults.devices import LINE, PIPELINED, Kind
from faults.hall import Hall, WatchedWire
from support.linebox import LineBox, LineTwin, PipelinedBox

SETTLE_S = 0.3
QUIET_S = 0.1
SLOWEST_S = 0.25
"""Commands take effect within this; what is said within the settle time behind a broken link proves nothing."""

POINTS = ("a", "b", "c", "mute", "preset")
PROVED = (Outcome.OK, Outcome.ALREADY, Outcome.LATE)


@dataclass
class Effect:
    """Something that a command will still do, at `due` on the loop's clock."""

    point: str
    value: str
    peer: Peer
    due: float = 0.0


class KeepingTwin(LineTwin):
    """Acknowledges at once and does it `slow_s` later. A newer command of the same connection replaces what an older
    one would still do (unless `replaces` is off: then all are done in their order); what came over a connection that
    broke is done all the same.

    `mishaps` happen to the next commands, one each, which are carried out: `unanswered`, `cut` (the connection breaks
    instead of an answer), `answered_cut` (it breaks behind the answer), `busy` and `no` (which are not carried out).
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.inside: list[Effect] = []
        self.reboots = 0
        self.mishaps: list[str] = []
        self.replaces = True
        super().__init__(config)

    def power_on(self) -> None:
        super().power_on()
        self.inside.clear()
        self.reboots += 1

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        self.happen()
        verb, name, *rest = frame.decode().split(" ")
        if verb != "SET" or self.rejecting or self.ignoring:
            return super().answer(peer, frame)
        mishap = self.mishaps.pop() if self.mishaps else ""
        if mishap in ("busy", "no"):
            return [f"NO {name} {mishap}\n".encode()]
        self._command(peer, name, rest[0])
        if mishap == "cut":
            self._cut(peer)
        elif mishap == "answered_cut":
            asyncio.get_running_loop().call_soon(self._cut, peer)
        return [] if mishap in ("unanswered", "cut") else [f"OK {name} {rest[0]}\n".encode()]

    def _cut(self, peer: Peer) -> None:
        if peer in self.peers:  # else it has gone by itself
            self.peers.discard(peer)
            peer.reset()

    def _command(self, peer: Peer, name: str, value: str) -> None:
        if self.replaces:
            self.inside = [e for e in self.inside if (e.peer, e.point) != (peer, name)]
        self._effect(Effect(name, value, peer), self.slow_s)
        if name == "preset":
            self._effect(Effect("c", "77", peer), min(self.slow_s, QUIET_S * 0.8))

    def _effect(self, effect: Effect, delay_s: float) -> None:
        effect.due = asyncio.get_running_loop().time() + delay_s
        self.inside.append(effect)
        if delay_s:
            self.later(delay_s, self.happen)
        else:
            self.happen()

    def happen(self) -> None:
        """Do what is due. Whoever looks at the device calls this first: a busy machine's late timer must not make the
        device slower than its settle time says.
        """
        now = asyncio.get_running_loop().time()
        for effect in sorted(self.inside, key=lambda one: one.due):
            if effect.due <= now:
                self.inside.remove(effect)
                self.state[effect.point] = effect.value


def keeping(kind: Kind, base: type[LineBox], settle_s: float = SETTLE_S) -> Kind:
    """A kind with a keeping twin; its commands must take effect within `settle_s`."""

    class Box(base):  # type: ignore[valid-type,misc]
        answer_s: ClassVar[float] = 0.4
        poll_s: ClassVar[float] = 0.4

    config: Callable[[str], DeviceConfig] = lambda name: kind.config(name, settle=settle_s)  # noqa: E731
    return Kind(kind.name, Box, KeepingTwin, config, {}, kind.begin, kind.real, kind.mark)


BOX = keeping(LINE, LineBox)
PIPELINED_BOX = keeping(PIPELINED, PipelinedBox)


def wants_in(change: Change) -> set[tuple[str, Value]]:
    """The wishes that a commit of the journal makes durable."""
    found: set[tuple[str, Value]] = set()
    for put in change.puts:
        if put.kind in ("scene_layer", "manual") and put.body is not None:
            blob = json.loads(put.body)
            found |= {(want["point"], want["value"]) for want in blob.get("wants", [blob.get("want")])}
    return found


def text(value: Value) -> str:
    """How the line protocol says a value."""
    return {"duty": "0", "emergency": "1"}[value] if isinstance(value, str) else str(int(value))


class CountedWire(WatchedWire):
    """Counts questions without answer, and shows each command to `told` before it leaves."""

    def __init__(
        self, wire: ByteWire, sent: list[tuple[float, bytes]], window: int, told: Callable[[str, str], None]
    ):
        super().__init__(wire, sent)
        self._window = window
        self._told = told
        self.open = 0
        listen = wire.listen
        self.listen = lambda data, lost: listen(lambda got: (self._count(got), data(got))[1], lost)

    def write(self, data: bytes) -> None:
        lines = data.decode().splitlines()
        for line in lines:
            verb, name, *rest = line.split(" ")
            if verb == "SET":
                self._told(name, rest[0])
        self.open += len(lines)
        assert self.open <= self._window, f"{self.open} exchanges open, the window is {self._window}"
        super().write(data)

    def _count(self, data: bytes) -> None:
        self.open -= sum(line[:2] in (b"VA", b"OK", b"NO") for line in data.split(b"\n"))


class KeepingHall(Hall):
    """A hall of keeping devices. `wanted` says what people asked for last, by layer; violations go to `wrong`."""

    def __init__(self, state: Path, devices: Mapping[str, Kind], *, gap_s: float = 0.0) -> None:
        super().__init__(state, devices, gap_s=gap_s)
        self.scene_wants: dict[str, Value] = {}
        self.manual_wants: dict[str, Value] = {}
        self.wrong: list[str] = []
        self._durable: set[tuple[str, Value]] = set()
        self._reboots: dict[str, int] = {}

    async def start(self) -> None:
        await super().start()
        self.engine.store.on_life.append(self._judge)
        commit = self.journal.commit

        async def watched(change: Change) -> None:
            await commit(change)
            self._durable |= wants_in(change)

        self.journal.commit = watched  # type: ignore[method-assign]

    def wanted(self, point: str) -> Value | None:
        """What counts now for a point."""
        return self.manual_wants.get(point, self.scene_wants.get(point))

    def wired(self, name: str, wire: ByteWire) -> ByteWire:
        self._reboots[name] = self.twins[name].reboots
        window = self.kinds[name].driver.window
        return CountedWire(
            wire, self.sent[name], window, lambda point, value: self._handed_over(name, point, value)
        )

    def _handed_over(self, device: str, local: str, value: str) -> None:
        """The oracle of supersession: at this instant nobody wants anything else of this point."""
        point = f"{device}.{local}"
        want = self.wanted(point)
        guard = local == "mute" and (value == "1" or Layer.GUARD in self.engine.store.entries[point].layers)
        if guard:
            return
        if want is not None and value == text(want):
            if (point, want) not in self._durable:
                self.wrong.append(f"{point} {value} was handed over before it was on the disk")
        else:
            self.wrong.append(f"{point} {value} was handed over when {want} was wanted")

    def _judge(self, entry: Entry, wish: Wish, life: Life) -> None:
        """The oracle of truth: what is called proved is so, and nothing inside the device will change it."""
        if life.state is not State.HELD or life.outcome not in PROVED or life.drifted:
            return
        twin = self.twins[entry.device]
        if self._reboots[entry.device] != twin.reboots:
            return  # it was so when it said so; the broken link reopens the matter
        said = text(wish.value)
        twin.happen()
        if twin.state[entry.local] != said:
            self.wrong.append(f"{entry.name} called {life.outcome} at {said}, it is {twin.state[entry.local]}")
        if any(e.point == entry.local and e.value != said for e in twin.inside):
            self.wrong.append(f"{entry.name} called {life.outcome} with {twin.inside} still inside")

    def settled(self) -> bool:
        """Whether all that is wanted is held and true, and nothing else is."""
        return all(
            (entry.living is None) == (self.wanted(name) is None)
            and (entry.living is None or self._so(entry, self.wanted(name)))
            for name, entry in self.engine.store.entries.items()
            if entry.local in POINTS
        )

    def _so(self, entry: Entry, want: Any) -> bool:
        assert entry.living is not None
        assert entry.life is not None
        self.twins[entry.device].happen()
        real = self.twins[entry.device].state[entry.local]
        return entry.living.value == want and entry.life.as_wanted and real == text(want)

    def told_state(self) -> list[str]:
        """For the message of a failure."""
        return [
            f"{name}: wanted {self.wanted(name)!r}, is {self.twins[entry.device].state[entry.local]}, {entry.life}"
            for name, entry in self.engine.store.entries.items()
            if entry.living is not None or self.wanted(name) is not None
        ]


async def moment(seconds: float) -> None:
    """Let time pass: part of an interleaving, never a wait for something to be true."""
    await asyncio.sleep(seconds)
