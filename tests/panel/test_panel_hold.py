"""A mode that holds says so and can be ended; a hold that was too short says that it did nothing."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from panel import scenarios, world
from panel.screen import STALE, Screen, breathe, freeze, press_down, until
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

END = "[data-test=end]"
YES = "[data-test=answer-yes]"
UNDONE = "[data-test=undone]"


async def test_ending_what_holds_asks_and_stands_down(screen: Screen) -> None:
    await scenarios.ending_emergency_asks(screen)


async def test_nothing_is_said_of_a_mode_that_does_not_hold(page: Page) -> None:
    await expect(page.locator("[data-test=mode]")).to_have_text("值班")
    assert await page.locator(f"[data-test=held], {END}").count() == 0


async def test_it_is_named_in_english(screen: Screen) -> None:
    page = await screen.open(lang="en")
    await scenarios.enter_emergency(page)
    await expect(page.locator("[data-test=held]")).to_contain_text("Held: it must be ended to leave it")
    await expect(page.locator(END)).to_have_text("End emergency")
    await page.locator(END).click()
    await expect(page.locator("[data-test=question] h1")).to_have_text("End the emergency?")


@pytest.mark.parametrize(
    ("then", "words"), [("restore", "恢复到之前的模式"), ("duty", "切换到值班"), ("none", "只解除保持")]
)
async def test_the_question_says_what_comes_after(page: Page, stub: Stub, then: str, words: str) -> None:
    stub.scenes["emergency"]["stand_down"] = then
    await page.reload()
    await scenarios.enter_emergency(page)
    await page.locator(END).click()
    await expect(page.locator("[data-test=question] p")).to_contain_text(words)


async def test_the_key_is_dead_while_the_page_is_stale(page: Page, screen: Screen, stub: Stub) -> None:
    await scenarios.enter_emergency(page)
    end = page.locator(END)
    await expect(end).to_have_attribute("aria-disabled", "false")
    stub.silent = True
    await page.locator(STALE).wait_for()
    await expect(end).to_have_attribute("aria-disabled", "true")
    await end.click(force=True)
    assert await page.locator("[data-test=question]").count() == 0
    assert [post["url"] for post in screen.posts] == ["/api/v1/scenes/emergency/activate"]


async def test_a_refused_end_is_said(page: Page, stub: Stub) -> None:
    await scenarios.enter_emergency(page)
    stub.problem = (409, {"title": "x", "detail_zh": "当前没有需要结束的模式", "code": "nothing_held"})
    await page.locator(END).click()
    await page.locator(YES).click()
    await expect(page.locator("[data-test=notice]")).to_contain_text("当前没有需要结束的模式")
    await expect(page.locator(END)).to_have_text("结束应急")


@pytest.mark.parametrize("then", ["duty", "none"])
async def test_a_lost_answer_to_the_end_that_arrived(page: Page, screen: Screen, stub: Stub, then: str) -> None:
    """Whether it opened a run or only ended the hold, it is not called lost, and is sent once."""
    stub.scenes["emergency"]["stand_down"] = then
    await scenarios.enter_emergency(page)
    stub.fate = "lose"
    await page.locator(END).click()
    await page.locator(YES).click()
    await expect(page.locator("[data-test=held]")).to_have_count(0)
    await until(lambda: len(stub.posts) >= 2, "the end was sent")
    # The browser may repeat a request on a connection that was cut; its key makes that one press.
    assert len({post["key"] for post in stub.posts}) == 2
    assert await page.locator("[data-test=notice]").count() == 0
    assert len(screen.posts) == 2


async def test_an_end_that_never_arrived(screen: Screen, stub: Stub) -> None:
    stub.hall.update(mode="emergency", scene="emergency", holds=True)
    page = await screen.open(clock=True)
    stub.fate = "drop"
    await freeze(page)
    await page.locator(END).click()
    await page.clock.run_for(100)
    await page.locator(YES).click()
    await expect(page.locator(END)).to_contain_text("正在核实是否送达")
    async with asyncio.timeout(30):
        while await page.locator("[data-test=notice]").count() == 0:
            await page.clock.run_for(500)
            await breathe(page)
    await expect(page.locator("[data-test=notice]")).to_contain_text("未送达，没有执行")
    assert sum("runs?key=" in one for one in stub.requests) >= 5, "asked until it had expired"
    assert len(screen.posts) == 1


async def test_the_question_goes_when_somebody_else_ends_it(page: Page, stub: Stub) -> None:
    await scenarios.enter_emergency(page)
    await page.locator(END).click()
    await page.locator("[data-test=question]").wait_for()
    await stub.change_hall(holds=False)
    await expect(page.locator("[data-test=question]")).to_have_count(0)


async def test_a_manual_scene_ends_nothing(page: Page, screen: Screen, stub: Stub) -> None:
    stub.scenes["clear-wall"] = world.manual_scene("clear-wall", "清空大屏", "Clear the wall")
    await page.reload()
    await scenarios.enter_emergency(page)
    await page.locator("[data-test=key-clear-wall]").click()
    await until(lambda: len(stub.posts) == 2, "sent without a question")
    assert screen.posts[-1]["body"]["stand_down"] is False


async def test_a_short_press_says_that_nothing_was_done(screen: Screen) -> None:
    page = await screen.open(clock=True)
    said = page.locator(UNDONE)
    await expect(said).to_have_attribute("aria-live", "polite")
    await expect(said).to_be_empty()
    await freeze(page)
    await press_down(page, "emergency")
    await page.clock.run_for(300)
    await expect(said).to_be_empty()
    await page.mouse.up()
    await expect(said).to_contain_text("应急：按得太短，没有执行。要执行请按住 1.5 秒。")
    for _ in range(5):
        await page.clock.run_for(1000)
        await expect(said).to_contain_text("按得太短")
        await breathe(page)
    await page.clock.run_for(1100)
    await expect(said).to_be_empty()
    assert screen.posts == []


async def test_a_slipped_finger_is_said_and_the_next_hold_ends_the_saying(screen: Screen, stub: Stub) -> None:
    page = await screen.open(clock=True)
    said = page.locator(UNDONE)
    await freeze(page)
    await press_down(page, "emergency")
    await page.clock.run_for(300)
    await page.mouse.move(640, 700)
    await expect(said).to_contain_text("手指滑开了，没有执行")
    await page.mouse.up()
    await expect(said).to_contain_text("手指滑开了")
    await press_down(page, "emergency")
    await expect(said).to_be_empty()
    await page.clock.run_for(1500)
    await until(lambda: len(stub.posts) == 1, "the whole hold was sent")
    await page.mouse.up()
    await page.clock.run_for(100)
    await expect(said).to_be_empty()


async def test_the_keyboard_is_told_too(screen: Screen) -> None:
    page = await screen.open(clock=True)
    await freeze(page)
    await page.locator("[data-test=key-emergency]").focus()
    await page.keyboard.down("Enter")
    await page.clock.run_for(200)
    await page.keyboard.up("Enter")
    await expect(page.locator(UNDONE)).to_contain_text("按得太短")
