"""The panel against the real daemon and real twins: a switch, a dead device, a frozen and a killed daemon."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from panel import scenarios
from panel.screen import LIVE, STALE, Screen, press_down, texts
from support.daemon import ROOT, Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="session")
MINI = ROOT / "tests" / "support" / "minihall"


def start(state: Path, **more: Any) -> Any:
    return running(state, config=MINI / "config", scenes=MINI / "scenes", **more)


@pytest_asyncio.fixture(loop_scope="session")
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with start(tmp_path / "state") as found:
        await found.online()
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def live(browser: Browser, daemon: Daemon) -> AsyncIterator[Screen]:
    opened = Screen(browser, daemon.url)
    yield opened
    await opened.close()
    assert opened.errors == []
    assert [url for url in opened.urls if not url.startswith(daemon.url)] == []


async def test_the_hall_becomes_a_command_post(live: Screen, daemon: Daemon) -> None:
    page = await live.open()
    await expect(page.locator("[data-test=simulated]")).to_be_visible()
    await scenarios.enter_emergency(page)
    await expect(page.locator("[data-test=verdict]")).to_contain_text("到位", timeout=40_000)
    assert (await daemon.get("/hall"))["by"] == "panel"
    card = (await daemon.get("/runs"))["runs"][0]
    assert (card["verdict"], card["trigger"], len(card["points"])) == ("ready", "panel", 10)
    assert len(live.posts) == 1


async def test_leaving_a_held_emergency_asks(live: Screen) -> None:
    await scenarios.leaving_emergency_asks(live)


async def test_a_dead_device_is_named_with_its_reason(live: Screen, daemon: Daemon) -> None:
    page = await live.open()
    await daemon.twin("POST", "/twins/tv2/fault", {"kind": "refuse"})
    await daemon.until("/devices", lambda d: any(one["link"] == "offline" for one in d["devices"]))
    await scenarios.enter_emergency(page)
    await expect(page.locator("[data-test=miss]").first).to_be_visible(timeout=40_000)
    shown = " ".join(await texts(page, "[data-test=scorecard], [data-test=row], [data-test=miss]"))
    assert "二号屏" in shown
    assert "拒绝连接" in shown
    await daemon.twin("DELETE", "/twins/tv2/fault")
    await daemon.until("/hall", lambda hall: hall["verdict"] == "ready", 60)


async def test_a_stopped_daemon_makes_the_page_stale_and_locks_it(live: Screen, daemon: Daemon) -> None:
    page = await live.open()
    daemon.process.send_signal(signal.SIGSTOP)
    await page.locator(STALE).wait_for()
    await expect(page.locator("[data-test=key-duty]")).to_be_disabled()
    await press_down(page, "emergency")
    await page.wait_for_timeout(1700)  # longer than the hold: a locked key must not fire
    await page.mouse.up()
    assert live.posts == []
    daemon.process.send_signal(signal.SIGCONT)
    await page.locator(LIVE).wait_for()
    await expect(page.locator("[data-test=key-duty]")).to_be_enabled()


async def test_a_killed_daemon_comes_back_with_a_new_boot_and_the_page_with_it(
    browser: Browser, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with start(tmp_path / "state", port=port) as first:
        screen = Screen(browser, first.url)
        page = await screen.open()
        await first.online()
        await first.apply("duty")
        boot = (await first.get("/hall"))["boot"]
        first.process.kill()
        await page.locator(STALE).wait_for()
    async with start(tmp_path / "state", port=port) as second:
        await page.locator(LIVE).wait_for()
        hall = await second.get("/hall")
        assert hall["boot"] != boot
        assert hall["scene"] == "duty"
        await expect(page.locator("[data-test=mode]")).to_contain_text("值班")
        await screen.close()
    assert screen.errors == []
