"""What must hold against any server that runs the sample of a hall: the stub now, the daemon end to end.

Each takes the opened page or the screen and nothing of the server.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from playwright.async_api import Page, expect

from panel.screen import Screen, breathe, freeze, press_down

Scenario = Callable[[Screen], Awaitable[None]]


async def short_hold_sends_nothing(screen: Screen) -> None:
    """Letting go of emergency before 1.5 s does nothing; neither do many short presses."""
    page = await screen.open(clock=True)
    await freeze(page)
    key = page.locator("[data-test=key-emergency]")
    for _ in range(3):
        await press_down(page, "emergency")
        await expect(key).to_have_class(re.compile(r"\bholding\b"))
        await page.clock.run_for(1400)
        await page.mouse.up()
        await expect(key).not_to_have_class(re.compile(r"\bholding\b"))
        await breathe(page)
    assert screen.posts == []


async def full_hold_sends_one_press(screen: Screen) -> None:
    """A completed hold sends exactly one POST, with a key and the server's time, without any question."""
    page = await screen.open(clock=True)
    await freeze(page)
    await press_down(page, "emergency")
    async with page.expect_request("**/activate"):
        await page.clock.run_for(1500)
    await breathe(page)
    await page.clock.run_for(1600)
    await page.mouse.up()
    await expect(page.locator("[data-test=question]")).to_have_count(0)
    await page.clock.run_for(200)
    await page.locator("[data-test=run]").wait_for()
    assert len(screen.posts) == 1
    sent = screen.posts[0]
    assert sent["url"] == "/api/v1/scenes/emergency/activate"
    assert sent["body"] == {"params": {}, "stand_down": False, "drill": False}
    assert len(sent["key"]) >= 16
    assert datetime.fromisoformat(sent["at"]).tzinfo is not None
    assert len(sent["at"].split(".")[1]) == 4, "milliseconds and Z"


async def enter_emergency(page: Page) -> None:
    """Hold the key until the hall is in emergency."""
    async with page.expect_request("**/scenes/emergency/activate"):
        await press_down(page, "emergency")
    await expect(page.locator("[data-test=key-emergency]")).to_have_attribute("aria-pressed", "true")
    await page.mouse.up()


async def leaving_emergency_asks(screen: Screen) -> None:
    """A lower scene asks first; "keep it" sends nothing, "end it" sends stand_down."""
    page = await screen.open()
    await enter_emergency(page)
    await page.locator("[data-test=key-duty]").click()
    await expect(page.locator("[data-test=question] h1")).to_have_text("结束应急？")
    await page.locator("[data-test=answer-no]").click()
    await expect(page.locator("[data-test=question]")).to_have_count(0)
    assert [post["url"] for post in screen.posts] == ["/api/v1/scenes/emergency/activate"]
    await page.locator("[data-test=key-duty]").click()
    await page.locator("[data-test=answer-yes]").click()
    await expect(page.locator("[data-test=key-duty]")).to_have_attribute("aria-pressed", "true")
    assert [post["body"]["stand_down"] for post in screen.posts] == [False, True]


async def ending_emergency_asks(screen: Screen) -> None:
    """The mode card says that it holds; its key asks, then sends one stand-down with a key and the server's time."""
    page = await screen.open()
    await enter_emergency(page)
    await expect(page.locator("[data-test=held]")).to_contain_text("保持中，需结束才能退出")
    end = page.locator("[data-test=end]")
    await expect(end).to_have_text("结束应急")
    await end.click()
    await expect(page.locator("[data-test=question] h1")).to_have_text("结束应急？")
    await page.locator("[data-test=answer-no]").click()
    await expect(page.locator("[data-test=question]")).to_have_count(0)
    assert len(screen.posts) == 1
    await end.click()
    await page.locator("[data-test=answer-yes]").click()
    await expect(page.locator("[data-test=held]")).to_have_count(0)
    await expect(page.locator("[data-test=key-emergency]")).to_have_attribute("aria-pressed", "false")
    assert [post["url"] for post in screen.posts] == ["/api/v1/scenes/emergency/activate", "/api/v1/stand-down"]
    sent = screen.posts[-1]
    assert sent["body"] == {}
    assert len(sent["key"]) >= 16
    assert datetime.fromisoformat(sent["at"]).tzinfo is not None


async def language_is_switched_and_remembered(screen: Screen) -> None:
    """One tap changes every page; a reload keeps it."""
    page = await screen.open()
    await expect(page.locator("[data-test=nav-devices]")).to_have_text("设备")
    await page.locator("[data-test=lang]").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    for name, title in (("devices", "Devices"), ("runs", "History")):
        await page.locator(f"[data-test=nav-{name}]").click()
        await expect(page.locator("main h1")).to_have_text(title)
    await page.reload()
    await expect(page.locator("main h1")).to_have_text("History")
    await page.locator("[data-test=lang]").click()
    await expect(page.locator("main h1")).to_have_text("记录")


async def theme_is_switched_and_remembered(screen: Screen) -> None:
    """By hand, and kept over a reload."""
    page = await screen.open()
    await page.locator("[data-test=theme]").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "night")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "night")
    await page.locator("[data-test=theme]").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "day")
