"""Sizes, contrast, gaps, overlaps, measured in the browser at the three screens, both themes, both languages."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from panel import scenarios, world
from panel.screen import STALE, Screen, check
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
    await stub.point("wall.power", state="held", as_wanted=False, outcome=None)
    await stub.judge("degraded")


@pytest.mark.parametrize("size", ["phone", "panel", "wall"])
@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_every_page_at_every_size(screen: Screen, stub: Stub, size: str, theme: str, lang: str) -> None:
    page = await screen.open(size=size, theme=theme, lang=lang)
    await check(page)
    await _busy(stub)
    await page.locator("[data-test=row][data-phase=aside]").wait_for()
    await check(page)
    await _judged(stub)
    await page.locator("[data-test=miss]").first.wait_for()
    await check(page)
    for path, there in (("devices", "device"), ("runs", "entry"), ("runs/r1", "miss")):
        await page.goto(f"{stub.url}/#/{path}")
        await page.locator(f"[data-test={there}]").first.wait_for()
        await check(page)


@pytest.mark.parametrize("size", ["phone", "panel"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_refusal_question_and_silence(screen: Screen, stub: Stub, size: str, theme: str) -> None:
    page = await screen.open(size=size, theme=theme, lang="zh" if theme == "day" else "en")
    stub.problem = (409, {"title": "x", "detail_zh": "大厅被占用", "held_by": "duty-desk", "code": "held"})
    await page.locator("[data-test=key-warning]").click()
    await page.locator("[data-test=notice]").wait_for()
    await check(page)
    await _busy(stub)
    await page.locator("[data-test=row]").first.wait_for()
    await page.locator("[data-test=key-duty]").click()
    await page.locator("[data-test=question]").wait_for()
    await check(page)
    await page.locator("[data-test=answer-no]").click()
    stub.silent = True
    await page.locator(STALE).wait_for()
    await check(page)


def _more_scenes(stub: Stub, count: int) -> None:
    """So many modes beside emergency, and two scenes by hand where there are many."""
    stub.scenes = {name: scene for name, scene in world.scenes().items() if name != "conference" or count > 2}
    for n in range(len(stub.scenes), count + 1):
        like = stub.scenes["warning"]
        title = world.text(f"第 {n} 会商培训模式", f"Training room {n}")
        stub.scenes[f"more-{n}"] = {**like, "name": f"more-{n}", "title": title}
    if count > 4:
        for name in ("clear-wall", "lights"):
            stub.scenes[name] = world.manual_scene(name, "清空大屏", "Clear the wall")


@pytest.mark.parametrize("size", ["phone", "panel", "wall"])
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_emergency_keeps_its_place_among_any_number_of_scenes(
    screen: Screen, stub: Stub, size: str, lang: str
) -> None:
    places = []
    for count in (2, 3, 4, 5, 8, 11):
        _more_scenes(stub, count)
        page = await screen.open(size=size, lang=lang)
        await expect(page.locator("[data-test=keys-modes] .key")).to_have_count(count)
        key = page.locator("[data-test=key-emergency]")
        await expect(key).to_be_in_viewport(ratio=1)
        places.append(await key.bounding_box())
        icon, words = key.locator(".label .ic"), key.locator(".label > span")
        beside, label = await icon.bounding_box(), await words.bounding_box()
        assert beside is not None
        assert label is not None
        assert beside["x"] + beside["width"] < label["x"]
        assert label["y"] < beside["y"] + beside["height"] / 2 < label["y"] + label["height"]
        others = await page.locator("[data-test=keys-modes] .key, [data-test=keys-manual] .key").all()
        for other in others:
            box = await other.bounding_box()
            assert box is not None
            assert box["width"] * box["height"] < places[0]["width"] * places[0]["height"]
        await check(page)
    assert places == [places[0]] * len(places)


@pytest.mark.parametrize("size", ["phone", "panel", "wall"])
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_keys_stay_when_the_hall_begins_to_hold(screen: Screen, stub: Stub, size: str, lang: str) -> None:
    """The finger is still on the key then: no other key may come under it."""
    stub.hall["by"] = "eccctl"
    page = await screen.open(size=size, lang=lang)
    keys = page.locator(".keys .key")
    before = [await one.bounding_box() for one in await keys.all()]
    await scenarios.enter_emergency(page)
    await page.locator("[data-test=end]").wait_for()
    await stub.change_hall(by="api")
    await expect(page.locator(".about")).to_contain_text("外部系统" if lang == "zh" else "another system")
    assert [await one.bounding_box() for one in await keys.all()] == before
    await check(page)


async def test_the_halls_name_is_whole_on_a_phone(screen: Screen, stub: Stub) -> None:
    stub.hall["name"] = world.text("某某县应急指挥中心应急指挥大厅", "County emergency command centre, main hall")
    for lang in ("zh", "en"):
        page = await screen.open(size="phone", lang=lang)
        name = page.locator("[data-test=hall]")
        fits = await name.evaluate(
            "(node) => node.scrollWidth <= node.clientWidth && node.scrollHeight <= node.clientHeight + 1"
        )
        assert fits
        await check(page)


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_key_names_have_room_on_a_phone(screen: Screen, lang: str) -> None:
    page = await screen.open(size="phone", lang=lang)
    for name in ("duty", "warning", "conference", "emergency"):
        key, label = page.locator(f"[data-test=key-{name}]"), page.locator(f"[data-test=key-{name}] .label")
        outer, inner = await key.bounding_box(), await label.bounding_box()
        assert outer is not None
        assert inner is not None
        assert inner["x"] - outer["x"] >= 8


@pytest.mark.parametrize(("size", "lang"), [("panel", "zh"), ("panel", "en"), ("wall", "zh")])
async def test_wall_and_matrix_are_above_the_fold_in_a_switch(
    screen: Screen, stub: Stub, size: str, lang: str
) -> None:
    page = await screen.open(size=size, lang=lang)
    run = await stub.open_run("emergency")
    run["points"].reverse()
    await stub.push("run", run)
    await expect(page.locator("[data-test=row]").first).to_have_attribute("data-device", "dsp")
    for device in ("wall", "matrix"):
        await expect(page.locator(f"[data-test=row][data-device={device}]")).to_be_in_viewport(ratio=1)


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
