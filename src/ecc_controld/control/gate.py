"""Order at run time: wishes that wait for other points, and what sets them free or blocks them.

The gate watches every life in the store. When a point that somebody waits for becomes true, ends badly or is
overridden, the waiting wish gets its event at once, and its keeper is woken.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Life, Outcome, Prereq, State, Wish

from .law import Event, Facts, advance

ENDED = (State.UNSETTLED, State.BLOCKED, State.WITHDRAWN, State.GONE)


class Gate:
    """Decides which wishes may go. `wake(device)` is called for each device whose wishes it changed."""

    def __init__(self, store: Store, wake: Callable[[str], None]) -> None:
        self._store = store
        self._wake = wake
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._queue: deque[str] = deque()
        self._busy = False
        store.on_life.append(self._life_changed)

    def learn(self, wish: Wish) -> None:
        """Remember which points this wish waits for (old entries are harmless: they are checked anew)."""
        for prereq in wish.prereqs:
            self._dependents[prereq.point].add(wish.point)

    def forget(self, names: Iterable[str]) -> None:
        """These points are no longer there."""
        gone = set(names)
        for name in gone:
            self._dependents.pop(name, None)
        for dependents in self._dependents.values():
            dependents -= gone

    def waiting(self, wish: Wish) -> bool:
        """Whether a prerequisite of `wish` is not true yet."""
        return any(self._judge(prereq) is not True for prereq in wish.prereqs)

    def failed(self, wish: Wish) -> Prereq | None:
        """The first prerequisite that will not become true by itself, or None."""
        return next((prereq for prereq in wish.prereqs if self._judge(prereq) is False), None)

    def review(self, entry: Entry) -> None:
        """Look again at one waiting or blocked wish."""
        wish, life = entry.living, entry.life
        if wish is None or life is None or life.state not in (State.WAITING, State.BLOCKED):
            return
        if not self.waiting(wish):
            after = advance(life, Event.PREREQS_TRUE, Facts(waiting=False))
        else:
            failed = self.failed(wish)
            if failed is None or life.state is State.BLOCKED:
                return
            after = advance(life, Event.PREREQ_FAILED, Facts(reason="prerequisite", detail=failed.point))
        self._store.set_life(entry, wish, after)
        self._wake(entry.device)

    def _judge(self, prereq: Prereq) -> bool | None:
        """True: as the scene wanted it (or let pass); False: ended otherwise; None: not yet."""
        entry = self._store.entries.get(prereq.point)
        if entry is None:
            return prereq.if_failed == "go_on"
        wish, life = entry.living, entry.life
        if wish is None or life is None:
            fine = entry.is_at(prereq.value) and not entry.dirty
            return fine or prereq.if_failed == "go_on"
        if not entry.point.kind.same(wish.value, prereq.value):
            return prereq.if_failed == "go_on"
        if life.as_wanted or life.state is State.PARKED:
            # Set aside on purpose (out of service, "go on without"): the rest goes on.
            return True
        if life.state in ENDED or life.drifted or life.told is Outcome.OFFLINE:
            return prereq.if_failed == "go_on"
        return None

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        if entry.name not in self._dependents:
            return
        self._queue.append(entry.name)
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue:
                for name in sorted(self._dependents[self._queue.popleft()]):
                    self.review(self._store.entries[name])
        finally:
            self._busy = False
