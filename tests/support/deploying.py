"""What tests of installations share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = f"3.{sys.version_info[1]}"
"""The Python of this run."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a program; fails the test unless it ends with `code`."""
