"""All codecs, fed with what their twins really say, cut and damaged in any way.

Each driver's own tests hold its vectors and round trips; here all of them go through the same mill, and their drivers
judge what comes out.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecc_controld.sdk import Driver, RemoteProtocolError
from ecc_controld.sdk.testing import Bench
from faults.devices import KINDS, Kind

STREAMS = [name for name, kind in KINDS.items() if "tcp" in kind.driver.schemes]
FLOOD = 8 << 20
BOUND = 2 << 20
"""No codec may hold more than this, whatever comes; the longest message of a protocol here is 1 MiB."""


@functools.cache
def said(name: str) -> tuple[bytes, ...]:
    """What the twin of a kind says to a login, a poll and its wishes: chunk by chunk, datagram by datagram."""

    async def talk(kind: Kind) -> tuple[bytes, ...]:
        config = kind.config(name)
        twin = kind.twin(config)
        kind.begin(twin)
        bench = Bench(kind.driver(config), twin)
        await bench.connect()
        await bench.read_all()
        for point, value in kind.wishes.items():
            await bench.write(point, value)
            if point not in kind.blind:
                await bench.settle(point, value)
        await bench.read_all()
        await twin.close()
        return tuple(bench.wire.received)

    return asyncio.run(talk(KINDS[name]))


def fresh(name: str) -> Driver:
    """A driver that was never connected."""
    kind = KINDS[name]
    return kind.driver(kind.config(name))


def outcome(driver: Driver, chunks: list[bytes]) -> list[str]:
    """The messages of a connection, and the declared error if it ends with one."""
    codec, found = driver.codec(), []
    try:
        for chunk in chunks:
            for message in codec.feed(chunk):
                found.append(repr(message))
    except RemoteProtocolError:
        found.append("error")
    return found


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in pieces."""
    at = sorted({place % (len(stream) + 1) for place in places})
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


DAMAGE = st.lists(
    st.tuples(st.sampled_from(["flip", "drop", "insert", "repeat"]), st.integers(0, 1 << 20), st.integers(0, 255)),
    max_size=6,
)
CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)


def damaged(data: bytes, damage: list[tuple[str, int, int]]) -> bytes:
    """The same with some bytes changed, lost, added or said twice."""
    out = bytearray(data)
    for kind, place, byte in damage:
        at = place % (len(out) + 1)
        if kind == "flip" and at < len(out):
            out[at] = byte
        elif kind == "drop":
            del out[at : at + 1 + byte % 8]
        elif kind == "insert":
            out[at:at] = bytes((byte,))
        elif kind == "repeat":
            out[at:at] = out[at : at + byte]
    return bytes(out)


mill = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", STREAMS)
@mill
@given(damage=DAMAGE, places=CUTS)
def test_any_chunking_equals_the_whole_also_of_a_damaged_stream(
    name: str, damage: list[tuple[str, int, int]], places: list[int]
) -> None:
    stream = damaged(b"".join(said(name)), damage)
    whole = outcome(fresh(name), [stream])
    assert outcome(fresh(name), cut(stream, places)) == whole
    if not damage:
        assert "error" not in whole


@pytest.mark.parametrize("name", KINDS)
@mill
@given(data=st.data())
def test_a_driver_that_hears_damage_raises_only_the_declared_error(name: str, data: st.DataObject) -> None:
    driver = fresh(name)
    codec = driver.codec()
    if name in STREAMS:
        chunks = cut(damaged(b"".join(said(name)), data.draw(DAMAGE)), data.draw(CUTS))
    else:
        chunks = [
            damaged(one, data.draw(DAMAGE)) for one in data.draw(st.lists(st.sampled_from(said(name)), max_size=8))
        ]
    questions = [*driver.observe(), *(driver.write(point, value) for point, value in KINDS[name].wishes.items())]
    for question in questions:
        assert question.send
    try:
        for chunk in chunks:
            for message in codec.feed(chunk):
                _listen(driver, [question.judge for question in questions], message)
    except RemoteProtocolError:
        pass


def _listen(driver: Driver, judges: list[Any], message: Any) -> None:
    for judge in [*judges, driver.heard]:
        try:
            judge(message)
        except RemoteProtocolError:
            pass


@pytest.mark.parametrize("name", KINDS)
@mill
@given(noise=st.lists(st.binary(max_size=300), max_size=6))
def test_noise_raises_only_the_declared_error(name: str, noise: list[bytes]) -> None:
    outcome(fresh(name), noise)


def held(codec: Any) -> int:
    """Bytes that a codec holds, with the framers inside it."""
    found = 0
    for value in vars(codec).values():
        found += sys.getsizeof(value) if isinstance(value, (bytes, bytearray, list, dict, set)) else 0
        found += held(value) if hasattr(value, "__dict__") and not isinstance(value, Driver) else 0
    return found


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("piece", [b"A", b"\x00", b"\r", b"\n", b"A\n", b"\xff", b"{", b"\n\n", b" 1"])
def test_no_flood_fills_the_memory(name: str, piece: bytes) -> None:
    codec = fresh(name).codec()
    chunk = piece * (65536 // len(piece))
    for _ in range(FLOOD // len(chunk)):
        try:
            for _message in codec.feed(chunk):
                pass
        except RemoteProtocolError:
            codec = fresh(name).codec()  # the connection is gone
        assert held(codec) <= BOUND
