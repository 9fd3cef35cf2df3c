"""Devices for the tests under faults: each driver with its own twin, a few wishes, and the twin's own truth.

Settle times, answer times and polls are shortened by subclasses; the order of events stays that of the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from ecc_controld.sdk import Address, DeviceConfig, Driver, Text, Twin, Value
from ecc_drivers.pjlink.driver import PJLink
from ecc_drivers.pjlink.points import PJLinkOptions
from ecc_drivers.pjlink.twin import PJLinkTwin
from ecc_drivers.qsys.driver import QSys, QSysOptions
from ecc_drivers.qsys.twin import QSysTwin
from ecc_drivers.videohub.driver import Videohub, VideohubOptions
from ecc_drivers.videohub.twin import VideohubTwin
from ecc_drivers.visca.driver import Visca, ViscaOptions
from ecc_drivers.visca.twin import ViscaTwin
from support.linebox import LineBox, LineTwin, PipelinedBox
from support.linebox import config as line_config

SETTLE_S, ANSWER_S, POLL_S = 0.6, 1.0, 1.0


def quick(driver: type[Driver]) -> type[Driver]:
    """The driver with times that a test can wait for."""

    class Quick(driver):  # type: ignore[valid-type,misc]
        answer_s = ANSWER_S
        poll_s = POLL_S

        def __init__(self, config: DeviceConfig) -> None:
            super().__init__(config)
            self.points = {
                name: replace(point, settle_s=min(point.settle_s, SETTLE_S), requery_s=min(point.requery_s, 0.1))
                for name, point in self.points.items()
            }

    Quick.__name__ = f"Quick{driver.__name__}"
    return Quick


class QuickDisplay(PJLinkTwin):
    warm_s = 0.05
    cool_s = 0.05
    switch_s = 0.01


class QuickCore(QSysTwin):
    boot_s = 0.3


class QuickCamera(ViscaTwin):
    """`boot_s` is longer than a question with all its copies: a shorter power cut is no loss of the link."""

    power_up_s = 0.2
    boot_s = 2.5
    pan_full_s = 0.3
    tilt_full_s = 0.3
    zoom_full_s = 0.3
    recall_s = 0.05


@dataclass(frozen=True)
class Kind:
    """One kind of device. `begin` brings a fresh twin to where the wishes are not true yet; `real` is what a point
    truly is, told by the twin's insides; `mark` the bytes by which a write of a wish is known in the twin's log.
    """

    name: str
    driver: type[Driver]
    twin: type[Twin]
    config: Callable[[str], DeviceConfig]
    wishes: Mapping[str, Value]
    begin: Callable[[Any], object]
    real: Callable[[Any, str], Value]
    mark: Callable[[str, Value], bytes]

    @property
    def blind(self) -> frozenset[str]:
        """Wished points that cannot be read."""
        points = self.driver(self.config("x")).points
        return frozenset(name for name in self.wishes if not points[name].readable)


def _device(scheme: str, options: Any, **more: Any) -> Callable[[str], DeviceConfig]:
    return lambda name: DeviceConfig(name, Text(name, name), Address(scheme, "127.0.0.1", 1), options, **more)


# -- displays ------------------------------------------------------------------------------------------------


def _display_is(twin: PJLinkTwin, point: str) -> Value:
    muted = twin.picture_muted and twin.sound_muted
    word = {code: word for word, code in PJLinkOptions().inputs.items()}[twin._input]
    return {"power": twin.state == "1", "input": word, "mute": muted, "freeze": twin.frozen}[point]


PJLINK = Kind(
    name="pjlink",
    driver=quick(PJLink),
    twin=QuickDisplay,
    config=_device("tcp", PJLinkOptions()),
    wishes={"power": True, "input": "hdmi2", "mute": True, "freeze": True},
    begin=lambda twin: None,
    real=_display_is,
    mark=lambda point, value: {
        "power": b"%1POWR 1",
        "input": b"%1INPT 32",
        "mute": b"%1AVMT 31",
        "freeze": b"%2FREZ 1",
    }[point],
)

# -- matrix --------------------------------------------------------------------------------------------------

VIDEOHUB = Kind(
    name="videohub",
    driver=quick(Videohub),
    twin=VideohubTwin,
    config=_device("tcp", VideohubOptions(inputs=8, outputs=8)),
    wishes={"out.1": "3", "out.2": "4", "out.3": "5"},
    begin=lambda twin: None,
    real=lambda twin, point: str(twin.state.crosspoints[int(point[4:]) - 1].source + 1),
    mark=lambda point, value: f"VIDEO OUTPUT ROUTING:\n{int(point[4:]) - 1} {int(value) - 1}\n".encode(),
)

# -- audio ---------------------------------------------------------------------------------------------------

CONTROLS = {
    "gain": {"control": "Gain", "kind": "gain"},
    "mute": {"control": "Mute", "kind": "mute"},
    "src": {"control": "Source", "kind": "choice", "words": {"pc": "1", "mcu": "2"}},
}


def _core_is(twin: QSysTwin, point: str) -> Value:
    value = twin.design.by_point[point][0].value
    return {1: "pc", 2: "mcu"}[value] if point == "src" else value


def _core_mark(point: str, value: Value) -> bytes:
    said = {"Name": CONTROLS[point]["control"], "Value": 2 if point == "src" else value}
    return json.dumps(said, separators=(",", ":")).encode()


QSYS = Kind(
    name="qsys",
    driver=quick(QSys),
    twin=QuickCore,
    config=_device("tcp", TypeAdapter(QSysOptions).validate_python({"controls": CONTROLS})),
    wishes={"gain": -33.0, "mute": True, "src": "mcu"},
    begin=lambda twin: twin.poke("src", "pc"),
    real=_core_is,
    mark=_core_mark,
)

# -- camera --------------------------------------------------------------------------------------------------

PLACE = (-400, 50, 1000)

VISCA = Kind(
    name="visca",
    driver=quick(Visca),
    twin=QuickCamera,
    config=_device("udp", ViscaOptions(positions={"overview": PLACE}), presets={"overview": 1}),
    wishes={"power": True, "preset": "overview"},
    begin=lambda twin: twin.poke("power", False),
    real=lambda twin, point: (
        twin.power if point == "power" else "overview" if twin.place == PLACE else "elsewhere"
    ),
    mark=lambda point, value: bytes.fromhex("81 01 04 00 02" if point == "power" else "81 01 04 3f 02 01"),
)

# -- our own -------------------------------------------------------------------------------------------------


def _line(name: str, driver: type[LineBox]) -> Kind:
    return Kind(
        name=name,
        driver=quick(driver),
        twin=LineTwin,
        config=line_config,
        wishes={"a": 7, "b": 8, "mute": True, "lamp": 3},
        begin=lambda twin: None,
        real=lambda twin, point: twin.state[point] == "1" if point == "mute" else int(twin.state[point]),
        mark=lambda point, value: f"SET {point} {int(value)}\n".encode(),
    )


LINE = _line("linebox", LineBox)
PIPELINED = _line("pipelined", PipelinedBox)

KINDS = {kind.name: kind for kind in (PJLINK, VIDEOHUB, QSYS, VISCA, LINE, PIPELINED)}
