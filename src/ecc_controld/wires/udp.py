"""UDP: a connected datagram socket. A new wire has a new source port, so that stale datagrams miss it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from ecc_controld.sdk import Address, LinkError


class UdpWire(asyncio.DatagramProtocol):
    """A ByteWire over one connected UDP socket; each `data` call is one datagram."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._data: Callable[[bytes], None] | None = None
        self._lost: Callable[[str, str], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's datagram transport is not registered as the DatagramTransport that it is.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._data is not None:
            self._data(data)

    def error_received(self, exc: Exception) -> None:
        self._end("refused_connection" if isinstance(exc, ConnectionRefusedError) else "lost", str(exc))
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("lost", str(exc or ""))

    def _end(self, code: str, detail: str) -> None:
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost(code, detail)

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        self._data = data
        self._lost = lost

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    async def drained(self) -> None:
        """Datagrams leave at once."""

    def abort(self) -> None:
        self._lost = None
        if self._transport is not None:
            self._transport.abort()


async def dial(address: Address) -> UdpWire:
    """Open a socket towards `address`; raises LinkError. Nothing is sent yet: UDP has no connection."""
    loop = asyncio.get_running_loop()
    try:
        _, wire = await loop.create_datagram_endpoint(UdpWire, remote_addr=(address.host, address.port))
    except socket.gaierror as error:
        raise LinkError("unresolved", str(error)) from error
    except OSError as error:
        raise LinkError("dial_failed", str(error)) from error
    return wire
