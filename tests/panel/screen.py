"""One browser context with a panel in it, and what the browser said and sent meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"phone": (390, 844), "panel": (1280, 800), "wall": (1920, 1080)}
LIVE = "[data-test=link][data-state=live]"
COUNT_BEATS = """
window.beatsHeard = 0;
window.EventSource = class extends window.EventSource {
  constructor(...args) { super(...args); this.addEventListener("beat", () => { window.beatsHeard += 1; }); }
};
"""
MEASURE = (Path(__file__).parent / "measure.js").read_text()
STALE = "[data-test=link][data-state=stale]"


class Screen:
    """Opens pages and remembers console errors, requests and presses of all of them."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.browser = browser
        self.origin = origin
        self.errors: list[str] = []
        self.urls: list[str] = []
        self.posts: list[dict[str, Any]] = []
        self._contexts: list[BrowserContext] = []

    async def open(
        self,
        path: str = "/",
        *,
        size: str = "panel",
        theme: str | None = "day",
        lang: str = "zh",
        clock: bool = False,
        live: bool = True,
        **options: Any,
    ) -> Page:
        """A new panel; with `clock` its timers and clocks move only by `page.clock` once `freeze` was called."""
        width, height = SIZES[size]
        context = await self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        for key, value in (("ecc.theme", theme), ("ecc.lang", lang)):
            if value is not None:
                await context.add_init_script(f"localStorage[{key!r}] ??= {value!r}")
        await context.add_init_script(COUNT_BEATS)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)
        if clock:
            await page.clock.install()
        await page.goto(self.origin + path)
        if live:
            await page.locator(LIVE).wait_for()
            if path == "/":  # the scenes are fetched apart: a hall without keys is not there yet
                await page.locator(".keys .key").first.wait_for()
        return page

    async def close(self) -> None:
        """Close every page."""
        for context in self._contexts:
            await context.close()

    def _console(self, message: ConsoleMessage) -> None:
        # A request that the test itself had refused or broken is reported by the browser, not by the panel.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        self.urls.append(request.url)
        if request.method == "POST":
            headers = request.headers
            self.posts.append(
                {
                    "url": request.url.removeprefix(self.origin),
                    "key": headers.get("idempotency-key"),
                    "at": headers.get("pressed-at"),
                    "body": json.loads(request.post_data or "null"),
                }
            )


async def freeze(page: Page) -> None:
    """From now on the page's time moves only by `page.clock.run_for`."""
    now = await page.evaluate("Date.now()")
    await page.clock.pause_at(datetime.fromtimestamp(now / 1000, UTC) + timedelta(milliseconds=300))
    await breathe(page)


async def breathe(page: Page) -> None:
    """Wait for a beat of the server, so that frozen time may go on for another 2.5 s without silence."""
    before = await page.evaluate("beatsHeard")
    async with asyncio.timeout(15):
        while await page.evaluate("beatsHeard") <= before:
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], what: str, deadline_s: float = 15.0) -> None:
    """Wait for a condition of the server's side."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


async def press_down(page: Page, key: str) -> None:
    """Put the pointer on a key and press."""
    box = await page.locator(f"[data-test=key-{key}]").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()


async def texts(page: Page, selector: str) -> list[str]:
    """The visible text of all that match, whitespace folded."""
    return [" ".join(one.split()) for one in await page.locator(selector).all_inner_texts()]


async def check(page: Page, least_texts: int = 15) -> None:
    """Sizes, contrast, gaps and overlaps of the page as it stands (measure.js)."""
    found = await page.evaluate(f"({MEASURE})()")
    assert found["faults"] == []
    assert found["measured"] >= least_texts, "something was measured"
    assert found["targets"] >= 2
