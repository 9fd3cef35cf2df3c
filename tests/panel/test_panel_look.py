"""Sizes, contrast, gaps, overlaps, measured in the browser at the three screens, both themes, both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from panel import scenarios, world
from panel.screen import STALE, Screen
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEASURE = (Path(__file__).parent / "measure.js").read_text()
NO_ROUTE = world.text("网络不可达，检查电源、网线和交换机", "not reachable; check its power, cable and switch")


async def _busy(stub: Stub) -> None:
    """A switch with everything that a row can be."""
    await stub.device("seat-7", link="offline", reason="no_route", reason_text=NO_ROUTE)
    await stub.open_run("emergency")
    await stub.confirm("matrix.out.1", "matrix.out.2", "matrix.out.3", elapsed_s=0.4)
    await stub.move("wall.input", "sent", evidence="commanded")
    await stub.move("cam1.preset", "acked", evidence="acknowledged")
    await stub.move("cam2.preset", "doubt", evidence="commanded")
    lost = {"outcome": "offline", "reason": "no_route", "reason_text": NO_ROUTE, "elapsed_s": 5.0}
    await stub.move("seat-7.power", "ready", **lost)
    skipped = {"outcome": "skipped", "evidence": "none", "elapsed_s": 1.0}
    await stub.move("side-right.power", "parked", **skipped)


async def _judged(stub: Stub) -> None:
    await _busy(stub)
    await stub.confirm("wall.power", "wall.input", "cam1.preset", "side-left.power", "dsp.preset")
    for name in ("dsp.mic.2.gain", "cam2.preset", "cam3.preset"):
        await stub.move(name, "unsettled", got=-4.0, age_s=1.0, outcome="not_settled", evidence="acknowledged")
    await stub.judge("degraded")


async def _check(page: Page, least_texts: int = 15) -> None:
    found = await page.evaluate(f"({MEASURE})()")
    assert found["faults"] == []
    assert found["measured"] >= least_texts, "something was measured"
    assert found["targets"] >= 2


@pytest.mark.parametrize("size", ["phone", "panel", "wall"])
@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_every_page_at_every_size(screen: Screen, stub: Stub, size: str, theme: str, lang: str) -> None:
    page = await screen.open(size=size, theme=theme, lang=lang)
    await _check(page)
    await _busy(stub)
    await page.locator("[data-test=row][data-phase=aside]").wait_for()
    await _check(page)
    await _judged(stub)
    await page.locator("[data-test=miss]").first.wait_for()
    await _check(page)
    for path, there in (("devices", "device"), ("runs", "entry"), ("runs/r1", "miss")):
        await page.goto(f"{stub.url}/#/{path}")
        await page.locator(f"[data-test={there}]").first.wait_for()
        await _check(page)


@pytest.mark.parametrize("size", ["phone", "panel"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_refusal_question_and_silence(screen: Screen, stub: Stub, size: str, theme: str) -> None:
    page = await screen.open(size=size, theme=theme, lang="zh" if theme == "day" else "en")
    stub.problem = (409, {"title": "x", "detail_zh": "大厅被占用", "held_by": "duty-desk", "code": "held"})
    await page.locator("[data-test=key-warning]").click()
    await page.locator("[data-test=notice]").wait_for()
    await _check(page)
    await _busy(stub)
    await page.locator("[data-test=row]").first.wait_for()
    await page.locator("[data-test=key-duty]").click()
    await page.locator("[data-test=question]").wait_for()
    await _check(page)
    await page.locator("[data-test=answer-no]").click()
    stub.silent = True
    await page.locator(STALE).wait_for()
    await _check(page)


async def test_keys_fit_the_phone_without_scrolling(screen: Screen) -> None:
    page = await screen.open(size="phone")
    for name in ("duty", "warning", "conference", "emergency"):
        await expect(page.locator(f"[data-test=key-{name}]")).to_be_in_viewport(ratio=1)


async def test_reduced_motion_is_respected(screen: Screen, stub: Stub) -> None:
    stub.fate = "hang"
    for wish, animation in (("no-preference", "turn"), ("reduce", "none")):
        page = await screen.open(reduced_motion=wish)
        await page.locator("[data-test=key-warning]").click()
        spinner = page.locator("[data-test=key-warning] .turns")
        await expect(spinner).to_have_css("animation-name", animation)


async def test_language(screen: Screen) -> None:
    await scenarios.language_is_switched_and_remembered(screen)


async def test_theme(screen: Screen) -> None:
    await scenarios.theme_is_switched_and_remembered(screen)
