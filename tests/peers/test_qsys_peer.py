"""An independent QRC client (`pyqsys`) against the twin of a core, on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from pydantic import TypeAdapter
from pyqsys import Core

from ecc_controld.sdk import Address, DeviceConfig, Text
from ecc_drivers.qsys.driver import QSysOptions
from ecc_drivers.qsys.twin import QSysTwin

T = TypeVar("T")

OPTIONS: dict[str, Any] = {
    "design": "County hall",
    "controls": {
        "mic.1.gain": {"control": "Mic1Gain", "kind": "gain"},
        "mic.1.mute": {"control": "Mic1Mute", "kind": "mute"},
        "src": {"control": "SourceSel", "kind": "choice", "words": {"pc": 1, "mcu": 2}},
        "master.gain": {"component": "Master", "control": "gain", "kind": "gain"},
        "master.mute": {"component": "Master", "control": "mute", "kind": "mute"},
    },
    "snapshot": {
        "verify": {"duty": {"mic.1.gain": -30, "src": "pc"}, "emergency": {"mic.1.gain": -10, "src": "mcu"}}
    },
}


def served(secret: str | None = None) -> QSysTwin:
    return QSysTwin(
        DeviceConfig(
            id="dsp",
            name=Text("音频处理器", "DSP"),
            address=Address("tcp", "127.0.0.1", 1710),
            options=TypeAdapter(QSysOptions).validate_python(OPTIONS),
            secret=secret,
            presets={"duty": 1, "emergency": 2},
        )
    )


async def said(call: Callable[..., T], *args: Any) -> T:
    """The client blocks, for ever if need be: each call has a thread that a failed test can leave behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            settle(outcome)

    def work() -> None:
        try:
            outcome = call(*args)
        except Exception as error:
            loop.call_soon_threadsafe(tell, future.set_exception, error)
        else:
            loop.call_soon_threadsafe(tell, future.set_result, outcome)

    threading.Thread(target=work, daemon=True).start()
    return await asyncio.wait_for(future, 5)


async def connected(twin: QSysTwin) -> Core:
    host, port = await twin.serve("127.0.0.1", 0)
    core = Core(host, port)
    await said(core.connect)
    return core


@pytest.fixture
async def twin() -> AsyncIterator[QSysTwin]:
    made = served()
    yield made
    await made.close()


@pytest.fixture
async def core(twin: QSysTwin) -> AsyncIterator[Core]:
    client = await connected(twin)
    yield client
    await said(client.close)


def knob(twin: QSysTwin, name: str, component: str = "") -> Any:
    return twin.design.knobs[component, name].value


async def test_the_client_reads_who_the_core_is(core: Core) -> None:
    status: Any = await said(core.status_get)
    assert (status["State"], status["DesignName"]) == ("Active", "County hall")
    assert status["Status"] == {"Code": 0, "String": "OK"}


async def test_what_the_client_sets_the_twin_holds(twin: QSysTwin, core: Core) -> None:
    await said(core.Control.set, "Mic1Gain", -6.5)
    await said(core.Control.set, "Mic1Mute", True)
    await said(core.Control.set, "SourceSel", 2)
    assert (knob(twin, "Mic1Gain"), knob(twin, "Mic1Mute"), knob(twin, "SourceSel")) == (-6.5, True, 2)


async def test_a_control_stays_in_its_range_and_its_kind(twin: QSysTwin, core: Core) -> None:
    await said(core.Control.set, "Mic1Gain", 99.0)
    assert knob(twin, "Mic1Gain") == 20.0
    assert (await said(core.Control.set, "Mic1Gain", "loud"))["Code"] == -32602
    assert (await said(core.Control.set, "SourceSel", 7))["Code"] == -32602
    assert (knob(twin, "Mic1Gain"), knob(twin, "SourceSel")) == (20.0, 1)


async def test_what_the_twin_holds_the_client_reads(twin: QSysTwin, core: Core) -> None:
    twin.poke("mic.1.gain", -12.0)
    twin.poke("mic.1.mute", True)
    twin.poke("src", "mcu")
    assert await said(core.Control.get, ["Mic1Gain", "Mic1Mute", "SourceSel"]) == [
        {"Name": "Mic1Gain", "Value": -12.0, "String": "-12.0dB"},
        {"Name": "Mic1Mute", "Value": 1.0, "String": "muted"},
        {"Name": "SourceSel", "Value": 2, "String": "2"},
    ]


async def test_a_ramp_that_the_client_asks_for_takes_its_time(twin: QSysTwin, core: Core) -> None:
    await said(core.Control.set, "Mic1Gain", 10.0, 30.0)
    (report,) = await said(core.Control.get, "Mic1Gain")
    assert -20.0 <= report["Value"] < 10.0
    assert knob(twin, "Mic1Gain") < 10.0


