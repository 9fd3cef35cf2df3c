"""Whether something keeps the machine's clock right: the kernel's own word, else systemd-timesyncd's file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
TIMESYNC = Path("/run/systemd/timesync/synchronized")


def kernel_clock() -> tuple[bool, float]:
    """Whether the kernel's clock is synchronised, and its greatest error in s. Raises OSError, AttributeError."""
    import ctypes

    data = ctypes.create_string_buffer(256)  # struct timex, all zero: only look
    state = ctypes.CDLL(None, use_errno=True).adjtimex(data)
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state != TIME_ERROR, int.from_bytes(data.raw[24:32], sys.byteorder) / 1e6


def synchronised() -> bool | None:
    """Whether the clock is in step; None where nobody can tell."""
    try:
        return kernel_clock()[0]
    except (OSError, AttributeError, ImportError, MemoryError):
        return True if TIMESYNC.exists() else None
