"""The independent client `visca-over-ip` against our twin, on real sockets.

The client binds the twin's port number at every address to hear answers to inquiries there; both sides share
the port with SO_REUSEADDR, the twin on an address of its own. The port is a free one: it is the same number on
both sides, as 52381 would be.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from visca_over_ip import Camera
from visca_over_ip.exceptions import ViscaException

from ecc_controld.sdk import Address, DeviceConfig, Text
from ecc_controld.sdk.twin import _UdpPeer
from ecc_drivers.visca.driver import Visca, ViscaOptions
from ecc_drivers.visca.twin import ViscaTwin

HOST = "127.0.0.2"
PATIENCE_S = 5.0
"""The client waits 0.1 s for an answer and then goes on; on a busy machine that would be too short."""


class SharingTwin(ViscaTwin):
    """As lenient as cameras are that this client works with, and quick, on a port that a client may bind too."""

    strict = False
    power_up_s = 0.2
    pan_full_s = 0.5
    tilt_full_s = 0.5
    zoom_full_s = 0.5
    recall_s = 0.05

    async def _bind(self, host: str, port: int) -> asyncio.DatagramTransport:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _UdpPeer(self), sock=sock)
        return transport


def config() -> DeviceConfig:
    return DeviceConfig(
        id="cam1",
        name=Text("摄像机 1", "Camera 1"),
        address=Address("udp", HOST, 52381),
        options=ViscaOptions(positions={"overview": (-400, 50, 1000), "parked": (0, 0, 0)}),
        presets={"overview": 1, "parked": 0},
    )


def free_port() -> int:
    """A port that is free at every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


async def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def twin() -> AsyncIterator[SharingTwin]:
    served = SharingTwin(config())
    await served.serve(HOST, free_port())
    yield served
    await served.close()


@pytest.fixture
async def camera(twin: SharingTwin) -> AsyncIterator[Camera]:
    client = await asyncio.to_thread(Camera, HOST, twin._at[1])
    client._cmd_sock.settimeout(PATIENCE_S)
    client._inq_sock.settimeout(PATIENCE_S)
    yield client
    client.close_connection()


async def test_what_the_client_sets_the_twin_holds(camera: Camera, twin: SharingTwin) -> None:
    await asyncio.to_thread(camera.pantilt, 24, 20, -170, 45)
    await until(lambda: twin.place[:2] == (-170, 45))
    await asyncio.to_thread(camera.zoom_to, 0.5)
    await until(lambda: twin.place == (-170, 45, 8192))
    await asyncio.to_thread(camera.pantilt, 24, 20, 70, -5, True)
    await until(lambda: twin.place == (-100, 40, 8192))
    await asyncio.to_thread(camera.pantilt_home)
    await until(lambda: twin.place == (0, 0, 8192))
    await asyncio.to_thread(camera.set_focus_mode, "manual")
    assert not twin.autofocus


async def test_what_the_twin_holds_the_client_reads(camera: Camera, twin: SharingTwin) -> None:
    for place in ((-2000, 900, 0), (1234, -56, 16384), (-1, -1, 1)):
        twin.poke("preset", "at:{},{},{}".format(*place))
        assert await asyncio.to_thread(camera.get_pantilt_position) == place[:2]
        assert await asyncio.to_thread(camera.get_zoom_position) == place[2]
    assert await asyncio.to_thread(camera.get_focus_mode) == "auto"


async def test_presets(camera: Camera, twin: SharingTwin) -> None:
    twin.poke("preset", "at:321,-123,4567")
    await asyncio.to_thread(camera.save_preset, 3)
    await asyncio.to_thread(camera.recall_preset, 1)
    await until(lambda: twin.place == (-400, 50, 1000))
    await until(lambda: not twin.sockets)
    await asyncio.to_thread(camera.recall_preset, 3)
    await until(lambda: twin.place == (321, -123, 4567))
    assert await asyncio.to_thread(camera.get_pantilt_position) == (321, -123)


async def test_driving_and_stopping(camera: Camera, twin: SharingTwin) -> None:
    # The client's text calls a positive pan speed left; on the wire it is right.
    await asyncio.to_thread(camera.pantilt, 8, 6)
    await until(lambda: twin.place[0] > 0)
    await asyncio.to_thread(camera.pantilt, 0, 0)
    rest = twin.place
    assert await asyncio.to_thread(camera.get_pantilt_position) == rest[:2]
    await asyncio.to_thread(camera.zoom, 5)
    await until(lambda: twin.place[2] > 0)
    await asyncio.to_thread(camera.zoom, 0)
    assert await asyncio.to_thread(camera.get_zoom_position) == twin.place[2]
    assert not any(axis._speed for axis in twin.axes.values())


async def test_power_and_what_standby_refuses(camera: Camera, twin: SharingTwin) -> None:
    await asyncio.to_thread(camera.set_power, False)
    assert not twin.power
    with pytest.raises(ViscaException) as refused:
        await asyncio.to_thread(camera.recall_preset, 1)
    assert refused.value.status_code == 0x41
    await asyncio.to_thread(camera.set_power, True)
    await until(lambda: twin.power)


async def test_the_client_and_our_driver_mean_the_same(camera: Camera, twin: SharingTwin) -> None:
    """The same command from both: the bytes that the camera hears are the same, header apart."""
    driver: Any = Visca(config())
    heard: list[bytes] = []
    for ask, value in ((camera.recall_preset, "overview"), (camera.zoom_to, None)):
        twin.log.clear()
        await asyncio.to_thread(ask, 1 if value else 0.25)
        heard += [entry.data[8:] for entry in twin.log if entry.who == "daemon"][:1]
    ours = [driver.write("preset", "overview").send[8:], driver.write("preset", "at:0,0,4096").more[0][8:]]
    assert heard == ours