async def test_components_are_found_and_read(twin: QSysTwin, core: Core) -> None:
    twin.poke("master.gain", 20.0)
    components: Any = await said(core.Component.get_components)
    assert [component["Name"] for component in components] == ["Master"]
    controls: Any = await said(core.Component.get_controls, "Master")
    assert {control["Name"]: control["Type"] for control in controls["Controls"]} == {
        "gain": "Float",
        "mute": "Boolean",
    }
    assert await said(core.Component.get, "Master", [{"Name": "gain"}]) == {
        "Name": "Master",
        "Controls": [{"Name": "gain", "Value": 20.0, "String": "20.0dB", "Position": 1.0}],
    }


async def test_change_groups_tell_everything_once_and_then_what_changed(twin: QSysTwin, core: Core) -> None:
    assert await said(core.ChangeGroup.add_control, "g1", ["Mic1Gain", "Mic1Mute"]) is True
    assert await said(core.ChangeGroup.add_component_control, "g1", "Master", [{"Name": "gain"}]) is True

    async def changed() -> list[tuple[str, str, float]]:
        answer: Any = await said(core.ChangeGroup.poll, "g1")
        assert answer["Id"] == "g1"
        return [(change.get("Component", ""), change["Name"], change["Value"]) for change in answer["Changes"]]

    assert len(await changed()) == 3
    assert await changed() == []
    twin.poke("mic.1.gain", -3.0)
    twin.poke("master.gain", -4.0)
    assert await changed() == [("", "Mic1Gain", -3.0), ("Master", "gain", -4.0)]
    await said(core.ChangeGroup.remove, "g1", ["Mic1Gain"])
    twin.poke("mic.1.gain", -5.0)
    assert await changed() == []
    await said(core.ChangeGroup.invalidate, "g1")
    assert len(await changed()) == 2
    await said(core.ChangeGroup.destroy, "g1")
    assert (await said(core.ChangeGroup.poll, "g1"))["Code"] == 6


async def test_snapshots_are_saved_and_loaded(twin: QSysTwin, core: Core) -> None:
    assert await said(core.Snapshot.load, "Presets", 2, 0) is True
    assert knob(twin, "SourceSel") == 2
    async with asyncio.timeout(5):
        while knob(twin, "Mic1Gain") != -10.0:  # it follows the acknowledgement
            await asyncio.sleep(0.01)
    twin.poke("master.gain", 5.0)
    assert await said(core.Snapshot.save, "Presets", 3) is True
    twin.poke("master.gain", -50.0)
    await said(core.Snapshot.load, "Presets", 3, 0.001)
    async with asyncio.timeout(5):
        while knob(twin, "gain", "Master") != 5.0:
            await asyncio.sleep(0.01)
    assert (await said(core.Snapshot.load, "Presets", 9, 0))["Code"] == -32602


async def test_mixers_know_their_channels(twin: QSysTwin, core: Core) -> None:
    assert await said(core.Mixer.set_xpoint_gain, "Mixer", "1-3 !2", "1", -6.0, 0) is True
    assert twin.design.mixer == {
        ("Mixer.SetCrossPointGain", 1, 1): -6.0,
        ("Mixer.SetCrossPointGain", 3, 1): -6.0,
    }
    assert (await said(core.Mixer.set_xpoint_mute, "Mixer", "9", "*", True))["Code"] == 9
    assert (await said(core.Mixer.set_xpoint_mute, "Parade", "1", "1", True))["Code"] == 7


async def test_errors_are_the_published_codes(core: Core) -> None:
    assert (await said(core.Control.get, "NoSuch"))["Code"] == 8
    assert (await said(core.Component.get_controls, "NoSuch"))["Code"] == 7
    assert (await said(core.LoopPlayer.stop, "Player", 1, False))["Code"] == -32601
    # This version of the client misspells `Controls`.
    assert (await said(core.Component.set, "Master", [{"Name": "gain", "Value": 1}]))["Code"] == -32602
    assert (await said(core.Control.get, "Mic1Gain"))[0]["Name"] == "Mic1Gain"


async def test_a_fault_is_honest_for_a_stranger_too(twin: QSysTwin, core: Core) -> None:
    await twin.fault("reject")
    assert (await said(core.Control.set, "Mic1Gain", -1.0))["Code"] == -32603
    await twin.heal()
    await twin.fault("ignore")
    assert await said(core.Control.set, "Mic1Gain", -1.0) is True
    assert (await said(core.Control.get, "Mic1Gain"))[0]["Value"] == -20.0


async def test_answers_in_single_bytes_are_put_together(twin: QSysTwin, core: Core) -> None:
    await twin.fault("split")
    assert len(await said(core.Control.get, ["Mic1Gain", "SourceSel"])) == 2


async def test_logging_on(twin: QSysTwin) -> None:
    guarded = served("hall:1234")
    client = await connected(guarded)
    try:
        assert (await said(client.Control.get, "Mic1Gain"))["Code"] == 10
        assert (await said(client.logon, "hall", "0000"))["Code"] == 10
        assert await said(client.logon, "hall", "1234") is True
        assert (await said(client.Control.get, "Mic1Gain"))[0]["Value"] == -20.0
    finally:
        await said(client.close)
        await guarded.close()
