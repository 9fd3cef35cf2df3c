"""A server that speaks the panel's part of the API and misbehaves on command. Loopback, free port."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from ecc_controld import panel
from panel import world
from panel.world import Json, text


class Stub:
    """One hall in memory. Tests change it through the verbs below; every change is pushed as the daemon would."""

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.url = ""
        self.devices = world.devices()
        self.points = world.points()
        self.scenes = world.scenes()
        self.runs: list[Json] = []
        self.alarms: dict[str, Json] = {}
        self.hall: Json = {
            "name": text("县应急指挥大厅", "County emergency hall"),
            "timezone": "Asia/Shanghai",
            "mode": "duty",
            "scene": "duty",
            "params": {},
            "since": world.stamp(),
            "by": "值班席",
            "run": None,
            "verdict": None,
            "holds": False,
            "simulated": True,
            "twins": None,
            "version": "0.0",
        }
        self.posts: list[Json] = []
        self.requests: list[str] = []
        self.connects = 0
        self.refuse_events = 0
        self.silent = False
        self.fate = "answer"  # of the next POST: answer | lose (done, unanswered) | drop (not done) | hang
        self.problem: tuple[int, Json] | None = None
        self.clock_shift = timedelta(0)
        self._streams: dict[web.StreamResponse, web.Request] = {}
        self._runner: web.AppRunner | None = None
        self._beating: asyncio.Task[None] | None = None
        self._hung = asyncio.Event()

    # --- life ---
    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application(middlewares=[self._note])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/panel/{path:.+}", self._file),
                web.get("/api/v1/events", self._events),
                web.get("/api/v1/{what:hall|scenes|devices|points}", self._tables),
                web.get("/api/v1/runs", self._list),
                web.get("/api/v1/runs/{id}", self._one),
                web.post("/api/v1/scenes/{name}/activate", self._activate),
                web.post("/api/v1/stand-down", self._stand_down),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """Stop listening; nothing stays open."""
        assert self._beating is not None
        assert self._runner is not None
        self._beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._beating
        self._hung.set()
        await self.hang_up()
        await self._runner.cleanup()

    async def hang_up(self) -> None:
        """Cut every event stream, as a daemon that ends does."""
        streams, self._streams = self._streams, {}
        for request in streams.values():
            if request.transport is not None:
                request.transport.abort()

    async def reboot(self, boot: str) -> None:
        """Another process: new boot id, old streams cut."""
        self.boot = boot
        await self.hang_up()

    # --- what happens in the hall ---
    def now(self) -> datetime:
        """The server's clock, which tests may set apart from the browser's."""
        return datetime.now(UTC) + self.clock_shift

    async def push(self, kind: str, data: Json) -> None:
        """One event to every stream, unless the stub plays dead."""
        if self.silent:
            return
        body = f"event: {kind}\nid: 1\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
        for stream in list(self._streams):
            try:
                await stream.write(body)
            except ConnectionError:
                self._streams.pop(stream, None)

    async def device(self, name: str, **change: Any) -> None:
        """A device's link or identity changes."""
        self.devices[name].update(change)
        await self.push("device", self.devices[name])

    async def point(self, name: str, **change: Any) -> None:
        """A point's want, got or life changes."""
        self.points[name].update(change)
        await self.push("point", self.points[name])
        await self.push("hall", self._hall())

    async def change_hall(self, **change: Any) -> None:
        """Mode, hold or verdict changes."""
        self.hall.update(change)
        await self.push("hall", self._hall())

    async def open_run(self, scene: str, key: str | None = None) -> Json:
        """Accept a press: the run, the wishes, the mode."""
        run = world.run(len(self.runs) + 1, scene, key)
        run["opened"] = world.stamp(self.now())
        self.runs.append(run)
        chosen = self.scenes[scene]
        for name in self.points:
            await self.point(name, as_wanted=False, outcome=None, evidence="none", state="waiting", got=None)
        await self.change_hall(
            scene=scene, mode=chosen["mode"], holds=chosen["holds"], run=run["id"], since=world.stamp(self.now())
        )
        await self.push("run", run)
        return run

    async def move(self, name: str, state: str, **change: Any) -> None:
        """One point of the run gets on: its life state, and what the card says of it."""
        run = self.runs[-1]
        card = next(one for one in run["points"] if one["point"] == name)
        card.update(change)
        fine = card["outcome"] in ("ok", "already", "unverifiable")
        facts = {"got": card["got"], "outcome": card["outcome"], "evidence": card["evidence"]}
        facts |= {"reason": card["reason"], "reason_text": card["reason_text"]}
        await self.point(name, state=state, as_wanted=fine, **facts)
        await self.push("run", run)

    async def confirm(self, *names: str, elapsed_s: float = 1.5) -> None:
        """Points are read back as wanted."""
        for name in names:
            want = self.points[name]["want"]
            done = {"got": want, "age_s": 0.1, "outcome": "ok", "evidence": "read_back", "elapsed_s": elapsed_s}
            await self.move(name, "held", **done)

    async def judge(self, verdict: str, state: str = "closed") -> None:
        """The run is assessed or closed."""
        run = self.runs[-1]
        run.update(verdict=verdict, state=state, elapsed_s=8.2, closed=world.stamp(self.now()))
        await self.push("run", run)
        await self.change_hall(verdict=verdict)

    # --- answers ---
    def _hall(self) -> Json:
        wanted = [point for point in self.points.values() if point["want"] is not None]
        counts = {"wanted": len(wanted), "as_wanted": sum(bool(point["as_wanted"]) for point in wanted)}
        return {**counts, **self.hall, "boot": self.boot, "time": world.stamp(self.now())}

    def _snapshot(self) -> Json:
        last = self.runs[-1] if self.runs else None
        return {
            "hall": self._hall(),
            "devices": list(self.devices.values()),
            "points": list(self.points.values()),
            "scenes": list(self.scenes.values()),
            "run": last if last and last["state"] != "closed" else None,
            "alarms": list(self.alarms.values()),
            "boot": self.boot,
        }

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _tables(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what == "hall":
            return await self._json(self._hall())
        return await self._json({what: list(getattr(self, what).values())})

    async def _json(self, data: Json, status: int = 200) -> web.Response:
        return web.json_response(data, status=status)

    async def _index(self, _: web.Request) -> web.Response:
        return self._static("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._static(request.match_info["path"])

    def _static(self, path: str) -> web.Response:
        file = panel.find(path)
        if file is None:
            raise web.HTTPNotFound
        headers = {**panel.HEADERS, "Content-Type": panel.TYPES[file.suffix]}
        return web.Response(body=file.read_bytes(), headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.connects += 1
        if self.refuse_events:
            self.refuse_events -= 1
            return web.json_response({"title": "starting", "status": 503}, status=503)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        if not self.silent:
            first = json.dumps(self._snapshot(), ensure_ascii=False)
            await answer.write(f"event: snapshot\nid: 1\ndata: {first}\n\n".encode())
        self._streams[answer] = request
        try:
            await asyncio.Event().wait()
        finally:
            self._streams.pop(answer, None)
        return answer

    async def _beat(self) -> None:
        while True:
            await self.push("beat", {"time": world.stamp(self.now()), "boot": self.boot})
            await asyncio.sleep(1)

    async def _list(self, request: web.Request) -> web.Response:
        key = request.query.get("key")
        if key is not None:
            return await self._json({"runs": [run for run in self.runs if run["key"] == key], "next": None})
        limit = int(request.query.get("limit", "50"))
        ids = [run["id"] for run in self.runs]
        end = ids.index(request.query["before"]) if "before" in request.query else len(ids)
        found = list(reversed(self.runs[:end]))[:limit]
        return await self._json({"runs": found, "next": found[-1]["id"] if len(found) == limit else None})

    async def _one(self, request: web.Request) -> web.Response:
        found = [run for run in self.runs if run["id"] == request.match_info["id"]]
        if not found:
            return await self._json({"title": "no such run", "status": 404}, 404)
        return await self._json(found[0])

    async def _activate(self, request: web.Request) -> web.StreamResponse:
        return await self._pressed(request, request.match_info["name"])

    async def _stand_down(self, request: web.Request) -> web.StreamResponse:
        """Ends what holds: back to duty, or (`stand_down: none`) nothing but the hold."""
        held = self.scenes.get(self.hall["scene"], {})
        return await self._pressed(request, None if held.get("stand_down") == "none" else "duty")

    async def _pressed(self, request: web.Request, name: str | None) -> web.StreamResponse:
        key = request.headers.get("Idempotency-Key")
        at, client = request.headers.get("Pressed-At"), request.headers.get("ECC-Client")
        body = await request.json()
        self.posts.append(
            {"scene": name, "path": request.path, "key": key, "at": at, "client": client, "body": body}
        )
        if self.problem:
            status, body = self.problem
            return web.json_response(body, status=status, content_type="application/problem+json")
        if self.fate == "hang":
            await self._hung.wait()
        run = None
        if self.fate != "drop":
            run = await self._obey(name, key)
        if self.fate in ("drop", "lose", "hang"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if run is None:
            return web.json_response({"run": None})
        brief = {"id": run["id"], "url": f"/api/v1/runs/{run['id']}", "state": "open", "verdict": None}
        return web.json_response({"run": {**brief, "counts": {}, "points": []}}, status=202)

    async def _obey(self, name: str | None, key: str | None) -> Json | None:
        if name is None:
            await self.change_hall(holds=False)
            return None
        run = await self.open_run(name, key if self.fate == "answer" else None)
        run["key"] = key
        return run
