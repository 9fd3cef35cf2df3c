"""Swapping wishes in memory: the moment in which the hall changes its mind. No I/O.

All wishes of one acceptance are swapped at once and share its number. Bytes leave only when that number is
durable; until then the new wishes are `new`, and those that they replaced are gone all the same: a stop must
not wait for the disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Layer, Life, Prereq, State, Wish

from .gate import Gate
from .law import Event, Facts, advance

Place: TypeAlias = tuple[str, Layer]


@dataclass(slots=True)
class Swap:
    """What one acceptance changed: enough to undo it. `before` has the wish that stood in each layer.

    `whole`: the layers that it replaced as a whole, also for points which had no wish there, and which acceptance
    had replaced them before.
    """

    number: int
    before: dict[Place, Wish | None] = field(default_factory=dict)
    whole: dict[Layer, int] = field(default_factory=dict)


class Wishes:
    """Sets and removes wishes. `wake(device)` is called for every device that has something new to do.

    `suspended`: fire has been, and nobody has pressed since; wishes below the fire layer then do not act.
    """

    def __init__(self, store: Store, gate: Gate, wake: Callable[[str], None]) -> None:
        self._store = store
        self._gate = gate
        self._wake = wake
        self.suspended = False
        self._undecided: list[Swap] = []
        self._owner: dict[Layer, int] = {}

    def await_disk(self, swap: Swap) -> None:
        """The journal has been asked: nothing is written for this acceptance until it has answered."""
        self._store.pending.add(swap.number)
        self._undecided.append(swap)

    def replace_layer(self, layer: Layer, wishes: Mapping[str, Wish], *, number: int, cause: Facts) -> Swap:
        """A new scene: it replaces its whole layer and clears manual wishes for the points that it names."""
        swap = Swap(number, whole={layer: self._owner.get(layer, 0)})
        self._owner[layer] = number
        for entry in self._store.entries.values():
            wish = wishes.get(entry.name)
            if wish is not None or layer in entry.layers:
                self._put(swap, entry, layer, wish)
            if wish is not None and layer is Layer.SCENE and Layer.MANUAL in entry.layers:
                self._put(swap, entry, Layer.MANUAL, None)
        self._settle(swap, Event.OVERRIDDEN if layer is Layer.FIRE else Event.SUPERSEDED, cause)
        return swap

    def set_manual(self, wishes: Mapping[str, Wish], *, number: int, cause: Facts) -> Swap:
        """Manual wishes: they override the scene's for their points."""
        swap = Swap(number)
        for name, wish in wishes.items():
            self._put(swap, self._store.entries[name], Layer.MANUAL, wish)
        self._settle(swap, Event.OVERRIDDEN, cause)
        return swap

    def release_manual(self, names: Iterable[str], *, number: int, cause: Facts) -> Swap:
        """Take manual wishes back: the scene's count again, or nobody's."""
        swap = Swap(number)
        for name in names:
            self._put(swap, self._store.entries[name], Layer.MANUAL, None)
        self._settle(swap, Event.SUPERSEDED, cause)
        return swap

    def durable(self, swap: Swap) -> None:
        """The acceptance is on the disk: its wishes may go."""
        self._decided(swap)
        self._each_new(swap, Event.DURABLE, Facts())

    def undurable(self, swap: Swap, priority: int) -> None:
        """The disk failed, but this matters more than the disk: go on without it."""
        self._decided(swap)
        self._each_new(swap, Event.COMMIT_FAILED, Facts(priority=priority))

    def withdraw(self, swap: Swap, cause: Facts) -> None:
        """It never happened: what stood before stands again, under a new number."""
        self._decided(swap)
        again = Swap(self._store.next_number())
        heirs = [one for one in self._undecided if one.number > swap.number]
        for place, before in swap.before.items():
            name, layer = place
            entry = self._store.entries[name]
            heir = next((later for later in heirs if self._covers(later, place)), None)
            if heir is not None:
                heir.before[place] = before  # if that one fails too, this is what stands again
                continue
            mine = entry.layers.get(layer)
            if layer in swap.whole and self._owner[layer] != swap.number:
                continue  # somebody newer came by meanwhile
            if mine is not None and mine.number != swap.number:
                continue
            if before is not None and before.number not in self._store.pending:
                before = replace(before, number=again.number)
            self._put(again, entry, layer, before)
        self._settle(again, Event.COMMIT_FAILED, cause)
        for layer, owner in swap.whole.items():
            for later in heirs:
                if later.whole.get(layer) == swap.number:
                    later.whole[layer] = owner
            if self._owner[layer] == swap.number:
                self._owner[layer] = owner

    def begin(
        self, entry: Entry, event: Event = Event.SUPERSEDED, cause: Facts | None = None, number: int = 0
    ) -> bool:
        """See to it that the life of a point is that of its top wish. Returns whether a new life began.

        `number`: the acceptance that made it the top one; a wish that was only uncovered waits for it, too.
        """
        old, new = entry.living, entry.top
        if new is old:
            return False
        life, entry.life, entry.living = entry.life, None, new
        if old is not None and life is not None and old.layer is not Layer.GUARD:
            self._store.end_life(entry, old, advance(life, event, cause or Facts()))
        if new is None:
            self._store.point_changed(entry)
            return False
        asleep = self.suspended and new.layer is not Layer.FIRE
        life = Life(state=State.SUSPENDED if asleep else State.NEW)
        if not self._store.devices[entry.device].in_service:
            life = advance(life, Event.OUT_OF_SERVICE)  # it waits, and is counted apart
        self._store.set_life(entry, new, life)
        if not {new.number, number} & self._store.pending:
            self._let_go(entry, new, Event.DURABLE, Facts())
        return True

    def suspend_all(self) -> None:
        """Fire: whatever is not the fire scene's own does nothing until a person presses."""
        self.suspended = True
        self._every_life(Event.SUSPEND)

    def resume_all(self) -> None:
        """A person pressed: suspended wishes that still stand go on."""
        self.suspended = False
        self._every_life(Event.RESUME)

    # -- inside ------------------------------------------------------------------------------------------

    def _covers(self, later: Swap, place: Place) -> bool:
        """Whether a later acceptance decided what is wanted at this place."""
        name, layer = place
        if place in later.before or layer in later.whole:
            return True
        scene = self._store.entries[name].layers.get(Layer.SCENE)
        return layer is Layer.MANUAL and scene is not None and scene.number == later.number

    def _decided(self, swap: Swap) -> None:
        self._store.pending.discard(swap.number)
        self._undecided = [one for one in self._undecided if one is not swap]

    def _every_life(self, event: Event) -> None:
        for entry in self._store.entries.values():
            wish = entry.living
            if wish is not None and entry.life is not None and wish.layer is not Layer.FIRE:
                self._let_go(entry, wish, event, Facts())
                self._wake(entry.device)

    def _put(self, swap: Swap, entry: Entry, layer: Layer, wish: Wish | None) -> None:
        swap.before[entry.name, layer] = entry.layers.get(layer)
        if wish is None:
            entry.layers.pop(layer, None)
        else:
            entry.layers[layer] = wish
            self._gate.learn(wish)

    def _settle(self, swap: Swap, event: Event, cause: Facts) -> None:
        entries = [self._store.entries[name] for name in dict.fromkeys(name for name, _ in swap.before)]
        begun = [entry for entry in entries if self.begin(entry, event, cause, swap.number)]
        for device in dict.fromkeys(entry.device for entry in begun):
            self._wake(device)

    def _each_new(self, swap: Swap, event: Event, facts: Facts) -> None:
        devices: dict[str, None] = {}
        undecided = {name for later in self._undecided for name, _ in later.before}
        for name in dict.fromkeys(name for name, _ in swap.before):
            entry = self._store.entries[name]
            wish, life = entry.living, entry.life
            if name not in undecided and wish is not None and life is not None and life.state is State.NEW:
                self._let_go(entry, wish, event, facts)
                devices[entry.device] = None
        for device in devices:
            self._wake(device)

    def _let_go(self, entry: Entry, wish: Wish, event: Event, facts: Facts) -> None:
        if entry.life is None:
            return
        known = replace(facts, waiting=self._gate.waiting(wish))
        self._store.set_life(entry, wish, advance(entry.life, event, known))
        self._gate.review(entry)


