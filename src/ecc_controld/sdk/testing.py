"""For tests of drivers: a wire in memory, and the conformance suite that every driver must pass.

A driver's test module subclasses `DriverConformance` and gives a `make()`; pytest does the rest. Needs pytest
and pytest-asyncio (auto mode) in the environment of the tests.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .driver import Driver, Identity
from .errors import RemoteProtocolError
from .exchange import Answer, Refusal
from .point import Reading, Value
from .session import Session
from .twin import Peer, Twin

NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class MemoryWire:
    """A ByteWire that ends in a twin, without a socket. `received` keeps each chunk that the twin sent."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._data: Callable[[bytes], None] | None = None
        self._lost: Callable[[str, str], None] | None = None
        self.received: list[bytes] = []
        self.sent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._peer = Peer(send=self._from_twin, host="127.0.0.1", close=self._closed, reset=self._closed)
        twin.peers.add(self._peer)

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        self._data, self._lost = data, lost
        self._twin.say(self._peer, self._twin.greet(self._peer))

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self._loop.call_soon(self._twin._received, self._peer, data)

    async def drained(self) -> None:
        """Memory is never full."""

    def abort(self) -> None:
        self._lost = None
        self._twin.peers.discard(self._peer)

    def _from_twin(self, data: bytes) -> None:
        self.received.append(data)
        self._loop.call_soon(self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self._data is not None:
            self._data(data)

    def _closed(self) -> None:
        if self._lost is not None:
            lost, self._lost = self._lost, None
            self._loop.call_soon(lost, "closed_by_device", "")


@dataclass
class Bench:
    """A driver connected to its twin, and how to speak through it."""

    driver: Driver
    twin: Twin
    wire: MemoryWire = field(init=False)
    session: Session = field(init=False)
    identity: Identity = field(init=False)
    heard: list[Reading] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)

    async def connect(self) -> Identity:
        """Open a wire, log in, and deliver pushes to `heard`."""
        self.wire = MemoryWire(self.twin)
        self.session = Session(
            self.wire,
            self.driver.codec(),
            answer_s=self.driver.answer_s,
            on_lost=lambda code, detail: self.lost.append((code, detail)),
        )
        self.identity = await self.driver.attach(self.session)
        self.session.begin(lambda message: self.heard.extend(self.driver.heard(message)))
        return self.identity

    async def ask(self, point: str) -> Answer | Refusal:
        """Query one point."""
        return await self.session.hand_over([self.driver.query(point)])[0].outcome

    async def read(self, point: str) -> Value | None:
        """The value that a query of `point` gives, or None if the device refuses."""
        answer = await self.ask(point)
        if isinstance(answer, Refusal):
            return None
        return {reading.point: reading.value for reading in answer.readings}[point]

    async def write(self, point: str, value: Value) -> Answer | Refusal:
        """Send one write and return the device's word."""
        return await self.session.hand_over([self.driver.write(point, value)])[0].outcome

    async def read_all(self) -> dict[str, Value]:
        """Everything that `observe` gives."""
        found: dict[str, Value] = {}
        for exchange in self.driver.observe():
            answer = await self.session.hand_over([exchange])[0].outcome
            if isinstance(answer, Answer):
                found.update((reading.point, reading.value) for reading in answer.readings)
        return found

    async def settle(self, point: str, value: Value) -> Value | None:
        """Query until the point is `value` or twice its settle time is over; returns the last reading."""
        known = self.driver.points[point]
        deadline = asyncio.get_running_loop().time() + 2 * known.settle_s + 1
        while True:
            got = await self.read(point)
            if (got is not None and known.kind.same(got, value)) or asyncio.get_running_loop().time() > deadline:
                return got
            await asyncio.sleep(min(known.requery_s, 0.05))


