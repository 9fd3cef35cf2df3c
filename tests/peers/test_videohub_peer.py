"""bmdwire's videohubwire, an independent client, against our twin on a real socket; and beside our driver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from videohubwire import Videohub, VideohubError

from ecc_controld.sdk import Address, Answer, DeviceConfig, Exchange, Reading, Refusal, Session, Text
from ecc_controld.wires import tcp
from ecc_drivers.videohub.driver import Videohub as OurDriver
from ecc_drivers.videohub.driver import VideohubOptions
from ecc_drivers.videohub.twin import FRONT_PANEL, VideohubTwin

T = TypeVar("T")

SOURCES = {"gis": "in.3"}
OTHER_HOST = "127.0.0.2"


def config(port: int = 9990, inputs: int = 4, outputs: int = 4) -> DeviceConfig:
    return DeviceConfig(
        id="matrix",
        name=Text("大厅矩阵", "Hall matrix"),
        address=Address("tcp", "127.0.0.1", port),
        options=VideohubOptions(inputs=inputs, outputs=outputs),
        sources=SOURCES,
    )


@pytest.fixture
async def twin() -> AsyncIterator[VideohubTwin]:
    made = VideohubTwin(config())
    await made.serve("127.0.0.1", 0)
    yield made
    await made.close()


def from_other_host(address: tuple[str, int], timeout: float) -> socket.socket:
    """Connect as a client with another address: a lock belongs to an address."""
    return socket.create_connection(address, timeout=timeout, source_address=(OTHER_HOST, 0))


async def with_client(twin: VideohubTwin, work: Callable[[Videohub], T], **how: Any) -> T:
    """Run the blocking client in a thread, from connecting to closing."""
    host, port = twin._at

    def run() -> T:
        with Videohub(host, port, **how) as hub:
            return work(hub)

    return await asyncio.to_thread(run)


async def test_the_client_reads_what_the_twin_holds(twin: VideohubTwin) -> None:
    twin.poke("out.4", "gis")
    twin.poke("out.2.lock", "other")
    twin.state.crosspoints[2].owner = "127.0.0.1"
    twin.poke("in.1.label", "无人机 一号")
    twin.poke("in.2.label", "")
    twin.poke("out.3.label", "Main LED")
    found = await with_client(twin, Videohub.state)
    assert found["device"] == {
        "model_name": "Blackmagic Videohub 4x4",
        "friendly_name": "大厅矩阵",
        "video_inputs": 4,
        "video_outputs": 4,
        "protocol_version": "2.8",
    }
    # It shows a label that is empty by the port's own name.
    assert [one["label"] for one in found["inputs"]] == ["无人机 一号", "Input 2", "Input 3", "Input 4"]
    assert [(one["label"], one["source"], one["lock"]) for one in found["outputs"]] == [
        ("Output 1", 0, "U"),
        ("Output 2", 1, "L"),
        ("Main LED", 2, "O"),
        ("Output 4", 2, "U"),
    ]


async def test_the_twin_holds_what_the_client_sets(twin: VideohubTwin) -> None:
    def work(hub: Videohub) -> None:
        hub.route(0, 3)
        hub.ping()
        hub.set_output_label(2, "Main LED")
        hub.set_input_label(1, "会商 终端")
        hub.set_input_label(0, "")
        hub.ping()

    await with_client(twin, work)
    assert [one.source for one in twin.state.crosspoints] == [3, 1, 2, 3]
    assert twin.state.outputs[2] == "Main LED"
    assert twin.state.inputs[:2] == ["", "会商 终端"]


async def test_what_one_client_sets_another_reads(twin: VideohubTwin) -> None:
    await with_client(twin, lambda hub: hub.route(1, 2))
    found = await with_client(twin, Videohub.state)
    assert found["outputs"][1]["source"] == 2


async def test_a_locked_output_refuses_the_client(twin: VideohubTwin) -> None:
    twin.poke("out.2.lock", "other")
    with pytest.raises(VideohubError, match="refused"):
        await with_client(twin, lambda hub: hub.route(1, 0))
    assert twin.state.crosspoints[1].source == 1


async def test_a_model_that_acknowledges_and_keeps_a_locked_route(twin: VideohubTwin) -> None:
    twin.locked_nak = False
    twin.poke("out.2.lock", "other")
    await with_client(twin, lambda hub: hub.route(1, 0))
    assert (await with_client(twin, Videohub.state))["outputs"][1]["source"] == 1


async def test_faults_as_the_client_sees_them(twin: VideohubTwin) -> None:
    await twin.fault("reject")
    with pytest.raises(VideohubError, match="refused"):
        await with_client(twin, lambda hub: hub.route(0, 1))
    with pytest.raises(VideohubError, match="refused"):
        await with_client(twin, lambda hub: hub.set_input_label(0, "x"))
    await twin.heal()
    await twin.fault("ignore")
    await with_client(twin, lambda hub: hub.route(0, 1))
    assert (await with_client(twin, Videohub.state))["outputs"][0]["source"] == 0
    await twin.heal()
    await twin.fault("split")
    await with_client(twin, lambda hub: hub.route(0, 1))
    assert twin.state.crosspoints[0].source == 1


async def test_a_dump_without_end_prelude(twin: VideohubTwin) -> None:
    twin.end_prelude = False
    found = await with_client(twin, Videohub.state)
    assert len(found["outputs"]) == 4


async def test_a_hub_without_its_device_is_no_videohub_to_the_client(twin: VideohubTwin) -> None:
    twin.set_present("needs_update")
    with pytest.raises(VideohubError, match="preamble"):
        await with_client(twin, Videohub.state, read_timeout=0.3)


async def test_the_largest_usual_hub() -> None:
    twin = VideohubTwin(config(inputs=40, outputs=40))
    await twin.serve("127.0.0.1", 0)

    def work(hub: Videohub) -> dict[str, Any]:
        for output in range(40):
            hub.route(output, 39 - output)
        found: dict[str, Any] = hub.state()
        return found

    found = await with_client(twin, work)
    assert [one["source"] for one in found["outputs"]] == list(range(39, -1, -1))
    assert [one.source for one in twin.state.crosspoints] == list(range(39, -1, -1))
    await twin.close()


class Ours:
    """Our driver on a real connection to the same hub."""

    def __init__(self, twin: VideohubTwin) -> None:
        self.driver = OurDriver(config(twin._at[1]))
        self.heard: list[Reading] = []
        self.lost: list[str] = []
        self.news = asyncio.Event()

    async def __aenter__(self) -> Ours:
        wire = await tcp.dial(self.driver.config.address)
        self.session = Session(
            wire, self.driver.codec(), answer_s=5.0, on_lost=lambda code, _: self.lost.append(code)
        )
        self.identity = await self.driver.attach(self.session)
        self.session.begin(self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.session.abort("stopped")

    def _hear(self, message: Any) -> None:
        self.heard.extend(self.driver.heard(message))
        self.news.set()

    async def until_heard(self, reading: Reading) -> None:
        async with asyncio.timeout(5):
            while reading not in self.heard:
                self.news.clear()
                await self.news.wait()

    async def say(self, exchange: Exchange) -> Answer | Refusal:
        return await self.session.hand_over([exchange])[0].outcome

    async def read(self, point: str) -> object:
        answer = await self.say(self.driver.query(point))
        assert isinstance(answer, Answer)
        return {reading.point: reading.value for reading in answer.readings}[point]


async def test_our_driver_and_the_client_share_one_hub(twin: VideohubTwin) -> None:
    async with Ours(twin) as ours:
        assert ours.identity.model == "Blackmagic Videohub 4x4"
        await with_client(twin, lambda hub: hub.route(3, 2))
        await ours.until_heard(Reading("out.4", "gis"))
        assert await ours.read("out.4") == "gis"
        assert await ours.say(ours.driver.write("out.1", "4")) == Answer()
        assert await ours.read("out.1") == "4"
        assert (await with_client(twin, Videohub.state))["outputs"][0]["source"] == 3
        assert not ours.lost


async def test_our_lock_keeps_the_client_at_another_address_out(twin: VideohubTwin) -> None:
    async with Ours(twin) as ours:
        assert await ours.say(ours.driver.write("out.1.lock", "held")) == Answer()
        assert await ours.read("out.1.lock") == "held"
        found = await with_client(twin, Videohub.state, socket_factory=from_other_host)
        assert found["outputs"][0]["lock"] == "L"
        with pytest.raises(VideohubError, match="refused"):
            await with_client(twin, lambda hub: hub.route(0, 2), socket_factory=from_other_host)
        assert await ours.say(ours.driver.write("out.1", "2")) == Answer()
        assert await ours.say(ours.driver.write("out.1.lock", "free")) == Answer()
        await with_client(twin, lambda hub: hub.route(0, 2), socket_factory=from_other_host)
        assert await ours.read("out.1") == "gis"
        twin.state.crosspoints[1].owner = FRONT_PANEL
        assert await ours.read("out.2.lock") == "other"
        assert isinstance(await ours.say(ours.driver.write("out.2", "1")), Refusal)
        assert not ours.lost


async def test_many_changes_by_others_while_ours_are_under_way(twin: VideohubTwin) -> None:
    def busy(hub: Videohub) -> None:
        for n in range(200):
            hub.route(2, n % 4)
            hub.set_output_label(3, f"标签 {n}")

    async with Ours(twin) as ours:
        noise = asyncio.ensure_future(with_client(twin, busy))
        rounds = 0
        while not noise.done():
            value = "gis" if rounds % 2 else "2"
            assert await ours.say(ours.driver.write("out.1", value)) == Answer()
            assert await ours.read("out.1") == value
            assert await ours.read("out.2.lock") == "free"
            rounds += 1
        await noise
        assert rounds > 1
        assert not ours.lost
        assert await ours.read("out.3") == "4"
