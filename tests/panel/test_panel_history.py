"""History: the runs of all days, what took too long, one run's whole card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from panel import world
from panel.screen import Screen, check, texts
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = {"outcome": "not_settled", "evidence": "acknowledged", "elapsed_s": 7.7}


async def _degraded(stub: Stub) -> None:
    await stub.open_run("emergency")
    bad = ("dsp.mic.2.gain", "seat-7.power")
    await stub.confirm(*[name for name in stub.points if name not in bad])
    for name in bad:
        await stub.move(name, "unsettled", got="x", **WRONG)
    await stub.judge("degraded")


def _past(stub: Stub, days: float, took_s: float = 8.0, closed_s: float = 90.0) -> dict[str, Any]:
    """A run of some days ago: its last point at `took_s`, watched until `closed_s`."""
    run = world.run(len(stub.runs) + 1, "duty", None)
    run["opened"] = world.stamp(stub.now() - timedelta(days=days))
    run.update(state="closed", verdict="ready", elapsed_s=closed_s, closed=run["opened"])
    for card in run["points"]:
        card.update(got=card["want"], outcome="ok", evidence="read_back", elapsed_s=took_s)
    stub.runs.append(run)
    return run


async def test_history_and_one_run(page: Page, stub: Stub) -> None:
    await page.locator("[data-test=nav-runs]").click()
    await expect(page.locator("[data-test=runs]")).to_contain_text("还没有切换记录")
    await _degraded(stub)
    await stub.judge("degraded")
    await stub.open_run("duty")
    entries = page.locator("[data-test=entry]")
    await expect(entries).to_have_count(2)
    await expect(entries.nth(0)).to_contain_text("进行中")
    await expect(entries.nth(1)).to_contain_text("部分到位")
    await entries.nth(1).click()
    await expect(page.locator("[data-test=run-page] h1")).to_have_text("应急")
    await expect(page.locator("[data-test=miss]")).to_have_count(2)
    await expect(page.locator(".line")).to_have_count(13)
    await page.locator("[data-test=back]").click()
    await expect(entries).to_have_count(2)


async def test_a_run_that_is_not_there(page: Page, stub: Stub) -> None:
    await page.goto(f"{stub.url}/#/runs/r99")
    await expect(page.locator("[data-test=run-page]")).to_contain_text("没有这条记录")


async def test_each_day_has_its_date(page: Page, stub: Stub) -> None:
    for days in (40, 1, 0):
        _past(stub, days)
    dates = [run["opened"][:10] for run in stub.runs]
    await page.locator("[data-test=nav-runs]").click()
    await expect(page.locator("[data-test=entry]")).to_have_count(3)
    titles = await texts(page, "[data-test=day] h3")
    assert titles == [f"今天 · {dates[2]}", f"昨日 · {dates[1]}", dates[0]]
    when = await texts(page, "[data-test=entry] .when")
    assert when[2] == f"{dates[0]} {stub.runs[0]['opened'][11:19]}"
    assert when[0] == stub.runs[2]["opened"][11:19]


async def test_past_the_objective_is_marked(page: Page, stub: Stub) -> None:
    _past(stub, 0.0, took_s=8.0, closed_s=90.0)  # watched for longer, but in place in time
    _past(stub, 0.0, took_s=61.0, closed_s=61.0)
    await page.locator("[data-test=nav-runs]").click()
    took = {name: page.locator(f"[data-run={name}] [data-test=took]") for name in ("r1", "r2")}
    await expect(took["r1"]).to_have_attribute("data-over", "false")
    await expect(took["r1"]).to_contain_text("8.0 秒")
    await expect(took["r1"]).not_to_contain_text("已超过目标")
    await expect(took["r2"]).to_have_attribute("data-over", "true")
    await expect(took["r2"]).to_contain_text("61.0 秒")
    await expect(took["r2"]).to_contain_text("已超过目标")
    await expect(took["r2"].locator(".ic")).to_have_count(1)
    # The run's own page says the same.
    await page.locator("[data-run=r2]").click()
    await expect(page.locator("[data-test=run-page] [data-test=took]")).to_contain_text("已超过目标")


async def test_older_runs_are_fetched_on_demand(page: Page, stub: Stub) -> None:
    for n in range(120):
        _past(stub, 120 - n)
    await page.locator("[data-test=nav-runs]").click()
    entries, older = page.locator("[data-test=entry]"), page.locator("[data-test=older]")
    await expect(entries).to_have_count(50)
    await expect(entries.first).to_have_attribute("data-run", "r120")
    await older.click()
    await expect(entries).to_have_count(100)
    # A run of now comes on top; nothing in between is lost.
    await stub.open_run("emergency")
    await expect(entries).to_have_count(101)
    await older.click()
    await expect(entries).to_have_count(121)
    await expect(older).to_have_count(0)
    shown = [await one.get_attribute("data-run") for one in await entries.all()]
    assert shown == [f"r{n}" for n in range(121, 0, -1)]


@pytest.mark.parametrize("size", ["phone", "panel", "wall"])
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_dates_and_marks_fit(screen: Screen, stub: Stub, size: str, lang: str) -> None:
    for n in range(50):
        _past(stub, 50 - n, took_s=160.0)
    page = await screen.open("/#/runs", size=size, lang=lang)
    await page.locator("[data-test=older]").scroll_into_view_if_needed()
    await check(page)
