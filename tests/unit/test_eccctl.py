"""eccctl against a stub that speaks the documented shapes: every verb, every exit code, both languages."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.cells import cell_len
from rich.console import Console

from ecc_controld.client.__main__ import language, main
from ecc_controld.client.progress import by_device, display, stage
from ecc_controld.client.sentences import problem_sentence

HALL = {
    "name": {"zh": "县应急指挥大厅", "en": "County hall"},
    "mode": "duty",
    "scene": "duty",
    "title": {"zh": "值班模式", "en": "Duty"},
    "params": {},
    "since": "2026-03-01T08:00:00+08:00",
    "by": "panel",
    "run": "r1",
    "verdict": "ready",
    "holds": False,
    "simulated": False,
    "twins": None,
    "boot": "b",
    "version": "0.1.0",
    "time": "2026-03-01T09:00:00+08:00",
}
NO_ANSWER = {"zh": "已连接但不应答", "en": "silent"}


def device(id: str, link: str = "online", **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "driver": "pjlink",
        "name": {"zh": f"{id} 显示屏", "en": f"{id} screen"},
        "group": "display",
        "zone": "前厅",
        "address": "tcp://10.20.0.7:4352",
        "link": link,
        "reason": None if link == "online" else "no_answer",
        "reason_text": None if link == "online" else NO_ANSWER,
        "since": None,
        "identity": {"model": "PX-1", "name": "", "serial": "", "firmware": ""},
        "last_exchange_age_s": 0.4,
        "in_service": True,
        **more,
    }


def point(name: str, want: Any = None, got: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "point": name,
        "device": name.split(".")[0],
        "title": {"zh": "增益", "en": "gain"},
        "trait": "level",
        "type": "number",
        "unit": "dB",
        "range": {"min": -100, "max": 20},
        "access": "readwrite",
        "want": want,
        "want_by": "eccctl" if want is not None else None,
        "want_since": None,
        "layer": "manual" if want is not None else None,
        "got": got,
        "age_s": 0.2,
        "dirty": False,
        "as_wanted": None if want is None else want == got,
        "outcome": None if want is None else "ok" if want == got else "not_settled",
        "evidence": "read_back",
        **more,
    }


def card(name: str, outcome: str | None = "ok", **more: Any) -> dict[str, Any]:
    return {
        "point": name,
        "device": name.split(".")[0],
        "criticality": "must",
        "want": True,
        "got": outcome in ("ok", "already", "late"),
        "age_s": 0.1,
        "outcome": outcome,
        "evidence": "read_back" if outcome else "none",
        "reason": None,
        "reason_text": None,
        "elapsed_s": 1.5 if outcome else None,
        "used_else": None,
        **more,
    }


def run(verdict: str | None = "ready", points: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    points = [card("wall.power")] if points is None else points
    return {
        "id": "01RUN",
        "url": "/api/v1/runs/01RUN",
        "scene": "emergency",
        "params": {},
        "by": "eccctl",
        "key": None,
        "trigger": "eccctl",
        "drill": False,
        "opened": "2026-03-01T09:00:00+08:00",
        "closed": None,
        "state": "open" if verdict is None else "assessed",
        "verdict": verdict,
        "superseded_by": None,
        "resumed": False,
        "objective_s": 60.0,
        "elapsed_s": 12.34,
        "counts": {"total": len(points), "ok": sum(1 for one in points if one["outcome"] == "ok")},
        "points": points,
        "actions": [],
        **more,
    }


SCENE = {
    "name": "emergency",
    "title": {"zh": "应急模式", "en": "Emergency"},
    "mode": "emergency",
    "priority": 80,
    "holds": True,
    "confirm": "hold",
    "ready_within_s": 60.0,
    "wishes": 45,
    "active": True,
}
PLAN = {
    "scene": "emergency",
    "waves": [
        [
            {
                "point": "wall.power",
                "want": True,
                "got": False,
                "action": "write",
                "criticality": "must",
                "after": [],
            }
        ],
        [
            {
                "point": "wall.input",
                "want": "hdmi",
                "got": None,
                "action": "offline",
                "criticality": "should",
                "after": ["wall.power"],
            }
        ],
    ],
    "counts": {"write": 1, "offline": 1},
    "would_fail": [{"point": "wall.input", "reason": "no_answer", "reason_text": NO_ANSWER}],
    "estimate_s": 8.5,
}


class Stub:
    """A daemon's API with canned answers; `asked` keeps each request with its body."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any, dict[str, str]]] = []
        self.queries: list[list[tuple[str, str]]] = []
        self.on("GET", "hall", HALL)
        self.url = ""

    def on(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """The answers to a request in turn; the last one stays."""
        self.answers[method, f"/api/v1/{path}"] = [(status, body) for body in bodies]

    def simulated(self) -> None:
        self.on("GET", "hall", {**HALL, "simulated": True, "twins": "http://127.0.0.1:1"})

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.queries.append(list(request.query.items()))
        self.asked.append((request.method, request.path, dict(request.query), body, dict(request.headers)))
        found = self.answers.get((request.method, request.path))
        if found is None:
            status, answer = (
                404,
                {"status": 404, "title": "Not Found", "detail": "no such path", "code": "no_such_path"},
            )
        else:
            status, answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, bytes):
            return web.Response(status=status, body=answer, content_type="text/html")
        kind = "application/json" if status < 400 else "application/problem+json"
        return web.Response(status=status, body=wire(answer), content_type=kind)

    def presses(self) -> list[tuple[str, str, dict[str, str], Any, dict[str, str]]]:
        return [one for one in self.asked if one[0] != "GET"]


