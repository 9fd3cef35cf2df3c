"""Hands: wanting one point, taking it back, holding a movement, one-shot actions, retry and skip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.apihall import Served, serving
from support.linebox import HandBox, LineBox
from support.rig import scene, until

KEY = "Idempotency-Key"


async def set_point(hall: Served, name: str, value: object, wait: float | None = 5) -> Any:
    query = "" if wait is None else f"?wait={wait}"
    return await hall.ask("PUT", f"points/{name}{query}", {"value": value})


@pytest.mark.parametrize(
    ("name", "raw", "value", "line"),
    [
        ("x.mute", "on", True, "SET mute 1"),
        ("x.mute", True, True, "SET mute 1"),
        ("x.mute", 1, True, "SET mute 1"),
        ("x.mute", "开", True, "SET mute 1"),
        ("x.a", 7, 7, "SET a 7"),
        ("x.a", "010", 10, "SET a 10"),
        ("x.a", 7.0, 7, "SET a 7"),
        ("x.level", -12.5, -12.5, "SET level -12.5"),
        ("x.level", "−6 dB", -6.0, "SET level -6.0"),
        ("x.label", "hello", "hello", "SET label hello"),
    ],
)
async def test_values_are_parsed_as_the_points_type_says(
    hall: Served, name: str, raw: object, value: object, line: str
) -> None:
    answer = await set_point(hall, name, raw)
    point = answer.json["point"]
    assert answer.status == 200
    assert (point["want"], point["got"], point["outcome"], point["layer"]) == (value, value, "ok", "manual")
    assert type(point["want"]) is type(value)
    assert hall.writes() == [line]


async def test_off_is_a_wish_too(hall: Served) -> None:
    answer = await set_point(hall, "x.mute", "off")
    assert (answer.json["point"]["want"], answer.json["point"]["outcome"]) == (False, "already")
    assert hall.writes() == []


async def test_a_word_is_found_or_the_nearest_is_named(hall: Served) -> None:
    answer = await set_point(hall, "x.preset", "emergancy")
    assert (answer.status, answer.json["code"], answer.json["nearest"]) == (422, "bad_value", "emergency")
    assert answer.json["valid"] == ["duty", "emergency"]
    assert hall.writes() == []
    answer = await set_point(hall, "x.preset", "emergency")
    assert (answer.json["point"]["want"], answer.json["point"]["outcome"]) == ("emergency", "ok")
    assert hall.writes() == ["SET mute 1", "SET preset 1", "SET mute 0"][: len(hall.writes())]
    await until(lambda: hall.writes() == ["SET mute 1", "SET preset 1", "SET mute 0"])


HUGE = int("9" * 4000)


def short(value: object) -> str:
    """A test id that can be read."""
    return ascii(value)[:20] if not isinstance(value, int) or abs(value) < 10**20 else "huge"


@pytest.mark.parametrize(
    ("name", "raw", "code"),
    [
        ("x.a", 10_000, "bad_value"),
        ("x.a", -1, "bad_value"),
        ("x.a", 1.5, "bad_value"),
        ("x.a", "seven", "bad_value"),
        ("x.a", True, "bad_value"),
        ("x.a", HUGE, "bad_value"),
        ("x.a", "9" * 5000, "bad_value"),
        ("x.level", 10.5, "bad_value"),
        ("x.level", HUGE, "bad_value"),
        ("x.level", float("nan"), "bad_value"),
        ("x.level", float("-inf"), "bad_value"),
        ("x.mute", "maybe", "bad_value"),
        ("x.mute", 2, "bad_value"),
        ("x.mute", HUGE, "bad_value"),
        ("x.preset", "x" * 60_000, "bad_value"),
        ("x.preset", HUGE, "bad_value"),
        ("x.label", "a\x00b", "bad_value"),
        ("x.label", "two\nlines", "bad_value"),
        ("x.label", "x" * 17, "bad_value"),
        ("x.label", "\ud800", "bad_json"),
        ("x.a", None, "bad_body"),
        ("x.a", [1], "bad_body"),
        ("x.a", {"value": 1}, "bad_body"),
        ("x.heat", 20, "not_writable"),
        ("x.pan", 1, "not_writable"),
    ],
    ids=short,
)
async def test_what_cannot_be_wanted_is_422_and_nothing_is_sent(
    hall: Served, name: str, raw: object, code: str
) -> None:
    answer = await set_point(hall, name, raw)
    assert (answer.status, answer.json["code"]) == (400 if code == "bad_json" else 422, code)
    assert len(answer.text) < 4000
    assert (await hall.point(name))["want"] is None
    assert hall.writes() == []


async def test_out_of_range_names_the_range(hall: Served) -> None:
    assert (await set_point(hall, "x.level", 99)).json["range"] == {"min": -60, "max": 10}


@pytest.mark.parametrize(
    ("body", "zh", "en"),
    [
        (b"{}", "请求体有误：value 缺少", "the body is wrong: value is missing"),
        (
            b'{"value": [1]}',
            "请求体有误：value 应为true 或 false、整数、数值、文字",
            "the body is wrong: value must be true or false or a whole number or a number or text",
        ),
        (
            b'{"value": 1, "valu": 2}',
            "请求体有误：valu 不认识",
            "the body is wrong: valu is not known here",
        ),
        (b"[]", "请求体有误：整体 应为对象", "the body is wrong: it must be an object"),
    ],
)
async def test_a_wrong_body_is_said_in_one_sentence_a_field(hall: Served, body: bytes, zh: str, en: str) -> None:
    answer = await hall.ask("PUT", "points/x.a", raw=body)
    assert (answer.json["detail_zh"], answer.json["detail"]) == (zh, en)


async def test_a_bad_value_is_said_in_either_language_whole(hall: Served) -> None:
    answer = await set_point(hall, "x.level", 99)
    assert answer.json["detail"] == "x.level: expected -60 to 10 dB, got 99"
    assert answer.json["detail_zh"] == "x.level 的值无效，应为 -60 至 10 dB，得到 99"


@pytest.mark.parametrize("body", [b"{}", b'{"value": 1, "values": 2}', b"[]"])
async def test_a_value_body_has_a_value_and_nothing_else(hall: Served, body: bytes) -> None:
    answer = await hall.ask("PUT", "points/x.a", raw=body)
    assert (answer.status, answer.json["code"], answer.json["valid"]) == (422, "bad_body", ["value"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "points/x.aa", {"value": 1}),
        ("DELETE", "points/x.aa/want", None),
        ("POST", "points/x.aa/hold", {"value": 1}),
    ],
)
async def test_an_unknown_point_is_404_with_the_nearest(
    hall: Served, method: str, path: str, body: object
) -> None:
    answer = await hall.ask(method, path, body)
    assert (answer.status, answer.json["nearest"]) == (404, "x.a")
    assert "x.level" in answer.json["valid"]


async def test_without_wait_it_is_202_and_the_wish_stands(hall: Served) -> None:
    await hall.rig.twins["x"].fault("silent")
    answer = await set_point(hall, "x.a", 5, wait=None)
    assert (answer.status, answer.json["point"]["want"], answer.json["point"]["outcome"]) == (202, 5, None)
    assert (await set_point(hall, "x.b", 5, wait=0.05)).status == 202


async def test_a_wish_that_does_not_become_true_says_so(hall: Served) -> None:
    await hall.rig.twins["x"].fault("ignore")
    point = (await set_point(hall, "x.a", 5)).json["point"]
    assert (point["outcome"], point["want"], point["got"], point["as_wanted"]) == ("not_settled", 5, 0, False)
    assert point["evidence"] == "acknowledged"


async def test_a_hand_overrides_a_scene_and_gives_back(hall: Served) -> None:
    await hall.press("duty", wait=5)
    assert (await set_point(hall, "x.a", 7)).json["point"]["layer"] == "manual"
    answer = await hall.ask("DELETE", "points/x.a/want")
    assert (answer.status, answer.json["point"]["want"], answer.json["point"]["layer"]) == (200, 1, "scene")
    await until(lambda: hall.rig.twins["x"].state["a"] == "1")
    again = await hall.ask("DELETE", "points/x.a/want")
    assert (again.status, again.json["code"]) == (409, "no_manual_wish")
    never = await hall.ask("DELETE", "points/x.c/want")
    assert never.status == 409


async def test_a_wish_that_nobody_has_any_longer_is_released_not_written(hall: Served) -> None:
    await set_point(hall, "x.c", 7)
    sent = hall.writes()
    answer = await hall.ask("DELETE", "points/x.c/want")
    assert [answer.json["point"][k] for k in ("want", "layer", "outcome", "as_wanted")] == [None] * 4
    assert answer.json["point"]["got"] == 7
    assert hall.writes() == sent


async def test_a_hand_outlives_a_restart(hall: Served) -> None:
    await set_point(hall, "x.a", 7)
    await hall.ask("DELETE", "points/x.a/want")
    await set_point(hall, "x.b", 8)
    await hall.restart()
    assert ((await hall.point("x.a"))["want"], (await hall.point("x.b"))["want"]) == (None, 8)


# -- a movement ----------------------------------------------------------------------------------------------


async def hold(hall: Served, value: object, name: str = "x.pan") -> Any:
    return await hall.ask("POST", f"points/{name}/hold", {"value": value})


async def test_a_movement_runs_while_renewed_and_stops_by_itself(
    hall: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecc_controld.control.keeper.HOLD_S", 0.3)
    twin = hall.rig.twins["x"]
    answer = await hold(hall, 2)
    assert (answer.status, answer.json["point"]["point"]) == (202, "x.pan")
    await until(lambda: int(twin.state["place"]) >= 4)
    for _ in range(3):
        assert (await hold(hall, 2)).status == 202
    assert hall.writes() == ["SET pan 2"]
    await until(lambda: twin.state["pan"] == "0")
    assert hall.writes() == ["SET pan 2", "SET pan 0"]
    place = (await hall.until("points?device=x", lambda d: _of(d, "x.place")["want"] is not None))["points"]
    rests = _of({"points": place}, "x.place")
    assert (rests["want"], rests["layer"], rests["want_by"]) == (int(twin.state["place"]), "manual", "api")
    await hall.until("points?device=x", lambda d: _of(d, "x.place")["as_wanted"])
    assert hall.writes() == ["SET pan 2", "SET pan 0"]


def _of(document: Any, name: str) -> Any:
    return next(one for one in document["points"] if one["point"] == name)


async def test_a_stop_stops_at_once(hall: Served) -> None:
    twin = hall.rig.twins["x"]
    await hold(hall, -3)
    await until(lambda: int(twin.state["place"]) < 0)
    assert (await hold(hall, 0)).status == 202
    await until(lambda: twin.state["pan"] == "0")
    await hall.until("points?device=x", lambda d: _of(d, "x.place")["want"] == int(twin.state["place"]))


async def test_a_movement_suspends_the_wish_that_it_disturbs(hall: Served) -> None:
    await set_point(hall, "x.place", 100)
    await hold(hall, 1)
    await hall.until("points?device=x", lambda d: _of(d, "x.place")["state"] == "suspended")
    await until(lambda: int(hall.rig.twins["x"].state["place"]) > 100)
    await hold(hall, 0)
    found = await hall.until("points?device=x", lambda d: _of(d, "x.place")["as_wanted"])
    assert _of(found, "x.place")["want"] == int(hall.rig.twins["x"].state["place"]) > 100
    assert hall.writes().count("SET place 100") == 1


async def test_a_new_movement_is_not_pulled_back_to_where_the_last_one_rested(hall: Served) -> None:
    twin = hall.rig.twins["x"]
    await hold(hall, 1)
    await until(lambda: int(twin.state["place"]) > 0)
    await twin.fault("slow", ms=150)  # so that it takes a while to find out where it rests
    await hold(hall, 0)
    await until(lambda: hall.rig.engine.hands._resting)
    await twin.heal()
    twin.turn_s = 5.0  # now it moves so slowly that two readings are alike
    await hold(hall, 1)
    assert not hall.rig.engine.hands._resting
    await until(lambda: twin.state["pan"] == "1")
    assert (await hall.point("x.place"))["want"] is None
    await hold(hall, 0)
    await until(lambda: twin.state["pan"] == "0")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x.a", 1, "not_momentary"),
        ("x.pan", 99, "bad_value"),
        ("x.pan", "left", "bad_value"),
        ("x.pan", HUGE, "bad_value"),
    ],
    ids=short,
)
async def test_what_cannot_be_held_is_422(hall: Served, name: str, value: object, code: str) -> None:
    answer = await hold(hall, value, name)
    assert (answer.status, answer.json["code"]) == (422, code)
    assert hall.writes() == []


async def test_a_device_that_is_away_cannot_be_held(hall: Served) -> None:
    await hall.rig.twins["x"].fault("refuse")
    await until(lambda: hall.rig.engine.store.devices["x"].link == "offline")
    answer = await hold(hall, 1)
    assert (answer.status, answer.json["code"]) == (409, "offline")
    assert answer.json["reason"]


# -- one-shot actions ----------------------------------------------------------------------------------------


async def act(hall: Served, key: str | None = None, name: str = "ping", device: str = "x") -> Any:
    headers = {} if key is None else {KEY: key}
    return await hall.ask("POST", f"devices/{device}/actions/{name}", {}, headers=headers)


async def test_an_action_is_sent_once_a_press(hall: Served) -> None:
    done = {"device": "x", "action": "ping", "state": "acknowledged", "reason": None}
    for _ in range(3):
        answer = await act(hall, "k")
        assert (answer.status, answer.json["action"]) == (200, done)
    assert hall.writes() == ["SET ping 1"]
    await act(hall, "other")
    await act(hall)
    assert hall.writes() == ["SET ping 1"] * 3


async def test_a_known_key_never_sends_an_action_again_after_a_restart(hall: Served) -> None:
    await act(hall, "k")
    await hall.restart()
    answer = await act(hall, "k")
    assert (answer.status, answer.json["action"]["state"]) == (200, "unknown")
    await hall.rig.online()
    assert (await act(hall, "new")).json["action"]["state"] == "acknowledged"
    assert hall.writes() == ["SET ping 1"] * 2


async def test_an_action_that_fails_says_why(hall: Served) -> None:
    await hall.rig.twins["x"].fault("refuse")
    await until(lambda: hall.rig.engine.store.devices["x"].link == "offline")
    answer = await act(hall)
    assert (answer.status, answer.json["action"]["state"]) == (200, "failed")
    assert answer.json["action"]["reason"] in ("refused_connection", "closed_by_device", "reset")


async def test_an_action_that_is_not_answered_is_202(hall: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecc_controld.api.acting.ACTION_S", 0.1)
    await hall.rig.twins["x"].fault("silent")
    answer = await act(hall)
    assert (answer.status, answer.json["action"]["state"] in ("due", "sent")) == (202, True)


async def test_unknown_devices_and_actions_are_404(hall: Served) -> None:
    lost = await act(hall, device="xx")
    assert (lost.status, lost.json["nearest"]) == (404, "x")
    lost = await act(hall, name="pong")
    assert (lost.status, lost.json["nearest"], lost.json["valid"]) == (404, "ping", ["ping"])
    answer = await hall.ask("POST", "devices/x/actions/ping", {"times": 3})
    assert (answer.status, answer.json["valid"]) == (422, [])
    assert hall.writes() == []


@pytest.mark.parametrize(
    ("how", "code"), [({"in_service": False}, "out_of_service"), ({"observe_only": True}, "observe_only")]
)
async def test_nothing_moves_on_a_device_that_is_set_aside(
    tmp_path: Path, how: dict[str, bool], code: str
) -> None:
    chime = scene("duty", {"x.a": 1}, actions=(("x", "ping"),))
    async with serving(tmp_path, {"x": HandBox}, [chime]) as hall:
        hall.rig.unit = how
        await hall.restart()
        await hall.rig.online()
        for answer in (await hold(hall, 1), await act(hall)):
            assert (answer.status, answer.json["code"]) == (409, code)
        run = (await hall.press("duty", wait=None)).json["run"]
        deed = (await hall.get(f"runs/{run['id']}"))["actions"][0]
        assert (deed["state"], deed["reason"]) == ("failed", code)
        await set_point(hall, "x.b", 4, wait=0.2)
        await hall.until("points", lambda d: _of(d, "x.heat")["got"] == 0)
        assert hall.writes() == []
        if code == "out_of_service":
            assert (await hall.point("x.b"))["outcome"] == "out_of_service"
            card = await hall.get(f"runs/{run['id']}")
            assert (card["verdict"], card["points"][0]["outcome"]) == ("degraded", "out_of_service")
            answer = await hall.ask("POST", f"runs/{run['id']}/points/x.a/retry", {})
            assert (answer.status, answer.json["code"]) == (409, "out_of_service")


# -- retry and skip ------------------------------------------------------------------------------------------


async def test_a_retry_strives_again_and_the_card_improves(hall: Served) -> None:
    await hall.rig.twins["y"].fault("reject")
    run = (await hall.press("duty", wait=10)).json["run"]
    assert (run["state"], run["verdict"]) == ("assessed", "degraded")
    await hall.rig.twins["y"].heal()
    answer = await hall.ask("POST", f"runs/{run['id']}/points/y.a/retry", {})
    assert (answer.status, answer.json["run"]["id"]) == (202, run["id"])
    card = await hall.card(run["id"], lambda card: card["state"] == "closed")
    assert card["verdict"] == "ready"
    assert next(p for p in card["points"] if p["point"] == "y.a")["outcome"] == "ok"
    assert (await hall.get("hall"))["verdict"] == "ready"


async def test_a_skip_goes_on_without(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    run = (await hall.press("duty")).json["run"]
    answer = await hall.ask("POST", f"runs/{run['id']}/points/y.a/skip", {})
    sent = hall.writes("y")
    assert answer.status == 202
    card = await hall.card(run["id"], lambda card: card["state"] == "closed")
    assert (card["verdict"], card["counts"]) == ("degraded", {"total": 3, "ok": 2, "skipped": 1})
    await hall.rig.twins["y"].heal()
    await until(lambda: hall.rig.entry("y.a").observed == int(hall.rig.twins["y"].state["a"]))
    assert hall.writes("y") == sent


async def test_a_retry_works_for_a_closed_run_after_a_restart(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    run = (await hall.press("duty")).json["run"]
    await hall.ask("POST", f"runs/{run['id']}/points/y.a/skip", {})
    await hall.card(run["id"], lambda card: card["state"] == "closed")
    await hall.rig.twins["y"].heal()
    await hall.restart()
    await hall.rig.online()
    answer = await hall.ask("POST", f"runs/{run['id']}/points/y.a/retry", {})
    assert (answer.status, answer.json["run"]["state"]) == (202, "closed")
    await until(lambda: hall.rig.twins["y"].state["a"] == "1")


async def test_what_cannot_be_retried(hall: Served) -> None:
    run = (await hall.press("duty", wait=5)).json["run"]["id"]
    lost = await hall.ask("POST", "runs/r1/points/x.a/retry", {})
    assert (lost.status, lost.json["valid"]) == (404, [run])
    assert (await hall.ask("POST", f"runs/{run}/points/x.aa/skip", {})).json["nearest"] == "x.a"
    lost = await hall.ask("POST", f"runs/{run}/points/y.b/skip", {})
    assert (lost.status, "x.a" in lost.json["valid"]) == (404, True)
    await set_point(hall, "x.a", 7)
    gone = await hall.ask("POST", f"runs/{run}/points/x.a/retry", {})
    assert (gone.status, gone.json["code"]) == (409, "gone")
    await hall.press("conference", wait=5)
    gone = await hall.ask("POST", f"runs/{run}/points/y.a/skip", {})
    assert (gone.status, gone.json["code"]) == (409, "gone")
    assert (await hall.point("y.a"))["outcome"] == "ok"


async def test_a_hand_in_an_open_run_is_named_in_its_card(tmp_path: Path) -> None:
    async with serving(tmp_path, {"x": LineBox, "y": LineBox}, [scene("duty", {"x.a": 1, "y.a": 1})]) as hall:
        await hall.rig.twins["y"].fault("silent")
        run = (await hall.press("duty")).json["run"]
        await hall.card(run["id"], lambda card: card["counts"].get("ok") == 1)
        await set_point(hall, "x.a", 7)
        card = await hall.get(f"runs/{run['id']}")
        x = next(p for p in card["points"] if p["point"] == "x.a")
        assert (x["outcome"], x["reason"], x["detail"]) == ("overridden", "overridden", "api")
        assert x["reason_text"]["zh"] == "已被手动设定取代"
