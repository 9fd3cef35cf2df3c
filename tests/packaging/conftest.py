"""One wheelhouse for all tests of installations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.deploying import OWN, ROOT, Run


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a program without any setting of pip of this machine; its output is in what it returns."""

    def work(*command: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            env={**kept, "PIP_CONFIG_FILE": os.devnull, **environment},
            cwd=ROOT,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return work


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheelhouse` makes, for this Python too if it is another one."""
    out = tmp_path_factory.mktemp("house") / "wheelhouse"
    pythons = sorted({"3.11", "3.12", OWN})
    command = [sys.executable, "deploy/wheelhouse.py", "--out", str(out), *(f"--python={one}" for one in pythons)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return out
