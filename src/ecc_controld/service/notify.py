"""sd_notify(3): what the service manager is told, over the datagram socket that it gave us. No dependency."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

import structlog

log = structlog.get_logger("service")

STATUS_LIMIT = 500
"""Characters of a STATUS line; `systemctl status` shows one line."""


class Notifier:
    """Tells the service manager. Without an address (not started by one) every call does nothing.

    No call waits or raises: a manager that does not read must not stop the hall.
    """

    def __init__(self, address: str | None) -> None:
        self._address = None if not address else _unix(address)
        self._socket: socket.socket | None = None
        self._lost = False
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @property
    def active(self) -> bool:
        """Whether anybody is told."""
        return self._socket is not None

    def ready(self) -> None:
        """The API listens and the journal is open; also the end of a reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for people."""
        self._send(f"STATUS={' '.join(text.split())[:STATUS_LIMIT]}")

    def watchdog(self) -> None:
        """Everything makes progress."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins (sd_notify(3) asks for the moment on the monotonic clock); `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Nothing is told any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._lost:
                log.warning("service manager not told", code="notify_failed", detail=str(error))
            self._lost = True
        else:
            self._lost = False


def _unix(address: str) -> str | bytes:
    """A leading @ is an abstract socket, whose name begins with a zero byte."""
    return b"\0" + os.fsencode(address[1:]) if address.startswith("@") else address


def take_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """The notifier of this process; its variables are taken away, so that no child speaks in our name."""
    return Notifier(environ.pop("NOTIFY_SOCKET", None))


def take_watchdog(environ: MutableMapping[str, str]) -> float | None:
    """Within how many seconds the manager wants to hear from us; None: it does not watch this process."""
    usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(usec) / 1e6
