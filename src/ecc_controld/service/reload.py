"""Reload (SIGHUP, `systemctl reload`): configuration and scenes are checked, then swapped together, or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ecc_controld.control.engine import Engine
from ecc_controld.control.reconfigure import Changes
from ecc_controld.hall.store import Alarm
from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

from .notify import Notifier
from .status import Status

log = structlog.get_logger("reload")

REFUSED = "reload_refused"


class ReloadRefused(EccError):
    """The files are not taken; nothing has changed. Each problem says where and what, for people."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Reloader:
    """Reloads one after the other. `again()` checks and swaps, or raises ReloadRefused."""

    def __init__(
        self, engine: Engine, notifier: Notifier, status: Status, again: Callable[[], Awaitable[Changes]]
    ) -> None:
        self._engine = engine
        self._notifier = notifier
        self._status = status
        self._again = again
        self._asked = asyncio.Event()
        self.done = 0

    def request(self) -> None:
        """Somebody asked; requests that come while a reload runs are one more reload."""
        self._asked.set()

    async def run(self) -> None:
        """The task; ends only by cancellation."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload()

    async def reload(self) -> Changes | None:
        """Once; None if the files were refused."""
        self._notifier.reloading()
        try:
            changes = await self._again()
        except ReloadRefused as refused:
            self._refused(refused)
            return None
        except Exception as error:  # ours, not the files': the hall goes on as it was
            log.exception("reload failed", code="reload_failed")
            self._refused(ReloadRefused([f"{type(error).__name__}: {error}"]))
            return None
        else:
            self._taken(changes)
            return changes
        finally:
            self._status.tell()
            self._notifier.ready()
            self.done += 1

    def _refused(self, refused: ReloadRefused) -> None:
        for problem in refused.problems:
            log.error("reload refused", code=REFUSED, problem=problem)
        count, first = len(refused.problems), refused.problems[0]
        self._engine.acceptance.note_event(REFUSED, problems=count, first=first)
        self._status.note("reload", f"重新加载被拒绝 reload refused ({count}): {first}")
        text = Text(
            f"新的配置有 {count} 处错误，未采用，大厅按原配置运行：{first}",
            f"the new files have {count} errors and were not taken, the hall goes on as it was: {first}",
        )
        store = self._engine.store
        store.clear_alarm(REFUSED)  # the newest problems are the ones to mend
        store.raise_alarm(Alarm(REFUSED, REFUSED, text, since=time.time()))

    def _taken(self, changes: Changes) -> None:
        for point, layer in changes.dropped:
            log.warning("wish dropped", code="wish_dropped", point=point, layer=layer.word)
        told = {
            "added": changes.added,
            "removed": changes.removed,
            "changed": changes.changed,
            "tuned": changes.tuned,
            "scenes": changes.scenes,
            "dropped": [point for point, _ in changes.dropped],
        }
        log.info("reloaded", **{key: names for key, names in told.items() if names})
        self._engine.acceptance.note_event("reloaded", **told)
        self._status.note("reload", None)
        self._engine.store.clear_alarm(REFUSED)
