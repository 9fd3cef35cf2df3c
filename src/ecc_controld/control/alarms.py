"""Alarms of wishes: what is no longer as wanted, and what nobody can prove any more because its device is away.

They stand while it is so and end by themselves. What is wrong in a run is the run's to tell until the point was held.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from ecc_controld.hall.store import Alarm, Entry, Store
from ecc_controld.hall.wish import Life, State, Wish
from ecc_controld.link.reasons import sentence
from ecc_controld.sdk.point import Value
from ecc_controld.sdk.text import Text

log = structlog.get_logger("alarm")


class WishAlarms:
    """Follows the lives of all top wishes. `name_of(device)` is what people call a device."""

    def __init__(self, store: Store, name_of: Callable[[str], Text]) -> None:
        self._store = store
        self._name_of = name_of
        store.on_life.append(self._life_changed)

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        if entry.name not in self._store.entries:
            return  # taken out of the configuration, with its alarms
        # A wish that has ended is told after its heir is there: what counts is how the point stands now.
        self._drift(entry)
        self._away(entry)

    def _drift(self, entry: Entry) -> None:
        wish, life, name = entry.living, entry.life, f"drift:{entry.name}"
        if wish is None or life is None or life.state is not State.HELD or not life.drifted:
            if name in self._store.alarms:
                self._store.clear_alarm(name)
                log.info("drift ended", code="drift_ended", device=entry.device, point=entry.name)
            return
        if name in self._store.alarms:
            return
        log.warning(
            "drift", code="drift", device=entry.device, point=entry.name, want=wish.value, got=entry.observed
        )
        device, title, text = self._name_of(entry.device), entry.point.title, sentence(life.reason)
        want, got = said(wish.value), said(entry.observed)
        why = text or Text("", "")
        told = Text(
            f"{device.zh}·{title.zh}：期望 {want.zh}，实际 {got.zh}。{why.zh}",
            f"{device.en} · {title.en}: want {want.en}, got {got.en}; {why.en}",
        )
        since = time.time()
        self._store.raise_alarm(Alarm(name, "drift", told, since, device=entry.device, point=entry.name))

    def _away(self, entry: Entry) -> None:
        device, name = entry.device, f"away:{entry.device}"
        if not _lost(entry):
            standing = name in self._store.alarms
            if standing and not any(map(_lost, self._store.by_device[device].values())):
                self._store.clear_alarm(name)
            return
        assert entry.life is not None
        reason = entry.life.reason
        known, why = self._name_of(device), sentence(reason) or Text(reason, reason)
        text = Text(
            f"{known.zh} 失去联系（{why.zh}），它的状态无法确认",
            f"{known.en} is lost ({why.en}): how it stands cannot be confirmed",
        )
        self._store.raise_alarm(Alarm(name, "device_away", text, time.time(), device=device))


def _lost(entry: Entry) -> bool:
    life = entry.life
    return life is not None and life.state is State.HELD and life.away and bool(life.reason)


def said(value: Value | None) -> Text:
    """A value as people say it."""
    if value is None:
        return Text("未知", "unknown")
    if isinstance(value, bool):
        return Text("开", "on") if value else Text("关", "off")
    plain = f"{value:g}" if isinstance(value, float) else str(value)
    return Text(plain, plain)
