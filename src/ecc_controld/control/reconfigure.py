"""New files for a running hall: devices come, go and change, and nobody else's connection notices.

`compare` says what is different; `apply` swaps everything at once, in memory, between two turns of the loop. A wish
for a point that is no longer there, or can no longer have that value, is dropped knowingly: it is named in the log,
in the history and in the run that wanted it. Every other wish stays. The journal follows (`forget`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog

from ecc_controld.hall.store import DeviceState, Entry
from ecc_controld.hall.wish import Layer, Outcome, State
from ecc_controld.scene.model import Scene

from .engine import REMOVED, Engine, Unit
from .law import Event, Facts, advance
from .recall import still_possible

log = structlog.get_logger("reload")

V = TypeVar("V")
REASON = "reconfigured"
"""Why the link of a changed device was dropped."""
PERSISTENT = (Layer.SCENE, Layer.FIRE, Layer.MANUAL)


@dataclass
class Changes:
    """What a reload did. `tuned`: pace, service or observe_only of these differ, their connections stay."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    tuned: list[str] = field(default_factory=list)
    scenes: list[str] = field(default_factory=list)
    dropped: list[tuple[str, Layer]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def same_device(one: Unit, other: Unit) -> bool:
    """Whether the connection may stay: nothing that the driver was made of differs, but for its name."""
    old, new = one.driver, other.driver
    return type(old) is type(new) and old.config == replace(new.config, name=old.config.name)


def compare(old: Mapping[str, Unit], new: Mapping[str, Unit]) -> Changes:
    """The devices by what must be done with them; in the order of the files."""
    found = Changes(removed=[device for device in old if device not in new])
    for device, unit in new.items():
        if device not in old:
            found.added.append(device)
        elif not same_device(old[device], unit):
            found.changed.append(device)
        elif replace(unit, driver=old[device].driver) != old[device]:
            found.tuned.append(device)
    return found


async def reconfigure(
    engine: Engine,
    units: Mapping[str, Unit],
    scenes: Mapping[str, Scene],
    then: Callable[[], None] | None = None,
) -> Changes:
    """Other devices and scenes from now on. `then` is called in the same turn; returns when the journal knows."""
    changes = _apply(engine, units, scenes)
    if then is not None:
        then()
    await engine.acceptance.forget(changes.gone, changes.dropped)
    return changes


def _apply(engine: Engine, units: Mapping[str, Unit], scenes: Mapping[str, Scene]) -> Changes:
    """Swap devices and scenes in one go; nothing is awaited."""
    changes = compare(engine.units, units)
    before = engine.scenes
    changes.scenes = sorted(
        name for name in {*before, *scenes} if _text(before.get(name)) != _text(scenes.get(name))
    )
    for device in (*changes.removed, *changes.changed):
        engine.halt(device, REASON)
    kept = {
        device: replace(unit, driver=engine.units[device].driver)
        for device, unit in units.items()
        if device in engine.units and device not in changes.changed
    }
    engine.units = {device: kept.get(device, unit) for device, unit in units.items()}
    engine.scenes = scenes
    engine.arbiter.scenes_changed()
    lost = _take_away(engine, changes)
    for device in changes.added:
        _add(engine, device)
    for device in changes.changed:
        _change(engine, device, lost)
    _let_go(engine, lost, changes)
    _reorder(engine, list(units))
    for device in (*changes.added, *changes.changed):
        engine.begin(device)
    for device in (*changes.tuned, *changes.changed):
        _tune(engine, device)
    engine.observing.begin()
    for entry in list(engine.store.entries.values()):
        engine.gate.review(entry)
    return changes


def _text(scene: Scene | None) -> object:
    return None if scene is None else (scene.digest, scene.wants, scene.params)


# -- points ------------------------------------------------------------------------------------------------


@dataclass
class _Lost:
    """Points that are gone, and layers of points that stay whose wishes are not possible any more."""

    entries: list[Entry] = field(default_factory=list)
    layers: list[tuple[Entry, Layer]] = field(default_factory=list)


def _take_away(engine: Engine, changes: Changes) -> _Lost:
    lost = _Lost()
    store = engine.store
    for device in changes.removed:
        for entry in store.by_device.pop(device).values():
            del store.entries[entry.name]
            lost.entries.append(entry)
        del store.devices[device]
        engine.drop_unit(device)
    return lost


def _add(engine: Engine, device: str) -> None:
    store, unit = engine.store, engine.units[device]
    store.devices[device] = DeviceState(device, in_service=unit.in_service, observe_only=unit.observe_only)
    store.by_device[device] = {}
    for local, point in unit.driver.points.items():
        entry = Entry(f"{device}.{local}", device, local, point)
        store.by_device[device][local] = store.entries[entry.name] = entry
    engine.make(device)


def _change(engine: Engine, device: str, lost: _Lost) -> None:
    """Another driver for the same device: points of the same name keep their wishes, as far as they can be had."""
    store, points = engine.store, engine.units[device].driver.points
    old = store.by_device[device]
    store.by_device[device] = {}
    for local, point in points.items():
        entry = old.pop(local, None)
        if entry is None:
            entry = Entry(f"{device}.{local}", device, local, point)
            store.entries[entry.name] = entry
        else:
            entry.point, entry.fitted = point, True
            entry.observed = entry.observed_at = None
            entry.layers.pop(Layer.GUARD, None)
            lost.layers += [
                (entry, layer) for layer, wish in entry.layers.items() if not still_possible(entry, wish)
            ]
        store.by_device[device][local] = entry
    for entry in old.values():
        del store.entries[entry.name]
        lost.entries.append(entry)
    state = store.devices[device]
    state.link, state.reason, state.detail, state.since = "offline", REASON, "", time.time()
    state.identity, state.heard_at = None, None
    engine.make(device)


def _let_go(engine: Engine, lost: _Lost, changes: Changes) -> None:
    """Only once all points are in their new places: whoever hears of it looks at the others."""
    facts = Facts(reason=REMOVED)
    names = [entry.name for entry in lost.entries]
    engine.gate.forget(names)
    engine.hands.forget(names)
    for entry in lost.entries:
        changes.gone.append(entry.name)
        changes.dropped += [(entry.name, layer) for layer in entry.layers if layer in PERSISTENT]
        wish, life = entry.living, entry.life
        entry.living = entry.life = None
        entry.layers.clear()
        if wish is not None and life is not None and wish.layer is not Layer.GUARD:
            engine.store.end_life(entry, wish, advance(life, Event.OVERRIDDEN, facts))
    for entry, layer in lost.layers:
        changes.dropped.append((entry.name, layer))
        del entry.layers[layer]
    for device in changes.changed:
        for entry in engine.store.by_device[device].values():
            engine.wishes.begin(entry, Event.OVERRIDDEN, facts)
            engine.store.point_changed(entry)
    _clear_alarms(engine, {*names}, {*changes.removed})


def _clear_alarms(engine: Engine, points: set[str], devices: set[str]) -> None:
    for alarm in list(engine.store.alarms.values()):
        if alarm.point in points or alarm.device in devices:
            engine.store.clear_alarm(alarm.id)


def _tune(engine: Engine, device: str) -> None:
    """Pace, service, observing: no connection is touched."""
    unit, state, keeper = engine.units[device], engine.store.devices[device], engine.keepers[device]
    keeper.book.gap_s, keeper.book.observe_only = unit.gap_s, unit.observe_only
    state.in_service, state.observe_only = unit.in_service, unit.observe_only
    now = engine.now()
    for entry in keeper.book.entries.values():
        life = entry.life
        if not unit.in_service:
            keeper.ledger.fire(entry, Event.OUT_OF_SERVICE, now)
        elif life is not None and life.state is State.PARKED and life.outcome is Outcome.OUT_OF_SERVICE:
            keeper.ledger.fire(entry, Event.IN_SERVICE, now)
    engine.store.device_changed(state)
    keeper.wake()


def _reorder(engine: Engine, order: list[str]) -> None:
    """Everything is shown in the order of the files."""
    store = engine.store
    _sort(store.devices, order)
    _sort(store.by_device, order)
    _sort(store.entries, [entry.name for device in order for entry in store.by_device[device].values()])
    _sort(engine.keepers, order)
    _sort(engine.supervisors, order)


def _sort(table: dict[str, V], order: Iterable[str]) -> None:
    found = {name: table[name] for name in order}
    table.clear()
    table.update(found)
