"""Handlers that change the hall. None of them is a GET."""

from __future__ import annotations

from aiohttp import web

from ecc_controld.control.law import Event
from ecc_controld.control.run import Run
from ecc_controld.hall.store import Entry
from ecc_controld.link.reasons import sentence
from ecc_controld.sdk.point import BadValue, Value
from ecc_controld.sdk.text import Text

from . import shapes
from .context import CONTEXT, Context
from .problems import Problem, unknown
from .reading import DEVICE, RUN, card_of, made, scene_of
from .request import body_of, press_of, refuse_stale, reply, wait_of
from .schemas import ActivateBody, StandDownBody, Strict, ValueBody

POINT = Text("点位", "point")
ACTION = Text("动作", "action")
ACTION_S = 10.0


class Nothing(Strict):
    """No body, or an empty object."""


async def activate(request: web.Request) -> web.Response:
    """A press of a scene: 202 with the run, with `wait` 200 once it is assessed."""
    context = request.app[CONTEXT]
    body, raw = await body_of(request, ActivateBody)
    press = press_of(request, raw, stand_down=body.stand_down, drill=body.drill)
    wait_s = wait_of(request)
    known = await context.engine.arbiter.known_key(press)
    if known is not None:
        return await _first_run(request, known, wait_s)
    scene = scene_of(request)
    made(scene, body.params)  # what is wrong is told also of a press that is too old
    refuse_stale(request)
    run = await context.engine.arbiter.activate(scene, press, body.params)
    return await _answer(request, run, wait_s)


async def stand_down(request: web.Request) -> web.Response:
    """End the scene that holds the hall."""
    context = request.app[CONTEXT]
    body, raw = await body_of(request, StandDownBody)
    press = press_of(request, raw, stand_down=True, drill=body.drill)
    wait_s = wait_of(request)
    known = await context.engine.arbiter.known_key(press)
    if known is not None:
        return await _first_run(request, known, wait_s)
    target = None if body.scene is None else scene_of(request, body.scene)
    refuse_stale(request)
    run = await context.engine.arbiter.stand_down(press, target)
    if run is None:
        return reply({"run": None})
    return await _answer(request, run, wait_s)


async def _first_run(request: web.Request, run_id: str, wait_s: float | None) -> web.Response:
    """The answer to a key's second use: the run that the first one opened, if it opened one."""
    if not run_id:
        return reply({"run": None})
    run = request.app[CONTEXT].engine.runs.get(run_id)
    if run is not None:
        return await _answer(request, run, wait_s)
    card = await card_of(request.app[CONTEXT], run_id, all_points=False)
    if card is None:
        raise unknown(RUN, run_id, [])
    return reply({"run": card}, 202 if wait_s is None else 200)


async def _answer(request: web.Request, run: Run, wait_s: float | None) -> web.Response:
    context = request.app[CONTEXT]
    assessed = wait_s is not None and await context.engine.runs.wait(run, wait_s)
    card = shapes.run(context, run, all_points=False)
    return reply({"run": card}, 200 if assessed else 202)


def entry_of(request: web.Request) -> Entry:
    """The point that the path names; raises the problem that there is none."""
    entries = request.app[CONTEXT].engine.store.entries
    name = request.match_info["point"]
    if name in entries:
        return entries[name]
    store, device = request.app[CONTEXT].engine.store, name.partition(".")[0]
    if device not in store.devices:
        raise unknown(DEVICE, device, store.devices)
    raise unknown(POINT, name, [entry.name for entry in store.by_device[device].values()])


def _value_for(entry: Entry, raw: object) -> Value:
    try:
        return entry.point.kind.parse(raw)
    except BadValue as error:
        raise Problem(
            422,
            "bad_value",
            Text(f"{entry.name} 的值无效，{error.zh}", f"{entry.name}: {error}"),
            valid=list(error.valid) or None,
            nearest=error.nearest,
            range=entry.point.kind.range() or None,
        ) from None


