"""The stand-in for the service manager as fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.manager import ManagerEnd


@pytest.fixture(params=["path", "abstract"])
def any_manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ManagerEnd]:
    """On both kinds of address."""
    path = str(tmp_path / "n") if request.param == "path" else f"@ecc-test-{os.getpid()}-{id(tmp_path)}"
    end = ManagerEnd(path)
    yield end
    end.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ManagerEnd]:
    end = ManagerEnd(str(tmp_path / "n"))
    yield end
    end.close()
