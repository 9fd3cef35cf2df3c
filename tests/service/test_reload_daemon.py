"""Reload of the real daemon with its twins: SIGHUP, what the manager is told, what an invalid file does (nothing)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.daemon import ROOT, Daemon, running
from support.manager import ManagerEnd

HALL = ROOT / "tests" / "support" / "minihall"
THIRD = '  tv3: {driver: pjlink, name: {zh: 三号屏, en: Screen 3}, group: display, address: "tcp://10.20.1.30"}\n'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    shutil.copytree(HALL, tmp_path / "hall")
    return tmp_path / "hall"


@asynccontextmanager
async def hall(
    tmp_path: Path, files: Path, manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Daemon]:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    with (tmp_path / "log").open("wb") as log:
        async with running(
            tmp_path / "state", config=files / "config", scenes=files / "scenes", stderr=log.fileno()
        ) as daemon:
            await daemon.online()
            yield daemon


def lines(tmp_path: Path, code: str) -> list[dict[str, Any]]:
    """The log's lines with this code."""
    found = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line.get("code") == code]


async def reload(daemon: Daemon, manager: ManagerEnd) -> None:
    """SIGHUP, then wait until it is over, as `systemctl reload` does."""
    ready = manager.count("READY", "1")
    daemon.process.send_signal(signal.SIGHUP)
    await manager.until(lambda: manager.count("READY", "1") > ready)


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def logins(daemon: Daemon, device: str) -> int:
    """How often the daemon has connected to a twin of PJLink."""
    log = (await daemon.twin("GET", f"/twins/{device}/log"))["log"]
    return sum(entry["from"] == "twin" and entry["text"].startswith("PJLINK ") for entry in log)


async def test_devices_come_and_go_and_the_others_do_not_notice(
    tmp_path: Path, files: Path, manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hall(tmp_path, files, manager, monkeypatch) as daemon:
        assert (await daemon.apply("duty"))["verdict"] == "ready"
        twins = {one["device"]: one["address"] for one in (await daemon.twin("GET", "/twins"))["twins"]}
        edit(files / "config/hall.yaml", "  matrix: {driver", THIRD + "  matrix: {driver")
        await reload(daemon, manager)
        told = [one for one in manager.read() if "RELOADING" in one]
        assert int(told[0]["MONOTONIC_USEC"]) > 0
        await daemon.online()
        devices = [one["id"] for one in (await daemon.get("/devices"))["devices"]]
        assert devices == ["tv1", "tv2", "tv3", "matrix", "dsp", "cam1"]
        now = {one["device"]: one["address"] for one in (await daemon.twin("GET", "/twins"))["twins"]}
        assert {device: now[device] for device in twins} == twins, "the other twins kept their sockets"
        assert await logins(daemon, "tv1") == 1
        run = await daemon.apply("emergency")
        assert run["verdict"] == "ready"
        assert any(point["device"] == "tv3" for point in run["points"]), "display/* has one more"
        edit(files / "config/hall.yaml", THIRD, "")
        await reload(daemon, manager)
        assert "tv3" not in [one["id"] for one in (await daemon.get("/devices"))["devices"]]
        assert "tv3" not in {one["device"] for one in (await daemon.twin("GET", "/twins"))["twins"]}
        assert await logins(daemon, "tv1") == 1
        (dropped,) = [line for line in lines(tmp_path, "wish_dropped") if line["point"] == "tv3.power"]
        assert dropped["layer"] == "scene"
        await daemon.until("/points", lambda p: all(one["as_wanted"] is not False for one in p["points"]))


async def test_an_invalid_file_changes_nothing_and_says_everything(
    tmp_path: Path, files: Path, manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hall(tmp_path, files, manager, monkeypatch) as daemon:
        before = [await daemon.get(path) for path in ("/scenes", "/scenes/duty")]
        devices = [one["id"] for one in (await daemon.get("/devices"))["devices"]]
        good = (files / "scenes/duty.yaml").read_text(encoding="utf-8")
        edit(files / "config/hall.yaml", "  matrix: {driver", THIRD + "  matrix: {driver")
        (files / "scenes/duty.yaml").write_text(good + "nonsense: 1\nrubbish: 2\n", encoding="utf-8")
        await reload(daemon, manager)
        assert [await daemon.get(path) for path in ("/scenes", "/scenes/duty")] == before
        assert [one["id"] for one in (await daemon.get("/devices"))["devices"]] == devices, (
            "together or not at all"
        )
        assert "tv3" not in {one["device"] for one in (await daemon.twin("GET", "/twins"))["twins"]}
        async with asyncio.timeout(20):  # the log is written by a thread of its own
            while len(lines(tmp_path, "reload_refused")) < 2:
                await asyncio.sleep(0.02)
        refused = [line["problem"] for line in lines(tmp_path, "reload_refused")]
        assert [word for word in ("nonsense", "rubbish") if any(word in one for one in refused)] == [
            "nonsense",
            "rubbish",
        ]
        assert all("duty.yaml:" in one for one in refused)
        await manager.until(lambda: "reload refused (2)" in manager.statuses()[-1])
        (alarm,) = [one for one in (await daemon.get("/alarms"))["alarms"] if one["code"] == "reload_refused"]
        assert "2 处错误" in alarm["text"]["zh"]
        assert (await daemon.apply("duty"))["verdict"] == "ready"
        (files / "scenes/duty.yaml").write_text(good, encoding="utf-8")
        await reload(daemon, manager)
        assert "tv3" in [one["id"] for one in (await daemon.get("/devices"))["devices"]]
        assert not [one for one in (await daemon.get("/alarms"))["alarms"] if one["code"] == "reload_refused"]
        await manager.until(lambda: "refused" not in manager.statuses()[-1])


async def test_a_panel_gets_a_new_snapshot(
    tmp_path: Path, files: Path, manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hall(tmp_path, files, manager, monkeypatch) as daemon, aiohttp.ClientSession() as client:
        async with client.get(f"{daemon.url}/api/v1/events") as stream:

            async def snapshot() -> dict[str, Any]:
                async with asyncio.timeout(30):
                    kind = ""
                    while True:
                        line = (await stream.content.readline()).decode().rstrip("\n")
                        if line.startswith("event: "):
                            kind = line[7:]
                        elif line.startswith("data: ") and kind == "snapshot":
                            found: dict[str, Any] = json.loads(line[6:])
                            return found

            first = await snapshot()
            edit(files / "config/hall.yaml", "小指挥厅", "新指挥厅")
            edit(files / "config/hall.yaml", "  matrix: {driver", THIRD + "  matrix: {driver")
            await reload(daemon, manager)
            second = await snapshot()
        assert len(second["devices"]) == len(first["devices"]) + 1
        assert second["hall"]["name"]["zh"] == "新指挥厅"
        assert second["boot"] == first["boot"]


async def test_twins_that_end_by_themselves_end_the_daemon_with_a_sentence(tmp_path: Path, files: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        async with running(
            tmp_path / "state", config=files / "config", scenes=files / "scenes", stderr=log.fileno()
        ) as daemon:
            (child,) = children(daemon.process.pid)
            os.kill(child, signal.SIGKILL)
            async with asyncio.timeout(30):
                assert await daemon.process.wait() == 16
    said = (tmp_path / "log").read_text()
    assert "模拟设备意外结束" in said
    assert "Traceback" not in said
    assert lines(tmp_path, "twins_ended")
