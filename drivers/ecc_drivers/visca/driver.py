"""PTZ cameras over VISCA over IP (UDP 52381)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ecc_controld.sdk import (
    Answer,
    Choice,
    ConfigError,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    Integer,
    LinkError,
    Point,
    Reading,
    Refusal,
    Rejected,
    Session,
    Switch,
    Text,
    Value,
)

from . import codec
from .codec import Message, ViscaCodec, What
from .dialogue import Dialogue
from .position import TILT_LIMIT, ZOOM_MAX, Place, Placement, Tolerance

DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    "up": (0, 1, 0),
    "down": (0, -1, 0),
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up-left": (-1, 1, 0),
    "up-right": (1, 1, 0),
    "down-left": (-1, -1, 0),
    "down-right": (1, -1, 0),
    "tele": (0, 0, 1),
    "wide": (0, 0, -1),
    "stop": (0, 0, 0),
}
"""What `drive` moves: pan, tilt, zoom."""

MODELS = {
    (0x0001, 0x040F): "Sony BRC-300",
    (0x0001, 0x0501): "Sony BRC-H700",
    (0x0001, 0x0505): "Sony BRC-Z700",
    (0x0001, 0x0507): "Sony BRC-Z330",
    (0x0001, 0x050B): "Sony BRC-H900",
    (0x0020, 0x0467): "Sony FCB-EV7500",
}
"""Vendor and model codes that Sony's manuals print; others are shown as numbers."""

UNKNOWN = Identity(model="VISCA camera")
VERSION_TRIES = 3
VERSION_S = 0.5


@dataclass(frozen=True)
class Speeds:
    """How fast the camera moves, in VISCA steps: `pan`, `tilt`, `zoom` for `drive`, `goto_*` for `at:` moves."""

    pan: int = 8
    tilt: int = 8
    zoom: int = 3
    goto_pan: int = 18
    goto_tilt: int = 16


@dataclass(frozen=True)
class ViscaOptions:
    """`positions`: pan, tilt, zoom of each preset as the camera reports them (all presets, or none).
    `motion_settle` and `power_settle`: the slowest recall and the slowest start, in seconds.
    """

    address: int = 0x81
    fixed_sequence: bool = False
    pan_digits: Literal[4, 5] = 4
    positions: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    speeds: Speeds = field(default_factory=Speeds)
    motion_settle: float = 12.0
    power_settle: float = 40.0


