"""One small hall behind its API for most tests: devices x and y, scenes duty, conference and emergency."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.apihall import Served, serving
from support.linebox import HandBox, LineBox
from support.rig import scene

SCENES = [
    scene("duty", {"x.a": 1, "x.b": 1, "y.a": 1}, must=("x.a",)),
    scene("conference", {"x.a": 3, "y.a": 3, "y.b": 3}, priority=40, actions=(("x", "ping"),)),
    scene("emergency", {"x.a": 2, "x.b": 2, "y.a": 2}, priority=80, holds=True),
    scene("clear", {"x.c": 5}, layer="manual"),
]


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Served]:
    """The hall, served, with all devices online."""
    async with serving(tmp_path / "state", {"x": HandBox, "y": LineBox}, SCENES) as served:
        yield served