def wire(body: Any) -> bytes:
    """JSON in a spacing of its own, so that a client that encodes anew is found out."""
    return json.dumps(body, ensure_ascii=False, separators=(" ,", ":  ")).encode()


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    found = Stub()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield found
    await runner.cleanup()


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "ECCCTL_URL", "COLUMNS", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


class Ctl:
    """Runs `eccctl` in a thread, as a program of its own would run."""

    def __init__(self, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
        self.stub, self.capsys = stub, capsys

    async def __call__(self, *argv: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["--url", self.stub.url, *argv])
        out, err = self.capsys.readouterr()
        return code, out, err


@pytest.fixture
def ctl(stub: Stub, capsys: pytest.CaptureFixture[str]) -> Ctl:
    return Ctl(stub, capsys)


# -- asking --------------------------------------------------------------------------------------------------


async def test_status(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "devices", {"devices": [device("wall"), device("cam-1", "offline")]})
    stub.on(
        "GET", "points", {"points": [point("dsp.a", -10.0, -10.0), point("dsp.b", -10.0, -3.5), point("dsp.c")]}
    )
    code, out, err = await ctl("status")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "县应急指挥大厅"
    assert "值班模式" in out
    assert "到位" in out
    assert "1/2 在线" in out
    assert "1/2 与期望一致" in out
    assert "cam-1" in out
    assert "已连接但不应答" in out
    assert "dsp.b" in out
    assert "−10 dB" in out
    assert "−3.5 dB" in out
    assert "wall" not in out, "what is fine is not listed"
    assert "dsp.a" not in out
    code, out, _ = await ctl("status", "--lang", "en")
    assert "County hall" in out
    assert "1 of 2 online" in out
    assert "silent" in out


async def test_status_before_any_scene(ctl: Ctl, stub: Stub) -> None:
    nothing = dict.fromkeys(("mode", "scene", "title", "since", "by", "run", "verdict"))
    stub.on("GET", "hall", {**HALL, **nothing})
    stub.on("GET", "devices", {"devices": []})
    stub.on("GET", "points", {"points": []})
    code, out, _ = await ctl("status")
    assert code == 0
    assert "尚未选择" in out


async def test_devices(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "devices", {"devices": [device("wall"), device("side", "refused", in_service=False)]})
    code, out, _ = await ctl("devices")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert "在线" in rows["wall"]
    assert "被拒绝" in rows["side"]
    assert "停用" in rows["side"]
    assert "tcp://10.20.0.7:4352" in rows["wall"]


async def test_points_of_one_device(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "points", {"points": [point("dsp.mic.1.gain", -10.0, -9.9, as_wanted=True)]})
    code, out, _ = await ctl("points", "--device", "dsp")
    assert code == 0
    assert stub.asked[-1][2] == {"device": "dsp"}
    assert "dsp.mic.1.gain" in out
    assert "一致" in out
    await ctl("points")
    assert stub.asked[-1][2] == {}


async def test_scenes(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "scenes", {"scenes": [SCENE]})
    code, out, _ = await ctl("scenes")
    assert code == 0
    assert "▶" in out
    assert "应急模式" in out
    assert "60.0 s" in out


async def test_plan(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "scenes/emergency/plan", PLAN)
    code, out, _ = await ctl("plan", "emergency")
    assert code == 0
    assert "将改变 1 · 不在线 1；预计 8.5 s" in out
    assert "wall.power" in out
    assert "会失败的点位" in out
    assert "已连接但不应答" in out
    assert not stub.presses()
    _, out, _ = await ctl("plan", "emergency", "--lang", "en")
    assert "write 1 · offline 1; takes about 8.5 s" in out


@pytest.mark.parametrize("verb", ["runs", "history"])
async def test_runs(ctl: Ctl, stub: Stub, verb: str) -> None:
    stub.on("GET", "runs", {"runs": [run("failed", drill=True)], "next": None})
    code, out, _ = await ctl(verb, "--limit", "5")
    assert code == 0
    assert stub.asked[-1][2] == {"limit": "5"}
    assert "01RUN" in out
    assert "未到位" in out
    assert "演练" in out
    assert "12.3 s" in out


@pytest.mark.parametrize(
    ("verdict", "code"), [("ready", 0), ("degraded", 1), ("failed", 3), ("superseded", 4), (None, 0)]
)
async def test_run(ctl: Ctl, stub: Stub, verdict: str | None, code: int) -> None:
    deed = {"device": "bell", "action": "chime", "state": "acknowledged", "reason": None}
    stub.on("GET", "runs/01RUN", run(verdict, actions=[deed]))
    got, out, _ = await ctl("run", "01RUN")
    assert got == code
    assert "wall.power" in out, "the whole card, with what is fine"
    assert "chime" in out
    assert (await ctl("run", "01RUN", "--json"))[0] == code


# -- pressing ------------------------------------------------------------------------------------------------


async def test_apply_without_waiting(ctl: Ctl, stub: Stub) -> None:
    stub.on("POST", "scenes/emergency/activate", {"run": run(None)}, status=202)
    code, out, _ = await ctl("apply", "emergency")
    assert code == 0
    assert "01RUN" in out
    await ctl("apply", "emergency", "--stand-down", "--drill")
    assert (await ctl("apply", "emergency", "--json"))[0] == 0, "accepted is all that was asked"
    first, second, _ = stub.presses()
    assert first[3] == {"params": {}, "stand_down": False, "drill": False}
    assert second[3] == {"params": {}, "stand_down": True, "drill": True}
    assert first[2] == {}
    assert first[4]["ECC-Client"] == "eccctl"
    keys = {one[4]["Idempotency-Key"] for one in (first, second)}
    assert len(keys) == 2, "each press has a key of its own"


@pytest.mark.parametrize(
    ("verdict", "code", "word"),
    [("ready", 0, "到位"), ("degraded", 1, "部分到位"), ("failed", 3, "未到位"), ("superseded", 4, "已被取代")],
)
async def test_apply_waits_for_the_verdict(ctl: Ctl, stub: Stub, verdict: str, code: int, word: str) -> None:
    late = card("cam-1.preset", "not_settled", want="overview", got="home", reason="x", reason_text=NO_ANSWER)
    points = [card("wall.power"), late]
    stub.on("POST", "scenes/emergency/activate", {"run": run(None)}, status=202)
    stub.on("GET", "runs/01RUN", run(None), run(None), run(verdict, points))
    got, out, _ = await ctl("apply", "emergency", "--wait")
    assert got == code
    assert word in out
    assert "overview" in out
    assert "home" in out
    assert "未达到" in out
    assert "已连接但不应答" in out
    assert "wall.power" not in out, "only what is not fine"
    assert sum(1 for one in stub.asked if one[1].endswith("/runs/01RUN")) == 3


async def test_a_wait_that_ends_first_is_no_success(ctl: Ctl, stub: Stub) -> None:
    stub.on("POST", "scenes/emergency/activate", {"run": run(None)}, status=202)
    stub.on("GET", "runs/01RUN", run(None))
    code, out, _ = await ctl("apply", "emergency", "--wait", "0.1")
    assert code == 3
    assert "仍在进行" in out
    assert (await ctl("--json", "apply", "emergency", "--wait", "0.1"))[0] == 3


async def test_stand_down(ctl: Ctl, stub: Stub) -> None:
    stub.on("POST", "stand-down", {"run": None})
    code, out, _ = await ctl("stand-down")
    assert (code, out) == (0, "已结束保持\n")
    assert stub.presses()[-1][4]["Idempotency-Key"]
    stub.on("POST", "stand-down", {"run": run(None)}, status=202)
    stub.on("GET", "runs/01RUN", run("degraded"))
    assert (await ctl("stand-down"))[0] == 0
    assert (await ctl("stand-down", "--wait", "5"))[0] == 1


@pytest.mark.parametrize("value", ["-10", "-10.5", "-.5", "-10dB", "−10", "on", "3", "emergency quad", "-1e1"])
async def test_set(ctl: Ctl, stub: Stub, value: str) -> None:
    stub.on("PUT", "points/dsp.gain", {"point": point("dsp.gain", -10.0, -3.0, outcome=None)}, status=202)
    code, out, err = await ctl("set", "dsp.gain", value)
    assert (code, err) == (0, "")
    assert stub.presses()[-1][3] == {"value": value}
    assert "dsp.gain" in out


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("ok", 0), ("already", 0), ("unverifiable", 0), ("late", 1), ("not_settled", 3), ("offline", 3),
     ("overridden", 4), ("superseded", 4), (None, 3)],
)  # fmt: skip
async def test_set_waits_for_the_outcome(ctl: Ctl, stub: Stub, outcome: str | None, code: int) -> None:
    stub.on("PUT", "points/dsp.gain", {"point": point("dsp.gain", -10.0, -10.0, outcome=outcome)})
    assert (await ctl("set", "dsp.gain", "-10", "--wait", "3"))[0] == code
    assert stub.presses()[-1][2] == {"wait": "3"}