class Visca(Driver):
    """A PTZ camera. See README.md for what its points mean and how a position is proved."""

    name = "visca"
    schemes = frozenset({"udp"})
    port = 52381
    Options = ViscaOptions
    window = 2  # a camera runs two commands at once: a stop never waits behind a question
    answer_s: ClassVar[float] = 1.5
    poll_s: ClassVar[float] = 1.0

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        options = config.options if isinstance(config.options, ViscaOptions) else ViscaOptions()
        _check(options)
        self._options = options
        self._placement = _placement(config, options)
        self._driven: set[str] | None = None
        self._dialogue = Dialogue(address=options.address, fixed=options.fixed_sequence, answer_s=self.answer_s)
        self.points = {point.name: point for point in self._build()}

    def _build(self) -> Sequence[Point]:
        options, needs_power = self._options, frozenset({"power"})
        pan_limit = 1 << (4 * options.pan_digits - 1)
        return (
            Point(
                name="power",
                kind=Switch(),
                title=Text("电源", "Power"),
                trait="power",
                settle_s=options.power_settle,
                requery_s=1.0,
            ),
            Point(
                name="preset",
                kind=self._placement,
                title=Text("预置位", "Preset"),
                trait="preset",
                access="readwrite" if options.positions or not self._placement.numbers else "write",
                settle_s=options.motion_settle,
                requery_s=0.3,
                after=needs_power,
            ),
            Point(
                name="drive",
                kind=Choice(DIRECTIONS),
                title=Text("云台控制", "Pan, tilt and zoom"),
                trait="drive",
                access="momentary",
                after=needs_power,
                disturbs=frozenset({"preset"}),
                quiet_s=0.5,
                stop="stop",
            ),
            _axis("position.pan", Text("水平角度", "Pan position"), -pan_limit, pan_limit - 1),
            _axis("position.tilt", Text("垂直角度", "Tilt position"), -TILT_LIMIT, TILT_LIMIT - 1),
            _axis("position.zoom", Text("变焦", "Zoom position"), 0, ZOOM_MAX),
        )

    # -- connecting --------------------------------------------------------------------------------------

    def codec(self) -> ViscaCodec:
        return ViscaCodec()

    async def attach(self, session: Session) -> Identity:
        """RESET the numbers, hear that the camera lives, ask who it is."""
        self._driven = None
        try:
            await session.exchange(self._dialogue.hello(self._power_read, (codec.POWER_INQUIRY, (1,))))
        except Rejected as error:
            raise LinkError("not_ready", error.reason) from error
        asked = self._ask_version()
        for _ in range(VERSION_TRIES):
            # Without a judge: a camera that never answers this must not cost the connection.
            await session.exchange(Exchange(send=asked.send, judge=None))
            try:
                found = await session.receive(self._identity, VERSION_S)
            except LinkError:
                if session.lost:
                    raise
                continue  # the same number again, as for every lost datagram
            if isinstance(found, Identity):
                return found
            asked = self._ask_version()  # the camera had answered it: the answer was lost
        return UNKNOWN

    def _ask_version(self) -> Exchange:
        return self._dialogue.inquiry(lambda _: Answer(), (codec.VERSION_INQUIRY, (7,)))

    def _identity(self, message: Message) -> Identity | Message | None:
        """Who the camera says it is; the message itself if it wants to be asked anew; None for all else."""
        if message.number != self._dialogue.last and not self._dialogue.fixed:
            return None
        if message.what is What.FAULT:
            return message
        if message.what is What.ERROR:
            return UNKNOWN
        if message.what is not What.ANSWER or len(message.data) != 7:
            return None
        found = codec.version(message.data)
        model = MODELS.get((found.vendor, found.model), f"VISCA {found.vendor:04X}-{found.model:04X}")
        return Identity(model=model, firmware=f"{found.rom:04X}")

    # -- reading -----------------------------------------------------------------------------------------

    def observe(self) -> Sequence[Exchange]:
        return (self.query("power"), self.query("preset"))

    def query(self, point: str) -> Exchange:
        """The power state, or all of the position: one exchange of two inquiries."""
        if point == "power":
            return self._dialogue.inquiry(self._power_read, (codec.POWER_INQUIRY, (1,)))
        return self._dialogue.inquiry(
            self._position_read, (codec.PAN_TILT_INQUIRY, (8, 9)), (codec.ZOOM_INQUIRY, (4,))
        )

    @staticmethod
    def _power_read(data: Sequence[bytes]) -> Answer:
        code = data[0][0]
        value: Value = code == 0x02 if code in (0x02, 0x03) else f"<{code:02X}>"
        return Answer((Reading("power", value),))

    def _position_read(self, data: Sequence[bytes]) -> Answer | Refusal:
        pan_tilt, zoom = data
        digits = len(pan_tilt) - 4
        if digits != self._options.pan_digits:
            return Refusal(f"the camera gives pan with {digits} digits: set pan_digits to {digits}")
        place = Place(
            codec.number_of(pan_tilt[:digits], signed=True),
            codec.number_of(pan_tilt[digits:], signed=True),
            codec.number_of(zoom, signed=False),
        )
        readings = [Reading(f"position.{axis}", value) for axis, value in place._asdict().items()]
        if self.points["preset"].readable:
            readings.append(Reading("preset", self._placement.value(place)))
        return Answer(tuple(readings))

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, point: str, value: Value) -> Exchange:
        """The command or commands; answered when the camera has accepted them (ACK), not when they are done."""
        if point == "power":
            return self._dialogue.command(codec.power(value is True))
        if point == "drive":
            return self._drive(str(value))
        if (number := self._placement.numbers.get(str(value))) is not None:
            return self._dialogue.command(codec.recall(number))
        place, speeds = self._placement.place(value), self._options.speeds
        assert place is not None, "the kind lets nothing else through"
        return self._dialogue.command(
            codec.pan_tilt_to(place.pan, place.tilt, speeds.goto_pan, speeds.goto_tilt, self._options.pan_digits),
            codec.zoom_to(place.zoom),
        )

    def _drive(self, word: str) -> Exchange:
        pan, tilt, zoom = DIRECTIONS[word]
        speeds = self._options.speeds
        if word == "stop":
            # After a reconnect nobody knows what was driven: stop everything.
            stopping = {"pan_tilt", "zoom"} if self._driven is None else self._driven or {"pan_tilt", "zoom"}
            self._driven = set()
        else:
            stopping = {"zoom"} if zoom else {"pan_tilt"}
            self._driven = (self._driven or set()) | stopping
        bodies = []
        if "pan_tilt" in stopping:
            bodies.append(codec.pan_tilt_drive(pan, tilt, speeds.pan, speeds.tilt))
        if "zoom" in stopping:
            bodies.append(codec.zoom_drive(zoom, speeds.zoom))
        return self._dialogue.command(*bodies, urgent=word == "stop")

    def heard(self, message: Message) -> Sequence[Reading]:
        """Completions, copies and network changes: nothing to learn, the core polls the position."""
        self._dialogue.heard(message)
        return ()


