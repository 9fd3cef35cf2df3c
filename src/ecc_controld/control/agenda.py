"""What a keeper does next. Pure: looks at the store and the book, and names one step.

Writes come before reads, reads that somebody waits for come before the poll. Nothing is written that was not
compared first, and nothing whose wish is not durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import State
from ecc_controld.sdk.point import Value

from .book import FOREVER, Book
from .guard import Guards
from .law import may_write
from .ledger import Ledger


@dataclass(frozen=True, slots=True)
class Write:
    """Hand over these writes now, and with a pipelining device the questions in the same segment."""

    entries: tuple[Entry, ...]
    ask: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Hand over a momentary control's value (or its stop)."""

    entry: Entry
    value: Value


@dataclass(frozen=True, slots=True)
class Ask:
    """Read these points back."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Observe:
    """Go on with the poll of everything."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do until then (monotonic; FOREVER: until woken)."""

    until: float


Step: TypeAlias = Write | Move | Ask | Observe | Pause


class Agenda:
    """Chooses the next step of one device."""

    def __init__(self, book: Book, store: Store, ledger: Ledger, guards: Guards) -> None:
        self._book = book
        self._store = store
        self._ledger = ledger
        self._guards = guards

    def next(self, now: float) -> Step:
        """The next step. May set guards and give wishes the outcome `offline`, nothing else."""
        book = self._book
        if not book.online:
            self._ledger.tell_unreachable(now)
            return Pause(FOREVER if book.unreachable(now) else book.unreachable_from)
        move = self._movement(now)
        if move is not None:
            return move
        if now < book.free_at:
            return Pause(book.free_at)
        writes = self._writable(now)
        if writes:
            return self._batch(writes)
        asks = self._due(now)
        if asks:
            return Ask(tuple(asks[: book.window if book.pipelines else 1]))
        if book.observing or now >= book.observe_at:
            return Observe()
        return Pause(self._soonest(now))

    # -- writes ------------------------------------------------------------------------------------------

    def _writable(self, now: float) -> list[Entry]:
        if self._book.observe_only:
            return []
        entries = self._book.entries.values()
        guarded = [entry for entry in entries if entry.point.guard and self._wants_write(entry, now)]
        closed = {entry.local for entry in guarded if not self._guards.ready(entry, now)}
        # Only now: a guard that was just set is itself something to write.
        found = [entry for entry in entries if self._wants_write(entry, now) and entry.local not in closed]
        # What disturbs others goes first: they would have to be written again.
        return sorted(found, key=lambda entry: not entry.point.disturbs)

    def _wants_write(self, entry: Entry, now: float) -> bool:
        wish, life = entry.living, entry.life
        if wish is None or life is None or not may_write(life) or not entry.point.writable:
            return False
        if wish.number in self._store.pending:
            return False
        track = self._book.tracks[entry.local]
        if track.returning or now < track.not_before or now < track.quiet_until:
            return False
        if entry.blind or entry.dirty or track.probed:
            return True
        return entry.observed is not None and not entry.is_at(wish.value)

    def _batch(self, writes: list[Entry]) -> Write:
        if not self._book.pipelines:
            return Write((writes[0],), ())
        batch: list[Entry] = []
        ask: list[Entry] = []
        for entry in writes:
            if len(batch) + len(ask) + 2 > max(self._book.window, 2):
                break
            batch.append(entry)
            if not entry.blind:
                ask.append(entry)
            if entry.point.disturbs:
                break
        return Write(tuple(batch), tuple(ask))

    # -- reads -------------------------------------------------------------------------------------------

    def _due(self, now: float) -> list[Entry]:
        return [entry for entry in self._book.entries.values() if self._ask_time(entry, now) <= now]

    def _ask_time(self, entry: Entry, now: float) -> float:
        """When this point is to be read back; FOREVER if only the poll does it."""
        track = self._book.tracks[entry.local]
        if entry.blind or entry.trust_after == FOREVER or track.answered_at == FOREVER:
            return FOREVER
        if self._must_compare(entry):
            return max(now, entry.trust_after)
        # The poll is over and did not mention it: ask for it alone, once a connection if nobody wants it.
        unseen = entry.observed is None and not entry.dirty and not track.probed
        if (track.returning or unseen) and not self._polling(now):
            return max(now, entry.trust_after)
        return FOREVER if track.ask_at is None else max(track.ask_at, entry.trust_after)

    def _must_compare(self, entry: Entry) -> bool:
        """A ready wish whose point may be right already, or a doubt: only a fresh read can tell."""
        wish, life = entry.living, entry.life
        if wish is None or life is None:
            return False
        if life.state is State.DOUBT:
            return True
        track = self._book.tracks[entry.local]
        if life.state is not State.READY or entry.dirty or track.probed:
            return False
        return entry.observed is None or entry.is_at(wish.value)

    def _polling(self, now: float) -> bool:
        return bool(self._book.observing) or now >= self._book.observe_at

    def _soonest(self, now: float) -> float:
        book = self._book
        times = [book.observe_at, *(drive.until for drive in book.drives.values())]
        for entry in book.entries.values():
            times.append(self._ask_time(entry, now))
            if entry.life is not None and entry.life.state is State.READY:
                track = book.tracks[entry.local]
                times += [t for t in (track.not_before, track.quiet_until) if t > now]
        return min(times)

    # -- momentary ---------------------------------------------------------------------------------------

    def _movement(self, now: float) -> Move | None:
        for local, drive in self._book.drives.items():
            entry = self._book.entries[local]
            stop = entry.point.stop
            assert stop is not None
            wanted = stop if now >= drive.until else drive.value
            if drive.sent != wanted:
                return Move(entry, wanted)
        return None
