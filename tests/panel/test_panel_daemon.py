"""The same scenarios against the real daemon with a small simulated hall, and what only a real process can do."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import expect

from panel import scenarios
from panel.screen import LIVE, STALE, Screen, texts
from support.daemon import Daemon, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

HALL = """schema: 1
hall: {name: {zh: 县应急指挥大厅, en: County hall}, timezone: Asia/Shanghai}
networks: [10.20.0.0/16]
devices:
"""
DEVICE = """  screen-{n}:
    driver: pjlink
    name: {{zh: {n} 号显示屏, en: Screen {n}}}
    group: display
    address: tcp://10.20.1.{n}
"""
SCENE = """scene: {name}
title: {{zh: {zh}, en: {name}}}
mode: {name}
confirm: {confirm}
ready_within: 60s
want:
  "display/*": {{power: {power}}}
"""


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A hall of three displays with four modes."""
    config, scenes = tmp_path / "config", tmp_path / "scenes"
    config.mkdir()
    scenes.mkdir()
    (config / "hall.yaml").write_text(HALL + "".join(DEVICE.format(n=n) for n in range(1, 4)))
    modes = [("duty", "值班"), ("warning", "预警"), ("conference", "会议"), ("emergency", "应急")]
    for name, zh in modes:
        confirm, power = "hold" if name == "emergency" else "tap", "off" if name == "duty" else "on"
        text = SCENE.format(name=name, zh=zh, confirm=confirm, power=power)
        (scenes / f"{name}.yaml").write_text(text)
    return {"config": config, "scenes": scenes}


@pytest_asyncio.fixture(loop_scope="session")
async def daemon(tmp_path: Path, folders: dict[str, Path]) -> AsyncIterator[Daemon]:
    """A fresh daemon, every device online."""
    async with running(tmp_path / "state", "--simulate", **folders) as started:
        await started.online()
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def origin(daemon: Daemon) -> str:
    """The daemon serves the panel itself."""
    return daemon.url


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.short_hold_sends_nothing,
        scenarios.full_hold_sends_one_press,
        scenarios.leaving_emergency_asks,
        scenarios.ending_emergency_asks,
        scenarios.language_is_switched_and_remembered,
        scenarios.theme_is_switched_and_remembered,
    ],
    ids=lambda one: one.__name__,
)
async def test_scenario(screen: Screen, scenario: scenarios.Scenario) -> None:
    await scenario(screen)


async def test_a_switch_with_a_dead_display(screen: Screen, daemon: Daemon) -> None:
    page = await screen.open()
    await daemon.twin("POST", "/twins/screen-2/fault", {"kind": "refuse"})
    await expect(page.locator("[data-test=links]")).to_contain_text("2 / 3 在线")
    await scenarios.enter_emergency(page)
    await expect(page.locator("[data-test=mode]")).to_have_text("应急")
    await expect(page.locator("[data-test=verdict]")).to_have_attribute("data-verdict", "degraded", timeout=30_000)
    misses = await texts(page, "[data-test=miss]")
    assert len(misses) == 1
    assert misses[0].startswith("2 号显示屏")
    assert "不在线" in misses[0]
    await daemon.twin("DELETE", "/twins/screen-2/fault")
    await expect(page.locator("[data-test=verdict]")).to_have_attribute("data-verdict", "ready", timeout=40_000)
    await expect(page.locator("[data-test=lamp]")).to_have_attribute("data-lamp", "full")


async def test_a_frozen_daemon(screen: Screen, daemon: Daemon) -> None:
    page = await screen.open()
    daemon.process.send_signal(signal.SIGSTOP)
    await page.locator(STALE).wait_for()
    await page.locator("[data-test=key-warning]").click(force=True)
    daemon.process.send_signal(signal.SIGCONT)
    await page.locator(LIVE).wait_for()
    await page.locator("[data-test=key-conference]").click()
    await expect(page.locator("[data-test=mode]")).to_have_text("会议")
    assert [post["url"] for post in screen.posts] == ["/api/v1/scenes/conference/activate"]


async def test_a_killed_daemon_and_its_next_boot(
    screen: Screen, daemon: Daemon, tmp_path: Path, folders: dict[str, Path]
) -> None:
    page = await screen.open()
    await page.locator("[data-test=key-warning]").click()
    await expect(page.locator("[data-test=mode]")).to_have_text("预警")
    port = urlsplit(daemon.url).port
    assert port is not None
    daemon.process.kill()
    await page.locator(STALE).wait_for()
    async with running(tmp_path / "state", "--simulate", port=port, **folders):
        await page.locator(LIVE).wait_for()
        await expect(page.locator("[data-test=mode]")).to_have_text("预警")
        await expect(page.locator("[data-test=links]")).to_contain_text("3 / 3", timeout=30_000)
        await page.locator("[data-test=key-duty]").click()
        await expect(page.locator("[data-test=mode]")).to_have_text("值班")
