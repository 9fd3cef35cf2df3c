"""GET answers: strictly of the models that openapi.json names, and true."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from ecc_controld.api.routes import EVERYWHERE, ROUTES
from ecc_controld.api.server import HEADERS, build
from support.apihall import Served
from support.rig import until

SHANGHAI = timedelta(hours=8)


def zoned(text: str) -> datetime:
    """The time, which must carry the hall's zone."""
    when = datetime.fromisoformat(text)
    assert when.utcoffset() == SHANGHAI
    return when


async def test_the_hall_before_and_after_a_press(hall: Served) -> None:
    empty = await hall.get("hall")
    assert empty["name"] == {"zh": "县应急指挥大厅", "en": "County hall"}
    assert [empty[k] for k in ("mode", "scene", "since", "by", "run", "verdict")] == [None] * 6
    assert (empty["holds"], empty["simulated"], empty["boot"]) == (False, True, hall.rig.journal.boot)
    assert (empty["wanted"], empty["as_wanted"]) == (0, 0)
    zoned(empty["time"])
    run = (await hall.press("emergency", wait=5, drill=True)).json["run"]
    now = await hall.get("hall")
    assert (now["mode"], now["scene"], now["by"]) == ("emergency", "emergency", "api")
    assert (now["run"], now["verdict"], now["holds"], now["drill"]) == (run["id"], "ready", True, True)
    assert (now["wanted"], now["as_wanted"]) == (3, 3)
    assert zoned(now["since"]) <= zoned(now["time"])


async def test_the_halls_verdict_outlives_a_restart(hall: Served) -> None:
    await hall.rig.twins["y"].fault("ignore")
    run = (await hall.press("duty", wait=10)).json["run"]
    assert run["verdict"] == "degraded"
    await hall.card(run["id"], lambda card: card["state"] == "assessed")
    hall.rig.engine.runs.get(run["id"])
    await hall.restart()
    assert (await hall.get("hall"))["run"] == run["id"]


async def test_devices_say_who_they_are_and_why_not(hall: Served) -> None:
    x, y = (await hall.get("devices"))["devices"]
    assert (x["id"], x["link"], x["reason"], x["reason_text"]) == ("x", "online", None, None)
    assert x["identity"] == {"model": "linebox", "name": "", "serial": "", "firmware": ""}
    assert (x["name"]["zh"], x["driver"], x["group"], x["zone"]) == ("x 号设备", "linebox", "box", "front")
    assert x["address"] == str(hall.rig.addresses["x"])
    assert x["in_service"]
    assert 0 <= x["last_exchange_age_s"] < 10
    zoned(y["since"])
    await hall.rig.twins["y"].fault("refuse")
    gone = (await hall.until("devices", lambda d: d["devices"][1]["reason"] == "refused_connection"))["devices"][1]
    assert gone["link"] in ("offline", "connecting")
    assert "拒绝" in gone["reason_text"]["zh"]


async def test_points_wanted_and_observed(hall: Served) -> None:
    found = {one["point"]: one for one in (await hall.get("points"))["points"]}
    assert set(found) == set(hall.rig.engine.store.entries)
    assert found["x.level"]["unit"] == "dB"
    assert found["x.level"]["range"] == {"min": -60, "max": 10}
    assert found["x.preset"]["range"] == {"words": ["duty", "emergency"]}
    assert [found[f"x.{n}"]["access"] for n in ("pan", "heat", "lamp", "a")] == [
        "momentary",
        "read",
        "write",
        "readwrite",
    ]
    assert [found[f"x.{n}"]["type"] for n in ("mute", "level", "a", "preset", "label")] == [
        "boolean",
        "number",
        "integer",
        "choice",
        "text",
    ]
    assert found["x.a"]["title"]["zh"] == "a 点"
    assert [found["x.a"][k] for k in ("want", "want_by", "layer", "outcome", "as_wanted")] == [None] * 5
    run = (await hall.press("duty", wait=5)).json["run"]
    assert run["verdict"] == "ready"
    a = await hall.point("x.a")
    assert (a["want"], a["got"], a["layer"], a["want_by"]) == (1, 1, "scene", "api")
    assert (a["outcome"], a["evidence"], a["as_wanted"], a["dirty"], a["state"]) == (
        "ok",
        "read_back",
        True,
        False,
        "held",
    )
    zoned(a["want_since"])
    hall.rig.twins["x"].poke("a", 9)
    await hall.until("points?device=x", lambda d: d["points"][0]["as_wanted"] is False)
    drifted = await hall.point("x.a")
    assert (drifted["want"], drifted["got"], drifted["reason"]) == (1, 9, "drift")
    assert drifted["reason_text"]["zh"]


