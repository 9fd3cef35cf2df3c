"""Presses: activate, stand-down, idempotency, staleness, and bodies that are wrong."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.apihall import Served, serving
from support.linebox import HandBox, LineBox
from support.rig import scene, until

KEY = "Idempotency-Key"


def ago(seconds: float) -> str:
    """A Pressed-At in the hall's zone."""
    zone = datetime.now(UTC).astimezone().tzinfo
    return (datetime.now(zone) - timedelta(seconds=seconds)).isoformat()


async def untouched(hall: Served) -> None:
    """Nothing was wanted, nothing recorded, no byte sent."""
    assert hall.rig.engine.arbiter.active is None
    assert (await hall.get("runs"))["runs"] == []
    assert {one["want"] for one in (await hall.get("points"))["points"]} == {None}
    assert hall.writes("x") == hall.writes("y") == []


async def test_a_press_is_202_with_an_open_run(hall: Served) -> None:
    hall.rig.twins["x"].slow_s = 0.2
    answer = await hall.press("duty")
    run = answer.json["run"]
    assert answer.status == 202
    assert (run["scene"], run["state"], run["verdict"], run["closed"]) == ("duty", "open", None, None)
    assert (run["by"], run["trigger"], run["key"], run["drill"], run["params"]) == ("api", "api", None, False, {})
    assert run["url"] == f"/api/v1/runs/{run['id']}"
    assert run["counts"]["total"] == 3
    whole = await hall.get(run["url"].removeprefix("/api/v1/"))
    assert {one["point"] for one in whole["points"]} == {"x.a", "x.b", "y.a"}


async def test_with_wait_it_is_200_once_assessed_and_names_only_what_is_not_fine(hall: Served) -> None:
    answer = await hall.press("duty", wait=10)
    run = answer.json["run"]
    assert (answer.status, run["verdict"], run["points"]) == (200, "ready", [])
    assert run["counts"] == {"total": 3, "ok": 3}
    assert run["elapsed_s"] < run["objective_s"]
    again = (await hall.press("duty", wait=10)).json["run"]
    assert again["id"] != run["id"]
    assert again["counts"] == {"total": 3, "already": 3}
    await hall.rig.twins["y"].fault("reject")
    answer = await hall.press("conference", wait=10)
    run = answer.json["run"]
    assert (answer.status, run["verdict"]) == (200, "degraded")
    assert [(p["point"], p["outcome"], p["want"], p["detail"]) for p in run["points"]] == [
        ("y.a", "rejected", 3, "refused"),
        ("y.b", "rejected", 3, "refused"),
    ]
    assert run["points"][0]["reason_text"]["zh"]
    assert run["counts"] == {"total": 3, "ok": 1, "rejected": 2}


async def test_a_must_point_that_is_not_there_makes_failed(hall: Served) -> None:
    await hall.rig.twins["x"].fault("reject")
    run = (await hall.press("duty", wait=10)).json["run"]
    assert run["verdict"] == "failed"
    assert {p["point"]: p["criticality"] for p in run["points"]} == {"x.a": "must", "x.b": "should"}


async def test_a_wait_that_ends_first_is_202(hall: Served) -> None:
    await hall.rig.twins["x"].fault("silent")
    answer = await hall.press("duty", wait=0.05)
    assert (answer.status, answer.json["run"]["state"], answer.json["run"]["verdict"]) == (202, "open", None)
    assert (await hall.press("duty", wait=0)).status == 202


async def test_actions_are_in_the_card(hall: Served) -> None:
    run = (await hall.press("conference", wait=5)).json["run"]
    deeds = (await hall.card(run["id"], lambda card: card["actions"][0]["state"] == "acknowledged"))["actions"]
    assert deeds == [{"device": "x", "action": "ping", "state": "acknowledged", "reason": None}]
    assert hall.writes().count("SET ping 1") == 1


async def test_a_held_scene_refuses_with_who_and_why_until_it_is_stood_down(hall: Served) -> None:
    await hall.press("emergency", wait=5)
    refused = await hall.press("duty")
    assert (refused.status, refused.json["code"]) == (409, "held")
    held = refused.json["held_by"]
    assert (held["scene"], held["by"], held["why"]) == ("emergency", "api", "held")
    assert held["title"]["zh"]
    assert datetime.fromisoformat(held["since"]).utcoffset() == timedelta(hours=8)
    assert (await hall.get("hall"))["scene"] == "emergency"
    assert len((await hall.get("runs"))["runs"]) == 1
    answer = await hall.press("duty", wait=5, stand_down=True)
    assert (answer.status, answer.json["run"]["verdict"]) == (200, "ready")
    assert (await hall.get("hall"))["holds"] is False


async def test_stand_down_without_anything_held_changes_nothing_of_a_press(hall: Served) -> None:
    assert (await hall.press("duty", wait=5, stand_down=True)).status == 200


