"""A whole hall behind its API: a Rig, the application on a free loopback port, and a client that checks shapes.

Every answer that passes through `Served.ask` is held against the table of routes: its status must be listed,
its body must be strictly of the model that openapi.json names, an error must be a problem document.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web

from ecc_controld.api import shapes
from ecc_controld.api.context import Context, DeviceFacts
from ecc_controld.api.events import Events
from ecc_controld.api.routes import ROUTES, Route
from ecc_controld.api.schemas import ProblemDocument
from ecc_controld.api.server import build
from ecc_controld.scene.model import Scene
from ecc_controld.sdk import Text

from .linebox import LineBox
from .rig import Rig

API = "/api/v1"


@dataclass(frozen=True)
class Answer:
    """One answer: status, headers, the JSON document (None for other media) and the text."""

    status: int
    headers: Mapping[str, str]
    json: Any
    text: str


def route_of(method: str, path: str) -> Route | None:
    """The route that a request meets, or None."""
    for route in ROUTES:
        pattern = re.sub(r"{\w+}", "[^/]+", route.path)
        if route.method == method and re.fullmatch(pattern, path.split("?")[0]):
            return route
    return None


def check(method: str, path: str, answer: Answer) -> None:
    """The answer is what the route promises; raises AssertionError."""
    kind = answer.headers["Content-Type"].split(";")[0]
    if answer.status >= 400:
        assert kind == "application/problem+json", answer.text
        document = ProblemDocument.model_validate_json(answer.text, strict=True)
        assert document.status == answer.status
        assert document.type == f"urn:ecc-controld:problem:{document.code}"
        assert document.title
        assert document.detail
        assert re.search("[\u4e00-\u9fff]", document.detail_zh), document.detail_zh
    route = route_of(method, path)
    if route is None:
        return
    if answer.status >= 400:
        assert answer.status in route.refusals, (route.path, answer.status, answer.text)
        return
    model = route.answers[answer.status]
    if route.media == "application/json":
        assert kind == "application/json"
        model.model_validate_json(answer.text, strict=True)


class Served:
    """A running API. `rig.engine` may be stopped and started again with `restart`."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.url = ""
        self.context: Context
        self.http: aiohttp.ClientSession
        self._runner: web.AppRunner

    async def start(self) -> None:
        """Build what the composition root builds, and listen on a free port."""
        self.context = _context(self.rig)
        self._runner = web.AppRunner(build(self.context), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        self.http = aiohttp.ClientSession()

    async def stop(self) -> None:
        """Take the API down; the rig goes on."""
        self.context.events.close()
        await self.http.close()
        await self._runner.cleanup()

    async def restart(self) -> None:
        """The daemon ends and starts again on the same state directory; the twins stay."""
        await self.stop()
        await self.rig.stop()
        await self.rig.start()
        await self.start()

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request; paths that do not begin with `/` are below /api/v1. The answer's shape is checked."""
        path = path if path.startswith("/") else f"{API}/{path}"
        data = raw if body is None else json.dumps(body).encode()
        async with self.http.request(method, self.url + path, data=data, headers=headers) as answer:
            text = await answer.text()
            kind = answer.headers.get("Content-Type", "")
            found = Answer(answer.status, answer.headers, json.loads(text) if "json" in kind else None, text)
        check(method, path, found)
        return found

    async def get(self, path: str) -> Any:
        """The document of a GET that must succeed."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    async def press(self, name: str, *, wait: float | None = None, key: str | None = None, **body: Any) -> Answer:
        """Activate a scene."""
        query = "" if wait is None else f"?wait={wait}"
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.ask("POST", f"scenes/{name}/activate{query}", body, headers=headers)

    async def card(self, run: str, true: Callable[[Any], object], seconds: float = 10.0) -> Any:
        """The card of a run once it is as `true` says."""
        return await self.until(f"runs/{run}", true, seconds)

    async def until(self, path: str, true: Callable[[Any], object], seconds: float = 10.0) -> Any:
        """Ask until the document is as `true` says; fails the test when it does not become so in time."""
        found = None
        try:
            async with asyncio.timeout(seconds):
                while not true(found := await self.get(path)):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{path} never became so: {found}") from None
        return found

    async def point(self, name: str) -> Any:
        """One point of GET /points."""
        found = await self.get("points")
        return next(one for one in found["points"] if one["point"] == name)

    def writes(self, device: str = "x") -> list[str]:
        """The commands that the twin of a device got, in order."""
        return self.rig.twins[device].writes()


def _context(rig: Rig) -> Context:
    makers: dict[str, Callable[[Any], dict[str, Any]]] = {
        "point": lambda entry: shapes.point(context, entry),
        "device": lambda state: shapes.device(context, state),
        "run": lambda run: shapes.run(context, run),
        "hall": lambda _: shapes.hall(context),
        "alarm": lambda alarm: shapes.alarm(context, alarm),
        "beat": lambda _: {"time": context.time(), "boot": context.boot},
    }
    events = Events(rig.engine, lambda kind, thing: makers[kind](thing), rig.journal.boot)
    context = Context(
        engine=rig.engine,
        name=Text("县应急指挥大厅", "County hall"),
        zone=ZoneInfo("Asia/Shanghai"),
        facts={
            name: DeviceFacts("linebox", Text(f"{name} 号设备", f"device {name}"), "box", "front", str(address))
            for name, address in rig.addresses.items()
        },
        boot=rig.journal.boot,
        version="1.2.3",
        simulated=True,
        twins=None,
        events=events,
    )
    return context


@asynccontextmanager
async def serving(
    state: Path, devices: Mapping[str, type[LineBox]], scenes: list[Scene], **options: Any
) -> AsyncIterator[Served]:
    """A hall with all its devices online, and its API."""
    async with Rig(state, devices, scenes, **options) as rig:
        served = Served(rig)
        await served.start()
        try:
            await rig.online()
            yield served
        finally:
            await served.stop()
