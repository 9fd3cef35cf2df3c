"""The wheel and the sdist carry every file; an empty environment runs the daemon from the wheel."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*folders: str) -> set[str]:
    """Files of the source tree below the folders, without caches."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                found.add(str(path.relative_to(ROOT)))
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
    )
    return out


def test_the_wheel_carries_every_file(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name.removeprefix("src/") for name in tracked("src")}
    wanted |= {name.removeprefix("drivers/") for name in tracked("drivers/ecc_drivers")}
    wanted |= {f"ecc_controld/sample/{name}" for name in tracked("config", "scenes")}
    assert wanted - names == set()


def test_the_sdist_carries_every_file(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    wanted = tracked("src", "drivers", "config", "scenes", "tests", "docs", "systemd", "deploy") | {
        "Makefile",
        "README.md",
        "LICENSE",
    }
    assert wanted - names == set()


def test_an_empty_environment_runs_the_daemon_from_the_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "5",
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (tmp_path / "work").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    daemon = subprocess.Popen(
        [
            str(home / "bin" / "ecc-controld"),
            "run",
            "--simulate",
            "--state",
            str(tmp_path / "state"),
            "--listen",
            "127.0.0.1:0",
        ],
        cwd=tmp_path / "work",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stdout is not None
        said = ""
        while "http://" not in said:
            line = daemon.stdout.readline()
            assert line, f"the daemon ended before it listened: {said}"
            said += line
        found = re.search(r"http://\S+?/", said)
        assert found is not None
        url = found.group()
        hall = json.load(urllib.request.urlopen(f"{url}api/v1/hall", timeout=5))
        assert hall["simulated"] is True
        page = urllib.request.urlopen(url, timeout=5).read().decode()
        assert "/panel/js/main.js" in page
        urllib.request.urlopen(f"{url}panel/js/main.js", timeout=5)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)
        daemon.stdout.close()
    assert daemon.returncode == 0
    deadline = time.monotonic() + 10
    left = True
    while left and time.monotonic() < deadline:
        left = bool(subprocess.run(["pgrep", "-f", str(home)], capture_output=True, text=True).stdout.strip())
    assert not left, "a twin outlived its daemon"
