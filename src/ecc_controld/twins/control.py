"""The control API of the twins: what exists, what was said, turn a knob by hand, break and heal a device."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ecc_controld.sdk import FAULTS, BadValue, LogEntry, Value

from .server import Blueprint, Served, TwinHall

HALL = web.AppKey("hall", TwinHall)
AGAIN: web.AppKey[Callable[[], Sequence[Blueprint]]] = web.AppKey("again")
MAX_MS = 3_600_000
TIMED = ("slow", "late")
"""The faults that take `ms`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """An error that becomes a problem document (RFC 9457) with what helps."""

    def __init__(
        self, status: int, code: str, detail: str, *, valid: Iterable[str] = (), nearest: str | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
        }
        if known := list(valid):
            self.body["valid"] = known
        if nearest is not None:
            self.body["nearest"] = nearest

    def response(self) -> web.Response:
        """The document as it leaves."""
        return web.json_response(
            self.body,
            status=self.status,
            headers=self.headers,
            content_type="application/problem+json",
            dumps=_dumps,
        )


def control_app(hall: TwinHall, again: Callable[[], Sequence[Blueprint]] | None = None) -> web.Application:
    """The application that `ecc-twins` serves. `again` reads the devices anew; raises ValueError for bad files."""
    app = web.Application(middlewares=[_problems], client_max_size=65_536)
    app[HALL] = hall
    app.router.add_get("/twins", _twins)
    if again is not None:
        app[AGAIN] = again
        app.router.add_post("/reload", _reload)
    app.router.add_get("/twins/{device}/log", _log)
    app.router.add_post("/twins/{device}/poke", _poke)
    app.router.add_post("/twins/{device}/fault", _fault)
    app.router.add_delete("/twins/{device}/fault", _heal)
    return app


def entry_json(entry: LogEntry) -> dict[str, Any]:
    """One thing said. `text` keeps what is UTF-8 and escapes the other bytes; `hex` is exact."""
    return {
        "t": entry.t,
        "from": entry.who,
        "text": entry.data.decode("utf-8", "backslashreplace"),
        "hex": entry.data.hex(),
    }


async def _twins(request: web.Request) -> web.Response:
    return _json({"twins": [served.row() for served in request.app[HALL].twins.values()]})


async def _reload(request: web.Request) -> web.Response:
    """Read the configuration anew; bad files change nothing."""
    try:
        blueprints = request.app[AGAIN]()
    except ValueError as error:
        raise Problem(422, "invalid", str(error)) from None
    await request.app[HALL].reload(blueprints)
    return await _twins(request)


async def _log(request: web.Request) -> web.Response:
    return _json({"log": [entry_json(entry) for entry in _served(request).twin.log]})


async def _poke(request: web.Request) -> web.Response:
    served = _served(request)
    body = await _body(request, required=("point", "value"))
    point, value = body["point"], body["value"]
    if not isinstance(point, str):
        raise Problem(422, "unknown_point", "point must be text", valid=served.points)
    if not isinstance(value, (bool, int, float, str)):
        raise Problem(422, "bad_value", f"the value of {point} must be text, a number, true or false")
    local = point.removeprefix(f"{served.device}.")
    try:
        served.twin.poke(local, _canonical(served, local, value))
    except BadValue as error:
        raise Problem(
            422, "bad_value", f"{point}: {error}, got {value!r}", valid=error.valid, nearest=error.nearest
        ) from None
    except KeyError:
        raise Problem(
            422,
            "unknown_point",
            f"{served.device} has no point {local!r} that a hand could change",
            valid=served.points,
            nearest=_nearest(local, served.points),
        ) from None
    except (ValueError, TypeError) as error:
        raise Problem(422, "bad_value", f"{point} cannot be {value!r}: {error}") from None
    return _json(served.row())


async def _fault(request: web.Request) -> web.Response:
    served = _served(request)
    body = await _body(request, required=("kind",), optional=("ms",))
    kind = body["kind"]
    if kind not in FAULTS:
        raise Problem(
            422, "unknown_fault", f"unknown fault {kind!r}", valid=FAULTS, nearest=_nearest(str(kind), FAULTS)
        )
    how: dict[str, float] = {}
    if "ms" in body:
        ms = body["ms"]
        if kind not in TIMED:
            raise Problem(422, "bad_value", f"fault {kind} takes no ms", valid=TIMED)
        if (
            isinstance(ms, bool)
            or not isinstance(ms, (int, float))
            or not (math.isfinite(ms) and 0 <= ms <= MAX_MS)
        ):
            raise Problem(422, "bad_value", f"ms must be a number from 0 to {MAX_MS}, got {ms!r}")
        how["ms"] = ms
    await served.twin.fault(kind, **how)
    return _json(served.row())


async def _heal(request: web.Request) -> web.Response:
    served = _served(request)
    await served.twin.heal()
    return _json(served.row())


def _served(request: web.Request) -> Served:
    twins = request.app[HALL].twins
    device = request.match_info["device"]
    if device not in twins:
        raise Problem(404, "unknown_device", f"no device {device!r}", valid=twins, nearest=_nearest(device, twins))
    return twins[device]


def _canonical(served: Served, local: str, value: Value) -> Value:
    """What the point's kind makes of a value; a twin may have knobs that are no points of its driver."""
    known = served.points.get(local)
    return value if known is None else known.kind.parse(value)


async def _body(
    request: web.Request, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Problem(400, "bad_json", "the body must be JSON", valid=(*required, *optional)) from None
    if not isinstance(body, dict):
        raise Problem(400, "bad_json", "the body must be a JSON object", valid=(*required, *optional))
    for key in body:
        if key not in (*required, *optional):
            raise Problem(422, "unknown_key", f"unknown key {key!r}", valid=(*required, *optional))
    for key in required:
        if key not in body:
            raise Problem(422, "missing_key", f"{key!r} is missing", valid=(*required, *optional))
    return body


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPMethodNotAllowed as error:
        wrong = Problem(
            405, "wrong_method", f"{error.method} is not offered here", valid=sorted(error.allowed_methods)
        )
        wrong.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return wrong.response()
    except web.HTTPNotFound:
        paths = ("/twins", "/twins/{device}/log", "/twins/{device}/poke", "/twins/{device}/fault")
        return Problem(404, "unknown_path", f"nothing at {request.path}", valid=paths).response()
    except web.HTTPRequestEntityTooLarge:
        return Problem(413, "too_large", "the body is longer than 64 KiB").response()


def _nearest(word: str, valid: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(word, list(valid), 1)
    return found[0] if found else None


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, dumps=_dumps)


def _dumps(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False)
