"""The event stream: silence, a dead server, one 503, another boot, the clock."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone

import pytest
from playwright.async_api import Page, expect

from panel import world
from panel.screen import LIVE, STALE, Screen, freeze, press_down, until
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _last_word(page: Page, stub: Stub) -> None:
    """The stub speaks once more at the page's frozen time, then plays dead."""
    await stub.change_hall(by="last-word")
    stub.silent = True
    for _ in range(50):
        # The page draws what it heard 40 ms later, by its own (frozen) clock.
        await page.clock.run_for(2)
    await expect(page.locator(".about")).to_contain_text("last-word")


async def test_silence_makes_everything_stale_within_three_seconds(screen: Screen, stub: Stub) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await _last_word(page, stub)
    await page.clock.run_for(2000)
    await expect(page.locator(LIVE)).to_have_count(1)
    await page.clock.run_for(900)
    await expect(page.locator(STALE)).to_have_count(1)
    await expect(page.locator("[data-test=banner]")).to_contain_text("按键已锁定")
    keys = page.locator(".key")
    assert await keys.count() == 4
    for n in range(4):
        await expect(keys.nth(n)).to_have_attribute("aria-disabled", "true")
        await expect(keys.nth(n)).to_contain_text("已锁定")
    await page.locator("[data-test=key-warning]").click(force=True)
    await press_down(page, "emergency")
    await page.clock.run_for(1600)
    await page.mouse.up()
    assert screen.posts == []


async def test_silence_in_the_middle_of_a_hold_cancels_it(screen: Screen, stub: Stub) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await _last_word(page, stub)
    await page.clock.run_for(1700)
    await press_down(page, "emergency")
    await expect(page.locator("[data-test=key-emergency]")).to_contain_text("继续按住")
    await page.clock.run_for(1200)
    await expect(page.locator(STALE)).to_have_count(1)
    await expect(page.locator("[data-test=key-emergency]")).not_to_have_class(re.compile("holding"))
    await page.clock.run_for(400)
    await page.mouse.up()
    assert screen.posts == []


async def test_a_broken_stream_is_said_at_once(screen: Screen, stub: Stub) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await stub.hang_up()
    # The page's clock stands still: this is not the watchdog.
    await page.locator(STALE).wait_for()
    await expect(page.locator("[data-test=key-emergency]")).to_have_attribute("aria-disabled", "true")


async def test_a_frozen_server_is_found_again(page: Page, stub: Stub) -> None:
    stub.silent = True
    await page.locator(STALE).wait_for()
    connects = stub.connects
    # Attempts that are accepted but say nothing are given up, for ever, at a flat pace.
    await until(lambda: stub.connects >= connects + 2, "it tries again and again", 20)
    stub.silent = False
    await page.locator(LIVE).wait_for()
    await expect(page.locator("[data-test=banner]")).to_have_count(0)
    await expect(page.locator("[data-test=key-warning]")).to_contain_text("点按")


async def test_one_503_is_survived(page: Page, stub: Stub) -> None:
    stub.refuse_events = 1
    connects = stub.connects
    await stub.hang_up()
    await page.locator(STALE).wait_for()
    await until(lambda: stub.connects >= connects + 2, "a 503, then another try")
    await page.locator(LIVE).wait_for()


async def test_another_boot_forgets_everything(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    await page.locator("[data-test=run]").wait_for()
    await page.locator("[data-test=key-duty]").click()
    await page.locator("[data-test=question]").wait_for()
    stub.runs.clear()
    stub.points, stub.devices = world.points(), world.devices()
    del stub.devices["cam3"]
    stub.hall.update(mode="duty", scene="duty", holds=False, run=None)
    await stub.reboot("boot-2")
    await expect(page.locator("[data-test=mode]")).to_have_text("值班")
    await expect(page.locator("[data-test=links]")).to_contain_text("8 / 8")
    await expect(page.locator("[data-test=run]")).to_have_count(0)
    await page.locator(LIVE).wait_for()
    await expect(page.locator("[data-test=question]")).to_have_count(0)


async def test_a_beat_of_another_boot_makes_it_connect_anew(page: Page, stub: Stub) -> None:
    connects = stub.connects
    stub.boot = "boot-2"
    await until(lambda: stub.connects > connects, "a new connection, a new snapshot")
    await page.locator(LIVE).wait_for()


async def test_snapshot_after_a_reconnect_replaces_what_was_missed(page: Page, stub: Stub) -> None:
    stub.silent = True
    await stub.device("cam2", link="offline", reason="no_route", reason_text=world.text("网络不可达", "no route"))
    await page.locator(STALE).wait_for()
    await expect(page.locator("[data-test=links]")).to_contain_text("9 / 9")
    stub.silent = False
    await expect(page.locator("[data-test=links]")).to_contain_text("8 / 9")
    await expect(page.locator("[data-test=unwanted]")).to_contain_text("2 号摄像机")


async def test_the_last_run_is_fetched_when_none_is_open(screen: Screen, stub: Stub) -> None:
    await stub.open_run("duty")
    await stub.confirm(*stub.points)
    await stub.judge("ready")
    page = await screen.open()
    await expect(page.locator("[data-test=verdict]")).to_have_attribute("data-verdict", "ready")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
async def test_clock_shows_server_time_in_the_halls_zone(screen: Screen, stub: Stub, zone: str) -> None:
    stub.clock_shift = timedelta(hours=5, minutes=17)
    page = await screen.open(timezone_id=zone)
    shown = await page.locator("[data-test=clock]").inner_text()
    now = stub.now().astimezone(world.ZONE)
    assert shown in {(now - timedelta(minutes=1)).strftime("%H:%M"), now.strftime("%H:%M")}


async def test_the_zones_name_counts_more_than_the_offset_of_the_times(screen: Screen, stub: Stub) -> None:
    stub.hall["timezone"] = "Asia/Kathmandu"
    page = await screen.open(timezone_id="UTC")
    shown = await page.locator("[data-test=clock]").inner_text()
    now = stub.now().astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert shown in {(now - timedelta(minutes=1)).strftime("%H:%M"), now.strftime("%H:%M")}


async def test_a_jump_of_the_servers_clock_is_followed(page: Page, stub: Stub) -> None:
    stub.clock_shift = timedelta(hours=-3)
    now = stub.now().astimezone(world.ZONE)
    shown = re.compile(now.strftime("%H:%M") + "|" + (now + timedelta(minutes=1)).strftime("%H:%M"))
    await expect(page.locator("[data-test=clock]")).to_have_text(shown)


async def test_without_a_zone_name_the_offset_of_the_times_counts(screen: Screen, stub: Stub) -> None:
    del stub.hall["timezone"]
    page = await screen.open(timezone_id="UTC")
    shown = await page.locator("[data-test=clock]").inner_text()
    now = stub.now().astimezone(world.ZONE)
    assert shown in {(now - timedelta(minutes=1)).strftime("%H:%M"), now.strftime("%H:%M")}
    assert now.utcoffset() != UTC.utcoffset(None)


@pytest.mark.parametrize(("hour", "theme"), [(3, "night"), (12, "day"), (20, "night")])
async def test_theme_follows_the_halls_clock_until_set(screen: Screen, stub: Stub, hour: int, theme: str) -> None:
    here = stub.now().astimezone(world.ZONE)
    stub.clock_shift = timedelta(hours=hour - here.hour, minutes=30 - here.minute)
    page = await screen.open(theme=None)
    await expect(page.locator("html")).to_have_attribute("data-theme", theme)
    assert await page.evaluate("localStorage.getItem('ecc.theme')") is None