async def set_point(request: web.Request) -> web.Response:
    """Want a value by hand: 202 with the wish, with `wait` 200 with its outcome."""
    context = request.app[CONTEXT]
    body, raw = await body_of(request, ValueBody)
    entry = entry_of(request)
    if not entry.point.writable:
        raise Problem(
            422,
            "not_writable",
            Text(f"{entry.name} 不能设定", f"{entry.name} cannot be wanted ({entry.point.access})"),
        )
    value = _value_for(entry, body.value)
    wait_s = wait_of(request)
    refuse_stale(request)
    wish = await context.engine.hands.set(entry, value, press_of(request, raw))
    judged = None if wait_s is None else await context.engine.hands.wait(entry, wish, wait_s)
    return reply({"point": shapes.point(context, entry)}, 200 if judged is not None else 202)


async def release(request: web.Request) -> web.Response:
    """Take a manual wish back."""
    context = request.app[CONTEXT]
    entry = entry_of(request)
    refuse_stale(request)
    if not await context.engine.hands.release(entry, press_of(request, b"")):
        raise Problem(409, "no_manual_wish", Text("该点位没有手动设定", f"{entry.name} has no manual wish"))
    return reply({"point": shapes.point(context, entry)})


async def hold(request: web.Request) -> web.Response:
    """Start or renew a momentary movement."""
    context = request.app[CONTEXT]
    body, raw = await body_of(request, ValueBody)
    entry = entry_of(request)
    if entry.point.access != "momentary":
        raise Problem(
            422, "not_momentary", Text(f"{entry.name} 不是点动控制", f"{entry.name} is no momentary control")
        )
    value = _value_for(entry, body.value)
    refuse_stale(request)
    _refuse_asleep(context, entry.device)
    state = context.engine.store.devices[entry.device]
    if state.link != "online":
        raise Problem(409, "offline", Text("设备不在线", f"{entry.device} is not online"), reason=state.reason)
    context.engine.hands.hold(entry, value, press_of(request, raw))
    return reply({"point": shapes.point(context, entry)}, 202)


async def act(request: web.Request) -> web.Response:
    """Send a one-shot action, at most once; answers with what became of it."""
    context = request.app[CONTEXT]
    _, raw = await body_of(request, Nothing)
    device, action = request.match_info["id"], request.match_info["name"]
    units = context.engine.units
    if device not in units:
        raise unknown(DEVICE, device, units)
    if action not in units[device].driver.actions:
        raise unknown(ACTION, action, units[device].driver.actions)
    press = press_of(request, raw)
    if context.engine.arbiter.keys.known(press) is None:
        refuse_stale(request)
        _refuse_asleep(context, device)
    asked = await context.engine.deeds.act(device, action, press)
    over = await asked.wait(ACTION_S)
    deed = asked.deed
    body = {"device": device, "action": action, "state": deed.state, "reason": deed.reason or None}
    return reply({"action": body}, 200 if over else 202)


def _refuse_asleep(context: Context, device: str) -> None:
    """Nothing is moved by hand on a device that is out of service or only observed."""
    code = context.engine.asleep(device)
    text = None if code is None else sentence(code)
    if code is not None and text is not None:
        raise Problem(409, code, text)


async def retry(request: web.Request) -> web.Response:
    """Strive again for a point of a run that did not become true."""
    return await _person(request, Event.RETRY)


async def skip(request: web.Request) -> web.Response:
    """Go on without a point of a run."""
    return await _person(request, Event.SKIP)


async def _person(request: web.Request, event: Event) -> web.Response:
    context = request.app[CONTEXT]
    await body_of(request, Nothing)
    run_id, press = request.match_info["id"], press_of(request, b"")
    card = await card_of(context, run_id)
    if card is None:
        raise unknown(RUN, run_id, [one.id for one in context.engine.runs.lately()])
    entry = entry_of(request)
    names = [one["point"] for one in card["points"]]
    if entry.name not in names:
        raise unknown(POINT, entry.name, names)
    refuse_stale(request)
    wish = entry.living
    if wish is None or wish.run != run_id:
        raise Problem(409, "gone", Text("该项已被更新的设定取代", "a newer wish has replaced this one"))
    if event is Event.RETRY:
        _refuse_asleep(context, entry.device)
        context.engine.retry(entry)
    else:
        context.engine.skip(entry)
    context.engine.acceptance.note_event(str(event), run=run_id, point=entry.name, by=press.by)
    return reply({"run": await card_of(context, run_id, all_points=False)}, 202)
