"""The journal's disk is full: the emergency press still switches the hall, other presses are refused with the reason,
people are told, and everything is durable again by itself. The same for a start on a full disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from chaos.disks import SmallDisk, small_disk
from chaos.world import WANTS, daemon_at, kill, points, press, refused_start, settled, twins_running
from support.daemon import Daemon

SIZE = 16 << 20
TOLD_S = 10.0
"""An alarm must be there after so long."""


@asynccontextmanager
async def alarms_of(daemon: Daemon) -> AsyncIterator[list[dict[str, Any]]]:
    """The alarm events of the stream, as they come."""
    found: list[dict[str, Any]] = []

    async def listen(answer: aiohttp.ClientResponse) -> None:
        kind = b""
        async for line in answer.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip()
            elif line.startswith(b"data: ") and kind == b"alarm":
                found.append(json.loads(line[6:]))

    async with (
        aiohttp.ClientSession(read_bufsize=1 << 20) as client,
        client.get(f"{daemon.url}/api/v1/events") as answer,
    ):
        assert answer.status == 200
        task = asyncio.create_task(listen(answer))
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def standing(daemon: Daemon, code: str, there: bool, seconds: float) -> dict[str, Any]:
    """Wait until an alarm stands, or does not."""

    def has(found: dict[str, Any]) -> bool:
        return any(alarm["code"] == code for alarm in found["alarms"]) == there

    answer: dict[str, Any] = await daemon.until("/alarms", has, seconds)
    return answer


async def refused_for_want_of_room(daemon: Daemon, method: str, path: str, body: object) -> None:
    status, problem = await daemon.ask(method, path, body)
    assert (status, problem["code"]) == (503, "disk_full"), problem
    assert "磁盘" in json.dumps(problem, ensure_ascii=False)
    assert "disk" in json.dumps(problem)


async def test_a_full_disk_never_stops_an_emergency(tmp_path: Path) -> None:
    async with twins_running() as twins, small_disk(tmp_path, SIZE) as disk:
        state = disk.inside / "state"
        async with daemon_at(state, twins, disk.prefix) as daemon, alarms_of(daemon) as told:
            await daemon.online()
            assert (await press(daemon, "duty", "duty"))[0] == 202
            await settled(daemon, WANTS["duty"])
            assert (await daemon.get("/alarms"))["alarms"] == []
            disk.fill()
            await standing(daemon, "disk_low", True, TOLD_S)  # nobody has pressed anything yet

            before = await twins.mark()
            await refused_for_want_of_room(daemon, "PUT", "/points/matrix.out.9", {"value": "33"})
            await standing(daemon, "disk_full", True, TOLD_S)
            assert not any((await twins.commands(before)).values())
            assert (await points(daemon))["matrix.out.9"]["want"] is None

            status, answer = await press(daemon, "emergency", "alarm")
            assert status == 202
            await settled(daemon, WANTS["emergency"])
            run = await daemon.until(f"/runs/{answer['run']['id']}", lambda card: card["state"] == "closed", 20)
            assert run["verdict"] == "ready"

            await refused_for_want_of_room(daemon, "POST", "/scenes/duty/activate", {"stand_down": True})
            hall = await daemon.get("/hall")
            assert (hall["scene"], hall["run"]) == ("emergency", run["id"])
            await settled(daemon, WANTS["emergency"])
            assert {"disk_low", "disk_full"} <= {alarm["code"] for alarm in told if not alarm["cleared"]}

            disk.make_room()
            await standing(daemon, "disk_full", False, 20)
            await standing(daemon, "disk_low", False, 20)
            assert {"disk_low", "disk_full"} <= {alarm["code"] for alarm in told if alarm["cleared"]}
            assert (await daemon.ask("PUT", "/points/matrix.out.9", {"value": "34"}))[0] == 202
            await kill(daemon)

        # What was not durable then is durable now.
        before = await twins.mark()
        async with daemon_at(state, twins, disk.prefix) as daemon:
            await daemon.online()
            hall = await daemon.get("/hall")
            assert (hall["scene"], hall["run"]) == ("emergency", run["id"])
            await settled(daemon, {**WANTS["emergency"], "matrix.out.9": "34"})
            status, again = await press(daemon, "emergency", "alarm")
            assert status in (200, 202)
            assert again["run"]["id"] == run["id"], "the key of the press is known"
            assert (again["run"]["verdict"], again["run"]["resumed"]) == ("ready", False)
            told_again = await twins.commands(before)
            assert all("8 33" not in text for text in told_again["matrix"])
            assert not any(told_again[device] for device in ("tv1", "tv2", "dsp"))


async def test_a_start_on_a_full_disk_serves_the_hall(tmp_path: Path) -> None:
    async with twins_running() as twins, small_disk(tmp_path, SIZE) as disk:
        state = disk.inside / "state"
        async with daemon_at(state, twins, disk.prefix) as daemon:
            await daemon.online()
            assert (await press(daemon, "duty", "duty"))[0] == 202
            await settled(daemon, WANTS["duty"])
        assert sorted(path.name for path in (disk.outside / "state").iterdir()) == [
            "journal.db",
            "journal.lock",
            "journal.reserve",
            "stamp",
        ]
        disk.fill()
        async with daemon_at(state, twins, disk.prefix) as daemon:
            await daemon.online()
            assert (await daemon.get("/hall"))["scene"] == "duty"
            await standing(daemon, "disk_low", True, TOLD_S)
            fill_what_the_start_gave_up(disk)
            await refused_for_want_of_room(daemon, "PUT", "/points/matrix.out.9", {"value": "33"})
            assert (await press(daemon, "emergency", "alarm"))[0] == 202
            await settled(daemon, WANTS["emergency"])

        # Nothing is left to give up: the start says so, and says what to do.
        for path in (disk.outside / "state").glob("journal.db-*"):
            path.unlink()
        disk.fill()
        code, said = await refused_start(state, twins, disk.prefix)
        assert code == 15
        assert "磁盘已满" in said
        assert "The disk is full" in said
        assert "Traceback" not in said

        disk.make_room()
        async with daemon_at(state, twins, disk.prefix) as daemon:
            await daemon.online()
            await settled(daemon, WANTS["duty"])
        assert (disk.outside / "state" / "journal.reserve").exists(), "it is kept again"


def fill_what_the_start_gave_up(disk: SmallDisk) -> None:
    """The log file that was not deleted goes on growing into the reserve, or somebody else does."""
    assert not (disk.outside / "state" / "journal.reserve").exists()
    disk.fill()
