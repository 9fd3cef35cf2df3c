"""A stand-in for the service manager: it binds the notify socket and reads what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


class ManagerEnd:
    """The manager's end of NOTIFY_SOCKET: every datagram, in order, as `key=value` lines."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.messages: list[dict[str, str]] = []

    def read(self) -> list[dict[str, str]]:
        """All messages so far."""
        while True:
            try:
                data = self.socket.recv(8192)
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def count(self, key: str, value: str | None = None) -> int:
        """How many messages carry the key (with the value)."""
        return sum(1 for one in self.read() if key in one and value in (None, one[key]))

    def statuses(self) -> list[str]:
        """All STATUS lines."""
        return [one["STATUS"] for one in self.read() if "STATUS" in one]

    async def until(self, true: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until what was told makes the condition true."""
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.02)

    def close(self) -> None:
        self.socket.close()