async def test_release(ctl: Ctl, stub: Stub) -> None:
    stub.on("DELETE", "points/dsp.gain/want", {"point": point("dsp.gain", None, -3.0)})
    code, out, _ = await ctl("release", "dsp.gain")
    assert code == 0
    assert "dsp.gain" in out


async def test_names_are_quoted(ctl: Ctl, stub: Stub) -> None:
    await ctl("run", "a/../b ?x=1#y")
    assert stub.asked[-1][1] == "/api/v1/runs/a/../b ?x=1#y"
    assert stub.asked[-1][2] == {}


# -- --json --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "method", "path", "body"),
    [
        (["status"], "GET", "hall", HALL),
        (["devices"], "GET", "devices", {"devices": [device("wall")]}),
        (["points"], "GET", "points", {"points": [point("dsp.a", 1.0)]}),
        (["scenes"], "GET", "scenes", {"scenes": [SCENE]}),
        (["plan", "emergency"], "GET", "scenes/emergency/plan", PLAN),
        (["runs"], "GET", "runs", {"runs": [run()], "next": None}),
        (["run", "01RUN"], "GET", "runs/01RUN", run()),
        (["apply", "emergency"], "POST", "scenes/emergency/activate", {"run": run()}),
        (["apply", "emergency", "--wait", "3"], "POST", "scenes/emergency/activate", {"run": run()}),
        (["stand-down"], "POST", "stand-down", {"run": None}),
        (["set", "dsp.a", "-3"], "PUT", "points/dsp.a", {"point": point("dsp.a", -3.0)}),
        (["release", "dsp.a"], "DELETE", "points/dsp.a/want", {"point": point("dsp.a")}),
    ],
)
async def test_json_is_the_apis_own(
    ctl: Ctl, stub: Stub, argv: list[str], method: str, path: str, body: dict[str, Any]
) -> None:
    stub.simulated()
    if path == "hall":
        body = {**HALL, "simulated": True, "twins": "http://127.0.0.1:1"}
    stub.on(method, path, body)
    for order in (["--json", *argv], [*argv, "--json"]):
        stub.asked.clear()
        code, out, err = await ctl(*order)
        assert (code, err) == (0, "")
        assert out.encode() == wire(body) + b"\n"
        assert [one[:2] for one in stub.asked] == [(method, f"/api/v1/{path}")], "nothing else is asked"
    if "--wait" in argv:
        assert stub.asked[-1][2] == {"wait": "3"}


