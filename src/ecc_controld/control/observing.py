"""Observe only: devices that are read and never written, for the first connection to live hardware.

Four locks, each enough by itself: the agenda chooses no write, the keeper takes no action and no movement, the
API refuses movements, and here every wish for such a device is set aside the moment it comes to life, so that
runs, panel and counts say what is the matter instead of waiting for a write that never comes.
"""

from __future__ import annotations

from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Life, State, Wish

from .law import Event, Facts, advance

OBSERVE_ONLY = "observe_only"
"""The reason code."""

AT_REST = (State.PARKED, State.GONE, State.WITHDRAWN)


class Observing:
    """Parks every wish for a device that is only observed. Must be the last that subscribes to lives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.on_life.append(self._life_changed)

    def begin(self) -> None:
        """Set aside what the journal brought back."""
        for entry in self._store.entries.values():
            if entry.living is not None and entry.life is not None:
                self._life_changed(entry, entry.living, entry.life)

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        if not self._store.devices[entry.device].observe_only or entry.life is not life or life.state in AT_REST:
            return
        self._store.set_life(entry, wish, advance(life, Event.OUT_OF_SERVICE, Facts(reason=OBSERVE_ONLY)))
