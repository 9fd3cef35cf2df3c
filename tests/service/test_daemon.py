"""The real daemon under a stand-in for the service manager: what it is told, how often, and when it hears nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from support.daemon import ROOT, running
from support.manager import ManagerEnd

HALL = {"config": ROOT / "tests/support/minihall/config", "scenes": ROOT / "tests/support/minihall/scenes"}


@pytest.fixture
def watched(manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch) -> ManagerEnd:
    """A manager that wants to hear from the daemon within 2 s."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    return manager


async def test_ready_status_watchdog_and_stopping(tmp_path: Path, watched: ManagerEnd) -> None:
    async with running(tmp_path / "state", **HALL) as daemon:
        await watched.until(lambda: watched.count("READY", "1"))
        assert (await daemon.get("/hall"))["mode"] is None, "ready means that the API answers"
        await watched.until(lambda: any("devices 5/5" in line for line in watched.statuses()))
        run = await daemon.apply("duty")
        assert run["verdict"] == "ready"
        await watched.until(lambda: "值班" in watched.statuses()[-1])
        fed = watched.count("WATCHDOG", "1")
        await watched.until(lambda: watched.count("WATCHDOG", "1") >= fed + 4)
        assert watched.count("READY", "1") == 1
    assert watched.read()[-1] == {"STOPPING": "1"}


async def test_a_frozen_daemon_is_silent_and_fed_again_when_it_wakes(tmp_path: Path, watched: ManagerEnd) -> None:
    async with running(tmp_path / "state", **HALL) as daemon:
        await watched.until(lambda: watched.count("WATCHDOG", "1") >= 2)
        daemon.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{daemon.process.pid}/stat")
        await watched.until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")
        silent = len(watched.read())
        daemon.process.send_signal(signal.SIGCONT)
        assert len(watched.read()) == silent
        fed = watched.count("WATCHDOG", "1")
        await watched.until(lambda: watched.count("WATCHDOG", "1") >= fed + 2)
