"""The one table of paths: what the server serves and what openapi.json describes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from . import acting, metrics, reading, schemas, stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/v1"
EVERYWHERE = (403, 500)
"""What every path can answer: a foreign host or site, and a fault of ours."""


@dataclass(frozen=True)
class Route:
    """One operation: `answers` maps a status to its model, `query` names to what they mean (`again`: more than once).

    `press`: it may carry `Pressed-At`; `keyed`: also an `Idempotency-Key`.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: dict[int, type[BaseModel]]
    body: type[BaseModel] | None = None
    query: dict[str, str] = field(default_factory=dict)
    again: frozenset[str] = frozenset()
    press: bool = False
    keyed: bool = False
    problems: tuple[int, ...] = ()
    media: str = "application/json"

    @property
    def strict(self) -> bool:
        """Other query parameters are an error. Probes and scrapers outside the API may add what they like."""
        return self.path.startswith(API)

    @property
    def refusals(self) -> list[int]:
        """Every status that a problem of it can have."""
        return sorted({*self.problems, *EVERYWHERE, *((422,) if self.strict else ())})


WAIT = {"wait": "seconds to wait for the outcome, 0 to 600"}
S = schemas

ROUTES: tuple[Route, ...] = (
    Route("GET", f"{API}/hall", reading.hall, "The hall now", {200: S.Hall}),
    Route("GET", f"{API}/devices", reading.devices, "All devices and their links", {200: S.Devices}),
    Route(
        "GET",
        f"{API}/points",
        reading.points,
        "All points, wanted and observed",
        {200: S.Points},
        query={"device": "only the points of this device"},
        problems=(404,),
    ),
    Route(
        "PUT",
        f"{API}/points/{{point}}",
        acting.set_point,
        "Want a value by hand",
        {200: S.PointAnswer, 202: S.PointAnswer},
        body=S.ValueBody,
        query=WAIT,
        press=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route(
        "DELETE",
        f"{API}/points/{{point}}/want",
        acting.release,
        "Take a manual wish back",
        {200: S.PointAnswer},
        press=True,
        problems=(404, 409, 410, 422, 503),
    ),
    Route(
        "POST",
        f"{API}/points/{{point}}/hold",
        acting.hold,
        "Start or renew a momentary movement (renew every 300 ms; it stops by itself)",
        {202: S.PointAnswer},
        body=S.ValueBody,
        press=True,
        problems=(400, 404, 408, 409, 410, 413, 422),
    ),
    Route(
        "POST",
        f"{API}/devices/{{id}}/actions/{{name}}",
        acting.act,
        "Send a one-shot action, at most once",
        {200: S.ActionAnswer, 202: S.ActionAnswer},
        body=acting.Nothing,
        press=True,
        keyed=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route("GET", f"{API}/scenes", reading.scenes, "All scenes", {200: S.Scenes}),
    Route(
        "GET", f"{API}/scenes/{{name}}", reading.scene, "One scene, expanded", {200: S.SceneWhole}, problems=(404,)
    ),
    Route(
        "GET",
        f"{API}/scenes/{{name}}/plan",
        reading.plan,
        "What the scene would change now; sends nothing",
        {200: S.Plan},
        query={
            "param": "a parameter of the scene as name:value; again for each further one and each item of a list"
        },
        again=frozenset({"param"}),
        problems=(404,),
    ),
    Route(
        "POST",
        f"{API}/scenes/{{name}}/activate",
        acting.activate,
        "Switch the hall",
        {200: S.RunAnswer, 202: S.RunAnswer},
        body=S.ActivateBody,
        query=WAIT,
        press=True,
        keyed=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route(
        "POST",
        f"{API}/stand-down",
        acting.stand_down,
        "End the scene that holds the hall",
        {200: S.RunAnswer, 202: S.RunAnswer},
        body=S.StandDownBody,
        query=WAIT,
        press=True,
        keyed=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route(
        "GET",
        f"{API}/runs",
        reading.runs,
        "Runs, newest first",
        {200: S.Runs},
        query={
            "key": "the idempotency key of a press whose answer was lost",
            "limit": "how many, 1 to 200",
            "before": "only runs whose id sorts before this one",
        },
        problems=(422, 503),
    ),
    Route("GET", f"{API}/runs/{{id}}", reading.run, "One run's card, whole", {200: S.Run}, problems=(404, 503)),
    Route(
        "POST",
        f"{API}/runs/{{id}}/points/{{point}}/retry",
        acting.retry,
        "Strive again for a point that did not become true",
        {202: S.RunAnswer},
        body=acting.Nothing,
        press=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route(
        "POST",
        f"{API}/runs/{{id}}/points/{{point}}/skip",
        acting.skip,
        "Go on without a point",
        {202: S.RunAnswer},
        body=acting.Nothing,
        press=True,
        problems=(400, 404, 408, 409, 410, 413, 422, 503),
    ),
    Route("GET", f"{API}/alarms", reading.alarms, "Standing alarms", {200: S.Alarms}),
    Route(
        "GET",
        f"{API}/events",
        stream.events,
        "Server-sent events: snapshot, then point, device, run, hall, alarm, beat",
        {200: schemas.Answer},
        media="text/event-stream",
    ),
    Route("GET", "/healthz", reading.healthz, "The process answers", {200: S.Health}),
    Route(
        "GET",
        "/readyz",
        reading.readyz,
        "The API listens and the journal is open",
        {200: S.Health},
        problems=(503,),
    ),
    Route(
        "GET",
        "/metrics",
        metrics.metrics,
        "Prometheus metrics",
        {200: schemas.Answer},
        media="text/plain; version=0.0.4",
    ),
)
