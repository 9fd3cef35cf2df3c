"""Power cuts: an ext4 image on a loop device, copied while its writer is stopped.

What only the page cache of the file system knew is not in the copy, as after a power cut; mounting the copy replays
ext4's own journal. What the block device was given counts as written: a disk that lies about its cache, or tears a
sector, is not simulated.

Where no loop device may be mounted (most containers) the files are copied instead. They come out of the page cache,
so that proves only what a kill proves; the run's summary says which of the two it was.
"""

from __future__ import annotations

import asyncio
import filecmp
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

SIZE = 16 << 20
MOUNT = 'mount -o "$2" "$1" "$0" && echo on && exec cat'
LOST = "written-without-fsync"
# jbd2 shall not commit by itself in the middle of a copy.
OPTIONS = "loop,commit=600"

Seen = tuple[Path, tuple[str, ...]]
told: list[str] = []
"""How the cuts of this run were made, for its summary."""


class Place(ABC):
    """Where the daemon keeps its state, and how its power is cut."""

    honest: bool
    prefix: tuple[str, ...] = ()
    state: Path

    @abstractmethod
    def cut(self, copy: Path) -> None:
        """Copy what a power cut would leave now; the writer is stopped."""

    @abstractmethod
    def after(self, copy: Path, folder: Path) -> AbstractAsyncContextManager[Seen]:
        """The state directory as the next start finds it, and the prefix of programs that shall see it."""


class LoopImage(Place):
    """The honest one."""

    honest = True

    def __init__(self, image: Path, holder: int, inside: Path) -> None:
        self._image = image
        self._outside = Path(f"/proc/{holder}/root{inside}")
        self.prefix = _prefix(holder)
        self.state = inside / "state"

    def cut(self, copy: Path) -> None:
        (self._outside / f"{LOST}-{copy.name}").write_bytes(os.urandom(4096))
        while True:
            shutil.copyfile(self._image, copy)
            if filecmp.cmp(self._image, copy, shallow=False):
                return  # nothing was written meanwhile, so the copy is one moment

    @asynccontextmanager
    async def after(self, copy: Path, folder: Path) -> AsyncIterator[Seen]:
        async with _mounted(copy, folder) as holder:
            lost = Path(f"/proc/{holder}/root{folder}") / f"{LOST}-{copy.name}"
            assert not lost.exists() or lost.stat().st_size == 0, "the copy knows what only the cache knew"
            yield folder / "state", _prefix(holder)


class FilesOnly(Place):
    """What a kill leaves: the fallback."""

    honest = False

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"

    def cut(self, copy: Path) -> None:
        shutil.copytree(self.state, copy)

    @asynccontextmanager
    async def after(self, copy: Path, folder: Path) -> AsyncIterator[Seen]:
        yield copy, ()


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """The best that this machine allows."""
    image, inside = folder / "disk.img", folder / "disk"
    inside.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    try:
        await asyncio.to_thread(subprocess.run, ["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
        mounting = _mounted(image, inside)
        holder = await mounting.__aenter__()
    except (OSError, subprocess.CalledProcessError, CannotMount) as error:
        told.append(f"power cuts: files copied only ({str(error).strip()}): proves what a kill proves")
        yield FilesOnly(folder)
        return
    told.append("power cuts: by copies of a loop-mounted ext4 image")
    try:
        yield LoopImage(image, holder, inside)
    finally:
        await mounting.__aexit__(None, None, None)


def _prefix(holder: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(holder), "--mount", "--")


class CannotMount(Exception):
    """No loop device here."""


@asynccontextmanager
async def _mounted(image: Path, folder: Path) -> AsyncIterator[int]:
    """Mount in a namespace of its own, which ends with the process whose id this gives."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", MOUNT, str(folder), str(image), OPTIONS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if await process.stdout.readline() != b"on\n":
            raise CannotMount((await process.stderr.read()).decode())
        yield process.pid
    finally:
        process.stdin.close()
        await process.communicate()