async def test_points_of_one_device(hall: Served) -> None:
    y = (await hall.get("points?device=y"))["points"]
    assert {one["device"] for one in y} == {"y"}
    lost = await hall.ask("GET", "points?device=yy")
    assert (lost.status, lost.json["nearest"], lost.json["valid"]) == (404, "y", ["x", "y"])


async def test_scenes_short_and_whole(hall: Served) -> None:
    await hall.press("emergency", wait=5)
    found = {one["name"]: one for one in (await hall.get("scenes"))["scenes"]}
    assert list(found) == ["duty", "conference", "emergency", "clear"]
    assert [one["active"] for one in found.values()] == [False, False, True, False]
    assert (found["emergency"]["priority"], found["emergency"]["holds"]) == (80, True)
    assert (found["clear"]["layer"], found["duty"]["wishes"]) == ("manual", 3)
    whole = await hall.get("scenes/conference")
    assert whole["do"] == [{"device": "x", "action": "ping"}]
    assert [(w["point"], w["value"], w["criticality"]) for w in whole["want"]] == [
        ("x.a", 3, "should"),
        ("y.a", 3, "should"),
        ("y.b", 3, "should"),
    ]


async def test_a_plan_sends_nothing_and_names_what_would_fail(hall: Served) -> None:
    hall.rig.twins["x"].poke("a", 1)
    await hall.until("points?device=x", lambda d: d["points"][0]["got"] == 1)
    await hall.rig.twins["y"].fault("refuse")
    await hall.until("devices", lambda d: d["devices"][1]["link"] == "offline")
    plan = await hall.get("scenes/duty/plan")
    items = {one["point"]: one for wave in plan["waves"] for one in wave}
    assert {name: one["action"] for name, one in items.items()} == {
        "x.a": "already",
        "x.b": "write",
        "y.a": "offline",
    }
    assert (items["x.b"]["want"], items["x.b"]["got"], items["x.a"]["criticality"]) == (1, 0, "must")
    assert plan["counts"] == {"already": 1, "offline": 1, "write": 1}
    assert [one["point"] for one in plan["would_fail"]] == ["y.a"]
    assert plan["would_fail"][0]["reason_text"]["zh"]
    assert plan["estimate_s"] is None
    assert hall.writes("x") == hall.writes("y") == []


async def test_a_plan_estimates_from_past_runs(hall: Served) -> None:
    run = (await hall.press("duty", wait=5)).json["run"]
    closed = await hall.card(run["id"], lambda card: card["state"] == "closed")
    assert (await hall.get("scenes/duty/plan"))["estimate_s"] == closed["elapsed_s"]


@pytest.mark.parametrize(
    ("path", "code", "nearest"),
    [
        ("scenes/dutty", "unknown", "duty"),
        ("scenes/emergancy/plan", "unknown", "emergency"),
        ("runs/r0", "unknown", None),
        ("nothing", "no_such_path", None),
        ("/api/v2/hall", "no_such_path", None),
        ("scenes/%00", "unknown", None),
        ("scenes/%ED%A0%80", "unknown", None),
        ("scenes/" + "长" * 300, "unknown", None),
    ],
)
async def test_unknown_paths_are_404_and_help(hall: Served, path: str, code: str, nearest: str | None) -> None:
    answer = await hall.ask("GET", path)
    assert (answer.status, answer.json["code"], answer.json.get("nearest")) == (404, code, nearest)
    assert len(answer.text) < 2000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "hall", {"GET"}),
        ("GET", "scenes/duty/activate", {"POST"}),
        ("GET", "stand-down", {"POST"}),
        ("DELETE", "points/x.a", {"PUT"}),
        ("PUT", "points/x.a/want", {"DELETE"}),
        ("GET", "points/x.a/hold", {"POST"}),
        ("GET", "devices/x/actions/ping", {"POST"}),
        ("POST", "/healthz", {"GET"}),
    ],
)
async def test_a_wrong_method_is_405_with_allow(hall: Served, method: str, path: str, allowed: set[str]) -> None:
    answer = await hall.ask(method, path)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed
    assert hall.writes() == []


