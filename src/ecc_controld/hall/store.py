"""The store: observed and wanted of every point of the hall, and who must know when they change.

No I/O and no clock: times are given by the caller (monotonic seconds). Subscribers are called at once, in the
order in which they subscribed, and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ecc_controld.sdk.driver import Identity
from ecc_controld.sdk.point import Point, Value
from ecc_controld.sdk.text import Text

from .wish import Layer, Life, Wish

NEVER = float("-inf")


@dataclass(slots=True, eq=False)
class Entry:
    """One point of the hall.

    `observed` is what the device last said (None: unknown) at `observed_at`. `dirty`: a write was handed over
    whose effect is not proved yet. A read that was sent before `trust_after` judges nothing. `fitted`: the
    model has this point. `life` belongs to the wish `living`, which is the top one as soon as control has seen it.
    """

    name: str
    device: str
    local: str
    point: Point
    observed: Value | None = None
    observed_at: float | None = None
    dirty: bool = False
    trust_after: float = NEVER
    fitted: bool = True
    layers: dict[Layer, Wish] = field(default_factory=dict)
    life: Life | None = None
    living: Wish | None = None

    @property
    def top(self) -> Wish | None:
        """The wish that counts: fire over manual over scene (and the keeper's guard above all)."""
        if not self.layers:
            return None
        return self.layers[max(self.layers)]

    @property
    def blind(self) -> bool:
        """It can be wanted but not read."""
        return not self.point.readable or not self.fitted

    def is_at(self, value: Value) -> bool:
        """Whether the last reading, dirty or not, is `value`."""
        return self.observed is not None and self.point.kind.same(self.observed, value)


@dataclass(slots=True, eq=False)
class DeviceState:
    """What is known about one device's link. `since` is Unix time of the last change, `heard_at` monotonic."""

    id: str
    link: str = "offline"
    reason: str = "not_dialled"
    detail: str = ""
    since: float = 0.0
    identity: Identity | None = None
    heard_at: float | None = None
    in_service: bool = True
    observe_only: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must know. `id` is stable while it lasts; `since` is Unix time."""

    id: str
    code: str
    text: Text
    since: float
    device: str | None = None
    point: str | None = None
    cleared: bool = False


LifeListener = Callable[[Entry, Wish, Life], None]


class Store:
    """All entries, all devices, all alarms.

    `pending` has the numbers of acceptances that the journal has not confirmed yet: nothing is written for them.
    """

    def __init__(self, points: Iterable[tuple[str, Mapping[str, Point]]]) -> None:
        self.entries: dict[str, Entry] = {}
        self.by_device: dict[str, dict[str, Entry]] = {}
        self.devices: dict[str, DeviceState] = {}
        self.alarms: dict[str, Alarm] = {}
        self.number = 0
        self.pending: set[int] = set()
        self.on_point: list[Callable[[Entry], None]] = []
        self.on_life: list[LifeListener] = []
        self.on_device: list[Callable[[DeviceState], None]] = []
        self.on_alarm: list[Callable[[Alarm], None]] = []
        for device, known in points:
            self.devices[device] = DeviceState(device)
            self.by_device[device] = {}
            for local, point in known.items():
                entry = Entry(f"{device}.{local}", device, local, point)
                self.entries[entry.name] = entry
                self.by_device[device][local] = entry

    def next_number(self) -> int:
        """A number that no acceptance ever had."""
        self.number += 1
        return self.number

    def observe(self, entry: Entry, value: Value | None, at: float | None) -> None:
        """Set what the device said (None: unknown from now on)."""
        changed = entry.observed != value
        entry.observed, entry.observed_at = value, at
        if changed:
            self.point_changed(entry)

    def set_life(self, entry: Entry, wish: Wish, life: Life) -> None:
        """Set the life of the top wish and tell whoever counts; nothing happens if it is the same."""
        if life is entry.life:
            return
        entry.life = life
        for listener in self.on_life:
            listener(entry, wish, life)
        self.point_changed(entry)

    def tell_life(self, entry: Entry) -> None:
        """Tell whoever counts once more how a life stands."""
        if entry.living is not None and entry.life is not None:
            for listener in self.on_life:
                listener(entry, entry.living, entry.life)

    def end_life(self, entry: Entry, wish: Wish, life: Life) -> None:
        """Tell whoever counts how a wish that no longer counts has ended."""
        for listener in self.on_life:
            listener(entry, wish, life)

    def point_changed(self, entry: Entry) -> None:
        """Tell whoever shows points."""
        for listener in self.on_point:
            listener(entry)

    def device_changed(self, device: DeviceState) -> None:
        """Tell whoever shows devices."""
        for listener in self.on_device:
            listener(device)

    def raise_alarm(self, alarm: Alarm) -> None:
        """Raise an alarm once; a standing one keeps its time."""
        if alarm.id not in self.alarms:
            self.alarms[alarm.id] = alarm
            for listener in self.on_alarm:
                listener(alarm)

    def clear_alarm(self, alarm_id: str) -> None:
        """Clear a standing alarm."""
        alarm = self.alarms.pop(alarm_id, None)
        if alarm is not None:
            gone = Alarm(alarm.id, alarm.code, alarm.text, alarm.since, alarm.device, alarm.point, cleared=True)
            for listener in self.on_alarm:
                listener(gone)
