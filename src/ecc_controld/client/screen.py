"""Standard output for people."""

from __future__ import annotations

import os
import sys

from rich.console import Console

PIPE_WIDTH = 200
"""The width of tables in a pipe, where no line should fold."""


def console() -> Console:
    """A console without markup, so that a name in brackets stays a name."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)
