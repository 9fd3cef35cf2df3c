"""A stop that loses no press: what has been connected is answered, what comes later waits for our successor."""

from __future__ import annotations

import asyncio

from aiohttp import web

GRACE_S = 0.3
"""How long a connection that was accepted may take to bring its request."""

_STOPPING: web.AppKey[list[bool]] = web.AppKey("stopping", list)


def prepare(app: web.Application) -> None:
    """Before the application runs: from the drain on, every answer closes its connection."""
    app[_STOPPING] = []

    async def last_answer(request: web.Request, response: web.StreamResponse) -> None:
        if app[_STOPPING]:
            response.force_close()
            response.headers["Connection"] = "close"  # so that the client knows before it asks again

    app.on_response_prepare.append(last_answer)


async def drain(app: web.Application, site: web.BaseSite, runner: web.BaseRunner) -> None:
    """Stop accepting, then give the connections that are open a moment to bring their request and be answered.

    With socket activation the listening socket lives on in the service manager: what connects from now on waits
    there for the next start.
    """
    app[_STOPPING].append(True)
    await site.stop()
    server = runner.server
    try:
        async with asyncio.timeout(GRACE_S):
            while True:
                await asyncio.sleep(0.01)  # also what was accepted in this very turn becomes a connection
                if server is None or not server.connections:
                    return
    except TimeoutError:
        pass
