"""Drivers without a protocol, and files of a small hall, for tests of the loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ecc_controld.registry import Registry
from ecc_controld.sdk import (
    Action,
    Choice,
    Codec,
    ConfigError,
    DelimitedFramer,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    Integer,
    Number,
    Point,
    Session,
    Switch,
    Text,
    Value,
    Words,
)
from ecc_controld.settings import Hall, load_hall


def point(name: str, kind: Any, **more: Any) -> Point:
    """A point whose title is its name."""
    return Point(name=name, kind=kind, title=Text(name, name), trait="test", **more)


class Fake(Driver):
    """A driver that speaks nothing."""

    name = "fake"
    port = 7000

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self.points = {one.name: one for one in self.made()}

    def made(self) -> list[Point]:
        return [point("power", Switch())]

    def codec(self) -> Codec:
        return DelimitedFramer(b"\n", 100)

    async def attach(self, session: Session) -> Identity:
        return Identity()

    def observe(self) -> Sequence[Exchange]:
        return [self.query("power")]

    def write(self, point: str, value: Value) -> Exchange:
        return Exchange(b"", None)

    def query(self, point: str) -> Exchange:
        return Exchange(b"", None)


@dataclass(frozen=True)
class Picture:
    depth: int = 8
    gamma: float | None = None


@dataclass(frozen=True)
class DisplayOptions:
    model: Literal["VX1000", "VX600"] = "VX1000"
    lines: Literal[2, 4] = 2
    cabinets: int = 1
    warm: bool = False
    offset: float = 0.0
    picture: Picture = field(default_factory=Picture)
    windows: Mapping[str, Picture] = field(default_factory=dict)
    corner: tuple[int, int] = (0, 0)
    codes: Mapping[str, bool | int | float | str] = field(default_factory=dict)


class Display(Fake):
    name = "display"
    gap_s = 0.5
    Options = DisplayOptions

    def made(self) -> list[Point]:
        if self.config.options.cabinets < 1:
            raise ConfigError(Text("至少一个箱体", "at least one cabinet"), option="cabinets")
        if (word := next((w for w in self.config.options.windows if "!" in w), None)) is not None:
            raise ConfigError(Text("不能有叹号", "no exclamation marks"), option=f"windows.{word}.depth")
        if "bad" in self.config.presets:
            raise ConfigError(Text("预置位不能叫 bad", "a preset cannot be called bad"))
        return [
            point("power", Switch()),
            point("input", Choice({"hdmi1": 1, "hdmi2": 2}), after=frozenset({"power"})),
            point("preset", Choice(dict(self.config.presets)), after=frozenset({"power"})),
            point("brightness", Integer(0, 100, unit="%")),
            point("label", Words()),
            point("clock", Words()),
            point("temperature", Number(-20, 90, "°C"), access="read"),
        ]


@dataclass(frozen=True)
class MatrixOptions:
    outputs: int = 4


class Matrix(Fake):
    name = "matrix"
    Options = MatrixOptions

    def made(self) -> list[Point]:
        words = {str(n): n for n in range(1, 9)} | {
            w: int(at.removeprefix("in.")) for w, at in self.config.sources.items()
        }
        return [point(f"out.{n}", Choice(words)) for n in range(1, self.config.options.outputs + 1)]


class Dsp(Fake):
    name = "dsp"

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self.actions = {"chime": Action("chime", Text("提示音", "Chime"))}

    def made(self) -> list[Point]:
        return [
            point("mic.1.gain", Number(-60, 12, "dB")),
            point("mic.2.gain", Number(-60, 12, "dB")),
            point("mic.2.mute", Switch()),
            point("master.mute", Switch()),
            point(
                "preset",
                Choice({"duty": 1, "emergency": 2}),
                disturbs=frozenset({"mic.1.gain", "mic.2.gain"}),
                guard={"master.mute": True},
            ),
            point("nudge", Choice({"up": 1, "stop": 0}), access="momentary", stop="stop"),
        ]


class Camera(Fake):
    """Without presets it has no point `preset`, and no `autotrack`."""

    name = "camera"
    schemes = frozenset({"udp"})
    port = 52381

    def made(self) -> list[Point]:
        made = [point("power", Switch())]
        if self.config.presets:
            made.append(point("preset", Choice(dict(self.config.presets)), after=frozenset({"power"})))
            made.append(point("autotrack", Switch()))
        return made


DRIVERS: Mapping[str, type[Driver]] = {one.name: one for one in (Fake, Display, Matrix, Dsp, Camera)}

HEAD = """\
schema: 1
hall: {name: {zh: 测试大厅, en: Test hall}, timezone: Asia/Shanghai}
networks: [10.20.0.0/16]
"""

HALL = (
    HEAD
    + """\
devices:
  wall:
    driver: display
    name: {zh: 大屏, en: Wall}
    group: display
    zone: 前区
    address: tcp://10.20.1.10:5200
    presets: {quad: 2, duty: 0}
  side:
    driver: display
    group: display
    address: tcp://10.20.1.11
    presets: {quad: 2, duty: 0}
  matrix: {driver: matrix, address: "tcp://10.20.1.20"}
  dsp: {driver: dsp, address: "tcp://10.20.1.30", gap: 200ms}
  cam1: {driver: camera, group: camera, address: "udp://10.20.2.1", presets: {overview: 1, parked: 0}}
  cam2: {driver: camera, group: camera, address: "udp://10.20.2.2", presets: {overview: 1}}
  cam3: {driver: camera, group: camera, address: "udp://cam3.hall"}
lists: {townships: [site-01, site-02]}
sources: {gis: {zh: 地理信息, en: GIS, input: matrix.in.3, label: internal}}
"""
)


def write(folder: Path, **files: str) -> Path:
    """A folder with these files (`hall="..."` is `hall.yaml`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def hall(folder: Path, text: str = HALL, **how: Any) -> Hall:
    """The hall of one file."""
    how.setdefault("secrets", {}.get)
    return load_hall(write(folder / "config", hall=text), how.pop("registry", Registry(DRIVERS)), **how)
