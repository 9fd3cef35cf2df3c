"""Handlers that only read."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from ecc_controld.hall import plan as planning
from ecc_controld.link.reasons import sentence
from ecc_controld.scene.model import Scene, Want
from ecc_controld.scene.params import BadParams, as_json
from ecc_controld.sdk.text import Text

from . import shapes
from .context import CONTEXT, Context
from .problems import Problem, unknown
from .request import number_in, reply

SCENE = Text("场景", "scene")
RUN = Text("切换记录", "run")
DEVICE = Text("设备", "device")


async def hall(request: web.Request) -> web.Response:
    """The hall now."""
    return reply(shapes.hall(request.app[CONTEXT]))


async def devices(request: web.Request) -> web.Response:
    """All devices."""
    context = request.app[CONTEXT]
    found = [shapes.device(context, state) for state in context.engine.store.devices.values()]
    return reply({"devices": found})


async def points(request: web.Request) -> web.Response:
    """All points, or those of one device."""
    context = request.app[CONTEXT]
    store = context.engine.store
    device = request.query.get("device")
    if device is not None and device not in store.by_device:
        raise unknown(DEVICE, device, store.by_device)
    entries = store.entries.values() if device is None else store.by_device[device].values()
    return reply({"points": [shapes.point(context, entry) for entry in entries]})


async def scenes(request: web.Request) -> web.Response:
    """All scenes."""
    context = request.app[CONTEXT]
    return reply({"scenes": [shapes.scene(context, one) for one in context.scenes.values()]})


def scene_of(request: web.Request, name: str | None = None) -> Scene:
    """The scene that the path names; raises the problem that there is none."""
    known = request.app[CONTEXT].scenes
    name = request.match_info["name"] if name is None else name
    if name not in known:
        raise unknown(SCENE, name, known)
    return known[name]


def made(one: Scene, raw: Mapping[str, object]) -> Scene:
    """The scene with these parameters; raises the problem that says what is valid."""
    try:
        return one.at(raw)
    except BadParams as bad:
        raise Problem(422, bad.code, bad.text, **bad.helps) from None


async def scene(request: web.Request) -> web.Response:
    """One scene with its wishes."""
    return reply(shapes.scene_whole(request.app[CONTEXT], scene_of(request)))


class _Wanted(BaseModel):
    """A wish as the planner wants to see it."""

    point: str
    value: bool | int | float | str
    criticality: str
    after: tuple[str, ...]


async def plan(request: web.Request) -> web.Response:
    """What the scene would change now; sends nothing."""
    context = request.app[CONTEXT]
    one = made(scene_of(request), _params_in(request))
    order = planning.plan(context.engine.store, [_wanted(want) for want in one.wants])
    body = planning.as_json(one.name, order, _estimate(context, one), _words)
    return reply({**body, "params": as_json(one.given)})


def _params_in(request: web.Request) -> dict[str, object]:
    """The query's `param=name:value`; a name that comes again makes a list. Raises Problem 422."""
    found: dict[str, object] = {}
    for text in request.query.getall("param", []):
        name, colon, value = text.partition(":")
        if not colon or not name:
            sentence = Text("param 应为 名称:值", "param must be name:value")
            raise Problem(422, "bad_query", sentence)
        old = found.get(name)
        found[name] = value if old is None else [*(old if isinstance(old, list) else [old]), value]
    return found


def _wanted(want: Want) -> _Wanted:
    after = tuple(prereq.point for prereq in want.prereqs)
    return _Wanted.model_construct(point=want.point, value=want.value, criticality=want.criticality, after=after)


def _words(code: str) -> dict[str, str] | None:
    text = sentence(code)
    return None if text is None else text.as_dict()


def _estimate(context: Context, one: Scene) -> float | None:
    """The median of the finished runs of this scene, with these parameters, that are still at hand."""
    past = [
        run.elapsed_s
        for run in context.engine.runs.lately()
        if run.scene == one.name
        and run.params == as_json(one.given)
        and run.verdict == "ready"
        and run.elapsed_s is not None
    ]
    return round(statistics.median(past), 3) if past else None


async def runs(request: web.Request) -> web.Response:
    """Runs, newest first; `key` finds the run of a press whose answer was lost."""
    context = request.app[CONTEXT]
    journal = context.engine.journal
    key = request.query.get("key")
    if key is not None:
        row = await journal.run_by_key(key)
        run_id = context.engine.arbiter.keys.run_of(key) or (None if row is None else row.run)
        found = [] if not run_id else [await card_of(context, run_id)]
        return reply({"runs": [card for card in found if card is not None], "next": None})
    limit = number_in(request, "limit", 50, 1, 200)
    before = request.query.get("before")
    rows = {row.id: row for row in await journal.runs(limit=limit, before=before)}
    # Of a run that began while the disk failed only the memory knows.
    live = {one.id: one for one in context.engine.runs.lately() if before is None or one.id < before}
    ids = sorted({*rows, *live}, reverse=True)[:limit]
    cards = [shapes.run(context, live[one]) if one in live else shapes.stored(context, rows[one]) for one in ids]
    return reply({"runs": cards, "next": ids[-1] if len(ids) == limit else None})


async def card_of(context: Context, run_id: str, *, all_points: bool = True) -> dict[str, Any] | None:
    """The card of a run, live or from the journal; None if there is none."""
    live = context.engine.runs.get(run_id)
    if live is not None:
        return shapes.run(context, live, all_points=all_points)
    row = await context.engine.journal.run(run_id)
    return None if row is None else shapes.stored(context, row, all_points=all_points)


async def run(request: web.Request) -> web.Response:
    """One run's card, whole."""
    context = request.app[CONTEXT]
    run_id = request.match_info["id"]
    card = await card_of(context, run_id)
    if card is None:
        raise unknown(RUN, run_id, [one.id for one in context.engine.runs.lately()])
    return reply(card)


async def alarms(request: web.Request) -> web.Response:
    """Standing alarms."""
    context = request.app[CONTEXT]
    return reply({"alarms": [shapes.alarm(context, one) for one in context.engine.store.alarms.values()]})


async def healthz(request: web.Request) -> web.Response:
    """The process answers."""
    return reply({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """The API listens and the journal is open; 503 with the reason while the journal fails."""
    trouble = request.app[CONTEXT].engine.journal.healthy
    if trouble is not None:
        raise Problem(503, trouble.code, trouble.text)
    return reply({"status": "ok"})
