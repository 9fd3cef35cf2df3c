"""aiopjlink, an independent client, against our twin on a real socket; and beside our driver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiopjlink
import pytest
from aiopjlink import Errors, Lamp, Power, Sources

from ecc_controld.sdk import Address, Answer, DeviceConfig, Exchange, Refusal, Session, Text, Value
from ecc_controld.wires import tcp
from ecc_drivers.pjlink.driver import PJLink
from ecc_drivers.pjlink.points import PJLinkOptions
from ecc_drivers.pjlink.twin import PJLinkTwin
from support.rig import until

PASSWORD = "JBMIAProjectorLink"
INPUTS = {"vga1": "11", "hdmi1": "31", "hdmi2": "32", "stream": "5A"}


class QuickTwin(PJLinkTwin):
    warm_s = 0.05
    cool_s = 0.05
    switch_s = 0.01


class Class1Twin(QuickTwin):
    level = 1
    has_lamp = False


def config(secret: str | None = PASSWORD) -> DeviceConfig:
    return DeviceConfig(
        id="wall",
        name=Text("大屏", "Wall"),
        address=Address("tcp", "127.0.0.1", 4352),
        options=PJLinkOptions(inputs=INPUTS),
        secret=secret,
    )


@pytest.fixture
async def twin() -> AsyncIterator[QuickTwin]:
    made = QuickTwin(config())
    await made.serve("127.0.0.1", 0)
    yield made
    await made.close()


@pytest.fixture
async def lit(twin: QuickTwin) -> QuickTwin:
    """A display that is on."""
    twin.poke("power.state", "on")
    return twin


@contextlib.asynccontextmanager
async def client(twin: PJLinkTwin, password: str | None = PASSWORD) -> AsyncIterator[aiopjlink.PJLink]:
    """The independent client, logged in. It leaves its connection open when the login fails: closed here."""
    host, port = twin._at
    link = aiopjlink.PJLink(address=host, port=port, password=password, timeout=4)
    try:
        await link.__aenter__()
        yield link
    finally:
        writer = link._writer
        await link.__aexit__(None, None, None)
        await writer.wait_closed()


async def until_power(link: aiopjlink.PJLink, state: Power.State) -> list[Power.State]:
    """Ask until the display is in a state; returns what it said on the way."""
    seen = [await link.power.get()]
    while seen[-1] is not state:
        assert len(seen) < 10_000
        seen.append(await link.power.get())
    return seen


async def test_power_runs_through_warming_and_cooling(twin: QuickTwin) -> None:
    async with client(twin) as link:
        assert await link.power.get() is Power.State.OFF
        await link.power.turn_on()
        with pytest.raises(aiopjlink.PJLinkERR3):
            await link.power.turn_off()
        seen = await until_power(link, Power.State.ON)
        assert set(seen[:-1]) == {Power.State.WARMING}
        assert twin.state == "1"
        await link.power.turn_off()
        seen = await until_power(link, Power.State.OFF)
        assert set(seen[:-1]) == {Power.State.COOLING}
        assert twin.state == "0"


async def test_the_twin_holds_what_the_client_sets(lit: QuickTwin) -> None:
    async with client(lit) as link:
        await link.sources.set(Sources.Mode.DIGITAL, 2)
        await until(lambda: lit._input == "32")
        await link.sources.set(Sources.Mode.NETWORK, "A", pjclass="2")
        await until(lambda: lit._input == "5A")
        await link.mute.video(True)
        assert (lit.picture_muted, lit.sound_muted) == (True, False)
        await link.mute.both(True)
        assert (lit.picture_muted, lit.sound_muted) == (True, True)
        await link.mute.audio(False)
        assert (lit.picture_muted, lit.sound_muted) == (True, False)
        await link.freeze.set(True)
        assert lit.frozen
        before = dict(lit.volume)
        await link.speaker.turn_up()
        await link.microphone.turn_down()
        assert (lit.volume["SVOL"], lit.volume["MVOL"]) == (before["SVOL"] + 1, before["MVOL"] - 1)


async def test_the_client_reads_what_the_twin_holds(lit: QuickTwin) -> None:
    pokes: dict[str, Value] = {
        "input": "hdmi2",
        "mute": "sound",
        "freeze": True,
        "fault.cover": "warning",
        "fault.lamp": "error",
        "lamp.hours": 4321,
        "signal": "3840x2160",
    }
    for point, value in pokes.items():
        lit.poke(point, value)
    async with client(lit) as link:
        assert await link.sources.get() == (Sources.Mode.DIGITAL, "2")
        assert await link.mute.status() == (False, True)
        assert await link.freeze.get() is True
        assert await link.lamps.status() == [(4321, Lamp.State.ON)]
        assert await link.sources.resolution() == (3840, 2160)
        found = await link.errors.query()
        wrong = {part: level for part, level in found.items() if level is not Errors.Level.OK}
        assert wrong == {Errors.Category.COVER: Errors.Level.WARN, Errors.Category.LAMP: Errors.Level.ERROR}
        lit.poke("signal", "none")
        with pytest.raises(aiopjlink.PJLinkProjectorError):
            await link.sources.resolution()


async def test_the_client_reads_who_it_is(twin: QuickTwin) -> None:
    async with client(twin) as link:
        assert await link.info.table() == {
            "software_version": "1.00",
            "serial_number": "Twall",
            "pjlink_class": aiopjlink.PJClass.TWO,
            "other": "",
            "product_name": "Twin Display",
            "manufacturer_name": "ECC",
            "projector_name": "大屏",
        }
        assert await link.sources.available_with_names() == [
            (Sources.Mode.RGB, "1", "VGA1"),
            (Sources.Mode.DIGITAL, "1", "HDMI1"),
            (Sources.Mode.DIGITAL, "2", "HDMI2"),
            (Sources.Mode.NETWORK, "A", "STREAM"),
        ]
        assert await link.sources.recommended_resolution() == (1920, 1080)
        assert await link.filter.hours() == 321
        assert await link.filter.replacement_models() == ["ELF-01"]
        assert await link.lamps.replacement_models() == ["ELP-01", "ELP-02"]


async def test_errors_are_those_of_the_protocol(twin: QuickTwin) -> None:
    async with client(twin) as link:
        with pytest.raises(aiopjlink.PJLinkERR3):
            await link.sources.set(Sources.Mode.DIGITAL, 1)
        with pytest.raises(aiopjlink.PJLinkERR2):
            await link.sources.set(Sources.Mode.DIGITAL, 9)
        with pytest.raises(aiopjlink.PJLinkERR2):
            await link.transmit("POWR", "3", aiopjlink.PJClass.ONE)
        with pytest.raises(aiopjlink.PJLinkERR1):
            await link.transmit("ABCD", "?", aiopjlink.PJClass.ONE)
        await twin.fault("reject")
        with pytest.raises(aiopjlink.PJLinkERR4):
            await link.power.turn_on()
        assert twin.state == "0"


async def test_a_laser_display_of_class_1(twin: QuickTwin) -> None:
    old = Class1Twin(config())
    await old.serve("127.0.0.1", 0)
    async with client(old) as link:
        assert await link.info.pjlink_class() is aiopjlink.PJClass.ONE
        with pytest.raises(aiopjlink.PJLinkERR1):
            await link.freeze.get()
        with pytest.raises(aiopjlink.PJLinkERR1):
            await link.lamps.hours()
    await old.close()


@pytest.mark.parametrize("password", ["bad", None])
async def test_a_wrong_or_missing_password(twin: QuickTwin, password: str | None) -> None:
    with pytest.raises(aiopjlink.PJLinkPassword):
        async with client(twin, password):
            pass
    await until(lambda: not twin.peers)


async def test_no_password_is_asked_for_when_there_is_none() -> None:
    open_twin = QuickTwin(config(secret=None))
    await open_twin.serve("127.0.0.1", 0)
    async with client(open_twin, None) as link:
        assert await link.power.get() is Power.State.OFF
    await open_twin.close()


async def test_one_client_at_a_time(lit: QuickTwin) -> None:
    async with client(lit) as link:
        with pytest.raises(aiopjlink.PJLinkConnectionClosed):
            async with client(lit):
                pass
        assert await link.power.get() is Power.State.ON
    await until(lambda: not lit.peers)
    async with client(lit) as link:
        assert await link.power.get() is Power.State.ON


async def test_our_driver_and_the_client_agree(lit: QuickTwin) -> None:
    """One after the other, as the display takes one client: what either sets the other reads."""
    driver = PJLink(config())
    wire = await tcp.dial(Address("tcp", *lit._at))
    session = Session(wire, driver.codec(), answer_s=driver.answer_s, on_lost=lambda code, detail: None)
    identity = await driver.attach(session)
    assert identity.model == "ECC Twin Display"
    wishes: dict[str, Value] = {"input": "hdmi2", "mute": True, "freeze": True}
    for point, value in wishes.items():
        assert await said(session, driver.write(point, value)) == Answer()
        async with asyncio.timeout(5):
            while await reading(session, driver, point) != value:
                pass
    wire.abort()
    await until(lambda: not lit.peers)

    async with client(lit) as link:
        assert await link.sources.get() == (Sources.Mode.DIGITAL, "2")
        assert await link.mute.status() == (True, True)
        assert await link.freeze.get() is True
        await link.mute.audio(False)
        await link.freeze.set(False)
        await link.sources.set(Sources.Mode.RGB, 1)
        await until(lambda: lit._input == "11")
    await until(lambda: not lit.peers)

    wire = await tcp.dial(Address("tcp", *lit._at))
    session = Session(wire, driver.codec(), answer_s=driver.answer_s, on_lost=lambda code, detail: None)
    await driver.attach(session)
    # "5A" among the inputs makes the driver speak class 2 here, which the client did not.
    found = {point: await reading(session, driver, point) for point in ("input", "mute", "freeze")}
    assert found == {"input": "vga1", "mute": "picture", "freeze": False}
    wire.abort()


async def said(session: Session, exchange: Exchange) -> Answer | Refusal:
    return await session.hand_over([exchange])[0].outcome


async def reading(session: Session, driver: PJLink, point: str) -> Value:
    answer = await said(session, driver.query(point))
    assert isinstance(answer, Answer)
    return {one.point: one.value for one in answer.readings}[point]