def _axis(name: str, title: Text, low: int, high: int) -> Point:
    return Point(name=name, kind=Integer(low, high), title=title, trait="position", access="read", fleeting=True)


def _check(options: ViscaOptions) -> None:
    if not 0x81 <= options.address <= 0x87:
        raise ConfigError(
            Text(
                "VISCA 摄像机地址为 129 至 135（十六进制 81 至 87）",
                "the address of a VISCA camera is 129 to 135 (81 to 87 hex)",
            ),
            option="address",
        )
    limits = {"pan": (1, 24), "tilt": (1, 23), "zoom": (0, 7), "goto_pan": (1, 24), "goto_tilt": (1, 23)}
    for key, (low, high) in limits.items():
        if not low <= getattr(options.speeds, key) <= high:
            raise ConfigError(
                Text(f"速度 {low} 至 {high}", f"a speed from {low} to {high}"), option=f"speeds.{key}"
            )
    for key in ("pan", "tilt", "zoom"):
        if getattr(options.tolerance, key) < 0:
            raise ConfigError(Text("容差不为负", "a tolerance is not negative"), option=f"tolerance.{key}")
    for key in ("motion_settle", "power_settle"):
        if getattr(options, key) <= 0:
            raise ConfigError(Text("时间须大于 0 秒", "a time above 0 s"), option=key)


def _placement(config: DeviceConfig, options: ViscaOptions) -> Placement:
    numbers: dict[str, int] = {}
    for word, number in config.presets.items():
        text = str(number).strip()
        if not (text.isascii() and text.isdigit() and int(text) <= 0xFE):
            raise ConfigError(
                Text(
                    f"预置位 {word!r}：编号为 0 至 254，得到 {number!r}",
                    f"preset {word!r}: a camera's preset is a number from 0 to 254, got {number!r}",
                )
            )
        numbers[word] = int(text)
    places = {word: Place(*position) for word, position in options.positions.items()}
    kind = Placement(numbers, places, options.tolerance, options.pan_digits)
    for word, place in places.items():
        if wrong := kind.check(place):
            raise ConfigError(wrong, option=f"positions.{word}")
    unproved = [word for word in numbers if places and word not in places]
    if unproved:
        raise ConfigError(
            Text(
                f"{'、'.join(unproved)} 没有位置：要么每个预置位都给，要么都不给",
                f"no position for {', '.join(unproved)}: give one for every preset, or none at all",
            ),
            option="positions",
            valid=tuple(numbers),
        )
    if any(word.startswith("at:") for word in kind.words()):
        raise ConfigError(Text("预置位的名字不能以 at: 开头", "a preset's name cannot begin with 'at:'"))
    return kind