class DriverConformance:
    """What every driver must do. Subclass it as `TestConformance` and override `make`.

    `make()` returns a fresh driver and a fresh twin of the same config, with `wishes`: for each writable
    point two values that differ, tried in order (points that must be on first, first).
    """

    def make(self) -> tuple[Driver, Twin, dict[str, tuple[Value, Value]]]:
        """A fresh driver, a fresh twin, and what to try."""
        raise NotImplementedError

    async def test_points_are_well_formed(self) -> None:
        driver, _, wishes = self.make()
        assert driver.points
        for name, point in driver.points.items():
            assert point.name == name
            assert NAME.fullmatch(name), name
            assert point.title.zh
            assert point.title.en
            for other in {*point.after, *point.disturbs, *point.guard}:
                assert other in driver.points, f"{name} names {other}"
            for other in point.disturbs:
                assert name not in driver.points[other].disturbs, f"{name} and {other} disturb each other"
            for other, value in point.guard.items():
                assert driver.points[other].kind.parse(value) == value
            if point.access == "momentary":
                assert point.stop is not None
        writable = {name for name, point in driver.points.items() if point.writable}
        assert writable == set(wishes), "the wishes to try name every writable point"

    async def test_attach_identifies_and_observe_reads_every_point(self) -> None:
        driver, twin, _ = self.make()
        bench = Bench(driver, twin)
        identity = await bench.connect()
        assert identity.model or identity.name
        found = await bench.read_all()
        readable = {name for name, point in driver.points.items() if point.readable}
        assert readable - set(found) == set(), "observe reads all readable points"
        for name, value in found.items():
            assert isinstance(value, (bool, int, float, str)), name
        await twin.close()

    async def test_every_wish_becomes_true_and_is_read_back(self) -> None:
        driver, twin, wishes = self.make()
        bench = Bench(driver, twin)
        await bench.connect()
        for name, values in wishes.items():
            for value in values:
                answer = await bench.write(name, value)
                assert isinstance(answer, Answer), (name, value, answer)
                if driver.points[name].readable:
                    got = await bench.settle(name, value)
                    assert got is not None
                    assert driver.points[name].kind.same(got, value), (name, value, got)
        assert not bench.lost
        await twin.close()

    async def test_rejected_writes_are_refusals_and_ignored_ones_change_nothing(self) -> None:
        driver, twin, wishes = self.make()
        bench = Bench(driver, twin)
        await bench.connect()
        for name, values in wishes.items():
            point = driver.points[name]
            await bench.write(name, values[0])
            if point.readable:
                await bench.settle(name, values[0])
            await twin.fault("reject")
            assert isinstance(await bench.write(name, values[1]), Refusal), name
            await twin.heal()
            await twin.fault("ignore")
            assert isinstance(await bench.write(name, values[1]), Answer), name
            if point.readable:
                got = await bench.read(name)
                assert got is not None
                assert not point.kind.same(got, values[1]), f"{name} changed although ignored"
            await twin.heal()
        await twin.close()

    async def test_any_chunking_equals_the_whole(self) -> None:
        driver, twin, wishes = self.make()
        bench = Bench(driver, twin)
        await bench.connect()
        await bench.read_all()
        for name, values in wishes.items():
            await bench.write(name, values[0])
        if "udp" in driver.schemes:
            await twin.close()
            return  # a datagram is never cut
        stream = b"".join(bench.wire.received)
        whole = list(driver.codec().feed(stream))
        dice = random.Random(7)
        for _ in range(20):
            codec, parts, at = driver.codec(), [], 0
            while at < len(stream):
                cut = at + dice.choice((1, 2, 3, 7, 50, 400))
                parts += list(codec.feed(stream[at:cut]))
                at = cut
            assert [repr(part) for part in parts] == [repr(part) for part in whole]
        await twin.close()

    async def test_noise_raises_only_the_declared_error_and_stays_bounded(self) -> None:
        driver, twin, _ = self.make()
        await twin.close()
        dice = random.Random(11)
        for _ in range(200):
            codec = driver.codec()
            for _ in range(dice.randrange(1, 6)):
                noise = bytes(dice.randrange(256) for _ in range(dice.randrange(0, 300)))
                try:
                    for message in codec.feed(noise):
                        try:
                            driver.heard(message)
                        except RemoteProtocolError:
                            pass
                except RemoteProtocolError:
                    break
        flood = driver.codec()
        try:
            for _ in range(64):
                list(flood.feed(b"A" * 65536))
        except RemoteProtocolError:
            return
        assert "udp" in driver.schemes, "4 MiB without an end of frame must be refused"
