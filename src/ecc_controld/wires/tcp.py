"""TCP: one of the few files that open a socket to a device."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from ecc_controld.sdk import Address, LinkError

DIAL_S = 3.0
"""How long a connection attempt may take."""

READ_LIMIT = 1 << 20
"""Bytes kept while nobody listens yet."""


class TcpWire(asyncio.Protocol):
    """A ByteWire over one TCP connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._data: Callable[[bytes], None] | None = None
        self._lost: Callable[[str, str], None] | None = None
        self._early = bytearray()
        self._gone: tuple[str, str] | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    # -- asyncio.Protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Any unsent byte at all counts as "not empty": a command leaves only when nothing waits before it.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._data is not None:
            self._data(data)
            return
        self._early += data
        if len(self._early) > READ_LIMIT:
            self.abort()

    def pause_writing(self) -> None:
        self._empty.clear()

    def resume_writing(self) -> None:
        self._empty.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = _why(exc)
        self._empty.set()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost(*self._gone)

    # -- ByteWire ----------------------------------------------------------------------------------------

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        self._data = data
        self._lost = lost
        early, self._early = bytes(self._early), bytearray()
        if early:
            data(early)
        if self._gone is not None and self._lost is not None:
            self._lost = None
            lost(*self._gone)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        await self._empty.wait()

    def abort(self) -> None:
        self._lost = None  # whoever aborts knows it already
        if self._transport is not None:
            self._transport.abort()


def _why(exc: Exception | None) -> tuple[str, str]:
    if exc is None:
        return "closed_by_device", ""
    if isinstance(exc, ConnectionResetError):
        return "reset", ""
    return "lost", str(exc)


async def dial(address: Address) -> TcpWire:
    """Connect to `address`; raises LinkError with a reason code."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DIAL_S):
            _, wire = await loop.create_connection(TcpWire, address.host, address.port)
    except TimeoutError:
        raise LinkError("no_route", f"no connection to {address} within {DIAL_S:g} s") from None
    except socket.gaierror as error:
        raise LinkError("unresolved", str(error)) from error
    except ConnectionRefusedError as error:
        raise LinkError("refused_connection", str(address)) from error
    except OSError as error:
        code = "no_route" if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH) else "dial_failed"
        raise LinkError(code, str(error)) from error
    return wire
