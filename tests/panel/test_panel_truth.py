"""Nothing on the page claims more than the hall: verdicts, figures and values are counted from what the server says."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from panel import world
from panel.screen import Screen, texts
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

MUSTS = [name for name, *_, criticality, _ in world.POINTS if criticality == "must"]
OBSERVED = world.text("只观察，不发送任何控制命令", "only observed, nothing is sent")
SILENT = world.text("没有应答", "silent")
WRONG = {"got": "x", "outcome": "not_settled", "evidence": "acknowledged", "elapsed_s": 9.0}
LOST = {"outcome": "offline", "reason": "silent", "reason_text": SILENT}


async def _run(stub: Stub, verdict: str, **outcomes: dict[str, Any]) -> None:
    """A closed run in which all is fine but what is named (dots as double underscores)."""
    await stub.open_run("emergency")
    named = {name.replace("__", "."): change for name, change in outcomes.items()}
    await stub.confirm(*[name for name in stub.points if name not in named])
    for name, change in named.items():
        await stub.move(name, "held" if change["outcome"] == "unverifiable" else "unsettled", **change)
    await stub.judge(verdict)


def _outcome(word: str, **more: Any) -> dict[str, Any]:
    return {"outcome": word, "evidence": "none", "elapsed_s": 1.0, **more}


SENTENCES = [
    ("ready", {}, "13 项全部到位"),
    ("ready", {"cam3__preset": WRONG}, "必须项已到位；1 / 13 项未到位，都是可选项"),
    (
        "ready",
        {"cam1__preset": _outcome("unverifiable", evidence="acknowledged")},
        "13 项全部到位，其中 1 项设备已应答但无法回读",
    ),
    ("degraded", {"dsp__mic__2__gain": WRONG}, "必须项已到位；共 1 / 13 项未完全到位"),
    (
        "degraded",
        {"wall__power": _outcome("skipped"), "wall__input": _outcome("overridden")},
        "2 / 4 个必须项已搁置（已跳过 1，被他人改动 1）；共 2 / 13 项未完全到位",
    ),
    (
        "degraded",
        {"dsp__preset": _outcome("out_of_service", reason="out_of_service")},
        "1 / 4 个必须项已搁置（停用 1）；共 1 / 13 项未完全到位",
    ),
    ("degraded", {"dsp__preset": _outcome("late")}, "必须项已到位，其中 1 项迟到；共 1 / 13 项未完全到位"),
    (
        "degraded",
        {"dsp__preset": _outcome("unverifiable", evidence="acknowledged"), "cam1__preset": WRONG},
        "必须项已到位，其中 1 项无法回读；共 1 / 13 项未完全到位",
    ),
    (
        "failed",
        {"wall__power": WRONG, "wall__input": _outcome("skipped"), "cam1__preset": WRONG},
        "1 / 4 个必须项未到位；1 / 4 个必须项已搁置（已跳过 1）；共 3 / 13 项未完全到位",
    ),
]


@pytest.mark.parametrize(("verdict", "outcomes", "sentence"), SENTENCES)
async def test_the_verdict_says_what_the_card_says(
    page: Page, stub: Stub, verdict: str, outcomes: dict[str, dict[str, Any]], sentence: str
) -> None:
    await _run(stub, verdict, **outcomes)
    said = page.locator("[data-test=verdict]")
    await expect(said).to_have_attribute("data-verdict", verdict)
    assert await said.locator("> span").first.inner_text() == sentence


async def test_a_run_that_did_nothing_says_so(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    await stub.judge("failed")
    await expect(page.locator("[data-test=verdict]")).to_contain_text("没有执行任何项目")


async def _observe_only(stub: Stub, *equal: str) -> None:
    """A hall that is only looked at: every wish is set aside; some points happen to be as wanted."""
    await stub.change_hall(observe_only=True)
    await stub.open_run("duty")
    for name, point in stub.points.items():
        got = point["want"] if name in equal else None if point["want"] is None else "other"
        change = _outcome("out_of_service", reason="observe_only", reason_text=OBSERVED, got=got)
        await stub.move(name, "parked", **change)
    await stub.judge("degraded")


async def test_observe_only_claims_nothing_and_blames_nothing_that_is_equal(page: Page, stub: Stub) -> None:
    await _observe_only(stub, "wall.power", "wall.input", "dsp.preset")
    verdict = page.locator("[data-test=verdict]")
    await expect(verdict).to_contain_text("4 / 4 个必须项已搁置（只观察 4）")
    await expect(verdict).not_to_contain_text("已到位；")
    await expect(page.locator("[data-test=lamp]")).to_have_attribute("data-lamp", "part")
    await expect(page.locator("[data-test=inplace]")).to_contain_text("0 / 13 项已确认")
    await expect(page.locator("[data-test=missing]")).to_have_text("13 项")
    await expect(page.locator("[data-test=sum-same]")).to_contain_text("3 项与期望相同")
    off = page.locator("[data-test=off]")
    await expect(off).to_have_count(10)
    assert await page.locator("[data-test=unwanted] .warn, [data-test=unwanted] .fault").count() == 0
    # The header says it once; no point says it again.
    assert await page.locator("[data-test=unwanted]").get_by_text("不发送").count() == 0
    miss = page.locator("[data-test=miss][data-point='wall.power'] [data-test=got]")
    await expect(miss).to_have_class("")


async def test_the_figure_counts_points_and_agrees_with_the_mode(page: Page, stub: Stub) -> None:
    missing, said = page.locator("[data-test=missing]"), page.locator("[data-test=inplace]")
    await expect(missing).to_have_count(0)
    # One device away, two wishes of it: two points, whatever the number of devices.
    await stub.device("wall", link="offline", reason="silent", reason_text=SILENT)
    for name in ("wall.power", "wall.input"):
        await stub.point(name, as_wanted=False, **LOST)
    await expect(missing).to_have_text("2 项")
    await expect(said).to_contain_text("11 / 13 项已确认")
    await expect(page.locator("[data-test=unwanted]")).to_contain_text("2 项无法确认")
    await stub.point("cam1.preset", as_wanted=False, got="x", outcome="not_settled", reason="drift")
    await expect(missing).to_have_text("3 项")
    await expect(said).to_contain_text("10 / 13 项已确认")
    await stub.open_run("emergency")
    await expect(missing).to_have_text("13 项")
    await expect(page.locator("[data-test=sum-striving]")).to_contain_text("11 项正在切换")
    await stub.confirm("cam1.preset")
    await expect(missing).to_have_text("12 项")
    await expect(said).to_contain_text("1 / 13 项已确认")


async def test_the_lamp_is_never_green_while_the_hall_counts_less(page: Page, stub: Stub) -> None:
    lamp = page.locator("[data-test=lamp]")
    await expect(lamp).to_have_attribute("data-lamp", "full")
    await stub.change_hall(wanted=13, as_wanted=12)
    await expect(lamp).to_have_attribute("data-lamp", "part")
    await expect(page.locator("[data-test=inplace]")).to_contain_text("12 / 13 项已确认")
    await expect(page.locator("[data-test=unwanted]")).not_to_contain_text("全部已确认")


async def test_a_ready_run_is_not_green_any_more_when_the_hall_has_changed(page: Page, stub: Stub) -> None:
    await _run(stub, "ready")
    word = page.locator("[data-test=verdict] strong")
    await expect(word).to_have_class("ok")
    await stub.device("wall", link="offline", reason="silent", reason_text=SILENT)
    await stub.point("wall.power", as_wanted=False, **LOST)
    await expect(word).to_have_class("muted")
    await expect(page.locator("[data-test=since]")).to_contain_text("现在 12 / 13 项已确认")
    await stub.device("wall", link="online", reason=None, reason_text=None)
    await stub.point("wall.power", as_wanted=True, outcome="ok", reason=None, reason_text=None)
    await expect(word).to_have_class("ok")
    await expect(page.locator("[data-test=since]")).to_have_count(0)


async def test_one_screen_says_one_value(page: Page, stub: Stub) -> None:
    await _run(stub, "failed", dsp__preset={**WRONG, "got": None})
    left = page.locator("[data-test=miss] [data-test=got]")
    right = page.locator("[data-test=off] [data-test=got]")
    await expect(left).to_have_text("未知")
    await stub.point("dsp.preset", got="meeting", age_s=0.2)
    await expect(right).to_have_text("meeting")
    await expect(left).to_have_text("meeting")
    await expect(left).to_have_class("fault")


async def test_what_is_equal_is_not_red(page: Page, stub: Stub) -> None:
    await _run(stub, "failed", wall__power={"got": True, "age_s": 9.0, "elapsed_s": 5.0, **LOST})
    got = page.locator("[data-test=miss] [data-test=got]")
    await expect(got).to_have_text("开")
    await expect(got).to_have_class("")
    await page.goto(f"{stub.url}/#/runs/r1")
    await expect(page.locator("[data-test=run-page] [data-test=miss] [data-test=got]")).to_have_class("")


async def test_doubt_is_told_apart_after_a_restart(page: Page, stub: Stub) -> None:
    """Held before a restart and not read since: no outcome, no claim, no error."""
    await stub.point("wall.power", state="held", as_wanted=False, outcome=None, evidence="none")
    await expect(page.locator("[data-test=sum-doubt]")).to_contain_text("1 项待核实：重启或断线后")
    await expect(page.locator("[data-test=missing]")).to_have_text("1 项")
    assert await page.locator("[data-test=off]").count() == 0
    await stub.open_run("emergency")
    await stub.move("wall.power", "held")
    await expect(page.locator("[data-test=row][data-device=wall]")).to_have_attribute("data-phase", "doubt")
    # A resumed run may still say the state from before: the row says what the point says.
    for card in stub.runs[-1]["points"]:
        card["state"] = "waiting"
    await stub.move("cam1.preset", "doubt")
    await expect(page.locator("[data-test=row][data-device=cam1]")).to_have_attribute("data-phase", "doubt")
    await expect(page.locator("[data-test=sum-doubt]")).to_contain_text("2 项待核实")
    await expect(page.locator("[data-figure=doubt] b")).to_have_text("2")


async def test_an_attempt_that_failed_waits_again(page: Page, stub: Stub) -> None:
    """Ready again after a busy refusal: something was sent, nothing is under way."""
    await stub.open_run("emergency")
    await stub.move("cam1.preset", "ready", evidence="commanded")
    row = page.locator("[data-test=row][data-device=cam1]")
    await expect(row.locator(".parts")).to_have_text("发出 1确认 0/1")
    await expect(row).to_have_attribute("data-phase", "waiting")


async def test_figures_are_all_points(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    await stub.confirm("wall.power", "wall.input")
    await stub.move("cam1.preset", "sent", evidence="commanded")
    await stub.move("cam2.preset", "acked", evidence="acknowledged")
    await stub.move("cam3.preset", "doubt", evidence="commanded")
    await stub.move("seat-7.power", "parked", **_outcome("skipped"))
    await stub.move("dsp.preset", "held", got=None, outcome="unverifiable", evidence="acknowledged", elapsed_s=1.0)
    await stub.move("side-left.power", "held", outcome="late", got=True, evidence="read_back", elapsed_s=61.0)
    await stub.move("side-right.power", "unsettled", **WRONG)
    await expect(page.locator("[data-figure=failed] b")).to_have_text("1")
    assert await texts(page, "[data-figure]") == [
        "等待 4",
        "已发出 1",
        "已应答 1",
        "待核实 1",
        "已确认 3",
        "无法回读 1",
        "已搁置 1",
        "未到位 1",
    ]


async def test_the_legend_has_every_state(page: Page) -> None:
    found = await texts(page, ".legend li b")
    assert found == ["等待", "已发出", "已应答", "待核实", "已确认", "无法回读", "已搁置", "未到位"]
    await expect(page.locator(".legend")).to_contain_text("重启或断线后，等设备稳定再核实")


async def test_english_words_that_stand_alone_begin_with_a_capital(screen: Screen, stub: Stub) -> None:
    page = await screen.open(lang="en")
    await _run(stub, "failed", wall__power={**WRONG, "got": False}, cam2__preset=_outcome("skipped"))
    await page.locator("[data-test=miss]").first.wait_for()
    alone = ".word, .count, .result b, .result p, .tag.must, .parts span, .about > span, h2, .links b, [data-test=off] p"
    words = [word for word in await texts(page, alone) if word]
    assert len(words) > 20
    assert [word for word in words if word[0].islower()] == []
