"""Socket activation (sd_listen_fds(3)): the manager keeps the listening socket, so that no trigger is refused
while the daemon restarts; what arrives meanwhile waits in the socket's queue.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import MutableMapping

from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

FIRST_FD = 3
BACKLOG = 1024
"""Connections that wait for us; a hall has a handful of panels and triggers."""


class BadSocket(EccError):
    """The manager passed something that cannot be listened on; `text` says what to change."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


def take_socket(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The listening socket that was passed to this process, or None. Raises BadSocket.

    The variables are taken away and the descriptor is closed on exec: a child must not inherit it.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isascii() or not count.isdigit() or int(count) == 0:
        return None
    if int(count) != 1:
        for fd in range(FIRST_FD, FIRST_FD + int(count)):
            os.close(fd)
        raise BadSocket(
            Text(f"systemd 传来了 {count} 个套接字，只需要 1 个", f"systemd passed {count} sockets, one is wanted")
        )
    return _checked(socket.socket(fileno=FIRST_FD))


def _checked(found: socket.socket) -> socket.socket:
    os.set_inheritable(found.fileno(), False)
    found.setblocking(False)
    inet = found.family in (socket.AF_INET, socket.AF_INET6)
    listens = bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    if not inet or found.type != socket.SOCK_STREAM or not listens:
        found.close()
        raise BadSocket(
            Text(
                "systemd 传来的不是监听中的 TCP 套接字；请检查 ecc-controld.socket 的 ListenStream=",
                "systemd passed something else than a listening TCP socket; see ListenStream= of ecc-controld.socket",
            )
        )
    host = found.getsockname()[0]
    if not ipaddress.ip_address(host).is_loopback:
        found.close()
        raise BadSocket(
            Text(
                f"尚无账户，只能监听本机地址，不能监听 {host}",
                f"no account exists yet: only loopback addresses may be listened on, not {host}",
            )
        )
    return found
