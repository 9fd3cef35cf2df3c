"""The twins as a child of the daemon: started, asked for their addresses, watched, and taken along at the end."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from ecc_controld.sdk import Address, EccError, Text

PROGRAM = (sys.executable, "-m", "ecc_controld.twins")
READY_S = 20.0
STOP_S = 5.0
TAIL = 20
ASK = aiohttp.ClientTimeout(total=10)


class TwinsError(EccError):
    """The twins do not run. `text` says why; without Chinese (what a child printed) both halves are the same."""

    def __init__(self, en: str, zh: str = "") -> None:
        super().__init__(en)
        self.text = Text(zh or en, en)


async def twins_at(control_url: str) -> dict[str, Address]:
    """The addresses of running twins by device id; raises TwinsError."""
    return await _ask("GET", control_url.rstrip("/") + "/twins")


async def reload_twins(control_url: str) -> dict[str, Address]:
    """Let running twins read their configuration anew; their addresses by device id. Raises TwinsError."""
    return await _ask("POST", control_url.rstrip("/") + "/reload")


async def _ask(method: str, url: str) -> dict[str, Address]:
    try:
        async with aiohttp.ClientSession(timeout=ASK) as http, http.request(method, url) as answer:
            if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                raise TwinsError(str((await answer.json(content_type=None))["detail"]))
            answer.raise_for_status()
            twins = (await answer.json())["twins"]
            return {twin["device"]: parse_address(twin["address"]) for twin in twins}
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        why = f"{error or type(error).__name__}"
        raise TwinsError(
            f"no twins at {url}: {why}", f"{url} 没有模拟设备应答（{type(error).__name__}）"
        ) from error


def parse_address(text: str) -> Address:
    """`scheme://host:port` as an Address; raises ValueError."""
    parts = urlsplit(text)
    if not parts.scheme or not parts.hostname or parts.port is None:
        raise ValueError(f"expected scheme://host:port, got {text!r}")
    return Address(parts.scheme, parts.hostname, parts.port)


class TwinsProcess:
    """A child that was started with `start`. It ends with the daemon even when that is killed: its standard
    input is a pipe that only the daemon holds.
    """

    def __init__(self, process: asyncio.subprocess.Process, stop_s: float) -> None:
        self._process = process
        self._stop_s = stop_s
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._readers: list[asyncio.Task[None]] = []
        self.control_url = ""
        self.addresses: dict[str, Address] = {}

    @classmethod
    async def start(
        cls,
        config_dir: Path,
        *,
        program: Sequence[str] = PROGRAM,
        ready_s: float = READY_S,
        stop_s: float = STOP_S,
    ) -> TwinsProcess:
        """Start the child and wait until it is ready; raises TwinsError, and then no child is left."""
        pipe = asyncio.subprocess.PIPE
        command = (*program, "--config", str(config_dir), "--until-stdin-closes")
        # A session of its own: Ctrl-C in a terminal is for the daemon, which ends the twins last.
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise TwinsError(
                f"{command[0]} cannot be started: {error.strerror}", f"无法运行 {command[0]}：{error.strerror}"
            ) from error
        twins = cls(process, stop_s)
        try:
            await twins._begin(ready_s)
        except BaseException:
            await twins.stop()
            raise
        return twins

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End the child: SIGTERM, and SIGKILL if it does not listen. Harmless when it has ended."""
        process = self._process
        try:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(self._stop_s):
                await process.wait()
        except ProcessLookupError:
            pass
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
        await process.wait()
        await asyncio.gather(*self._readers)
        assert process.stdin is not None
        process.stdin.close()

    async def ended(self) -> str:
        """Wait until the child has ended by itself; returns how, with what it last wrote. Cancel it at will."""
        code = await self._process.wait()
        await asyncio.wait(self._readers)
        return self._with_tail(f"ecc-twins ended with code {code}")

    async def _begin(self, ready_s: float) -> None:
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        self._readers.append(asyncio.create_task(self._keep_tail(stderr)))
        self.control_url = await self._wait_ready(stdout, ready_s)
        self._readers.append(asyncio.create_task(_drain(stdout)))
        self.addresses = await twins_at(self.control_url)

    async def _wait_ready(self, stdout: asyncio.StreamReader, ready_s: float) -> str:
        try:
            async with asyncio.timeout(ready_s):
                while line := await _line(stdout):
                    words = line.decode("utf-8", "replace").split()
                    if words[:2] == ["ecc-twins", "ready"]:
                        return words[2]
                how = await self.ended()
        except TimeoutError:
            en = self._with_tail(f"ecc-twins was not ready within {ready_s:g} s")
            raise TwinsError(en, self._with_tail(f"ecc-twins 在 {ready_s:g} 秒内没有就绪")) from None
        raise TwinsError(f"before it was ready {how}", f"就绪之前已结束：{how}")

    def _with_tail(self, sentence: str) -> str:
        return "\n".join((sentence, *self._tail))

    async def _keep_tail(self, stderr: asyncio.StreamReader) -> None:
        while line := await _line(stderr):
            self._tail.append(line.decode("utf-8", "replace").rstrip())


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or as much of an endless one as the buffer holds; empty at the end."""
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line too long to show)"


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(4096):
        pass