# -- no, nobody, nonsense ------------------------------------------------------------------------------------

HELD = {
    "type": "urn:x",
    "title": "Conflict",
    "status": 409,
    "code": "held",
    "detail": "“Emergency” is held by panel; end it first (stand down)",
    "detail_zh": "“应急模式”正由 panel 保持，须先结束它",
    "held_by": {
        "scene": "emergency",
        "title": {"zh": "应急模式", "en": "Emergency"},
        "by": "panel",
        "since": "2026-03-01T03:04:05+08:00",
    },
}


async def test_held_is_refused_with_who_and_since_when(ctl: Ctl, stub: Stub) -> None:
    stub.on("POST", "scenes/duty/activate", HELD, status=409)
    code, out, err = await ctl("apply", "duty")
    assert (code, out) == (4, "")
    assert err == (
        "eccctl: “应急模式”正由 panel 保持，须先结束它；当前场景“应急模式”，操作者 panel，自 03-01 03:04:05\n"
    )
    code, out, err = await ctl("apply", "duty", "--lang", "en")
    assert "stand down" in err
    assert "held by scene 'Emergency', pressed by panel at 03-01 03:04:05" in err
    assert err.count("\n") == 1, "one sentence"
    code, out, err = await ctl("apply", "duty", "--json")
    assert code == 4
    assert out.encode() == wire(HELD) + b"\n"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (404, 2), (422, 2), (413, 2), (409, 4), (410, 4), (403, 4), (408, 3), (503, 3)]
)
async def test_exit_codes_of_problems(ctl: Ctl, stub: Stub, status: int, code: int) -> None:
    problem = {"status": status, "title": "T", "detail": "english words", "code": "x"}
    stub.on("PUT", "points/dsp.gain", problem, status=status)
    got, out, err = await ctl("set", "dsp.gain", "1")
    assert (got, out) == (code, "")
    assert err == "eccctl: english words\n"


def test_a_problem_becomes_one_sentence() -> None:
    problem = {
        "detail": "there is no scene named 'emergncy'",
        "detail_zh": "没有名为“emergncy”的场景",
        "nearest": "emergency",
        "valid": ["duty", "emergency"],
    }
    assert problem_sentence(problem, "zh") == (
        "没有名为“emergncy”的场景；是不是“emergency”？；可用：duty、emergency"
    )
    assert problem_sentence(problem, "en") == (
        "there is no scene named 'emergncy'; did you mean 'emergency'?; valid: duty, emergency"
    )
    many = problem_sentence({"detail": "no", "valid": [f"p{n}" for n in range(40)]}, "en")
    assert "p11" in many
    assert "p12" not in many
    assert "28 more" in many
    assert problem_sentence({"title": "Teapot"}, "zh") == "Teapot"
    assert "1970" not in problem_sentence({"detail": "no", "held_by": {"scene": "fire", "since": "soon"}}, "en")


@pytest.mark.parametrize("argv", [["status"], ["apply", "duty"], ["--json", "devices"]])
async def test_no_daemon(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert await asyncio.to_thread(main, ["--url", url, *argv]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert url in err
    assert "连不上守护进程" in err


async def test_somebody_else_at_the_url(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "hall", b"<html>a router</html>")
    code, out, err = await ctl("status")
    assert (code, out) == (5, "")
    assert "不是 ecc_controld" in err


async def test_a_daemon_that_hangs_up(capsys: pytest.CaptureFixture[str]) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        url = "http://{}:{}".format(*server.sockets[0].getsockname())
        assert await asyncio.to_thread(main, ["--url", url, "status"]) == 5
    assert "连不上" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://", "http://[::1", "http://x:99999"])
def test_a_bad_url_is_a_usage_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "status"]) == 2
    assert url in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [[], ["explode"], ["plan"], ["set", "a.b"], ["apply", "x", "--wait", "-1"], ["apply", "x", "--wait", "y"],
             ["--lang", "fr", "status"], ["status", "extra"]]
)  # fmt: skip
def test_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "用法错误" in capsys.readouterr().err