async def test_post_stand_down(hall: Served) -> None:
    nothing = await hall.ask("POST", "stand-down", {})
    assert (nothing.status, nothing.json["code"]) == (409, "nothing_held")
    await hall.press("emergency", wait=5)
    lost = await hall.ask("POST", "stand-down", {"scene": "dutty"})
    assert (lost.status, lost.json["nearest"]) == (404, "duty")
    answer = await hall.ask("POST", "stand-down?wait=5", {})
    assert (answer.status, answer.json["run"]["scene"]) == (200, "duty")
    await hall.press("emergency", wait=5)
    answer = await hall.ask("POST", "stand-down?wait=5", {"scene": "conference", "drill": True})
    assert (answer.json["run"]["scene"], answer.json["run"]["drill"]) == ("conference", True)


async def test_a_stand_down_to_nothing_has_no_run_and_its_key_is_known(tmp_path: Path) -> None:
    held = scene("emergency", {"x.a": 2}, priority=80, holds=True)
    async with serving(tmp_path, {"x": LineBox}, [held]) as hall:
        await hall.press("emergency", wait=5)
        for restart in (False, False, True):
            if restart:
                await hall.restart()
            answer = await hall.ask("POST", "stand-down", {}, headers={KEY: "leave"})
            assert (answer.status, answer.json) == (200, {"run": None})
            assert (await hall.get("hall"))["holds"] is False
        assert (await hall.get("runs?key=leave"))["runs"] == []


async def test_fire_is_not_overruled_by_hands(tmp_path: Path) -> None:
    fire = scene("fire", {"x.a": 9}, priority=100, holds=True)
    async with serving(tmp_path, {"x": HandBox}, [fire, scene("clear", {"x.c": 1}, layer="manual")]) as hall:
        await hall.press("fire", wait=5)
        for method, path, body in (
            ("PUT", "points/x.b", {"value": 1}),
            ("POST", "points/x.pan/hold", {"value": 1}),
            ("POST", "scenes/clear/activate", {}),
        ):
            refused = await hall.ask(method, path, body)
            assert (refused.status, refused.json["code"]) == (409, "held")
            assert (refused.json["held_by"]["scene"], refused.json["held_by"]["why"]) == ("fire", "fire")
        assert hall.writes() == ["SET a 9"]


async def test_a_new_scene_supersedes_and_says_by_what(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    first = (await hall.press("duty")).json["run"]
    waiting = asyncio.create_task(hall.press("duty", wait=10))
    await until(lambda: hall.rig.engine.runs._waiters)
    second = (await hall.press("conference")).json["run"]
    joined = await waiting
    assert (joined.status, joined.json["run"]["verdict"]) == (200, "superseded")
    card = await hall.get(f"runs/{first['id']}")
    assert (card["verdict"], card["superseded_by"], card["state"]) == ("superseded", second["id"], "closed")
    assert {p["outcome"] for p in card["points"]} == {"superseded"}
    assert card["points"][0]["reason_text"]["zh"] != "superseded"


async def test_the_same_scene_joins_the_run_in_progress(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    first = (await hall.press("duty", key="k1")).json["run"]
    second = (await hall.press("duty", key="k2")).json["run"]
    assert first["id"] == second["id"]
    for key in ("k1", "k2"):
        assert [run["id"] for run in (await hall.get(f"runs?key={key}"))["runs"]] == [first["id"]]
    assert len((await hall.get("runs"))["runs"]) == 1


async def test_a_manual_scene_opens_a_run_and_leaves_the_hall(hall: Served) -> None:
    await hall.press("emergency", wait=5)
    run = (await hall.press("clear", wait=5)).json["run"]
    assert run["verdict"] == "ready"
    assert (await hall.get("hall"))["scene"] == "emergency"
    assert (await hall.point("x.c"))["layer"] == "manual"


async def test_a_repeated_key_is_the_first_run_also_after_a_restart(hall: Served) -> None:
    first = await hall.press("duty", wait=5, key="k")
    run = first.json["run"]
    assert run["key"] == "k"
    sent = len(hall.writes())
    again = await hall.press("duty", wait=5, key="k")
    assert again.status == 200
    assert again.json["run"] | {"points": []} == run
    await hall.press("conference", wait=5)
    sent = len(hall.writes())
    assert (await hall.press("duty", key="k")).json["run"]["id"] == run["id"]
    await hall.restart()
    later = await hall.press("duty", wait=5, key="k")
    assert (later.status, later.json["run"]["id"], later.json["run"]["points"]) == (200, run["id"], [])
    assert [one["id"] for one in (await hall.get("runs?key=k"))["runs"]] == [run["id"]]
    assert (await hall.get("runs?key=unknown"))["runs"] == []
    assert (await hall.get("hall"))["scene"] == "conference"
    assert len(hall.writes()) == sent


@pytest.mark.parametrize("restart", [False, True])
async def test_a_key_with_another_request_is_422(hall: Served, restart: bool) -> None:
    run = (await hall.press("duty", key="k")).json["run"]
    if restart:
        await hall.restart()
    for other in (
        await hall.press("duty", key="k", drill=True),
        await hall.press("conference", key="k"),
        await hall.ask("POST", "stand-down", {}, headers={KEY: "k"}),
        await hall.ask("POST", "devices/x/actions/ping", {}, headers={KEY: "k"}),
    ):
        assert (other.status, other.json["code"], other.json["run"]) == (422, "key_reused", run["id"])
    assert "SET ping 1" not in hall.writes()


async def test_two_presses_with_one_key_at_the_same_time_open_one_run(hall: Served) -> None:
    answers = await asyncio.gather(*(hall.press("duty", key="k") for _ in range(5)))
    assert len({answer.json["run"]["id"] for answer in answers}) == 1
    assert len((await hall.get("runs"))["runs"]) == 1


async def test_a_second_use_of_a_key_waits_until_the_first_is_durable(hall: Served) -> None:
    gate = asyncio.Event()
    commit = hall.rig.journal.commit

    async def slow(change: Any) -> None:
        await gate.wait()
        await commit(change)

    hall.rig.journal.commit = slow  # type: ignore[method-assign]
    presses = [asyncio.create_task(hall.press("duty", key=key)) for key in ("k", "k", "other", None)]
    await until(lambda: hall.rig.engine.runs.opened())
    done, _ = await asyncio.wait(presses, timeout=0.2)
    assert not done
    assert hall.writes() == []
    gate.set()
    assert len({(await press).json["run"]["id"] for press in presses}) == 1


@pytest.mark.parametrize("key", ["", "x" * 129, "t\tb", "é"])
async def test_a_bad_key_is_422(hall: Served, key: str) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers={KEY: key})
    assert (answer.status, answer.json["code"]) == (422, "bad_key")
    await untouched(hall)


PRESSES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "scenes/duty/activate", {}),
    ("POST", "stand-down", {}),
    ("PUT", "points/x.a", {"value": 1}),
    ("DELETE", "points/x.a/want", {}),
    ("POST", "points/x.pan/hold", {"value": 1}),
    ("POST", "devices/x/actions/ping", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), PRESSES)
