"""GET /events: one client of the stream."""

from __future__ import annotations

import asyncio

from aiohttp import web

from . import shapes
from .context import CONTEXT
from .events import STUCK_S


async def events(request: web.Request) -> web.StreamResponse:
    """SSE: a snapshot (or what was missed, for a Last-Event-ID that is still known), then everything new."""
    context = request.app[CONTEXT]
    source = context.events
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    seen = _resumed(request)
    source.clients += 1
    try:
        if seen is None:
            seen = await _snapshot(request, response)
        while not source.closed:
            behind = await source.wait(seen)
            if behind is None:
                if source.closed:
                    break
                seen = await _snapshot(request, response)
                continue
            seen += len(behind)
            await _send(response, b"".join(behind))
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        source.clients -= 1
    return response


def _resumed(request: web.Request) -> int | None:
    """The number that the client has seen, if it can go on from there."""
    source = request.app[CONTEXT].events
    boot, _, number = request.headers.get("Last-Event-ID", "").rpartition("-")
    if boot != source.boot or not number.isascii() or not number.isdigit():
        return None
    seen = int(number[:12])
    return seen if source.holds(seen) else None


async def _snapshot(request: web.Request, response: web.StreamResponse) -> int:
    context = request.app[CONTEXT]
    source = context.events
    source.flush()
    seen = source.number
    await _send(response, b"retry: 1000\n" + source.encode("snapshot", shapes.snapshot(context), seen))
    return seen


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(STUCK_S):
        await response.write(data)
