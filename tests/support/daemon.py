"""The real daemon as a child process, and a small client for it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
START_S = 40.0


class Daemon:
    """A running daemon: its URL, its process, and the API as coroutines."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.url = url
        self._client = client

    async def get(self, path: str) -> Any:
        """A GET below /api/v1 that must succeed."""
        async with self._client.get(f"{self.url}/api/v1{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Any request below /api/v1: status and document."""
        async with self._client.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def apply(self, scene: str, *, wait: int = 120, stand_down: bool = False) -> dict[str, Any]:
        """Activate a scene and wait until it is closed; returns the whole card."""
        body = {"stand_down": stand_down}
        status, answer = await self.ask("POST", f"/scenes/{scene}/activate?wait={wait}", body)
        assert status in (200, 202), answer
        async with asyncio.timeout(wait):
            while True:
                card: dict[str, Any] = await self.get(f"/runs/{answer['run']['id']}")
                if card["state"] == "closed":
                    return card
                await asyncio.sleep(0.1)

    async def until(self, path: str, true: Any, seconds: float = 30.0) -> Any:
        """Poll a GET until `true(answer)`."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.get(path)
                if true(found):
                    return found
                await asyncio.sleep(0.1)

    async def online(self, seconds: float = 40.0) -> None:
        """Wait until every device is online."""
        await self.until("/devices", lambda d: all(one["link"] == "online" for one in d["devices"]), seconds)

    async def twin(self, method: str, path: str, body: object = None) -> Any:
        """The twins' control API."""
        hall = await self.get("/hall")
        async with self._client.request(method, f"{hall['twins']}{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json(content_type=None)


def command(*args: str) -> list[str]:
    """The command line of the daemon under test."""
    return [sys.executable, "-m", "ecc_controld", *args]


@asynccontextmanager
async def running(
    state: Path,
    *args: str,
    config: Path = ROOT / "config",
    scenes: Path = ROOT / "scenes",
    port: int = 0,
    prefix: tuple[str, ...] = (),
    stderr: int | None = None,
) -> AsyncIterator[Daemon]:
    """Start the daemon (default: the sample hall, simulated) and end it afterwards, by force if need be.

    `prefix`: a program that starts it in its own place (`nsenter ...`).
    """
    kind = args or ("--simulate",)
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *command("run", "--config", str(config), "--scenes", str(scenes), "--state", str(state)),
        "--listen",
        f"127.0.0.1:{port}",
        *kind,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    reader: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_S):
            said = ""
            while (found := re.search(r"http://\S+?(?=/\s)", said)) is None:
                line = await process.stdout.readline()
                assert line, f"the daemon ended before it listened: {said}"
                said += line.decode()
        reader = asyncio.create_task(_drain(process.stdout))
        async with aiohttp.ClientSession() as client:
            yield Daemon(process, found.group(), client)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if reader is not None:
            await reader


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass
