"""Room kept for the next start: SQLite cannot open a journal without room for its index of the log.

A hall whose disk ran full must come back after a restart. So a file of half a megabyte lies beside the journal; a
start that finds no room gives it up, and a start that finds room again puts it back.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .home import sync_directory

FILE = "journal.reserve"
SIZE = 512 << 10


def give_up(home: Path) -> bool:
    """Free the reserve; False if there was none."""
    try:
        (home / FILE).unlink()
        sync_directory(home)
    except OSError:
        return False
    return True


def keep(home: Path) -> None:
    """See to it that the reserve is there, if there is room; a disk without room is told by others."""
    path = home / FILE
    with contextlib.suppress(OSError):
        if path.stat().st_size == SIZE:
            return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, SIZE)
        finally:
            os.close(fd)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
