"""The JSON shapes of what the API shows. One function a thing; schemas.py describes the same to programs."""

from __future__ import annotations

from typing import Any

from ecc_controld.control.cards import run_json, stored_card
from ecc_controld.control.run import FINE, Run
from ecc_controld.control.stamp import from_rfc3339
from ecc_controld.hall.store import Alarm, DeviceState, Entry
from ecc_controld.journal import RunRow
from ecc_controld.link.reasons import sentence
from ecc_controld.scene.model import Scene
from ecc_controld.scene.params import Param, as_json

from .context import Context


def hall(context: Context) -> dict[str, Any]:
    """GET /hall."""
    active = context.engine.arbiter.active
    run = None if active is None else context.engine.runs.get(active.run)
    entries = [e for e in context.engine.store.entries.values() if e.living is not None]
    return {
        "name": context.name.as_dict(),
        "mode": None if active is None else active.mode,
        "scene": None if active is None else active.scene,
        "title": None if active is None else active.title.as_dict(),
        "params": {} if active is None else active.params,
        "since": None if active is None else context.time(active.since),
        "by": None if active is None else active.by,
        "run": None if active is None else active.run,
        "verdict": None if active is None else active.verdict if run is None else run.verdict and str(run.verdict),
        "holds": active is not None and active.holds,
        "drill": active is not None and active.drill,
        "wanted": len(entries),
        "as_wanted": sum(1 for e in entries if e.life is not None and e.life.as_wanted),
        "simulated": context.simulated,
        "observe_only": context.observe_only,
        "twins": context.twins,
        "boot": context.boot,
        "version": context.version,
        "time": context.time(),
    }


def device(context: Context, state: DeviceState) -> dict[str, Any]:
    """One device of GET /devices."""
    facts = context.facts[state.id]
    text = None if state.link == "online" else sentence(state.reason)
    identity = state.identity
    return {
        "id": state.id,
        "driver": facts.driver,
        "name": facts.name.as_dict(),
        "group": facts.group,
        "zone": facts.zone,
        "address": facts.address,
        "link": state.link,
        "reason": state.reason or None if state.link != "online" else None,
        "reason_text": None if text is None else text.as_dict(),
        "detail": state.detail or None,
        "since": context.time(state.since) if state.since else None,
        "identity": None
        if identity is None
        else {
            "model": identity.model,
            "name": identity.name,
            "serial": identity.serial,
            "firmware": identity.firmware,
        },
        "last_exchange_age_s": None
        if state.heard_at is None
        else round(max(0.0, context.now() - state.heard_at), 3),
        "in_service": state.in_service,
        "observe_only": state.observe_only,
    }


def point(context: Context, entry: Entry) -> dict[str, Any]:
    """One point of GET /points."""
    known, wish, life = entry.point, entry.living, entry.life
    age = None if entry.observed_at is None else round(max(0.0, context.now() - entry.observed_at), 3)
    text = None if life is None else sentence(life.reason)
    return {
        "point": entry.name,
        "device": entry.device,
        "title": known.title.as_dict(),
        "trait": known.trait,
        "type": known.kind.name,
        "unit": known.kind.unit,
        "range": known.kind.range(),
        "access": known.access,
        "fitted": entry.fitted,
        "want": None if wish is None else wish.value,
        "want_by": None if wish is None else wish.by,
        "want_since": None if wish is None else context.time(wish.since),
        "layer": None if wish is None else wish.layer.word,
        "got": entry.observed,
        "age_s": age,
        "dirty": entry.dirty,
        "state": None if life is None else str(life.state),
        "as_wanted": None if life is None else life.as_wanted,
        "outcome": None if life is None or life.told is None else str(life.told),
        "evidence": None if life is None else life.told_evidence.word,
        "reason": None if life is None else life.reason or None,
        "reason_text": None if text is None else text.as_dict(),
    }


def scene(context: Context, one: Scene) -> dict[str, Any]:
    """One scene of GET /scenes."""
    active = context.engine.arbiter.active
    return {
        "name": one.name,
        "title": one.title.as_dict(),
        "mode": one.mode,
        "priority": one.priority,
        "holds": one.holds,
        "confirm": one.confirm,
        "ready_within_s": one.ready_within_s,
        "deadline_s": one.deadline_s,
        "layer": one.layer,
        "stand_down": one.stand_down,
        "params": [param(each) for each in one.params],
        "wishes": len(one.wants),
        "active": active is not None and active.scene == one.name,
        "digest": one.digest,
    }


def param(one: Param) -> dict[str, Any]:
    """One parameter of a scene: what a press may give for it."""
    return {
        "name": one.name,
        "title": one.title.as_dict(),
        "type": one.type,
        "choices": list(one.choices) or None,
        "range": one.range(),
        "unit": one.unit,
        "default": list(one.default) if isinstance(one.default, tuple) else one.default,
        "required": one.default is None,
    }


def scene_whole(context: Context, one: Scene) -> dict[str, Any]:
    """GET /scenes/{name}: the scene with all its wishes, expanded with its usual parameters."""
    wants = [
        {
            "point": want.point,
            "value": want.value,
            "criticality": want.criticality,
            "timeout_s": want.timeout_s,
            "settle_s": want.settle_s,
            "on_return": want.on_return,
            "after": [{"point": p.point, "value": p.value, "if_failed": p.if_failed} for p in want.prereqs],
        }
        for want in one.wants
    ]
    actions = [{"device": do.device, "action": do.action} for do in one.actions]
    instead = [{"point": name, "value": want.value} for name, want in one.fallbacks.items()]
    given = as_json(one.given)
    return {**scene(context, one), "given": given, "want": wants, "else": instead, "do": actions, "text": one.text}


def run(context: Context, one: Run, *, all_points: bool = True) -> dict[str, Any]:
    """GET /runs/{id}, or the short form with only the points that are not fine."""
    return run_json(one, context.now(), context.zone, all_points=all_points)


def stored(context: Context, row: RunRow, *, all_points: bool = True) -> dict[str, Any]:
    """The same of a run that only the journal knows."""
    card = stored_card(row)
    for name in ("opened", "closed"):
        card[name] = None if card[name] is None else context.time(from_rfc3339(card[name]))
    if not all_points:
        card["points"] = [one for one in card["points"] if one["outcome"] not in FINE]
    return card


def alarm(context: Context, one: Alarm) -> dict[str, Any]:
    """One alarm."""
    return {
        "id": one.id,
        "code": one.code,
        "text": one.text.as_dict(),
        "since": context.time(one.since),
        "device": one.device,
        "point": one.point,
        "cleared": one.cleared,
    }


def snapshot(context: Context) -> dict[str, Any]:
    """The first event of every stream: everything."""
    store = context.engine.store
    opened = context.engine.runs.opened()
    newest = opened[-1] if opened else None
    if newest is None and context.engine.arbiter.active is not None:
        newest = context.engine.runs.get(context.engine.arbiter.active.run)
    return {
        "hall": hall(context),
        "devices": [device(context, state) for state in store.devices.values()],
        "points": [point(context, entry) for entry in store.entries.values()],
        "scenes": [scene(context, one) for one in context.scenes.values()],
        "run": None if newest is None else run(context, newest),
        "alarms": [alarm(context, one) for one in store.alarms.values()],
        "boot": context.boot,
    }
