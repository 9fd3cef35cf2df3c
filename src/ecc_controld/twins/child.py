"""The twins as a child of the daemon: started, asked for their addresses, watched, and taken along at the end."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import aiohttp

from ecc_controld.sdk import Address, EccError

PROGRAM = (sys.executable, "-m", "ecc_controld.twins")
READY_S = 20.0
STOP_S = 5.0
TAIL = 20
ASK = aiohttp.ClientTimeout(total=10)


class TwinsFailed(EccError):
    """The twins could not be started or asked; says why, with what they last wrote to stderr."""


async def twins_at(control_url: str) -> dict[str, Address]:
    """The addresses of running twins by device id; raises TwinsFailed."""
    url = control_url.rstrip("/") + "/twins"
    try:
        async with aiohttp.ClientSession(timeout=ASK) as http, http.get(url, raise_for_status=True) as answer:
            twins = (await answer.json())["twins"]
            return {twin["device"]: parse_address(twin["address"]) for twin in twins}
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        raise TwinsFailed(f"no twins at {url}: {error or type(error).__name__}") from error


def parse_address(text: str) -> Address:
    """`scheme://host:port` as an Address; raises ValueError."""
    parts = urlsplit(text)
    if not parts.scheme or not parts.hostname or parts.port is None:
        raise ValueError(f"expected scheme://host:port, got {text!r}")
    return Address(parts.scheme, parts.hostname, parts.port)


class TwinsProcess:
    """`async with TwinsProcess(config_dir) as twins:` - the twins run inside, and end with the daemon even when
    it is killed: their standard input is a pipe that only the daemon holds.
    """

    def __init__(
        self,
        config_dir: Path,
        *,
        program: Sequence[str] = PROGRAM,
        ready_s: float = READY_S,
        stop_s: float = STOP_S,
    ) -> None:
        self._command = (*program, "--config", str(config_dir), "--until-stdin-closes")
        self._ready_s = ready_s
        self._stop_s = stop_s
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._readers: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None
        self.control_url = ""
        self.addresses: dict[str, Address] = {}

    async def __aenter__(self) -> TwinsProcess:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The child's process id while it is started."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the child and wait until it is ready; raises TwinsFailed, and then no child is left."""
        pipe = asyncio.subprocess.PIPE
        # A session of its own: Ctrl-C in a terminal is for the daemon, which ends the twins last.
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [asyncio.create_task(self._keep_tail(process.stderr))]
        try:
            self.control_url = await self._wait_ready(process, process.stdout)
            self._readers.append(asyncio.create_task(_drain(process.stdout)))
            self.addresses = await twins_at(self.control_url)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the child: SIGTERM, and SIGKILL if it does not listen. Harmless when it has ended."""
        process = self._process
        if process is None:
            return
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
        self._process = None

    async def ended(self) -> str:
        """Wait until the child has ended by itself; returns how, with what it last wrote. Cancel it at will."""
        if self._process is None:
            return "ecc-twins is not running"
        code = await self._process.wait()
        await asyncio.wait(self._readers)
        return self._with_tail(f"ecc-twins ended with code {code}")

    async def _wait_ready(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> str:
        try:
            async with asyncio.timeout(self._ready_s):
                while line := (await stdout.readline()).decode("utf-8", "replace"):
                    if line.startswith("ecc-twins ready "):
                        return line.split()[2]
                await process.wait()
                await asyncio.wait(self._readers)
        except TimeoutError:
            raise TwinsFailed(self._with_tail(f"ecc-twins was not ready within {self._ready_s:g} s")) from None
        raise TwinsFailed(self._with_tail(f"ecc-twins ended with code {process.returncode} before it was ready"))

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