def dump_want(wish: Wish) -> dict[str, Any]:
    """A wish as JSON for the journal, without what its acceptance shares (number, by, since, run)."""
    return {
        "point": wish.point,
        "value": wish.value,
        "priority": wish.priority,
        "criticality": wish.criticality,
        "limit_s": wish.limit_s,
        "settle_s": wish.settle_s,
        "on_return": wish.on_return,
        "prereqs": [[p.point, p.value, p.if_failed] for p in wish.prereqs],
    }


def dump_head(wish: Wish) -> dict[str, Any]:
    """What all wishes of one acceptance share, as JSON."""
    return {"number": wish.number, "by": wish.by, "since": wish.since, "run": wish.run, "layer": wish.layer.word}


def load_want(head: Mapping[str, Any], want: Mapping[str, Any], *, now: float, wall: float) -> Wish:
    """A wish from the journal. `now` and `wall` are this moment on the monotonic clock and in Unix time."""
    return Wish(
        number=head["number"],
        point=want["point"],
        value=want["value"],
        layer=Layer[str(head["layer"]).upper()],
        by=head["by"],
        since=head["since"],
        accepted=now - max(0.0, wall - head["since"]),
        run=head["run"],
        priority=want["priority"],
        criticality=want["criticality"],
        limit_s=want["limit_s"],
        settle_s=want["settle_s"],
        on_return=want["on_return"],
        prereqs=tuple(Prereq(*prereq) for prereq in want["prereqs"]),
    )


def compile_wants(wishes: Iterable[Wish]) -> bytes:
    """The part of a scene's journal blob that is the same at every press."""
    return json.dumps([dump_want(wish) for wish in wishes], ensure_ascii=False).encode()
