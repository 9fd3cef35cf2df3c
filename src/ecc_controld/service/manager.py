"""The daemon's side of the service manager, put together: notifications, status line, watchdog, listening socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, MutableMapping

from ecc_controld.control.engine import Engine

from .activation import take_socket
from .notify import Notifier, take_notifier, take_watchdog
from .probes import Api, JournalThread, Keepers
from .status import Status
from .watchdog import Probe, Watchdog


class Manager:
    """Who started us, read from the environment once at start. Raises BadSocket."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.notifier = take_notifier(environ)
        self.watchdog_s = take_watchdog(environ)
        self.listener = take_socket(environ)

    def watch(self, engine: Engine, listener: socket.socket, more: Mapping[str, Probe] | None = None) -> Watching:
        """Begin to feed the watchdog and to tell the status; needs the running loop."""
        return Watching(self.notifier, self.watchdog_s, engine, listener, more or {})


class Watching:
    """The watchdog's task and the status line, from READY to STOPPING."""

    def __init__(
        self,
        notifier: Notifier,
        watchdog_s: float | None,
        engine: Engine,
        listener: socket.socket,
        more: Mapping[str, Probe],
    ) -> None:
        self._notifier = notifier
        probes: dict[str, Probe] = {
            "keepers": Keepers(engine),
            "journal": JournalThread(engine.journal),
            "api": Api(listener),
            **more,
        }
        self.status = Status(engine, notifier)
        self.watchdog = Watchdog(notifier, watchdog_s, probes)
        self.watchdog.on_change.append(self._stalled)
        self._task = asyncio.get_running_loop().create_task(self.watchdog.run(), name="watchdog")
        self.status.tell()
        notifier.ready()

    async def stop(self) -> None:
        """The end begins: said, and nothing is fed any more."""
        self._notifier.stopping()
        self.status.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _stalled(self) -> None:
        found = self.watchdog.standing_still
        self.status.note("stall", "停滞 standing still: " + ", ".join(sorted(found)) if found else None)
