"""Small disks that can be filled: a tmpfs in a mount namespace of its own.

Root is not needed where user namespaces are allowed. Nothing is mounted in the machine's own tree, and the disk is
gone with the process that holds the namespace, however the test ends. A container that allows neither has a small
tmpfs of its own at /dev/shm, which is taken then.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

MOUNT = 'mount -t tmpfs -o size="$1",mode=700 none "$0" && echo on && exec cat'


SHM = Path("/dev/shm")
SMALL = 256 << 20


class NoDisk(Exception):
    """This machine lets nobody mount, and has no small tmpfs either; the text says what was tried."""


class SmallDisk:
    """`inside` is the path for a program started with `prefix`; `outside` is the same place for us."""

    def __init__(self, inside: Path, outside: Path, prefix: tuple[str, ...]) -> None:
        self.inside = inside
        self.outside = outside
        self.prefix = prefix

    @classmethod
    def of(cls, holder: int, inside: Path, *, as_user: bool) -> SmallDisk:
        """The disk in the namespaces of a process."""
        user = ("--user", "--preserve-credentials") if as_user else ()
        prefix = ("nsenter", "--target", str(holder), "--mount", *user, "--")
        return cls(inside, Path(f"/proc/{holder}/root{inside}"), prefix)

    def fill(self) -> None:
        """Leave no byte of room."""
        fd = os.open(self.outside / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        os.write(fd, b"\0" * size)
                except OSError:
                    continue
        finally:
            os.close(fd)

    def make_room(self) -> None:
        """Somebody cleans up."""
        (self.outside / "filler").unlink()


@asynccontextmanager
async def small_disk(folder: Path, size: int) -> AsyncIterator[SmallDisk]:
    """A tmpfs of `size` bytes at `folder`, which must exist. Raises NoDisk."""
    as_user = os.geteuid() != 0
    who = ("--user", "--map-root-user") if as_user else ()
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", *who, "sh", "-c", MOUNT, str(folder), str(size)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if await process.stdout.readline() == b"on\n":
            yield SmallDisk.of(process.pid, folder, as_user=as_user)
        else:
            with _shared_memory((await process.stderr.read()).decode()) as found:
                yield found
    finally:
        process.stdin.close()
        await process.communicate()


@contextmanager
def _shared_memory(why_not: str) -> Iterator[SmallDisk]:
    if not SHM.is_dir() or shutil.disk_usage(SHM).total > SMALL:
        raise NoDisk(f"{why_not.strip()}; and {SHM} is too big to be filled")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield SmallDisk(Path(folder), Path(folder), ())
