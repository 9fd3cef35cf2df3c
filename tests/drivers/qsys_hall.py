"""A configured core for the tests of the Q-SYS driver, as the loader would hand it over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from ecc_controld.sdk import Address, DeviceConfig, Text
from ecc_controld.sdk.testing import Bench
from ecc_drivers.qsys.driver import QSys, QSysOptions
from ecc_drivers.qsys.twin import QSysTwin

CONTROLS: dict[str, Any] = {
    "mic.1.gain": {"control": "Mic1Gain", "kind": "gain", "title_zh": "主席话筒增益", "title_en": "Chair gain"},
    "mic.1.mute": {"control": "Mic1Mute", "kind": "mute"},
    "master.mute": {"control": "MasterMute", "kind": "mute"},
    "master.gain": {"component": "Master", "control": "gain", "kind": "gain", "min": "-80", "max": "10"},
    "fader": {"component": "Master", "control": "fader", "kind": "position"},
    "level.1": {"control": "Mic1Meter", "kind": "meter"},
    "src": {"control": "SourceSel", "kind": "choice", "words": {"pc": "1", "mcu": "2"}},
    "page": {"component": "Sign", "control": "text", "kind": "text"},
    "volume": {"control": "Lobby", "kind": "level", "max": 10},
}
VERIFY = {
    "duty": {"mic.1.gain": "-30", "mic.1.mute": "true", "master.gain": "-10"},
    "emergency": {"mic.1.gain": -10, "mic.1.mute": False, "master.gain": "-10"},
}
PRESETS: dict[str, int | str] = {"duty": 1, "emergency": "2"}
ACTIONS = {"chime": {"control": "ChimeTrigger", "title_zh": "提示音", "title_en": "Chime"}}


def config(secret: str | None = None, presets: dict[str, int | str] | None = None, **options: Any) -> DeviceConfig:
    """A device as the loader hands it over: values as text or as numbers."""
    given = {"controls": CONTROLS, "actions": ACTIONS, "snapshot": {"verify": VERIFY}, **options}
    return DeviceConfig(
        id="dsp",
        name=Text("音频处理器", "DSP"),
        address=Address("tcp", "127.0.0.1", 1710),
        options=TypeAdapter(QSysOptions).validate_python(given),
        secret=secret,
        presets=PRESETS if presets is None else presets,
    )


def bench(twin: type[QSysTwin] = QSysTwin, device: DeviceConfig | None = None) -> Bench:
    device = device or config()
    return Bench(QSys(device), twin(device))


def core(made: Bench) -> QSysTwin:
    assert isinstance(made.twin, QSysTwin)
    return made.twin


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition; the test fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