async def test_the_url_of_the_environment(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ECCCTL_URL", stub.url + "/")
    stub.on("GET", "scenes", {"scenes": []})
    assert await asyncio.to_thread(main, ["scenes"]) == 0


@pytest.mark.parametrize(
    ("environment", "lang"),
    [({}, "zh"), ({"LANG": "C.UTF-8"}, "zh"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "en_GB.UTF-8"}, "en"),
     ({"LANG": "en_US", "LC_ALL": "zh_CN"}, "zh"), ({"LANG": "zh_CN", "LC_MESSAGES": "en_US"}, "en")],
)  # fmt: skip
def test_language(environment: dict[str, str], lang: str) -> None:
    assert language(environment) == lang


# -- what people see -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "method", "path", "body"),
    [
        (["devices"], "GET", "devices", {"devices": [device("wall")]}),
        (["points"], "GET", "points", {"points": [point("dsp.a")]}),
        (["scenes"], "GET", "scenes", {"scenes": [SCENE]}),
        (["plan", "emergency"], "GET", "scenes/emergency/plan", PLAN),
        (["runs"], "GET", "runs", {"runs": [run()]}),
        (["run", "01RUN"], "GET", "runs/01RUN", run()),
        (["apply", "emergency"], "POST", "scenes/emergency/activate", {"run": run()}),
        (["stand-down"], "POST", "stand-down", {"run": None}),
        (["set", "dsp.a", "1"], "PUT", "points/dsp.a", {"point": point("dsp.a")}),
        (["release", "dsp.a"], "DELETE", "points/dsp.a/want", {"point": point("dsp.a")}),
    ],
)
async def test_simulated_is_said_first(
    ctl: Ctl, stub: Stub, argv: list[str], method: str, path: str, body: dict[str, Any]
) -> None:
    stub.on(method, path, body)
    _, out, _ = await ctl(*argv)
    assert "SIMULATED" not in out
    stub.simulated()
    _, out, _ = await ctl(*argv)
    assert out.splitlines()[0].startswith("模拟 SIMULATED")
    _, out, _ = await ctl(*argv, "--lang", "en")
    assert out.splitlines()[0].startswith("SIMULATED")


