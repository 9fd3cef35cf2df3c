"""All twins of a hall on real loopback sockets."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ecc_controld.sdk import Address, ConfigError, DeviceConfig, Point, Text, Twin

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Blueprint:
    """What a twin is made of: the configured device, its driver's name, the twin's class, the driver's points."""

    config: DeviceConfig
    driver: str
    twin: type[Twin]
    points: Mapping[str, Point] = field(default_factory=dict)


@dataclass(frozen=True)
class Served:
    """A twin that answers at `address` (the scheme is the configured one)."""

    device: str
    driver: str
    twin: Twin
    address: Address
    points: Mapping[str, Point]

    def row(self) -> dict[str, Any]:
        """The JSON of `GET /twins`."""
        return {
            "device": self.device,
            "driver": self.driver,
            "address": str(self.address),
            "faults": list(self.twin.faults),
        }


class TwinHall:
    """Serves twins while it is entered: `async with TwinHall(blueprints) as hall: hall.twins["wall"]`."""

    def __init__(self, blueprints: Iterable[Blueprint]) -> None:
        self._blueprints = tuple(blueprints)
        self.twins: dict[str, Served] = {}

    async def __aenter__(self) -> TwinHall:
        try:
            for blueprint in self._blueprints:
                self.twins[blueprint.config.id] = await _serve(blueprint)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def reload(self, blueprints: Iterable[Blueprint]) -> None:
        """Other devices: twins come and go, and one whose device is described differently starts anew.

        The others keep their sockets, their sessions and their state.
        """
        wanted = {blueprint.config.id: blueprint for blueprint in blueprints}
        known = {blueprint.config.id: blueprint for blueprint in self._blueprints}
        self._blueprints = tuple(wanted.values())
        for device in list(self.twins):
            if device not in wanted or not _alike(wanted[device], known[device]):
                await self.twins.pop(device).twin.close()
        for device, blueprint in wanted.items():
            if device not in self.twins:
                self.twins[device] = await _serve(blueprint)
        self.twins = {device: self.twins[device] for device in wanted}

    async def _close(self) -> None:
        await asyncio.gather(*(served.twin.close() for served in self.twins.values()))


def _alike(one: Blueprint, other: Blueprint) -> bool:
    """What it is made of is the same; points come from the driver and follow from the rest."""
    return (one.config, one.driver, one.twin) == (other.config, other.driver, other.twin)


async def _serve(blueprint: Blueprint) -> Served:
    device = blueprint.config
    if inspect.isabstract(blueprint.twin):
        raise ConfigError(
            Text(
                f"设备 {device.id}：驱动 {blueprint.driver} 的孪生不完整",
                f"device {device.id}: the twin of driver {blueprint.driver} is not complete",
            )
        )
    twin = blueprint.twin(device)
    host, port = await twin.serve(HOST, 0)
    return Served(device.id, blueprint.driver, twin, Address(device.address.scheme, host, port), blueprint.points)