async def test_health_readiness_and_metrics(hall: Served) -> None:
    assert await hall.get("/healthz") == {"status": "ok"}
    assert await hall.get("/readyz") == {"status": "ok"}
    await hall.press("duty", wait=5)
    answer = await hall.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples: dict[tuple[str, ...], float] = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["ecc_devices", "online"] == 2
    assert samples["ecc_devices", "offline"] == 0
    assert samples["ecc_wishes", "held"] == 3
    assert samples["ecc_runs_lately", "ready"] == 1
    assert samples["ecc_points_not_as_wanted",] == 0
    assert samples["ecc_alarms",] == 0
    assert samples["ecc_journal_failing",] == 0
    assert samples["ecc_event_streams",] == 0


async def test_alarms_are_empty_on_a_good_day(hall: Served) -> None:
    assert await hall.get("alarms") == {"alarms": []}


def refs(tree: object) -> list[str]:
    """Every $ref of a document."""
    if isinstance(tree, dict):
        own = [tree["$ref"]] if isinstance(tree.get("$ref"), str) else []
        return own + [ref for value in tree.values() for ref in refs(value)]
    return [ref for value in tree for ref in refs(value)] if isinstance(tree, list) else []


async def test_openapi_describes_every_route_and_nothing_else(hall: Served) -> None:
    document = await hall.get("openapi.json")
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "1.2.3"
    described = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    served = {
        (route.method, route.resource.canonical)
        for route in build(hall.context).router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    panel = {("GET", "/"), ("GET", "/panel")}
    assert served - described == panel
    assert described - served == set()


async def test_openapi_is_sound(hall: Served) -> None:
    document = await hall.get("openapi.json")
    operations: list[Any] = [op for item in document["paths"].values() for op in item.values()]
    ids = [op["operationId"] for op in operations]
    assert len(set(ids)) == len(ids)
    assert refs(document)
    for ref in refs(document):
        node: Any = document
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]
        assert node
    for path, item in document["paths"].items():
        for op in item.values():
            names = {one["name"] for one in op["parameters"] if one["in"] == "path"} if "{" in path else set()
            assert names == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
            assert {str(status) for status in EVERYWHERE} <= set(op["responses"])


def test_openapi_lists_what_the_table_lists() -> None:
    from ecc_controld.api.openapi import document

    paths = document("1")["paths"]
    for route in ROUTES:
        op = paths[route.path][route.method.lower()]
        assert set(op["responses"]) == {str(s) for s in (*route.answers, *route.refusals)}
        named = {one["name"] for one in op["parameters"]}
        assert set(route.query) <= named
        assert ("Pressed-At" in named) == (route.method != "GET")
        assert ("requestBody" in op) == (route.body is not None)
    assert json.dumps(paths)


@pytest.mark.parametrize("path", ["/api/v1/hall", "/api/v1/nothing", "/", "/healthz", "/panel/icon.svg"])
async def test_every_answer_carries_the_security_headers(hall: Served, path: str) -> None:
    async with hall.http.get(hall.url + path) as answer:
        await answer.read()
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9", 200),
        ("LocalHost", 200),
        ("[::1]:80", 200),
        ("127.8.8.8", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.20.1.10", 403),
        ("localhost@evil.example", 403),
        ("[", 403),
        ("", 403),
    ],
)
async def test_only_loopback_names_are_served(hall: Served, host: str, status: int) -> None:
    answer = await hall.ask("GET", "hall", headers={"Host": host})
    assert answer.status == status


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "http://127.0.0.1:1", "", "file://"]
)
async def test_a_foreign_sites_press_does_nothing(hall: Served, origin: str) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers={"Origin": origin})
    assert (answer.status, answer.json["code"]) == (403, "wrong_origin")
    assert hall.rig.engine.arbiter.active is None


async def test_our_own_pages_press_counts(hall: Served) -> None:
    answer = await hall.ask(
        "POST", "scenes/duty/activate", {}, headers={"Origin": hall.url, "ECC-Client": "panel"}
    )
    assert (answer.status, answer.json["run"]["by"], answer.json["run"]["trigger"]) == (202, "panel", "panel")


async def test_an_error_of_ours_is_a_problem_without_details(
    hall: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ecc_controld.api.shapes.hall", broken)
    answer = await hall.ask("GET", "hall")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_the_handlers_are_never_a_get_that_changes(hall: Served) -> None:
    before = hall.rig.engine.store.number
    for route in ROUTES:
        if route.method == "GET" and route.media == "application/json":
            path = route.path.replace("{name}", "duty").replace("{id}", "r1")
            await hall.ask("GET", path)
    assert hall.rig.engine.store.number == before
    assert isinstance(build(hall.context), web.Application)
    await until(lambda: hall.rig.engine.arbiter.active is None)