async def test_a_press_older_than_five_seconds_does_nothing(
    hall: Served, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = await hall.ask(method, path, body, headers={"Pressed-At": ago(5.5), KEY: "old"})
    assert (answer.status, answer.json["code"]) == (410, "stale_press")
    await untouched(hall)
    assert (await hall.get("runs?key=old"))["runs"] == []
    fresh = await hall.ask(method, path, body, headers={"Pressed-At": ago(1), KEY: "old"})
    assert fresh.status != 410


@pytest.mark.parametrize("verb", ["retry", "skip"])
async def test_a_stale_retry_or_skip_does_nothing(hall: Served, verb: str) -> None:
    await hall.rig.twins["y"].fault("reject")
    run = (await hall.press("duty", wait=10)).json["run"]
    sent = len(hall.writes("y"))
    answer = await hall.ask("POST", f"runs/{run['id']}/points/y.a/{verb}", {}, headers={"Pressed-At": ago(9)})
    assert answer.status == 410
    assert (await hall.point("y.a"))["outcome"] == "rejected"
    assert len(hall.writes("y")) == sent


async def test_a_known_key_is_answered_before_its_age_is_judged(hall: Served) -> None:
    run = (await hall.press("duty", wait=5, key="k")).json["run"]
    old = {KEY: "k", "Pressed-At": ago(60)}
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers=old)
    assert (answer.status, answer.json["run"]["id"]) == (202, run["id"])
    await hall.ask("POST", "devices/x/actions/ping", {}, headers={KEY: "p"})
    answer = await hall.ask("POST", "devices/x/actions/ping", {}, headers={**old, KEY: "p"})
    assert (answer.status, answer.json["action"]["state"]) == (200, "acknowledged")
    assert hall.writes().count("SET ping 1") == 1


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00", "", "99999", "2026-13-01T00:00:00Z", "∞"])
async def test_a_pressed_at_that_is_no_time_is_422(hall: Served, text: str) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers={"Pressed-At": text})
    assert (answer.status, answer.json["code"]) == (422, "bad_time")
    await untouched(hall)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z"])
async def test_a_very_old_press_is_only_old(hall: Served, text: str) -> None:
    assert (await hall.ask("POST", "scenes/duty/activate", {}, headers={"Pressed-At": text})).status == 410


