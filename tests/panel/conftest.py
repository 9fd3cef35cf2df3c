"""A browser for the session, a page and a stub server for each test.

`origin` is all that the scenarios know of the server (scenarios.py); `stub` is for what only a stub can do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from panel.screen import ARGS, CHROMIUM, Screen
from panel.stub import Stub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, once."""
    async with async_playwright() as play:
        chromium = await play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> AsyncIterator[Stub]:
    """The server that misbehaves on command; only the tests that need that ask for it."""
    server = Stub()
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def origin(stub: Stub) -> str:
    """Where the panel is served. Scenarios run against any server that stands behind this."""
    return stub.url


@pytest_asyncio.fixture(loop_scope="session")
async def screen(browser: Browser, origin: str) -> AsyncIterator[Screen]:
    """Opens panels; fails the test if the browser complained or asked anybody but the server."""
    opened = Screen(browser, origin)
    yield opened
    await opened.close()
    assert opened.errors == []
    assert [url for url in opened.urls if not url.startswith(origin)] == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(screen: Screen) -> Page:
    """The panel, live, on a 1280x800 screen, by day, in Chinese."""
    return await screen.open()
