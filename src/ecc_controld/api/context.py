"""What every handler needs, given once by the composition root."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.registry import Collector

from ecc_controld.control.engine import Engine
from ecc_controld.control.stamp import rfc3339
from ecc_controld.scene.model import Scene
from ecc_controld.sdk.text import Text

if TYPE_CHECKING:
    from .events import Events


@dataclass(frozen=True)
class DeviceFacts:
    """What the files say about a device, for people."""

    driver: str
    name: Text
    group: str
    zone: str
    address: str


@dataclass(eq=False)
class Context:
    """The running hall behind the API. `zone` is the hall's own time zone, `twins` the twins' control URL.

    `measures`: what others measure, for /metrics.
    `observe_only`: the whole hall is only looked at.
    """

    engine: Engine
    name: Text
    zone: tzinfo
    facts: Mapping[str, DeviceFacts]
    boot: str
    version: str
    simulated: bool
    twins: str | None
    events: Events
    measures: Sequence[Collector] = ()
    observe_only: bool = False

    @property
    def scenes(self) -> Mapping[str, Scene]:
        """The scenes that are loaded now."""
        return self.engine.scenes

    def now(self) -> float:
        """Monotonic seconds, the clock of all ages."""
        return asyncio.get_running_loop().time()

    def time(self, wall: float | None = None) -> str:
        """A moment (default: this one) as RFC 3339 in the hall's zone."""
        return rfc3339(time.time() if wall is None else wall, self.zone)


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
