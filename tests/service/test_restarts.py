"""Socket activation and restarts under load: whoever presses is never refused. ECC_SOAK=1 restarts a hundred times.

`systemd-socket-activate` makes the socket and hands it to a small shell that does what the service manager does:
it starts the daemon again whenever it ends, with the same socket.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from ecc_controld.twins.child import TwinsProcess
from support.daemon import ROOT, command
from support.manager import ManagerEnd

RESTARTS = 100 if os.environ.get("ECC_SOAK") else 4
HALL = ROOT / "tests" / "support" / "minihall"
PRESSERS = 3
MANAGER = """
trap 'test -n "$end" || kill -TERM "$child"; end=1' TERM
while test -z "$end"; do
  sh -c 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"' sh "$@" &
  child=$!
  echo "started $child"
  wait "$child" || wait "$child"
done
"""


@dataclass
class Pressers:
    """Clients that press without a pause, each press on a connection of its own."""

    url: str
    answers: Counter[str] = field(default_factory=Counter)
    keys: itertools.count[int] = field(default_factory=itertools.count)
    crashing: bool = False
    stop: bool = False

    async def press(self, client: aiohttp.ClientSession) -> None:
        """One press; again with the same key where a crash swallowed the answer, as every client does."""
        key, body = f"restart-{next(self.keys)}", {"value": -10.0}
        while True:
            try:
                async with client.put(
                    f"{self.url}/api/v1/points/dsp.mic.1.gain", json=body, headers={"Idempotency-Key": key}
                ) as answer:
                    self.answers[str(answer.status)] += 1
                    return
            except aiohttp.ClientConnectorError as error:
                self.answers[f"refused: {error}"] += 1
                return
            except aiohttp.ClientError as error:
                if self.crashing:
                    self.answers["again"] += 1
                    continue
                self.answers[f"lost: {error!r}"] += 1
                return

    async def run(self) -> None:
        """Press until told to stop."""
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as client:
            while not self.stop:
                await self.press(client)


@dataclass
class Started:
    """The daemon behind the activated socket; `pids` are its lives so far."""

    process: asyncio.subprocess.Process
    url: str
    pids: list[int] = field(default_factory=list)

    async def life(self, number: int) -> int:
        """The process id of a life, counted from 1."""
        async with asyncio.timeout(60):
            while len(self.pids) < number:
                await asyncio.sleep(0.01)
        return self.pids[number - 1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def activated(state: Path, twins: str, manager: ManagerEnd) -> AsyncIterator[Started]:
    port = free_port()
    daemon = command("run", "--config", str(HALL / "config"), "--scenes", str(HALL / "scenes"))
    daemon += ["--state", str(state), "--twins", twins, "--log-level", "warning"]
    process = await asyncio.create_subprocess_exec(
        *("systemd-socket-activate", "-l", f"127.0.0.1:{port}", "-E", f"NOTIFY_SOCKET={manager.address}"),
        *("-E", f"PATH={os.environ['PATH']}", "sh", "-c", MANAGER, "sh", *daemon),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    started = Started(process, f"http://127.0.0.1:{port}")

    async def read(stream: asyncio.StreamReader) -> None:
        while line := (await stream.readline()).decode():
            said.append(line)
            if found := re.match(r"started (\d+)", line):
                started.pids.append(int(found[1]))

    readers = [asyncio.create_task(read(process.stdout)), asyncio.create_task(read(process.stderr))]
    try:
        async with asyncio.timeout(20):
            while not any("Listening on" in line for line in said):
                await asyncio.sleep(0.01)
        yield started
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await asyncio.gather(*readers)
    assert not [line for line in said if "Traceback" in line], said


async def restarts(started: Started, pressers: Pressers, manager: ManagerEnd, how: signal.Signals) -> None:
    """End one life after another while the clients press."""
    tasks = [asyncio.create_task(pressers.run()) for _ in range(PRESSERS)]
    try:
        for number in range(1, RESTARTS + 1):
            pid = await started.life(number)
            await manager.until(lambda n=number: manager.count("READY", "1") >= n, 60)  # type: ignore[misc]
            answered = pressers.answers.total()
            async with asyncio.timeout(60):
                while pressers.answers.total() < answered + 2 * PRESSERS:
                    await asyncio.sleep(0.01)
            os.kill(pid, how)
        await started.life(RESTARTS + 1)
        await manager.until(lambda: manager.count("READY", "1") >= RESTARTS + 1, 60)
    finally:
        pressers.stop = True
        await asyncio.gather(*tasks)


async def run(tmp_path: Path, manager: ManagerEnd, how: signal.Signals, *, crashing: bool) -> dict[str, int]:
    twins = await TwinsProcess.start(HALL / "config")
    try:
        async with activated(tmp_path / "state", twins.control_url, manager) as started:
            pressers = Pressers(started.url, crashing=crashing)
            await restarts(started, pressers, manager, how)
            return dict(pressers.answers)
    finally:
        await twins.stop()


async def test_no_press_is_refused_or_lost_in_a_restart(tmp_path: Path, manager: ManagerEnd) -> None:
    answers = await run(tmp_path, manager, signal.SIGTERM, crashing=False)
    assert set(answers) == {"202"}, answers
    assert answers["202"] > 2 * PRESSERS * RESTARTS
    assert manager.count("STOPPING", "1") >= RESTARTS


async def test_no_press_is_refused_when_the_daemon_is_killed(tmp_path: Path, manager: ManagerEnd) -> None:
    answers = await run(tmp_path, manager, signal.SIGKILL, crashing=True)
    assert set(answers) <= {"202", "again"}, answers
    assert answers["202"] > 2 * PRESSERS * RESTARTS


async def test_the_first_connection_starts_it_and_is_answered(tmp_path: Path, manager: ManagerEnd) -> None:
    twins = await TwinsProcess.start(HALL / "config")
    try:
        async with activated(tmp_path / "state", twins.control_url, manager) as started:
            assert started.pids == []
            async with aiohttp.ClientSession() as client, client.get(f"{started.url}/readyz") as answer:
                body: Any = await answer.json()
                assert (answer.status, body["status"]) == (200, "ok")
            assert len(started.pids) == 1
    finally:
        await twins.stop()
