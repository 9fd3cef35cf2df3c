"""From accepted to durable: the journal's side of every change of mind, and what happens when the disk fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ecc_controld.hall.store import Alarm, Entry, Store
from ecc_controld.hall.wish import Layer, Life, State, Wish
from ecc_controld.journal import Change, EventRow, Journal, JournalError, Put
from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

from .law import Facts
from .stamp import rfc3339
from .wishes import Swap, Wishes, dump_head, dump_want

log = structlog.get_logger("journal")

RETRY_S = 2.0
INSIDE = b'"inside"'
"""The note of a point whose device was told something that is not proved yet."""

MATTERS_MORE = 80
"""From this priority on the hall is switched even when the disk has failed."""


class Refused(EccError):
    """A press that is not carried out: `code`, a sentence, and what helps (`held_by`, `valid`, ..)."""

    def __init__(self, code: str, text: Text, *, status: int = 409, **helps: Any) -> None:
        super().__init__(text.en)
        self.code = code
        self.text = text
        self.status = status
        self.helps = helps


@dataclass(frozen=True)
class Press:
    """Who wants something, and how it arrived. `digest` is that of the request, to know a key's second use."""

    by: str
    trigger: str = "api"
    key: str | None = None
    digest: str = ""
    automatic: bool = False
    stand_down: bool = False
    drill: bool = False


class Acceptance:
    """Makes swaps durable, or undoes them. One for the whole hall.

    `also()` gives what must be on the disk beside the wishes once it works again.
    """

    def __init__(self, store: Store, wishes: Wishes, journal: Journal) -> None:
        self.store = store
        self.wishes = wishes
        self.journal = journal
        self.also: Callable[[], Change] = Change
        self._owing: asyncio.Task[None] | None = None
        store.on_life.append(self._life_changed)

    async def settle(self, swap: Swap, change: Change, priority: int) -> None:
        """Wait for the disk, then let the wishes go. Raises Refused(503) after a failure below priority 80."""
        self.wishes.await_disk(swap)
        try:
            await asyncio.shield(self._commit(swap, change, priority))
        except JournalError as error:
            code, text = error.code, error.text
            raise Refused(code, text, status=503) from error

    async def _commit(self, swap: Swap, change: Change, priority: int) -> None:
        try:
            await self.journal.commit(change)
        except JournalError as error:
            self._alarm(error)
            self._owe()
            if priority >= MATTERS_MORE:
                self.wishes.undurable(swap, priority)
                return
            self.wishes.withdraw(swap, Facts(reason=error.code))
            raise
        self.wishes.durable(swap)

    def disk_failed(self, error: JournalError) -> None:
        """Something that nobody waited for could not be written: tell people, and make all of it durable again."""
        self._alarm(error)
        self._owe()

    async def forget(self, points: Sequence[str], dropped: Sequence[tuple[str, Layer]]) -> None:
        """Points that are gone, and wishes that were dropped with them, leave the journal too."""
        puts = [Put("life", name, None) for name in points]
        puts += [Put("manual", name, None) for name, layer in dropped if layer is Layer.MANUAL]
        try:
            await self.journal.commit(Change(puts=tuple(puts)))
            if any(layer is not Layer.MANUAL for _, layer in dropped):
                if self.store.pending:
                    self._owe()  # what may yet be withdrawn must not be called standing
                else:
                    await self.journal.commit(self._all_that_stands())
        except JournalError as error:
            self.disk_failed(error)

    def note_event(self, kind: str, **body: Any) -> None:
        """One line of the history."""
        data = json.dumps(body, ensure_ascii=False, default=str).encode()
        self.journal.note(Change(events=(EventRow(rfc3339(time.time()), kind, data),)))

    async def close(self) -> None:
        """Stop trying to pay what is owed."""
        if self._owing is not None:
            self._owing.cancel()
            await asyncio.gather(self._owing, return_exceptions=True)

    # -- inside ------------------------------------------------------------------------------------------

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        """`held` is journalled lazily: it only saves work after a restart. So is that something is inside a device:
        it outlives the wish, which may be gone before the device is ready.
        """
        if life.state is State.SENT:
            self.journal.note(Change(puts=(Put("life", entry.name, INSIDE),)))
        elif life.state is State.HELD:
            told = [wish.number, wish.layer.word, str(life.outcome), life.evidence.word, life.drifted]
            body = None if wish.layer is Layer.GUARD else json.dumps(told).encode()
            self.journal.note(Change(puts=(Put("life", entry.name, body),)))

    def _alarm(self, error: JournalError) -> None:
        log.error("journal failed", code=error.code, detail=error.text.en)
        self.store.raise_alarm(Alarm("journal", error.code, error.text, since=time.time()))

    def _owe(self) -> None:
        if self._owing is None or self._owing.done():
            self._owing = asyncio.get_running_loop().create_task(self._pay())

    async def _pay(self) -> None:
        """Try until everything that stands is on the disk after all."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self.store.pending:
                continue  # what may yet be withdrawn must not be called standing
            try:
                await self.journal.commit(self._all_that_stands())
            except JournalError:
                continue
            self._mark_durable()
            self.store.clear_alarm("journal")
            log.info("journal durable again")
            return

    def _all_that_stands(self) -> Change:
        also = self.also()
        entries = self.store.entries.values()
        puts = list(also.puts)
        for layer in (Layer.SCENE, Layer.FIRE):
            wishes = [wish for entry in entries if (wish := entry.layers.get(layer)) is not None]
            puts.append(Put("scene_layer", layer.word, scene_blob(wishes) if wishes else None))
        for entry in entries:
            by_hand = entry.layers.get(Layer.MANUAL)
            puts.append(Put("manual", entry.name, None if by_hand is None else manual_blob(by_hand)))
        return replace(also, puts=tuple(puts))

    def _mark_durable(self) -> None:
        for entry in self.store.entries.values():
            if entry.living is not None and entry.life is not None and not entry.life.durable:
                self.store.set_life(entry, entry.living, replace(entry.life, durable=True))


def manual_blob(wish: Wish) -> bytes:
    """One manual wish for the journal."""
    return json.dumps({"head": dump_head(wish), "want": dump_want(wish)}, ensure_ascii=False).encode()


def scene_blob(wishes: list[Wish], compiled: bytes | None = None) -> bytes:
    """A whole scene's wishes for the journal; `compiled` is the part that is the same at every press."""
    head = json.dumps(dump_head(wishes[0]), ensure_ascii=False).encode()
    if compiled is None:
        compiled = json.dumps([dump_want(wish) for wish in wishes], ensure_ascii=False).encode()
    return b'{"head":' + head + b',"wants":' + compiled + b"}"
