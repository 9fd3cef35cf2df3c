"""Guards: "mute, load, verify, open". While a guarded point is written, other points are held at safe values.

The guard is a wish of the keeper's own in the highest layer, so that it is written and proved like any other.
The own wish of the guard point keeps its life meanwhile and strives again afterwards; without one the value
from before is put back. If the guarded wish fails, the guard stays and an alarm says so.
"""

from __future__ import annotations

from collections.abc import Callable

from ecc_controld.hall.store import Alarm, Entry, Store
from ecc_controld.hall.wish import Layer, Life, State, Wish
from ecc_controld.sdk.point import Value
from ecc_controld.sdk.text import Text

from .book import Book
from .law import Event, Facts, advance


class Guards:
    """The guards of one device. `standing` maps a guard point to (its guarded point, value before)."""

    def __init__(self, book: Book, store: Store, begin: Callable[[Entry], object]) -> None:
        self._book = book
        self._store = store
        self._begin = begin
        self._standing: dict[str, tuple[str, Value | None]] = {}
        self._giving_back: set[str] = set()

    def ready(self, entry: Entry, now: float) -> bool:
        """Whether all guards of a point that is to be written are proved; sets those that are missing."""
        wish = entry.living
        if not entry.point.guard or wish is None:
            return True
        proved = True
        for local, value in entry.point.guard.items():
            guard = self._book.entries[local]
            if local not in self._standing or local in self._giving_back:
                self._set(guard, value, wish)
            life = guard.life
            if life is not None and life.state in (State.UNSETTLED, State.PARKED, State.SUSPENDED):
                facts = Facts(reason="guard_failed", detail=guard.name)
                assert entry.life is not None
                self._store.set_life(entry, wish, advance(entry.life, Event.PREREQ_FAILED, facts))
            proved = proved and life is not None and life.as_wanted
        return proved

    def tend(self, now: float, wall: float) -> None:
        """Give back guards whose guarded point is proved or no longer wanted; alarm for those that must stay."""
        for local, (guarded, before) in list(self._standing.items()):
            entry = self._book.entries[guarded]
            guard = self._book.entries[local]
            if local in self._giving_back:
                self._finish_giving_back(guard)
            elif entry.life is None or entry.life.state is State.HELD:
                self._store.clear_alarm(f"guard_stays:{guard.name}")
                self._give_back(guard, before)
            elif entry.life.state in (State.UNSETTLED, State.BLOCKED):
                self._store.raise_alarm(_stays(guard, entry, wall))

    def _set(self, guard: Entry, value: Value, wish: Wish) -> None:
        standing = self._standing.get(guard.local)
        before = standing[1] if standing else (None if guard.dirty else guard.observed)
        self._giving_back.discard(guard.local)
        self._standing[guard.local] = (wish.point.removeprefix(f"{self._book.device}."), before)
        self._impose(guard, value, wish)

    def _impose(self, guard: Entry, value: Value, wish: Wish) -> None:
        own = Wish(
            number=wish.number,
            point=guard.name,
            value=value,
            layer=Layer.GUARD,
            by="guard",
            since=wish.since,
            accepted=wish.accepted,
            limit_s=wish.limit_s,
            settle_s=guard.point.settle_s,
            priority=wish.priority,
        )
        guard.layers[Layer.GUARD] = guard.living = own
        self._book.tracks[guard.local].probed = False
        self._store.set_life(guard, own, Life(state=State.READY))

    def _give_back(self, guard: Entry, before: Value | None) -> None:
        imposed = guard.layers[Layer.GUARD]
        if self._has_own(guard) or before is None or guard.point.kind.same(before, imposed.value):
            self._lift(guard)
        else:
            self._giving_back.add(guard.local)
            self._impose(guard, before, imposed)

    def _finish_giving_back(self, guard: Entry) -> None:
        ended = guard.life is None or guard.life.state in (State.HELD, State.UNSETTLED)
        if ended or self._has_own(guard):
            self._lift(guard)

    def _has_own(self, guard: Entry) -> bool:
        return any(layer is not Layer.GUARD for layer in guard.layers)

    def _lift(self, guard: Entry) -> None:
        """The guard point's own top wish strives again, or nobody wants it any longer."""
        self._standing.pop(guard.local, None)
        self._giving_back.discard(guard.local)
        guard.layers.pop(Layer.GUARD, None)
        self._book.tracks[guard.local].probed = False
        self._begin(guard)


def _stays(guard: Entry, guarded: Entry, wall: float) -> Alarm:
    text = Text(
        f"{guarded.point.title.zh}未能证实，{guard.point.title.zh}保持保护状态",
        f"{guarded.point.title.en} could not be proved; {guard.point.title.en} stays guarded",
    )
    return Alarm(
        f"guard_stays:{guard.name}", "guard_stays", text, since=wall, device=guard.device, point=guard.name
    )