async def test_chinese_and_latin_cells_line_up(ctl: Ctl, stub: Stub) -> None:
    rows = [
        device("a", name={"zh": "主大厅 LED 大屏", "en": ""}, zone="前"),
        device("wall-of-the-hall", name={"zh": "屏", "en": ""}, zone="主席台后方"),
        device("c", name={"zh": "e\u0301tude 𠮷", "en": ""}, zone="x"),
    ]
    stub.on("GET", "devices", {"devices": rows})
    _, out, _ = await ctl("devices")
    lines = [line for line in out.splitlines() if "10.20.0.7" in line]
    assert len(lines) == 3
    for word in ("display", "在线", "tcp://"):
        assert len({cell_len(line[: line.index(word)]) for line in lines}) == 1, word


async def test_names_from_outside_cannot_steer_the_terminal_or_the_markup(ctl: Ctl, stub: Stub) -> None:
    evil = device("wall", name={"zh": "\x1b[2J[red]屏\x07\u202e[/red]\n第二行", "en": "x"})
    stub.on("GET", "devices", {"devices": [evil]})
    _, out, _ = await ctl("devices")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert "[red]屏" in out
    assert sum("10.20.0.7" in line for line in out.splitlines()) == 1
    stub.on("GET", "devices", {"status": 404, "detail": "bad \x1b[31m", "code": "x"}, status=404)
    assert "\x1b" not in (await ctl("devices"))[2]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (card("a.b", None, state="waiting"), "waiting"),
        (card("a.b", None, state="ready"), "waiting"),
        (card("a.b", None, state="sent"), "sent"),
        (card("a.b", None, state="acked"), "sent"),
        (card("a.b", None, evidence="commanded"), "sent"),
        (card("a.b", "ok"), "confirmed"),
        (card("a.b", "late"), "confirmed"),
        (card("a.b", "unverifiable"), "confirmed"),
        (card("a.b", "rejected"), "failed"),
        (card("a.b", "offline"), "failed"),
    ],
)
def test_stages(point: dict[str, Any], expected: str) -> None:
    assert stage(point) == expected


def test_the_display_has_a_row_a_device_and_what_needs_eyes_first() -> None:
    points = [
        card("fine.a"),
        card("mixed.a"),
        card("mixed.b", None, state="sent"),
        card("dead.a", "offline"),
        card("idle.a", None, state="waiting"),
    ]
    assert list(by_device(points)) == ["dead", "mixed", "idle", "fine"]
    assert dict(by_device(points)["mixed"]) == {"confirmed": 1, "sent": 1}
    console = Console(file=StringIO(), width=100, record=True)
    console.print(display(run(None, points), "zh", 3))
    shown = console.export_text()
    assert shown.startswith("emergency：12.3 s，目标 60.0 s")
    assert "已确认" in shown
    assert "另有 1 台设备" in shown
    assert "fine" not in shown


