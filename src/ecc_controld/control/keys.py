"""Idempotency keys: a press that arrives twice is carried out once, also over a restart. Kept 24 hours."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ecc_controld.journal import KEY_LIFE_S, KeyRow
from ecc_controld.sdk.text import Text

from .acceptance import Press, Refused


class Keys:
    """What each key's first press came to: a run's id, or nothing for a press that opens none."""

    def __init__(self) -> None:
        self._rows: dict[str, KeyRow] = {}

    def recall(self, rows: Iterable[KeyRow]) -> None:
        """Take those of the journal, oldest first."""
        self._rows = {row.key: row for row in rows}

    def known(self, press: Press) -> KeyRow | None:
        """The row of a key that was used before; raises Refused(422) if it was for another request."""
        row = None if press.key is None else self._rows.get(press.key)
        if row is not None and row.digest != press.digest:
            text = Text("该幂等键已用于另一个请求", "this idempotency key was used for another request")
            raise Refused("key_reused", text, status=422, run=row.run or None)
        return row

    def run_of(self, key: str) -> str | None:
        """The run that a key's first press opened."""
        row = self._rows.get(key)
        return None if row is None else row.run or None

    def take(self, press: Press, run: str) -> tuple[KeyRow, ...]:
        """Remember a press; returns what the journal must keep of it (nothing without a key)."""
        if press.key is None:
            return ()
        now = time.time()
        while self._rows and next(iter(self._rows.values())).at <= now - KEY_LIFE_S:
            del self._rows[next(iter(self._rows))]
        row = self._rows[press.key] = KeyRow(press.key, run, press.digest, now)
        return (row,)

    def forget(self, press: Press) -> None:
        """The press was withdrawn: its key is free again."""
        if press.key is not None:
            self._rows.pop(press.key, None)

    def rows(self) -> tuple[KeyRow, ...]:
        """All of them, oldest first."""
        return tuple(self._rows.values())
