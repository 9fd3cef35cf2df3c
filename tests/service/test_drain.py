"""A stop that answers what was connected: over a raw connection, so that every byte is sent when the test says so."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from ecc_controld.service import drain as draining
from ecc_controld.service.drain import drain, prepare
from support.rig import until

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Served:
    """A server that is about to stop."""

    def __init__(self, app: web.Application, runner: web.AppRunner, site: web.SockSite, port: int) -> None:
        self.app, self.runner, self.site, self.port = app, runner, site, port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        before = self.connections
        found = await asyncio.open_connection("127.0.0.1", self.port)
        await until(lambda: self.connections > before)
        return found

    @property
    def connections(self) -> int:
        return 0 if self.runner.server is None else len(self.runner.server.connections)

    async def stop(self) -> None:
        await drain(self.app, self.site, self.runner)
        await self.runner.cleanup()


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/x", handle)
    prepare(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    site = web.SockSite(runner, listener)
    await site.start()
    try:
        yield Served(app, runner, site, listener.getsockname()[1])
    finally:
        await runner.cleanup()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        return await reader.readuntil(b"done")


async def test_answers_say_that_their_connection_closes_only_once_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "GRACE_S", 20.0)
    async with serving() as server:
        reader, writer = await server.connect()
        writer.write(REQUEST)
        assert b"Connection: close" not in await answer(reader)
        stopping = asyncio.create_task(server.stop())
        await until(lambda: server.site._server is None or not server.site._server.is_serving())
        writer.write(REQUEST)
        assert b"Connection: close" in await answer(reader)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
            await stopping
        writer.close()


async def test_a_request_that_comes_after_the_stop_on_an_open_connection_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "GRACE_S", 20.0)
    async with serving() as server:
        reader, writer = await server.connect()
        stopping = asyncio.create_task(server.stop())
        await until(lambda: server.site._server is None or not server.site._server.is_serving())
        writer.write(REQUEST[:10])
        await writer.drain()
        writer.write(REQUEST[10:])
        assert await answer(reader)
        async with asyncio.timeout(20):
            await stopping
        writer.close()


async def test_a_connection_that_brings_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "GRACE_S", 0.05)
    async with serving() as server:
        reader, writer = await server.connect()
        async with asyncio.timeout(20):
            await server.stop()
            assert await reader.read() == b""
        writer.close()
