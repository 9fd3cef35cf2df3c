"""Twins as a process of their own, daemons that come and go beside them, and what the twins were told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp

from ecc_controld.control.stamp import rfc3339
from support.daemon import Daemon, command, running

HERE = Path(__file__).parent
CONFIG = HERE / "hall" / "config"
SCENES = HERE / "hall" / "scenes"
SOAK = "ECC_SOAK" in os.environ
SEED = int(os.environ.get("ECC_SEED", "20261125"))

WANTS: Mapping[str, Mapping[str, object]] = {
    "emergency": {
        "tv1.power": True,
        "tv2.power": True,
        "matrix.out.1": "3",
        "matrix.out.2": "4",
        "matrix.out.3": "5",
        "dsp.mic.1.mute": False,
        "dsp.mic.1.gain": -10.0,
        "cam1.power": True,
        "cam1.preset": "overview",
    },
    "duty": {
        "tv1.power": True,
        "tv2.power": False,
        "matrix.out.1": "1",
        "matrix.out.2": "2",
        "matrix.out.3": "3",
        "dsp.mic.1.mute": True,
        "dsp.mic.1.gain": -20.0,
        "cam1.power": True,
        "cam1.preset": "parked",
    },
}
"""What the two scene files want, written down a second time: the tests do not ask the daemon what is right."""

DEVICES = ("tv1", "tv2", "matrix", "dsp", "cam1")


COMMANDS = {
    "tv1": r"%\d[A-Z0-9]{4} [^?\r]+",
    "tv2": r"%\d[A-Z0-9]{4} [^?\r]+",
    "matrix": r"VIDEO OUTPUT (?:ROUTING|LOCKS):\n\d[^:]*",
    "dsp": r'"method": ?"(?:(?:Control|Component)\.Set|Snapshot\.Load)"[^\0]*',
}


def commands_in(device: str, entry: Mapping[str, str]) -> list[str]:
    """What this entry of a twin's log tells the device to do; nothing for questions, logins and answers."""
    if entry["from"] != "daemon":
        return []
    if device == "cam1":
        return _visca(bytes.fromhex(entry["hex"]))
    return [found.strip() for found in re.findall(COMMANDS[device], entry["text"])]


def _visca(data: bytes) -> list[str]:
    """A command on the camera's socket: not a question, not the clearing of its interface."""
    command = data[:2] == b"\x01\x00" and data[8:] != b"\x81\x01\x00\x01\xff"
    return [data[8:].hex()] if command else []


class Twins:
    """The control API of the running twins."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.url = url
        self._client = client

    async def log(self, device: str) -> list[dict[str, Any]]:
        """Everything said on the sockets of one twin."""
        async with self._client.get(f"{self.url}/twins/{device}/log") as answer:
            assert answer.status == 200, await answer.text()
            found: list[dict[str, Any]] = (await answer.json())["log"]
            return found

    async def poke(self, device: str, point: str, value: object) -> None:
        """Somebody turns a knob at the device itself."""
        body = {"point": point, "value": value}
        async with self._client.post(f"{self.url}/twins/{device}/poke", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def mark(self) -> dict[str, float]:
        """This moment in each twin's log."""
        return {device: max([-1.0, *(one["t"] for one in await self.log(device))]) for device in DEVICES}

    async def commands(self, since: Mapping[str, float] | None = None) -> dict[str, list[str]]:
        """What each device was told to do after the mark."""
        told: dict[str, list[str]] = {}
        for device in DEVICES:
            entries = [one for one in await self.log(device) if since is None or one["t"] > since[device]]
            told[device] = [text for one in entries for text in commands_in(device, one)]
        return told

    async def polled_since(self, mark: Mapping[str, float], seconds: float = 20.0) -> None:
        """Wait until every device was asked something after the mark, and answered it."""
        async with asyncio.timeout(seconds):
            for device in DEVICES:
                while not any(one["from"] == "twin" and one["t"] > mark[device] for one in await self.log(device)):
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def twins_running() -> AsyncIterator[Twins]:
    """Start the quick twins; they outlive every daemon of the test."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "quick_twins.py"), "--config", str(CONFIG), "--until-stdin-closes"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+", line)
        assert found, line
        async with aiohttp.ClientSession() as client:
            yield Twins(process, found.group(), client)
    finally:
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()


def daemon_at(state: Path, twins: Twins, prefix: tuple[str, ...] = ()) -> AbstractAsyncContextManager[Daemon]:
    """The real daemon on these twins."""
    return running(state, "--twins", twins.url, config=CONFIG, scenes=SCENES, prefix=prefix)


async def refused_start(state: Path, twins: Twins, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    """A start that must fail: exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *command("run", "--config", str(CONFIG), "--scenes", str(SCENES), "--state", str(state)),
        *("--twins", twins.url, "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def kill(daemon: Daemon) -> None:
    """SIGKILL, and wait until it is dead."""
    daemon.process.kill()
    await daemon.process.wait()


async def press(daemon: Daemon, scene: str, key: str, *, wall: float | None = None) -> tuple[int, Any]:
    """A press of a scene with its key; `wall`: when the person pressed."""
    headers = {"Idempotency-Key": key}
    if wall is not None:
        headers["Pressed-At"] = rfc3339(wall)
    return await daemon.ask("POST", f"/scenes/{scene}/activate", {"stand_down": True}, **headers)


async def points(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """All points by name."""
    return {one["point"]: one for one in (await daemon.get("/points"))["points"]}


async def noted(state: Path, names: Iterable[str], seconds: float = 10.0) -> None:
    """Wait until the journal knows that these points are held: it is told lazily."""
    async with asyncio.timeout(seconds):
        while not set(names) <= set(_held(state)):
            await asyncio.sleep(0.05)


def _held(state: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True)) as con:
        return [key for (key,) in con.execute("SELECT key FROM puts WHERE kind = 'life'")]


def as_wanted(found: Any, wants: Mapping[str, object]) -> bool:
    """All these points are wanted so, and proved so by a reading."""
    by_name = {one["point"]: one for one in found["points"]}
    return all(
        by_name[name]["want"] == value and by_name[name]["as_wanted"] and by_name[name]["evidence"] == "read_back"
        for name, value in wants.items()
    )


async def settled(daemon: Daemon, wants: Mapping[str, object], seconds: float = 40.0) -> None:
    """Wait until the hall is proved to be as these wants say."""
    try:
        await daemon.until("/points", lambda found: as_wanted(found, wants), seconds)
    except TimeoutError:
        now = await points(daemon)
        wrong = {
            name: {key: now[name][key] for key in ("want", "got", "as_wanted", "outcome", "evidence")}
            for name, value in wants.items()
            if now[name]["want"] != value or not now[name]["as_wanted"] or now[name]["evidence"] != "read_back"
        }
        raise AssertionError(json.dumps(wrong, ensure_ascii=False)) from None
