"""On the wall (?kiosk) the page wanders by a few pixels; elsewhere it stands still."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from panel.screen import Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def place(page: Page) -> tuple[float, float]:
    box = await page.locator("#app").bounding_box()
    assert box is not None
    return box["x"], box["y"]


async def places(page: Page) -> set[tuple[float, float]]:
    found = {await place(page)}
    for _ in range(9):
        await page.clock.fast_forward(90_000)
        found.add(await place(page))
    return found


async def test_the_page_wanders_on_the_wall(screen: Screen) -> None:
    page = await screen.open("/?kiosk", clock=True)
    found = await places(page)
    assert len(found) >= 8
    assert all(abs(x) <= 2 and abs(y) <= 2 for x, y in found)


async def test_the_page_stands_still_elsewhere(screen: Screen) -> None:
    page = await screen.open("/", clock=True)
    assert len(await places(page)) == 1
