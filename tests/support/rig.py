"""A whole hall for tests of the core: engine, journal and line-protocol twins over real TCP sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from ecc_controld.control.acceptance import Press
from ecc_controld.control.engine import Engine, Unit
from ecc_controld.control.run import Run
from ecc_controld.hall.store import Entry
from ecc_controld.journal import Journal
from ecc_controld.scene.model import Do, Prereq, Scene, Want
from ecc_controld.sdk import Address, ByteWire, Text
from ecc_controld.wires import tcp

from .linebox import LineBox, LineTwin, config

PERSON = Press(by="值班员")


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition; fails the test when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def scene(
    name: str,
    wants: Mapping[str, object],
    *,
    priority: int = 20,
    holds: bool = False,
    after: Mapping[str, list[str]] | None = None,
    must: tuple[str, ...] = (),
    actions: tuple[tuple[str, str], ...] = (),
    deadline_s: float = 30.0,
    ready_within_s: float = 20.0,
    settle_s: float | None = None,
    layer: str = "scene",
    mode: str | None = None,
    if_failed: str = "block",
) -> Scene:
    """A scene without a file."""
    found = []
    for point, value in wants.items():
        device, local = point.split(".", 1)
        prereqs = tuple(Prereq(p, wants[p], if_failed) for p in (after or {}).get(point, ()))
        found.append(
            Want(
                point,
                device,
                local,
                value,
                "must" if point in must else "should",
                None,
                settle_s,
                None,
                prereqs,
            )
        )
    return Scene(
        name=name,
        title=Text(name, name),
        mode=mode or name,
        priority=priority,
        holds=holds,
        confirm="tap",
        ready_within_s=ready_within_s,
        deadline_s=deadline_s,
        layer=layer,
        wants=tuple(found),
        actions=tuple(Do(*action) for action in actions),
        stand_down="duty",
        digest=f"{name}:{sorted(map(str, wants.items()))}",
        text="",
    )


class Rig:
    """Twins and an engine that may be stopped and started again on the same state directory.

    `unit`: what the next start says of every device (`in_service`, `observe_only`).
    """

    def __init__(
        self, state: Path, devices: Mapping[str, type[LineBox]], scenes: list[Scene], **options: object
    ) -> None:
        self.state = state
        self.scenes = {one.name: one for one in scenes}
        self.twins = {name: LineTwin(config(name, **options)) for name in devices}
        self.kinds = devices
        self.options = options
        self.unit: dict[str, bool] = {}
        self.addresses: dict[str, Address] = {}
        self.engine: Engine
        self.observed: frozenset[str] = frozenset()
        """The devices that are only observed from the next start on."""

    async def __aenter__(self) -> Rig:
        for name, twin in self.twins.items():
            host, port = await twin.serve("127.0.0.1", 0)
            self.addresses[name] = Address("tcp", host, port)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        faults = self.engine.faults()
        await self.stop()
        for twin in self.twins.values():
            await twin.close()
        assert not faults, faults

    async def start(self) -> None:
        self.journal = Journal.open(self.state, stamp="simulated")
        units = {
            name: Unit(kind(config(name, **self.options)), **{"observe_only": name in self.observed, **self.unit})
            for name, kind in self.kinds.items()
        }
        by_id = {id(unit.driver.config.address): name for name, unit in units.items()}

        async def dial(address: Address) -> ByteWire:
            return await tcp.dial(self.addresses[by_id[id(address)]])

        self.engine = Engine(units, self.scenes, self.journal, dial)
        self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()
        await self.journal.close()

    async def online(self) -> None:
        await until(lambda: all(d.link == "online" for d in self.engine.store.devices.values()))

    def entry(self, name: str) -> Entry:
        return self.engine.store.entries[name]

    async def press(self, name: str, press: Press = PERSON) -> Run:
        return await self.engine.arbiter.activate(self.scenes[name], press, {})

    async def finished(self, run: Run, seconds: float = 15.0) -> Run:
        await until(lambda: run.state == "closed", seconds)
        return run

    async def switch(self, name: str, press: Press = PERSON) -> Run:
        return await self.finished(await self.press(name, press))
