"""A hall of any drivers over real sockets, in this process, with everything that must not happen watched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecc_controld.control.acceptance import Press
from ecc_controld.control.engine import Engine, Unit
from ecc_controld.control.law import Event
from ecc_controld.control.run import Run
from ecc_controld.hall.store import Entry
from ecc_controld.journal import Journal
from ecc_controld.scene.model import Prereq, Scene, Want
from ecc_controld.sdk import Address, ByteWire
from ecc_controld.wires import tcp, udp
from faults.devices import Kind
from support.rig import PERSON, until
from support.rig import scene as plain_scene

DIALS = {"tcp": tcp.dial, "udp": udp.dial}


class WatchedWire:
    """A ByteWire that notes what is handed over."""

    def __init__(self, wire: ByteWire, sent: list[tuple[float, bytes]]) -> None:
        self._wire = wire
        self._sent = sent
        self.listen = wire.listen
        self.drained = wire.drained
        self.abort = wire.abort

    def write(self, data: bytes) -> None:
        """Hand it over."""
        self._sent.append((asyncio.get_running_loop().time(), data))
        self._wire.write(data)


class Hall:
    """Twins of some kinds and an engine over them. `links` notes every change of a link: (time, device, link, code).

    Leaving it checks that no task of the engine died.
    """

    def __init__(self, state: Path, devices: Mapping[str, Kind], *, gap_s: float = 0.0) -> None:
        self.state = state
        self.kinds = dict(devices)
        self.gap_s = gap_s
        self.twins: dict[str, Any] = {name: kind.twin(kind.config(name)) for name, kind in devices.items()}
        self.addresses: dict[str, Address] = {}
        self.links: list[tuple[float, str, str, str]] = []
        self.dials: list[tuple[float, str]] = []
        self.sent: dict[str, list[tuple[float, bytes]]] = {name: [] for name in devices}
        """What was handed over to each device, and when."""
        self.dialling = 0
        self.most_dialling = 0
        self.engine: Engine

    async def __aenter__(self) -> Hall:
        for name, twin in self.twins.items():
            host, port = await twin.serve("127.0.0.1", 0)
            self.addresses[name] = Address(twin.scheme, host, port)
            self.kinds[name].begin(twin)
        return self

    async def __aexit__(self, *_: object) -> None:
        faults: list[BaseException] = []
        if hasattr(self, "engine"):
            faults = self.engine.faults()
            await self.stop()
        for twin in self.twins.values():
            await twin.close()
        assert not faults, faults

    async def start(self) -> None:
        """Start an engine (again) on the same journal and the same twins."""
        self.journal = Journal.open(self.state, stamp="simulated")
        units = {
            name: Unit(kind.driver(replace(kind.config(name), address=self.addresses[name])), gap_s=self.gap_s)
            for name, kind in self.kinds.items()
        }
        self.engine = Engine(units, {}, self.journal, self._dial)
        loop = asyncio.get_running_loop()
        self.engine.store.on_device.append(
            lambda device: self.links.append((loop.time(), device.id, device.link, device.reason))
        )
        self.engine.start()

    async def stop(self) -> None:
        """Stop the engine as a shutdown does."""
        await self.engine.stop()
        await self.journal.close()

    async def _dial(self, address: Address) -> ByteWire:
        name = next(name for name, known in self.addresses.items() if known == address)
        self.dials.append((asyncio.get_running_loop().time(), name))
        self.dialling += 1
        self.most_dialling = max(self.most_dialling, self.dialling)
        try:
            return self.wired(name, await DIALS[address.scheme](address))
        finally:
            self.dialling -= 1

    def wired(self, name: str, wire: ByteWire) -> ByteWire:
        """Watch what is handed over to a device."""
        return WatchedWire(wire, self.sent[name])

    def wrote(self, device: str, mark: bytes, since: int = 0) -> bool:
        """Whether a command was handed over (behind the first `since` pieces)."""
        return any(mark in data for _, data in self.sent[device][since:])

    # -- what a test does --------------------------------------------------------------------------------

    async def online(self, *names: str, seconds: float = 20.0) -> None:
        """Wait until devices (default: all) are online and between two polls."""
        store = self.engine.store
        await until(lambda: all(store.devices[name].link == "online" for name in names or self.kinds), seconds)
        await until(lambda: all(self._polled(name) for name in names or self.kinds), seconds)

    def _polled(self, device: str) -> bool:
        book = self.engine.keepers[device].book
        return book.observe_at > asyncio.get_running_loop().time() and not book.observing

    def entry(self, device: str, point: str) -> Entry:
        """One point."""
        return self.engine.store.entries[f"{device}.{point}"]

    async def press(self, scene: Scene, press: Press = PERSON) -> Run:
        """Activate a scene."""
        return await self.engine.arbiter.activate(scene, press, {})

    def retry(self, device: str, point: str) -> None:
        """What the API does when a person presses "retry" (api/acting.py)."""
        keeper = self.engine.keepers[device]
        keeper.ledger.fire(self.entry(device, point), Event.RETRY, asyncio.get_running_loop().time())
        self.engine.supervisors[device].dial_now()
        keeper.wake()

    def true(self, device: str, *, but: frozenset[str] = frozenset()) -> bool:
        """Whether every wish of a device (except of the points `but`) is held, and its twin really is so."""
        kind = self.kinds[device]
        return all(
            (life := self.entry(device, point).life) is not None
            and life.as_wanted
            and kind.real(self.twins[device], point) == value
            for point, value in kind.wishes.items()
            if point not in but
        )


def scene_of(kinds: Mapping[str, Kind], name: str = "duty", **options: Any) -> Scene:
    """The wishes of all devices, in the order that the drivers know (`after`, and what disturbs goes first)."""
    made = plain_scene(
        name,
        {f"{one}.{point}": value for one, kind in kinds.items() for point, value in kind.wishes.items()},
        **options,
    )
    return replace(made, wants=tuple(_ordered(want, kinds[want.device]) for want in made.wants))


def before(kind: Kind, point: str) -> frozenset[str]:
    """The wished points of the same device that must be true before `point`."""
    points = kind.driver(kind.config("x")).points
    disturbing = {other for other in kind.wishes if point in points[other].disturbs}
    return frozenset((points[point].after | disturbing) & set(kind.wishes))


def _ordered(want: Want, kind: Kind) -> Want:
    prereqs = tuple(Prereq(f"{want.device}.{p}", kind.wishes[p]) for p in sorted(before(kind, want.local)))
    return replace(want, prereqs=prereqs)
