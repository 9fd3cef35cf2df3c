"""Pressing: hold and release, one POST a press, its fate, what the server says against it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from panel import scenarios, world
from panel.screen import LIVE, Screen, breathe, freeze, press_down, texts, until
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = {
    "type": "about:blank",
    "title": "Held by another scene",
    "status": 409,
    "detail": "the hall is held by emergency since 03:12",
    "detail_zh": "大厅自 03:12 起被应急占用",
    "code": "held",
    "held_by": {"scene": "emergency", "by": "duty-desk"},
}


async def test_short_hold_sends_nothing(screen: Screen) -> None:
    await scenarios.short_hold_sends_nothing(screen)


async def test_full_hold_sends_one_press(screen: Screen) -> None:
    await scenarios.full_hold_sends_one_press(screen)


async def test_leaving_emergency_asks(screen: Screen) -> None:
    await scenarios.leaving_emergency_asks(screen)


async def test_emergency_again_asks_nothing(screen: Screen, stub: Stub) -> None:
    page = await screen.open()
    await scenarios.enter_emergency(page)
    await press_down(page, "emergency")
    await until(lambda: len(stub.posts) == 2, "the second hold was sent")
    await page.mouse.up()
    assert await page.locator("[data-test=question]").count() == 0


async def test_emergency_asks_nothing_even_when_something_higher_holds(screen: Screen, stub: Stub) -> None:
    stub.hall.update(mode="fire", scene="fire", holds={"scene": "fire", "by": "contact"})
    page = await screen.open()
    await press_down(page, "emergency")
    await until(lambda: len(stub.posts) == 1, "the press was sent without a question")
    await page.mouse.up()
    assert stub.posts[0]["body"]["stand_down"] is False


async def test_sliding_off_the_key_cancels_the_hold(screen: Screen) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await press_down(page, "emergency")
    await page.clock.run_for(700)
    await page.mouse.move(640, 700)
    await expect(page.locator("[data-test=key-emergency]")).to_have_class("key em hold")
    await page.clock.run_for(2000)
    await page.mouse.up()
    assert screen.posts == []


async def test_a_finger_holds_too(screen: Screen, stub: Stub) -> None:
    page = await screen.open(size="phone", clock=True, has_touch=True, is_mobile=True)
    await freeze(page)
    box = await page.locator("[data-test=key-emergency]").bounding_box()
    assert box is not None
    fingers = await page.context.new_cdp_session(page)
    spot = {"x": box["x"] + 40, "y": box["y"] + 40}
    await fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [spot]})
    await page.clock.run_for(700)
    # A finger that trembles, or would scroll the page, still holds.
    trembling = {"x": spot["x"] + 6, "y": spot["y"] - 30}
    await fingers.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [trembling]})
    await page.clock.run_for(800)
    await fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await until(lambda: len(stub.posts) == 1, "the hold was sent")


async def test_keyboard_holds_too(screen: Screen, stub: Stub) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await page.locator("[data-test=key-emergency]").focus()
    await page.keyboard.down("Enter")
    await page.clock.run_for(1000)
    await page.keyboard.up("Enter")
    await page.clock.run_for(1000)
    assert screen.posts == []
    await breathe(page)
    await page.keyboard.down("Space")
    await page.clock.run_for(1500)
    await page.keyboard.up("Space")
    await until(lambda: len(stub.posts) == 1, "the hold was sent")


async def test_a_tap_sends_at_once(page: Page, screen: Screen, stub: Stub) -> None:
    await page.locator("[data-test=key-conference]").click()
    await until(lambda: len(stub.posts) == 1, "the tap was sent")
    assert stub.posts[0]["scene"] == "conference"
    assert stub.posts[0]["client"] == "panel"
    await expect(page.locator("[data-test=mode]")).to_have_text("会议")


async def test_keys_are_built_from_the_scenes(screen: Screen, stub: Stub) -> None:
    del stub.scenes["warning"]
    stub.scenes["duty"]["title"] = {"zh": "夜间值班", "en": "Night duty"}
    stub.scenes["conference"]["confirm"] = "hold"
    stub.scenes["clear-wall"] = world.manual_scene("clear-wall", "清空大屏", "Clear the wall")
    page = await screen.open()
    assert await texts(page, ".keys .key") == ["夜间值班 当前", "会议 按住 1.5 秒", "应急 按住 1.5 秒"]
    # What is set by hand has its keys apart, and is no mode.
    assert await texts(page, "[data-test=keys-manual] .key") == ["清空大屏 点按"]
    await page.locator("[data-test=key-conference]").click()
    assert screen.posts == []


async def test_pressed_at_is_the_servers_time(screen: Screen, stub: Stub) -> None:
    stub.clock_shift = timedelta(hours=-7)
    page = await screen.open()
    await page.locator("[data-test=key-warning]").click()
    await until(lambda: len(stub.posts) == 1, "the tap was sent")
    age = stub.now() - datetime.fromisoformat(stub.posts[0]["at"])
    assert abs(age) < timedelta(minutes=1), "hours away from the browser's clock, near the server's"


async def test_an_unanswered_key_says_so_and_is_not_sent_twice(screen: Screen, stub: Stub) -> None:
    stub.fate = "hang"
    page = await screen.open(clock=True)
    await freeze(page)
    key = page.locator("[data-test=key-warning]")
    await key.click()
    await expect(key).to_contain_text("已按下，等待应答")
    await key.click()
    await key.click()
    await until(lambda: len(stub.posts) == 1, "the first press is there")
    await page.locator("[data-test=key-conference]").click()
    await until(lambda: len(stub.posts) == 2, "another key is free meanwhile")
    assert [post["scene"] for post in stub.posts] == ["warning", "conference"]


async def test_lost_answer_of_a_press_that_arrived(screen: Screen, stub: Stub) -> None:
    stub.fate = "lose"
    page = await screen.open()
    key = page.locator("[data-test=key-warning]")
    await key.click()
    await until(lambda: any("/api/v1/runs?key=" in one for one in stub.requests), "the panel asks")
    await expect(key).to_contain_text("当前")
    assert len(screen.posts) == 1
    assert await page.locator("[data-test=notice]").count() == 0


async def test_lost_press_that_never_arrived(screen: Screen, stub: Stub) -> None:
    stub.fate = "drop"
    page = await screen.open(clock=True)
    await freeze(page)
    key = page.locator("[data-test=key-warning]")
    await key.click()
    await expect(key).to_contain_text("正在核实是否送达")
    # It is not called lost before it has expired: until then it might still arrive.
    for asked in range(1, 7):
        await until(lambda n=asked: _asked(stub) >= n, "the panel asks again")
        assert await page.locator("[data-test=notice]").count() == 0
        await page.clock.run_for(1000)
    await until(lambda: _asked(stub) >= 7, "asked after it expired")
    await expect(page.locator("[data-test=notice]")).to_contain_text("未送达，没有执行")
    await expect(key).to_contain_text("点按")
    assert len(screen.posts) == 1, "never sent again by itself"


def _asked(stub: Stub) -> int:
    return sum("/api/v1/runs?key=" in one for one in stub.requests)


async def test_a_press_without_answer_is_given_up_after_five_seconds(screen: Screen, stub: Stub) -> None:
    stub.fate = "hang"
    page = await screen.open(clock=True)
    await freeze(page)
    key = page.locator("[data-test=key-warning]")
    await key.click()
    await until(lambda: len(stub.posts) == 1, "the press is there")
    await page.clock.run_for(4000)
    await expect(key).to_contain_text("已按下，等待应答")
    await page.clock.run_for(1000)
    await until(lambda: _asked(stub) >= 1, "the panel asks what became of it")
    assert len(screen.posts) == 1


async def test_refusal_is_said_in_both_languages(page: Page, screen: Screen, stub: Stub) -> None:
    stub.problem = (409, REFUSED)
    await page.locator("[data-test=key-warning]").click()
    notice = page.locator("[data-test=notice]")
    await expect(notice).to_contain_text("未执行：被拒绝")
    await expect(notice).to_contain_text("大厅自 03:12 起被应急占用")
    await expect(notice).to_contain_text("占用：应急 · duty-desk")
    await page.locator("[data-test=lang]").click()
    await expect(notice).to_contain_text("Not done: refused")
    await expect(notice).to_contain_text("the hall is held by emergency since 03:12")
    await expect(notice).to_contain_text("Code held")
    await notice.locator("button").click()
    await expect(notice).to_have_count(0)
    await expect(page.locator("[data-test=mode]")).to_have_text("Duty")


@pytest.mark.parametrize(("status", "word"), [(410, "按键已过期"), (503, "服务暂时不可用"), (500, "未执行")])
async def test_other_refusals(page: Page, stub: Stub, status: int, word: str) -> None:
    stub.problem = (status, {"title": "x", "status": status})
    await page.locator("[data-test=key-warning]").click()
    await expect(page.locator("[data-test=notice]")).to_contain_text(word)
    await expect(page.locator(LIVE)).to_have_count(1)
