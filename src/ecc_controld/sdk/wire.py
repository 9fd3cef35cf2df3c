"""The shape of a wire that carries bytes. Implementations live in `ecc_controld.wires`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Address:
    """Where a device answers: `scheme://host:port`."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class ByteWire(Protocol):
    """One open connection. Data and loss are told to the listener given to `listen`, on the event loop.

    `abort` throws away what is unsent: a clean close would flush commands that nobody wants any more.
    """

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        """Start delivery: `data(bytes)` (a chunk, or one datagram), `lost(reason code, detail)` at most once."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport at once."""

    async def drained(self) -> None:
        """Return when the transport holds no unsent bytes, or when the wire is lost."""

    def abort(self) -> None:
        """Drop the connection now, with whatever is unsent."""