async def test_a_terminal_shows_the_progress(ctl: Ctl, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.on("POST", "scenes/emergency/activate", {"run": run(None)}, status=202)
    moving = run(None, [card("wall.power", None, state="sent"), card("cam-1.power", None, state="waiting")])
    stub.on("GET", "runs/01RUN", moving, run("ready"))
    code, out, _ = await ctl("apply", "emergency", "--wait")
    assert code == 0
    assert "已发出" not in out, "a pipe gets the result only"
    monkeypatch.setenv("FORCE_COLOR", "1")
    stub.on("GET", "runs/01RUN", moving, run("ready"))
    _, out, _ = await ctl("apply", "emergency", "--wait")
    assert "已发出" in out
    assert "cam-1" in out
    assert out.index("cam-1") < out.index("m到位"), "the verdict, in its colour, comes last"


# -- parameters ----------------------------------------------------------------------------------------------


async def test_apply_with_parameters(ctl: Ctl, stub: Stub) -> None:
    told = {"level": "I", "seats": ["a", "b"], "loud": True}
    stub.on("POST", "scenes/emergency/activate", {"run": {**run("ready"), "params": told}}, status=202)
    stub.on("GET", "runs/01RUN", {**run("ready"), "params": told})
    params = [
        "--param",
        "level=I",
        "--param",
        "seats=a",
        "--param",
        "seats=b",
        "--param",
        "t=a=b",
        "--param",
        "n=-3",
    ]
    code, out, _ = await ctl("apply", "emergency", *params, "--wait")
    assert code == 0
    sent = {"level": "I", "seats": ["a", "b"], "t": "a=b", "n": "-3"}
    assert stub.presses()[0][3] == {"params": sent, "stand_down": False, "drill": False}
    assert "level=I, seats=a,b, loud=on" in out


async def test_plan_with_parameters(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "scenes/emergency/plan", {**PLAN, "params": {"level": "I"}})
    code, out, _ = await ctl("plan", "emergency", "--param", "seats=a", "--param", "seats=b", "--param", "level=I")
    assert code == 0
    assert stub.queries[-1] == [("param", "seats:a"), ("param", "seats:b"), ("param", "level:I")]
    assert "参数：level=I" in out
    await ctl("plan", "emergency")
    assert stub.queries[-1] == []


async def test_status_and_scenes_show_parameters(ctl: Ctl, stub: Stub) -> None:
    stub.on("GET", "hall", {**HALL, "params": {"level": "III"}})
    stub.on("GET", "devices", {"devices": []})
    stub.on("GET", "points", {"points": []})
    assert "level=III" in (await ctl("status"))[1]
    level = {"name": "level", "choices": ["I", "II"], "default": "II", "range": {}, "unit": ""}
    gain = {"name": "gain", "choices": None, "default": None, "range": {"min": -20.0, "max": 0.0}, "unit": "dB"}
    stub.on("GET", "scenes", {"scenes": [{**SCENE, "params": [level, gain]}]})
    out = "".join((await ctl("scenes", "--lang", "en"))[1].split())
    assert "level=II(I,II)" in out
    assert "gain=?(-20…0dB)" in out


@pytest.mark.parametrize("given", ["level", "=I", ""])
def test_a_parameter_needs_a_name_and_a_value(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["apply", "x", "--param", given])
    assert caught.value.code == 2
    assert "名称=值" in capsys.readouterr().err


# -- check ---------------------------------------------------------------------------------------------------


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """In place of the loader: the problems that it will report."""
    found: list[Any] = []

    def check(config: Path, scenes: Path, *, warnings: Any) -> list[Any]:
        assert (config.name, scenes.name) == ("c", "s")
        return found

    monkeypatch.setattr("ecc_controld.settings.check", check)
    return found


class AProblem:
    """The shape of a loader's problem."""

    def __init__(self) -> None:
        from ecc_controld.sdk import Text

        self.file, self.line, self.column = "scenes/duty.yaml", 3, 7
        self.message = Text("未知的点位 wall.pwer", "unknown point wall.pwer")
        self.valid, self.nearest = ("wall.power",), "wall.power"


def test_check(loader: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["check", "--config", "c", "--scenes", "s"]
    assert main(argv) == 0
    assert capsys.readouterr().out == "配置和场景无误\n"
    loader.append(AProblem())
    assert main(argv) == 2
    out = capsys.readouterr().out
    assert "scenes/duty.yaml:3:7: 未知的点位 wall.pwer → wall.power" in out
    assert "1 处错误" in out
    assert main([*argv, "--lang", "en"]) == 2
    assert "unknown point" in capsys.readouterr().out
    assert main([*argv, "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["line"], problem["column"], problem["nearest"]) == (3, 7, "wall.power")
    assert problem["message"]["zh"].startswith("未知")


async def test_the_program_itself(stub: Stub) -> None:
    stub.simulated()
    stub.on("GET", "scenes", {"scenes": [SCENE]})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ecc_controld.client", "scenes",
        env={**os.environ, "ECCCTL_URL": stub.url, "LANG": "C", "PYTHONIOENCODING": "ascii"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b""), "a terminal without Chinese shows what it can"
    assert b"SIMULATED" in out
    assert b"emergency" in out
