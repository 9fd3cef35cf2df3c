"""What the officer sees while the hall switches, and the scorecard afterwards."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from panel import world
from panel.screen import Screen, texts
from panel.stub import Stub

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_ROUTE = world.text("网络不可达，检查电源、网线和交换机", "not reachable; check its power, cable and switch")
NOT_SETTLED = world.text("设备应答了，但状态没有变", "acknowledged, but it did not become true")


async def _figures(page: Page) -> dict[str, int]:
    found = {}
    for name in ("waiting", "sent", "acked", "confirmed", "failed"):
        found[name] = int(await page.locator(f"[data-figure={name}] b").inner_text())
    return found


def _row(page: Page, device: str, phase: str) -> str:
    return f"[data-test=row][data-device={device}][data-phase={phase}]"


async def test_rows_tell_commanded_from_confirmed(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    await expect(page.locator("[data-test=row]")).to_have_count(9)
    await expect(page.locator("[data-test=row][data-phase=waiting]")).to_have_count(9)
    assert await _figures(page) == {"waiting": 13, "sent": 0, "acked": 0, "confirmed": 0, "failed": 0}

    await stub.move("wall.power", "sent", evidence="commanded")
    wall = page.locator(_row(page, "wall", "sent"))
    await expect(wall).to_contain_text("已发出")
    await expect(wall.locator(".parts")).to_have_text("发出 1确认 0/2")

    await stub.move("wall.power", "acked", evidence="acknowledged")
    await expect(page.locator(_row(page, "wall", "acked"))).to_contain_text("已应答")
    assert await _figures(page) == {"waiting": 12, "sent": 0, "acked": 1, "confirmed": 0, "failed": 0}
    await expect(page.locator("[data-figure=doubt]")).to_have_count(0)
    await stub.move("wall.power", "doubt", evidence="commanded")
    await expect(page.locator(_row(page, "wall", "doubt"))).to_contain_text("待核实")
    assert await _figures(page) == {"waiting": 12, "sent": 0, "acked": 0, "confirmed": 0, "failed": 0}
    await expect(page.locator("[data-figure=doubt] b")).to_have_text("1")
    await expect(page.locator("[data-test=doubt-why]")).to_contain_text("重启或断线后，等设备稳定再核实")

    await stub.confirm("wall.power", "wall.input", elapsed_s=2.25)
    wall = page.locator(_row(page, "wall", "confirmed"))
    await expect(wall).to_contain_text("已回读")
    await expect(wall).to_contain_text("2.3 秒")
    await expect(wall.locator(".parts")).to_have_text("发出 2确认 2/2")
    assert await _figures(page) == {"waiting": 11, "sent": 0, "acked": 0, "confirmed": 2, "failed": 0}


async def test_a_row_claims_only_its_weakest_proof(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    await stub.confirm("wall.power")
    await stub.move("wall.input", "held", got=None, outcome="unverifiable", evidence="acknowledged", elapsed_s=1.0)
    wall = page.locator(_row(page, "wall", "blind"))
    await expect(wall.locator(".word")).to_have_text("无法回读")
    await expect(wall.locator(".parts")).to_have_text("发出 2确认 1/2")
    assert await _figures(page) == {"waiting": 11, "sent": 0, "acked": 0, "confirmed": 1, "failed": 0}
    await expect(page.locator("[data-figure=blind] b")).to_have_text("1")
    done = {"got": True, "outcome": "already", "evidence": "read_back", "elapsed_s": 0.1}
    await stub.move("side-left.power", "held", **done)
    row = page.locator(_row(page, "side-left", "confirmed"))
    await expect(row.locator(".word")).to_have_text("原已到位")
    await expect(row.locator(".parts")).to_have_text("发出 0确认 1/1")


async def test_a_dead_device_is_shown_with_its_reason(page: Page, stub: Stub) -> None:
    await stub.device("seat-7", link="offline", reason="no_route", reason_text=NO_ROUTE)
    await expect(page.locator("[data-test=unwanted]")).to_contain_text("7 号席位显示器 不在线")
    await expect(page.locator("[data-test=links]")).to_contain_text("8 / 9 在线")
    await stub.open_run("emergency")
    await expect(page.locator(_row(page, "seat-7", "waiting"))).to_contain_text("等待设备连接")
    lost = {"outcome": "offline", "reason": "no_route", "reason_text": NO_ROUTE, "elapsed_s": 5.0}
    await stub.move("seat-7.power", "ready", **lost)
    await stub.confirm("wall.power", "wall.input")
    seat = page.locator(_row(page, "seat-7", "failed"))
    await expect(seat).to_contain_text("不在线")
    await expect(seat).to_contain_text("网络不可达")
    assert (await _figures(page))["failed"] == 1


async def _order(page: Page) -> list[str | None]:
    rows = page.locator("[data-test=row]")
    return [await rows.nth(n).get_attribute("data-device") for n in range(await rows.count())]


async def test_rows_are_by_weight_then_by_what_is_wrong_then_as_given(page: Page, stub: Stub) -> None:
    run = await stub.open_run("emergency")
    run["points"].reverse()  # the card begins with the seats and cameras
    await stub.confirm("cam1.preset", "dsp.preset", "dsp.mic.2.gain")
    await expect(page.locator(_row(page, "cam1", "confirmed"))).to_have_count(1)
    # What strives and what is done keep their places.
    musts, shoulds = ["dsp", "matrix", "wall"], ["seat-7", "cam2", "cam1", "side-right", "side-left"]
    assert await _order(page) == [*musts, *shoulds, "cam3"]
    lost = {"outcome": "offline", "reason": "no_route", "reason_text": NO_ROUTE, "elapsed_s": 5.0}
    await stub.move("side-left.power", "ready", **lost)
    await stub.device("cam2", link="offline", reason="no_route", reason_text=NO_ROUTE)
    await stub.move("wall.power", "doubt", evidence="commanded")
    await stub.move("cam3.preset", "ready", **lost)
    await expect(page.locator(_row(page, "cam3", "failed"))).to_have_count(1)
    shoulds = ["side-left", "cam2", "seat-7", "cam1", "side-right"]
    assert await _order(page) == ["wall", "dsp", "matrix", *shoulds, "cam3"]


async def _degraded(stub: Stub) -> None:
    await stub.open_run("emergency")
    fine = [name for name in stub.points if name not in ("dsp.mic.2.gain", "seat-7.power", "cam1.preset")]
    await stub.confirm(*fine)
    await stub.move("cam1.preset", "held", got="overview", outcome="ok", evidence="measured", elapsed_s=6.5)
    wrong = {"got": -4.0, "age_s": 0.4, "outcome": "not_settled", "evidence": "acknowledged", "elapsed_s": 7.7}
    await stub.move("dsp.mic.2.gain", "unsettled", reason="not_settled", reason_text=NOT_SETTLED, **wrong)
    lost = {"outcome": "offline", "reason": "no_route", "reason_text": NO_ROUTE, "elapsed_s": 5.0}
    await stub.move("seat-7.power", "ready", **lost)


async def test_verdict_and_scorecard(page: Page, screen: Screen, stub: Stub) -> None:
    await _degraded(stub)
    verdict = page.locator("[data-test=verdict]")
    await expect(verdict).to_have_attribute("aria-live", "polite")
    await expect(verdict).to_be_empty()
    await stub.judge("degraded", "assessed")
    await expect(verdict).to_contain_text("部分到位")
    await expect(verdict).to_contain_text("2 / 13")
    await expect(verdict).to_contain_text("仍在等待改善")
    await stub.judge("degraded")
    await expect(verdict).not_to_contain_text("仍在等待改善")

    counts = {name: page.locator(f"[data-count={name}]") for name in ("ok", "not_settled", "offline")}
    assert {name: await one.inner_text() for name, one in counts.items()} == {
        "ok": "到位 11",
        "not_settled": "未达到 1",
        "offline": "不在线 1",
    }
    assert await page.locator("[data-count=read_back]").inner_text() == "已回读 10"
    assert await page.locator("[data-count=measured]").inner_text() == "已实测 1"
    misses = await texts(page, "[data-test=miss]")
    assert [re.sub(r"\d+ 秒前", "n 秒前", one) for one in misses] == [
        "音频处理器 · 2 号话筒增益 期望 −10 dB · 实际 −4 dB (n 秒前) 设备应答了，但状态没有变 未达到 已应答",
        "7 号席位显示器 · 电源 期望 开 · 实际 未知 网络不可达，检查电源、网线和交换机 不在线 未发出",
    ]
    await expect(page.locator("[data-test=elapsed]")).to_have_text("7.7秒")
    # The age grows while it is looked at.
    await expect(page.locator("[data-test=miss]").first).to_contain_text(re.compile(r"\(([3-9]|\d\d) 秒前\)"))
    await page.locator("[data-test=lang]").click()
    await expect(verdict).to_contain_text("Degraded")
    await expect(page.locator("[data-test=miss]").first).to_contain_text(
        "acknowledged, but it did not become true"
    )


@pytest.mark.parametrize(
    ("verdict", "word"), [("ready", "到位"), ("failed", "未到位"), ("superseded", "已被取代")]
)
async def test_each_verdict_has_its_word(page: Page, stub: Stub, verdict: str, word: str) -> None:
    await stub.open_run("duty")
    await stub.confirm(*stub.points)
    await stub.judge(verdict)
    await expect(page.locator("[data-test=verdict] strong")).to_have_text(word)


async def test_must_points_come_first(page: Page, stub: Stub) -> None:
    await stub.open_run("emergency")
    for name in ("cam3.preset", "cam2.preset", "dsp.preset"):
        await stub.move(name, "unsettled", got="x", outcome="not_settled", evidence="acknowledged", elapsed_s=9.0)
    await stub.confirm(*[name for name in stub.points if name not in ("cam3.preset", "cam2.preset", "dsp.preset")])
    await stub.judge("failed")
    misses = page.locator("[data-test=miss]")
    await expect(misses).to_have_count(3)
    order = [await misses.nth(n).get_attribute("data-point") for n in range(3)]
    assert order == ["dsp.preset", "cam2.preset", "cam3.preset"]
    await expect(misses.first).to_contain_text("必须")


async def test_past_the_objective_is_said(page: Page, stub: Stub) -> None:
    run = await stub.open_run("emergency")
    await expect(page.locator("[data-test=run]")).not_to_contain_text("已超过目标")
    run["objective_s"] = 0.001
    await stub.push("run", run)
    await expect(page.locator("[data-test=run]")).to_contain_text("已超过目标")


async def test_a_late_word_of_the_old_run_does_not_hide_the_new_one(page: Page, stub: Stub) -> None:
    old = await stub.open_run("warning")
    new = await stub.open_run("emergency")
    old.update(state="closed", verdict="superseded", opened="2026-01-01T00:00:00.000+08:00")
    await stub.push("run", old)
    await stub.change_hall(by="last-word")
    await expect(page.locator(".about")).to_contain_text("last-word")
    await expect(page.locator("[data-test=run] h2")).to_contain_text("正在切换 · 应急")
    await expect(page.locator("[data-test=verdict]")).to_be_empty()
    assert new["scene"] == "emergency"


async def test_lamp_and_what_is_not_as_wanted(page: Page, stub: Stub) -> None:
    lamp = page.locator("[data-test=lamp]")
    await expect(lamp).to_have_attribute("data-lamp", "full")
    await expect(page.locator("[data-test=inplace]")).to_have_text("13 / 13 项已确认")
    await expect(page.locator("[data-test=unwanted]")).to_contain_text("全部已确认，与期望相符")
    drift = world.text("有人在设备上改动", "changed at the device by another hand")
    await stub.point("dsp.mic.2.gain", got=-4.0, as_wanted=False, reason="drift", reason_text=drift)
    await expect(lamp).to_have_attribute("data-lamp", "part")
    await expect(page.locator("[data-test=inplace]")).to_contain_text("12 / 13 项已确认")
    item = page.locator("[data-test=unwanted] li").first
    await expect(item).to_contain_text("音频处理器 · 2 号话筒增益")
    await expect(item).to_contain_text("期望 −10 dB · 实际 −4 dB")
    await expect(item).to_contain_text("有人在设备上改动")
    await stub.point("dsp.mic.2.gain", got=-10.0, as_wanted=True, reason=None, reason_text=None)
    await expect(lamp).to_have_attribute("data-lamp", "full")


async def test_alarms_that_nothing_else_tells_are_listed(page: Page, stub: Stub) -> None:
    words = world.text("日志写入失败", "the journal cannot be written")
    alarm = {"id": "a1", "code": "journal", "text": words, "since": world.stamp(), "device": None, "point": None}
    await stub.push("alarm", {**alarm, "cleared": None})
    await expect(page.locator("[data-test=unwanted]")).to_contain_text("日志写入失败")
    await stub.push("alarm", {**alarm, "cleared": world.stamp()})
    await expect(page.locator("[data-test=unwanted]")).not_to_contain_text("日志写入失败")


async def test_simulated_is_in_plain_sight_only_when_it_is(page: Page, stub: Stub) -> None:
    await expect(page.locator("[data-test=simulated]")).to_be_in_viewport(ratio=1)
    await expect(page.locator("[data-test=simulated]")).to_contain_text("SIMULATED")
    await page.locator("[data-test=nav-runs]").click()
    await expect(page.locator("[data-test=simulated]")).to_be_in_viewport(ratio=1)
    await stub.change_hall(simulated=False)
    await expect(page.locator("[data-test=simulated]")).to_have_count(0)


async def test_observe_only_is_in_plain_sight_only_when_it_is(page: Page, stub: Stub) -> None:
    await expect(page.locator("[data-test=observe-only]")).to_have_count(0)
    await stub.change_hall(observe_only=True)
    await expect(page.locator("[data-test=observe-only]")).to_be_in_viewport(ratio=1)
    await expect(page.locator("[data-test=observe-only]")).to_contain_text("只观察")
    await expect(page.locator("[data-test=simulated]")).to_be_in_viewport(ratio=1)
    await expect(page.locator("[data-test=lamp], [data-test=link]").first).to_be_in_viewport(ratio=1)


async def test_devices_page(page: Page, stub: Stub) -> None:
    words = world.text("密码错误，更正凭据后重试", "wrong password; correct the credential, then retry")
    await stub.device("dsp", link="refused", reason="wrong_password", reason_text=words)
    await page.locator("[data-test=nav-devices]").click()
    rows = page.locator("[data-test=device]")
    await expect(rows).to_have_count(9)
    first = rows.first
    await expect(first).to_have_attribute("data-device", "dsp")
    await expect(first).to_contain_text("被拒绝")
    await expect(first).to_contain_text("密码错误")
    await expect(first).to_contain_text("QSYS-94")
    await expect(first).to_contain_text("tcp://10.20.1.14:4352")
    await expect(first.locator(".when")).to_contain_text("秒前")
    # Ages change without events: the page asks for them while it is looked at.
    stub.devices["dsp"]["last_exchange_age_s"] = 7300.0
    await expect(first.locator(".when")).to_contain_text("2 小时前")
