"""What happened to a device, entered into the lives of its wishes. The only caller of the law for a keeper.

No I/O; the time is given. A read judges only what happened before it was *asked*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ecc_controld.hall.store import NEVER, Entry, Store
from ecc_controld.hall.wish import State
from ecc_controld.sdk.exchange import Refusal
from ecc_controld.sdk.point import Reading

from .book import FOREVER, Book
from .gate import Gate
from .law import Event, Facts, advance

YOUNG_S = 30 * 60.0
"""A wish older than this is not applied by itself when its device returns."""

BUSY_S = 1.0
"""The shortest pause after a device said that it is busy."""


class Ledger:
    """Enters events of one device."""

    def __init__(self, book: Book, store: Store, gate: Gate) -> None:
        self.book = book
        self._store = store
        self._gate = gate

    def fire(self, entry: Entry, event: Event, now: float, facts: Facts | None = None) -> None:
        """One event for the top wish of a point."""
        wish, life = entry.living, entry.life
        if wish is None or life is None:
            return
        point = entry.point
        known = replace(
            facts or Facts(),
            late=now - wish.accepted > wish.limit_s,
            young=now - wish.accepted < YOUNG_S,
            waiting=self._gate.waiting(wish),
            blind=entry.blind,
            idempotent=point.idempotent,
            measured=point.measured,
            drift=point.drift,
            on_return=wish.on_return,
            priority=wish.priority,
        )
        after = advance(life, event, known)
        if after.state is State.READY and life.state is not State.READY:
            self.book.tracks[entry.local].probed = False
        self._store.set_life(entry, wish, after)

    # -- the link ----------------------------------------------------------------------------------------

    def link_up(self, now: float) -> None:
        """The device is online: everything is read before anything is written."""
        book = self.book
        book.online, book.refused, book.answered = True, False, False
        book.observe_at = now
        book.observing.clear()
        doubt_s = max((entry.point.settle_s for entry in book.entries.values() if entry.dirty), default=0.0)
        for entry in book.entries.values():
            track = book.tracks[entry.local]
            track.ask_at, track.probed = None, False
            if entry.trust_after == FOREVER:
                # The write that disturbs it was never answered; wait as long as that one may take.
                track.quiet_until = now + doubt_s
                entry.trust_after = max(now + doubt_s, track.trust_before)
            if entry.dirty:
                # Something of ours may still be inside the device: what it says counts after the settle time.
                wish = entry.living
                settle = entry.point.settle_s if wish is None else wish.settle_s
                track.answered_at = now
                track.settle_until = entry.trust_after = now + settle
            elif now < track.settle_until:
                # It looked true, but somebody's hand may have made it so: ours may still be inside until then.
                entry.dirty = True
                entry.trust_after = max(entry.trust_after, track.settle_until)
            if entry.life is not None:
                if entry.blind:
                    self.fire(entry, Event.RETURN, now)
                else:
                    track.returning = True

    def link_down(self, now: float, code: str, detail: str, *, by_us: bool, refused: bool = False) -> None:
        """The device is away, or still away; `by_us`: we dropped it for want of a proper answer."""
        book = self.book
        if book.online and book.answered:
            book.offline_since = now
        book.online, book.refused, book.reason, book.detail = False, refused, code, detail
        book.observing.clear()
        for entry in book.entries.values():
            track = book.tracks[entry.local]
            track.ask_at = None
            track.returning = False
            self.fire(entry, Event.LINK_LOST, now, Facts(by_us=by_us, reason=code, detail=detail))
        self.tell_unreachable(now)

    def tell_unreachable(self, now: float) -> None:
        """Give `offline` to wishes that wait for a device which does not come."""
        if not self.book.unreachable(now):
            return
        facts = Facts(reason=self.book.reason, detail=self.book.detail)
        for entry in self.book.entries.values():
            life = entry.life
            if life is None or life.state not in (State.READY, State.DOUBT, State.HELD):
                continue
            if (
                life.state is State.HELD
                or life.outcome is None
                or (life.outcome is life.outcome.OFFLINE and life.reason != facts.reason)
            ):
                self.fire(entry, Event.UNREACHABLE, now, facts)

    # -- writes ------------------------------------------------------------------------------------------

    def handed_over(self, entry: Entry, now: float) -> None:
        """The bytes of its top wish are in the transport."""
        self.fire(entry, Event.HANDED_OVER, now)
        track = self.book.tracks[entry.local]
        if entry.dirty:
            track.older_until = max(track.older_until, track.settle_until)
        else:
            track.before, track.moved, track.older_until = entry.observed, False, NEVER
        track.written_at, track.answered_at, track.ask_at = now, FOREVER, None
        entry.dirty = True
        self._store.observe(entry, None, None)
        for local in entry.point.disturbs:
            self._disturb(self.book.entries[local], FOREVER, now)

    def acknowledged(self, entry: Entry, number: int, now: float, *, said: bool, detail: str = "") -> None:
        """The device answered yes. `number` is that of the wish that was sent: an answer belongs to its wish."""
        track = self.book.tracks[entry.local]
        self._answered(entry, now)
        for local in entry.point.disturbs:
            self._disturb(self.book.entries[local], now + entry.point.quiet_s, now)
        wish = entry.living
        track.settle_until = now + entry.point.settle_s
        if wish is None or wish.number != number:
            return
        track.settle_until = now + wish.settle_s
        self.fire(entry, Event.ACKNOWLEDGED, now, Facts(acknowledged=said, detail=detail))
        if entry.blind:
            entry.dirty = False
            track.ask_at = None

    def refused(self, entry: Entry, number: int, refusal: Refusal, now: float) -> None:
        """The device answered no. What an earlier write may still do, it may still do: no time is cut short."""
        track = self.book.tracks[entry.local]
        self._answered(entry, now)
        for local in entry.point.disturbs:
            self._disturb(self.book.entries[local], now, now)
        if entry.blind:
            entry.dirty = False
        track.settle_until = max(track.settle_until, now)
        wish = entry.living
        if wish is None or wish.number != number:
            return
        if refusal.busy:
            track.not_before = now + max(BUSY_S, wish.settle_s / 3)
        facts = Facts(busy=refusal.busy, reason="device_busy" if refusal.busy else "device_refused")
        self.fire(entry, Event.REFUSED, now, replace(facts, detail=refusal.reason))

    def _answered(self, entry: Entry, now: float) -> None:
        track = self.book.tracks[entry.local]
        # On a pipelining device a question behind the command in the same segment is asked after it.
        track.answered_at = track.written_at if self.book.pipelines else now
        track.ask_at = now

    def _disturb(self, entry: Entry, quiet_until: float, now: float) -> None:
        """Another point's write may move it until then; FOREVER until that write is answered."""
        track = self.book.tracks[entry.local]
        if quiet_until == FOREVER:
            if entry.trust_after != FOREVER:
                track.quiet_before, track.trust_before = track.quiet_until, entry.trust_after
            track.quiet_until = entry.trust_after = FOREVER
        else:
            # Never earlier than it was before: an older write, or a broken link, is not over for that.
            track.quiet_until = max(quiet_until, track.quiet_before)
            entry.trust_after = max(quiet_until, track.trust_before)
            track.ask_at = entry.trust_after
        self._store.observe(entry, None, None)
        self.fire(entry, Event.DISTURBED, now)

    # -- reads -------------------------------------------------------------------------------------------

    def pushed(self, readings: Iterable[Reading], now: float) -> None:
        """The device said something unasked: shown at once, judged only by a question."""
        for reading in readings:
            entry = self.book.entries.get(reading.point)
            if entry is None:
                continue
            track = self.book.tracks[entry.local]
            if not entry.dirty and now >= entry.trust_after:
                self._store.observe(entry, reading.value, now)
            if entry.life is not None and not entry.point.fleeting and entry.life.state is not State.SENT:
                track.ask_at = now if track.ask_at is None else min(track.ask_at, now)

    def read(self, readings: Iterable[Reading], asked_at: float, now: float) -> None:
        """The device answered a question that was asked at `asked_at`."""
        self.book.answered = True
        for reading in readings:
            entry = self.book.entries.get(reading.point)
            if entry is not None:
                entry.fitted = True
                self._read(entry, reading, asked_at, now)

    def _read(self, entry: Entry, reading: Reading, asked_at: float, now: float) -> None:
        track = self.book.tracks[entry.local]
        wish, life = entry.living, entry.life
        self._store.observe(entry, reading.value, now)
        if asked_at < entry.trust_after or asked_at < track.answered_at:
            if track.answered_at != FOREVER and entry.trust_after != FOREVER:
                track.ask_at = max(entry.trust_after, now + entry.point.requery_s)
            return
        settled = asked_at >= track.settle_until
        equal = wish is not None and entry.point.kind.same(reading.value, wish.value)
        early = self._too_early(entry, reading, asked_at)
        if entry.dirty and (settled or (equal and not early and life is not None and life.state is State.ACKED)):
            self._clean(entry)
        self._judge(entry, asked_at, now, equal=equal, settled=settled, early=early)
        self._plan_next_read(entry, now)

    def _too_early(self, entry: Entry, reading: Reading, asked_at: float) -> bool:
        """There and back again: equal to what it was before a superseded write, which may still be about to show."""
        track = self.book.tracks[entry.local]
        unmoved = track.before is None or entry.point.kind.same(reading.value, track.before)
        track.moved = track.moved or not unmoved
        return entry.dirty and not track.moved and asked_at < track.older_until

    def unread(self, entry: Entry, refusal: Refusal | None, asked_at: float, now: float) -> None:
        """The device would not say. Counts as "different" where waiting longer would not help."""
        track = self.book.tracks[entry.local]
        track.ask_at = None
        if refusal is not None and refusal.not_fitted:
            entry.fitted = False
        track.probed = True
        if asked_at >= entry.trust_after and not (entry.dirty and asked_at < track.settle_until):
            if entry.dirty:
                self._clean(entry)
            self._judge(entry, asked_at, now, equal=False, settled=asked_at >= track.settle_until)
        self._plan_next_read(entry, now)

    def _judge(
        self, entry: Entry, asked_at: float, now: float, *, equal: bool, settled: bool, early: bool = False
    ) -> None:
        track = self.book.tracks[entry.local]
        wish, life = entry.living, entry.life
        if wish is None or life is None:
            track.returning = False
            return
        facts = Facts(equal=equal, settling=not settled, trusted=not early)
        returned = track.returning and asked_at >= wish.accepted
        if returned:
            track.returning = False
            self.fire(entry, Event.RETURN, now, facts)
        life = entry.life
        assert life is not None
        if life.state in (State.READY, State.HELD, State.UNSETTLED):
            # A dirty point proves nothing about a wish that did not write it; nor does an older read.
            facts = replace(facts, trusted=not entry.dirty and asked_at >= wish.accepted)
        self.fire(entry, Event.READ, now, facts)
        if returned and entry.life is life and life.state is State.HELD:
            self._store.tell_life(entry)  # nothing changed, but a run that was resumed waits for this proof

    def _clean(self, entry: Entry) -> None:
        entry.dirty = False
        self._store.point_changed(entry)

    def _plan_next_read(self, entry: Entry, now: float) -> None:
        track = self.book.tracks[entry.local]
        state = None if entry.life is None else entry.life.state
        if state is State.ACKED:
            track.ask_at = now + entry.point.requery_s
        elif entry.dirty and track.answered_at != FOREVER:
            track.ask_at = max(track.settle_until, now + entry.point.requery_s)
        else:
            track.ask_at = None

    # -- a start -----------------------------------------------------------------------------------------

    def restart(self, entry: Entry, now: float) -> None:
        """A recalled wish: what was under way is in doubt, and so is whatever a command of it may have moved."""
        self.fire(entry, Event.RESTART, now)
        if entry.life is None or entry.life.state is not State.DOUBT or entry.blind:
            return
        self.suspect(entry)
        for local in entry.point.guard:
            self.suspect(self.book.entries[local])

    def suspect(self, entry: Entry) -> None:
        """A command of an earlier life of this program may still be inside the device: dirty until it has settled."""
        entry.dirty = not entry.blind
        for local in entry.point.disturbs:
            track, other = self.book.tracks[local], self.book.entries[local]
            track.quiet_until = other.trust_after = FOREVER
