"""What a scene must know of the hall: the shape that `settings.Hall` has, without knowing settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ecc_controld.sdk import Driver, Point


class DeviceView(Protocol):
    """A configured device."""

    @property
    def driver(self) -> Driver: ...
    @property
    def group(self) -> str: ...
    @property
    def gap_s(self) -> float: ...


class HallView(Protocol):
    """The configured devices by id, and the named lists."""

    @property
    def devices(self) -> Mapping[str, DeviceView]: ...
    @property
    def lists(self) -> Mapping[str, tuple[str, ...]]: ...


def groups(hall: HallView) -> dict[str, list[str]]:
    """The devices of each group, in the order of the configuration."""
    found: dict[str, list[str]] = {}
    for name, device in hall.devices.items():
        if device.group:
            found.setdefault(device.group, []).append(name)
    return found


def points(hall: HallView, device: str) -> Mapping[str, Point]:
    """The points of a device by local name."""
    return hall.devices[device].driver.points