async def test_the_age_is_judged_when_the_press_is_handled(hall: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a freeze: the press was made in time but the daemon comes to it late."""
    pressed = ago(0)
    real = time.time()
    monkeypatch.setattr("ecc_controld.api.request.time.time", lambda: real + 6)
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers={"Pressed-At": pressed})
    assert answer.status == 410


async def test_unknown_parameters_are_422(hall: Served) -> None:
    answer = await hall.press("duty", params={"level": "I"})
    assert (answer.status, answer.json["code"]) == (422, "unknown_param")
    assert "level" in answer.json["detail"]
    await untouched(hall)


async def test_unknown_fields_are_422_and_name_the_valid_ones(hall: Served) -> None:
    answer = await hall.press("duty", stand_donw=True)
    assert (answer.status, answer.json["code"]) == (422, "bad_body")
    assert answer.json["valid"] == ["drill", "params", "stand_down"]
    assert answer.json["errors"][0]["field"] == "stand_donw"
    await untouched(hall)


@pytest.mark.parametrize(
    "body",
    [{"drill": "yes"}, {"stand_down": 1}, {"params": []}, {"params": None}, [], None, 5, "text", {"drill": None}],
)
async def test_wrong_types_are_422(hall: Served, body: object) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", raw=json.dumps(body).encode())
    assert (answer.status, answer.json["code"]) == (422, "bad_body")
    await untouched(hall)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"\x00", 400),
        (b"\xff\xfe\xfd", 400),
        (b"{'drill': true}", 400),
        (b'{"drill": true}}', 400),
        (b"[" * 60_000, 400),
        (b'{"params": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}", 400),
        (b'{"params": {"a": ' + b"9" * 5000 + b"}}", 400),
        (b'{"params": {"a\\u0000": 1}}', 422),
        (b'{"params": {"\\ud800": 1}}', 400),
        (b'{"\\ud800": 1}', 400),
        (b'{"params": {"' + b"k" * 60_000 + b'": 1}}', 422),
        (b"{" + b",".join(b'"%d": 1' % n for n in range(5000)) + b"}", 422),
        (b'{"params": {' + b",".join(b'"%d": 1' % n for n in range(5000)) + b"}}", 422),
        (b" " * 70_000, 413),
        (b'"' + b"x" * 1_000_000 + b'"', 413),
    ],
)
async def test_bad_bodies_are_bounded_and_do_nothing(hall: Served, raw: bytes, status: int) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", raw=raw)
    assert answer.status == status, answer.text
    assert len(answer.text) < 8000
    await untouched(hall)


async def test_a_body_that_does_not_arrive_is_408(hall: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecc_controld.api.request.BODY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(hall.url.rpartition(":")[2]))
    writer.write(b"POST /api/v1/scenes/duty/activate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    await untouched(hall)


async def test_a_body_that_is_sent_wrongly_is_400(hall: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(hall.url.rpartition(":")[2]))
    head = b"POST /api/v1/scenes/duty/activate HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head + b"nonsense\r\n")
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    await untouched(hall)


@pytest.mark.parametrize("wait", ["-1", "601", "soon", "nan", "inf", ""])
async def test_a_bad_wait_is_422_and_does_nothing(hall: Served, wait: str) -> None:
    for method, path, body in PRESSES[:3]:
        answer = await hall.ask(method, f"{path}?wait={wait}", body)
        assert (answer.status, answer.json["code"]) == (422, "bad_query")
    await untouched(hall)


async def test_an_unknown_scene_is_404_with_the_nearest(hall: Served) -> None:
    answer = await hall.press("emergancy")
    assert (answer.status, answer.json["nearest"]) == (404, "emergency")
    assert answer.json["valid"] == ["clear", "conference", "duty", "emergency"]
    await untouched(hall)


async def test_an_empty_body_is_an_empty_object(hall: Served) -> None:
    assert (await hall.ask("POST", "scenes/duty/activate?wait=5", raw=b"")).status == 200


@pytest.mark.parametrize("client", ["panel", "eccctl", "nobody", ""])
async def test_who_pressed_is_in_the_card(hall: Served, client: str) -> None:
    answer = await hall.ask("POST", "scenes/duty/activate", {}, headers={"ECC-Client": client})
    known = client if client in ("panel", "eccctl") else "api"
    assert (answer.json["run"]["by"], answer.json["run"]["trigger"]) == (known, known)


async def test_a_client_that_leaves_does_not_stop_its_press(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    press = asyncio.create_task(hall.press("duty", wait=30))
    await until(lambda: hall.rig.engine.runs._waiters)
    press.cancel()
    await asyncio.gather(press, return_exceptions=True)
    await hall.rig.twins["y"].heal()
    run = (await hall.get("runs"))["runs"][0]
    assert (await hall.card(run["id"], lambda card: card["state"] == "closed", 15))["verdict"] == "ready"
