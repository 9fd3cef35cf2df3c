"""A start: wishes, the scene that has the hall and the open runs come back from the journal.

Nothing is sent here. Held wishes wait for their first read, everything else is in doubt, and the keepers read
before they write.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

import structlog

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Evidence, Layer, Life, Outcome, State, Wish
from ecc_controld.journal import Recalled
from ecc_controld.sdk.point import BadValue

from .acceptance import INSIDE
from .active import Active
from .arbiter import Arbiter
from .cards import load_run
from .gate import Gate
from .keeper import Keeper
from .run import Run
from .runs import Runs
from .wishes import load_want

log = structlog.get_logger("recall")

GRACE_S = 30.0
"""A resumed run is not closed before the devices had this time to answer."""


def recall(
    found: Recalled, store: Store, gate: Gate, arbiter: Arbiter, runs: Runs, keepers: Mapping[str, Keeper]
) -> None:
    """Put everything back in its place; a wish for a point that no longer exists is dropped and named."""
    now, wall = asyncio.get_running_loop().time(), time.time()
    store.number = found.counters.get("wish", 0)
    arbiter.run_count = found.counters.get("run", 0)
    arbiter.keys.recall(found.keys)
    active = found.puts["hold"].get("active")
    if active is not None:
        arbiter.active = Active.load(active)
    _recall_wishes(found, store, gate, now, wall)
    opened = [load_run(row, now=now, wall=wall) for row in found.runs]
    _recall_lives(found, store, keepers, now)
    for run in opened:
        _resume(run, runs, store, now)


def _recall_wishes(found: Recalled, store: Store, gate: Gate, now: float, wall: float) -> None:
    blobs = [json.loads(body) for body in found.puts["scene_layer"].values()]
    blobs += [
        {"head": one["head"], "wants": [one["want"]]} for one in map(json.loads, found.puts["manual"].values())
    ]
    for blob in blobs:
        for want in blob["wants"]:
            wish = load_want(blob["head"], want, now=now, wall=wall)
            store.number = max(store.number, wish.number)
            entry = store.entries.get(wish.point)
            if entry is None or not still_possible(entry, wish):
                log.warning("wish dropped", code="wish_dropped", point=wish.point, value=wish.value)
                continue
            entry.layers[wish.layer] = wish
            gate.learn(wish)


def still_possible(entry: Entry, wish: Wish) -> bool:
    """Whether the point, as it is now, can be what the wish says."""
    try:
        return entry.point.writable and entry.point.kind.same(entry.point.kind.parse(wish.value), wish.value)
    except BadValue:
        return False


def _recall_lives(found: Recalled, store: Store, keepers: Mapping[str, Keeper], now: float) -> None:
    for name, note in found.puts["life"].items():
        if note == INSIDE and name in store.entries:
            entry = store.entries[name]
            keepers[entry.device].ledger.suspect(entry)
    entries = [entry for entry in store.entries.values() if entry.layers]
    for entry in entries:
        entry.living = entry.top
        assert entry.living is not None
        entry.life = _life_of(found.puts["life"].get(entry.name), entry.living)
    for entry in entries:
        if not store.devices[entry.device].in_service:
            entry.life = Life(state=State.PARKED, outcome=Outcome.OUT_OF_SERVICE)
            continue
        keepers[entry.device].ledger.restart(entry, now)


def _life_of(note: bytes | None, wish: Wish) -> Life:
    """Held if the journal says that this very wish was, else something that a restart puts in doubt."""
    if note is not None and note != INSIDE:
        number, layer, outcome, evidence, drifted = json.loads(note)
        if number == wish.number and layer == wish.layer.word:
            return Life(
                state=State.HELD,
                outcome=Outcome(outcome),
                evidence=Evidence[evidence.upper()],
                commanded=True,
                drifted=drifted,
            )
    return Life(state=State.NEW, commanded=True)


def _resume(run: Run, runs: Runs, store: Store, now: float) -> None:
    for card in run.cards.values():
        entry = store.entries.get(card.point)
        wish = None if entry is None else entry.layers.get(card.layer)
        if entry is None or wish is None or wish.number != card.number:
            card.outcome = card.outcome or Outcome.OVERRIDDEN
            continue
        if entry.living is not wish or entry.life is None:
            continue
        card.outcome, card.elapsed_s = None, None
        run.enter(entry, wish, entry.life, now)  # a held one has no outcome either before it is read again
    run.deadline_s = max(run.deadline_s, now - run.began + GRACE_S)
    if run.layer is not Layer.MANUAL or run.cards:
        runs.open(run)
