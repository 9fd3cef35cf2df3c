"""From files to a running hall, at the start and at every reload: settings, scenes, twins' addresses, units."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .api.context import DeviceFacts
from .control.engine import Unit
from .registry import Registry
from .scene.load import load_scenes
from .scene.model import Scene
from .sdk.wire import Address
from .secrets import credentials
from .service.reload import ReloadRefused
from .settings import Hall, load_hall
from .twins.child import TwinsError, reload_twins
from .yamlfile import FilesInvalid


@dataclass(frozen=True)
class Loaded:
    """Files that were checked together."""

    hall: Hall
    scenes: Mapping[str, Scene]


@dataclass(frozen=True)
class Loader:
    """Reads a hall's folders. `simulated`: every credential has a value, and addresses are the twins'."""

    config: Path
    scenes: Path
    simulated: bool
    registry: Registry

    def load(self, addresses: Mapping[str, Address] | None = None) -> Loaded:
        """Everything, or FilesInvalid with every problem. Without addresses a simulated hall is only checked."""
        secrets = credentials(self.config, simulated=self.simulated)
        hall = load_hall(self.config, self.registry, secrets=secrets, addresses=addresses)
        return Loaded(hall, load_scenes(self.scenes, hall))

    async def again(self, twins: str | None) -> Loaded:
        """For a reload, beside the event loop; the twins at the control URL follow. Raises ReloadRefused."""
        try:
            loaded = await asyncio.to_thread(self.load)
            if twins is None:
                return loaded
            addresses = await reload_twins(twins)
            return await asyncio.to_thread(self.load, addresses)
        except FilesInvalid as invalid:
            raise ReloadRefused([str(problem) for problem in invalid.problems]) from invalid
        except TwinsError as error:
            raise ReloadRefused([f"模拟设备未能跟随 / the twins did not follow: {error.text.en}"]) from error


def units_of(hall: Hall, *, observe_only: bool) -> dict[str, Unit]:
    """The devices as the engine needs them."""
    return {
        name: Unit(device.driver, device.gap_s, observe_only or device.observe_only, device.in_service)
        for name, device in hall.devices.items()
    }


def facts_of(hall: Hall) -> dict[str, DeviceFacts]:
    """What the files say about each device, for people."""
    return {
        name: DeviceFacts(
            device.driver.name, device.config.name, device.group, device.zone, str(device.config.address)
        )
        for name, device in hall.devices.items()
    }
