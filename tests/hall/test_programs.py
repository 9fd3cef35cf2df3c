"""The command line: one sentence and a distinct exit code for everything that keeps the daemon from starting."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.daemon import ROOT, command, running


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=60, cwd=ROOT)


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "scenes", tmp_path / "scenes")
    return tmp_path


def test_check_accepts_the_sample_hall() -> None:
    done = run("check", "--config", "config", "--scenes", "scenes")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_every_error_with_its_place(hall: Path) -> None:
    scene = hall / "scenes" / "duty.yaml"
    lines = scene.read_text(encoding="utf-8").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("mode:"))
    lines[at] = "moed: duty"
    scene.write_text("\n".join([*lines, "nonsense: 1", ""]), encoding="utf-8")
    done = run("check", "--config", str(hall / "config"), "--scenes", str(hall / "scenes"))
    assert done.returncode == 2
    assert f"{scene}:{at + 1}:1: " in done.stderr
    assert "mode" in done.stderr
    assert f"{scene}:{len(lines) + 1}:1: " in done.stderr


def test_an_invalid_hall_does_not_start(hall: Path) -> None:
    (hall / "config" / "zz.yaml").write_text("devices: {x: {driver: pjlnk}}\n", encoding="utf-8")
    done = run(
        "run",
        "--simulate",
        "--config",
        str(hall / "config"),
        "--scenes",
        str(hall / "scenes"),
        "--state",
        str(hall / "s"),
    )
    assert done.returncode == 2
    assert "zz.yaml:1:" in done.stderr
    assert not (hall / "s").exists()


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("run", "--simulate", "--state", str(tmp_path / "s"), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 10
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_loopback_may_be_listened_on_without_accounts(tmp_path: Path) -> None:
    done = run("run", "--simulate", "--state", str(tmp_path / "s"), "--listen", "0.0.0.0:0")
    assert done.returncode == 2
    assert "loopback" in done.stderr


async def test_state_of_another_kind_or_taken_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "s"
    async with running(state):
        second = run("run", "--simulate", "--state", str(state), "--listen", "127.0.0.1:0")
        assert second.returncode == 14
        assert "Traceback" not in second.stderr
    live = tmp_path / "live"
    shutil.copytree(ROOT / "config", live)
    done = run("run", "--config", str(_without_secrets(live)), "--state", str(state), "--listen", "127.0.0.1:0")
    assert done.returncode == 11
    assert "模拟" in done.stderr


def _without_secrets(config: Path) -> Path:
    """The sample hall for a live start: every credential it names exists."""
    folder = config / "secrets"
    folder.mkdir()
    for path in config.glob("*.yaml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith("secret:"):
                secret = folder / line.split(":", 1)[1].strip()
                secret.write_text("x", encoding="utf-8")
                secret.chmod(0o600)
    return config


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take rights away from a child")
def test_a_state_directory_without_rights_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    done = run("run", "--simulate", "--state", str(path / "s"), "--listen", "127.0.0.1:0")
    assert done.returncode in (12, 15)
    assert "Traceback" not in done.stderr
