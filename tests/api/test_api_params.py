"""Scenes with parameters from the press to the devices: activate, join, plan, restart, going back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.apihall import Served, serving
from support.linebox import HandBox, LineBox
from support.rig import scene, until
from support.scenefile import line_scene

DEVICES: dict[str, type[LineBox]] = {"x": HandBox, "y": LineBox}
EMERGENCY = """\
scene: emergency
title: {zh: "应急 {level}", en: "Emergency {level}"}
mode: emergency
params:
  level: {title: {zh: 响应级别, en: Response level}, choices: [I, II, III], default: III}
  n: {type: number, min: 0, max: 50, default: 7}
  loud: {type: boolean, default: off}
  boxes: {type: list, choices: "@boxes", default: [y]}
want:
  x: {a: "{n}", mute: "{loud}"}
  "{boxes}": {b: 4}
when:
  level: {I: {x.c: 9}, II: {want: {x.c: 8}, do: [{device: x, action: ping}]}}
stand_down: restore
"""
CONFERENCE = """\
scene: conference
mode: conference
params: {seats: {type: number, min: 1, max: 9}}
want: {y.a: "{seats}"}
"""
USUAL = {"level": "III", "n": 7, "loud": False, "boxes": ["y"]}


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Served]:
    lists = {"boxes": ("x", "y")}
    scenes = [line_scene(text, DEVICES, lists) for text in (EMERGENCY, CONFERENCE)]
    duty = scene("duty", {"x.a": 1, "y.a": 1})
    async with serving(tmp_path / "state", DEVICES, [duty, *scenes]) as served:
        yield served


async def untouched(hall: Served) -> None:
    """Nothing was wanted, nothing recorded, no byte sent."""
    assert hall.rig.engine.arbiter.active is None
    assert (await hall.get("runs"))["runs"] == []
    assert {one["want"] for one in (await hall.get("points"))["points"]} == {None}
    assert hall.writes("x") == hall.writes("y") == []


async def test_without_parameters_the_usual_ones_count_and_are_told(hall: Served) -> None:
    run = (await hall.press("emergency", wait=10)).json["run"]
    assert (run["verdict"], run["params"]) == ("ready", USUAL)
    now = await hall.get("hall")
    assert (now["params"], now["title"]) == (USUAL, {"zh": "应急 III", "en": "Emergency III"})
    assert hall.rig.twins["x"].state["a"] == "7"
    assert (await hall.get(f"runs/{run['id']}"))["params"] == USUAL


async def test_a_press_says_what_it_wants(hall: Served) -> None:
    given = {"level": "II", "n": "12", "loud": "on", "boxes": ["x", "y"]}
    run = (await hall.press("emergency", wait=10, params=given)).json["run"]
    assert run["params"] == {"level": "II", "n": 12, "loud": True, "boxes": ["x", "y"]}
    assert run["verdict"] == "ready"
    x, y = (hall.rig.twins[name].state for name in "xy")
    assert (x["a"], x["mute"], x["b"], x["c"], y["b"]) == ("12", "1", "4", "8", "4")
    card = await hall.card(run["id"], lambda c: c["actions"][0]["state"] == "acknowledged")
    assert {one["point"] for one in card["points"]} == {"x.a", "x.mute", "x.b", "x.c", "y.b"}
    assert (await hall.get("hall"))["title"]["en"] == "Emergency II"


@pytest.mark.parametrize(
    ("params", "code", "helps"),
    [
        ({"lvl": "I"}, "unknown_param", {"valid": ["level", "n", "loud", "boxes"]}),
        ({"level": "IV"}, "bad_param", {"valid": ["I", "II", "III"]}),
        ({"level": {"level": "I"}}, "bad_param", {}),
        ({"n": 51}, "bad_param", {"range": {"min": 0.0, "max": 50.0}}),
        ({"n": "\u0000"}, "bad_param", {}),
        ({"n": None}, "bad_param", {}),
        ({"boxes": ["z"]}, "bad_param", {"valid": ["x", "y"]}),
        ({"boxes": "@nobody"}, "bad_param", {"valid": ["@boxes"]}),
        ({"level": "{level}"}, "bad_param", {"valid": ["I", "II", "III"]}),
        ({"level": "I" * 60_000}, "bad_param", {}),
    ],
)
async def test_what_is_wrong_is_422_with_what_is_valid(
    hall: Served, params: dict[str, Any], code: str, helps: dict[str, Any]
) -> None:
    answer = await hall.press("emergency", params=params, key="k")
    assert (answer.status, answer.json["code"]) == (422, code)
    assert helps.items() <= answer.json.items()
    assert len(answer.text) < 2000
    await untouched(hall)
    assert (await hall.press("emergency", key="k")).status == 202, "its key is free again"


async def test_a_parameter_without_a_usual_value_must_be_given(hall: Served) -> None:
    answer = await hall.press("conference")
    assert (answer.status, answer.json["code"]) == (422, "missing_param")
    assert answer.json["range"] == {"min": 1.0, "max": 9.0}
    await untouched(hall)
    assert (await hall.press("conference", wait=10, params={"seats": 5})).json["run"]["verdict"] == "ready"
    assert hall.rig.twins["y"].state["a"] == "5"


async def test_the_same_scene_with_the_same_parameters_joins(hall: Served) -> None:
    hall.rig.twins["x"].slow_s = 0.2
    first = (await hall.press("emergency", params={"level": "I"})).json["run"]["id"]
    same = (await hall.press("emergency", params={"level": "I", "n": 7, "loud": "off"})).json["run"]["id"]
    assert same == first, "what it comes to counts, not how it is written"
    other = (await hall.press("emergency", params={"level": "II"})).json["run"]["id"]
    assert other != first
    assert (await hall.get(f"runs/{first}"))["superseded_by"] == other
    assert (await hall.get("hall"))["params"]["level"] == "II"


async def test_a_key_is_for_one_set_of_parameters(hall: Served) -> None:
    first = await hall.press("emergency", key="k", params={"level": "I"})
    again = await hall.press("emergency", key="k", params={"level": "I"})
    assert first.json["run"]["id"] == again.json["run"]["id"]
    assert (await hall.press("emergency", key="k", params={"level": "II"})).status == 422


async def test_a_restart_recalls_them(hall: Served) -> None:
    hall.rig.twins["y"].slow_s = 0.3
    given = {"level": "I", "boxes": ["x", "y"]}
    run = (await hall.press("emergency", params=given)).json["run"]
    await hall.restart()
    now = await hall.get("hall")
    assert now["params"] == run["params"] == {**USUAL, **given}
    assert now["title"]["en"] == "Emergency I"
    resumed = await hall.card(run["id"], lambda card: card["state"] == "closed")
    assert (resumed["params"], resumed["resumed"], resumed["verdict"]) == (run["params"], True, "ready")
    assert hall.rig.twins["x"].state["c"] == "9"


async def test_what_the_journal_has_is_the_newest_press_s(hall: Served) -> None:
    for level, n in (("I", 1), ("II", 2), ("I", 1), ("III", 3)):
        await hall.press("emergency", wait=10, params={"level": level, "n": n})
    await hall.restart()
    wanted = {one["point"]: one["want"] for one in (await hall.get("points"))["points"] if one["want"] is not None}
    assert wanted == {"x.a": 3, "x.mute": False, "y.b": 4}


async def test_a_press_joins_what_was_resumed(hall: Served) -> None:
    await hall.rig.twins["y"].fault("refuse")
    given = {"boxes": ["x", "y"]}
    run = (await hall.press("emergency", params=given)).json["run"]
    await hall.restart()
    assert (await hall.press("emergency", params=given)).json["run"]["id"] == run["id"]
    assert (await hall.press("emergency")).json["run"]["id"] != run["id"]


async def test_going_back_restores_the_scene_with_its_parameters(hall: Served) -> None:
    await hall.press("conference", wait=10, params={"seats": 6})
    await hall.press("emergency", wait=10, params={"level": "I"})
    await hall.press("emergency", wait=10, params={"level": "II"})
    await hall.restart()
    run = (await hall.ask("POST", "stand-down?wait=10", {})).json["run"]
    assert (run["scene"], run["params"], run["verdict"]) == ("conference", {"seats": 6}, "ready")
    assert hall.rig.twins["y"].state["a"] == "6"


async def test_going_back_to_a_scene_that_needs_parameters_asks_for_them(hall: Served) -> None:
    await hall.press("emergency", wait=10)
    answer = await hall.ask("POST", "stand-down", {"scene": "conference"})
    assert (answer.status, answer.json["code"]) == (422, "missing_param")
    assert (await hall.get("hall"))["scene"] == "emergency"


async def test_going_back_where_nobody_can_go_goes_to_duty(hall: Served) -> None:
    """The scene that stood before takes other parameters since the files were read again."""
    await hall.press("conference", wait=10, params={"seats": 6})
    await hall.press("emergency", wait=10)
    changed = line_scene(CONFERENCE.replace("seats", "chairs"), DEVICES)
    hall.rig.engine.scenes = {**hall.rig.engine.scenes, "conference": changed}
    run = (await hall.ask("POST", "stand-down?wait=10", {})).json["run"]
    assert (run["scene"], run["params"]) == ("duty", {})


async def test_a_scene_tells_its_parameters(hall: Served) -> None:
    shown = await hall.get("scenes/emergency")
    assert shown["given"] == USUAL
    assert [one["name"] for one in shown["params"]] == ["level", "n", "loud", "boxes"]
    assert shown["params"][0] == {
        "name": "level",
        "title": {"zh": "响应级别", "en": "Response level"},
        "type": "choice",
        "choices": ["I", "II", "III"],
        "range": {},
        "unit": "",
        "default": "III",
        "required": False,
    }
    assert shown["params"][1]["range"] == {"min": 0.0, "max": 50.0}
    listed = {one["name"]: one for one in (await hall.get("scenes"))["scenes"]}
    assert listed["emergency"]["params"] == shown["params"]
    assert listed["conference"]["params"][0]["required"]
    assert listed["duty"]["params"] == []


async def test_a_plan_takes_parameters(hall: Served) -> None:
    def wanted(plan: Any) -> dict[str, Any]:
        return {item["point"]: item["want"] for wave in plan["waves"] for item in wave}

    usual = await hall.get("scenes/emergency/plan")
    assert usual["params"] == USUAL
    assert wanted(usual) == {"x.a": 7, "x.mute": False, "y.b": 4}
    asked = "&".join(f"param={quote(one)}" for one in ("level:I", "n:12", "boxes:x", "boxes:y", "loud:on"))
    plan = await hall.get(f"scenes/emergency/plan?{asked}")
    assert plan["params"] == {"level": "I", "n": 12, "loud": True, "boxes": ["x", "y"]}
    assert wanted(plan) == {"x.a": 12, "x.mute": True, "x.b": 4, "y.b": 4, "x.c": 9}
    await untouched(hall)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("param=level", "bad_query"),
        ("param=:I", "bad_query"),
        ("param=level:IV", "bad_param"),
        ("param=level:I&param=level:II", "bad_param"),
        ("param=lvl:I", "unknown_param"),
        ("level=I", "bad_query"),
    ],
)
async def test_a_wrong_plan(hall: Served, query: str, code: str) -> None:
    answer = await hall.ask("GET", f"scenes/emergency/plan?{query}")
    assert (answer.status, answer.json["code"]) == (422, code)


async def test_an_estimate_is_that_of_the_same_parameters(hall: Served) -> None:
    run = (await hall.press("emergency", wait=10, params={"level": "I"})).json["run"]
    await until(lambda: hall.rig.engine.runs.get(run["id"]).state == "closed")
    assert (await hall.get("scenes/emergency/plan"))["estimate_s"] is None
    assert (await hall.get("scenes/emergency/plan?param=level:I"))["estimate_s"] is not None


async def test_openapi_says_that_a_parameter_may_come_again(hall: Served) -> None:
    document = await hall.get("openapi.json")
    (param,) = [
        one
        for one in document["paths"]["/api/v1/scenes/{name}/plan"]["get"]["parameters"]
        if one["name"] == "param"
    ]
    assert param["schema"] == {"type": "array", "items": {"type": "string"}}
    json.dumps(document)
