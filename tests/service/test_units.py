"""The units in systemd/: what systemd-analyze says of them, and what the daemon relies on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.daemon import ROOT

UNITS = ROOT / "systemd"
HOST = next(path for path in (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")) if path.is_dir())
PROGRAMS = ("opt/ecc-controld/bin/ecc-controld", "opt/ecc-controld/bin/eccctl", "usr/bin/kill", "usr/bin/cage")
KINDS = (".service", ".socket", ".timer")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with systemd's own units, ours, and the programs that ours start."""
    (tmp_path / "usr/lib/systemd").mkdir(parents=True)
    shutil.copytree(HOST, tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    ours = tmp_path / "etc/systemd/system"
    ours.mkdir(parents=True)
    for unit in UNITS.iterdir():
        if unit.suffix in KINDS:
            shutil.copy(unit, ours)
    for name in PROGRAMS:
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    names = sorted(unit.name for unit in UNITS.iterdir() if unit.suffix in KINDS)
    return subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "--recursive-errors=yes", "--man=no", *names],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_unit_is_clean(root: Path) -> None:
    done = verify(root)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WatchdogSec=10", "WatchdogSecs=10"),
        ("/bin/ecc-controld run", "/bin/ecc-control run"),
        ("DevicePolicy=closed", "DevicePolicy=shut"),
        ("Requires=ecc-controld.socket", "Requires=ecc-other.socket"),
    ],
)
def test_a_mistake_in_a_unit_would_be_seen(root: Path, before: str, after: str) -> None:
    unit = root / "etc/systemd/system/ecc-controld.service"
    text = unit.read_text()
    assert before in text
    unit.write_text(text.replace(before, after))
    done = verify(root)
    assert done.returncode != 0 or done.stderr


def exposure(unit: Path) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


@pytest.mark.parametrize("name", ["ecc-controld.service", "ecc-controld-backup.service"])
def test_exposure_is_at_most_two(name: str) -> None:
    assert exposure(UNITS / name) <= 2.0


def read(name: str) -> dict[str, list[str]]:
    """Every setting of a unit with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            found.setdefault(key, []).append(value)
    return found


def test_the_daemon_is_watched_and_always_started_again() -> None:
    unit = read("ecc-controld.service")
    wanted = {
        "Type": "notify",
        "WatchdogSec": "10",
        "Restart": "always",
        "RestartSec": "1",
        "StartLimitIntervalSec": "0",
        "StateDirectoryMode": "0700",
    }
    assert {key: unit[key] for key in wanted} == {key: [value] for key, value in wanted.items()}
    check, hangup = unit["ExecReload"]
    assert " check " in check
    assert hangup == "kill -HUP $MAINPID"
    folders = re.findall(r"--(?:config|scenes) \S+", check)
    assert folders == re.findall(r"--(?:config|scenes) \S+", unit["ExecStart"][0])


def test_the_socket_is_one_that_the_daemon_takes() -> None:
    (stream,) = read("ecc-controld.socket")["ListenStream"]
    assert stream == "127.0.0.1:8080"


def test_no_unit_names_a_file_that_nobody_makes() -> None:
    made = (UNITS / "tmpfiles.conf").read_text(encoding="utf-8")
    assert "/etc/ecc-controld/secrets 0700" in made
    assert read("ecc-controld.service")["LoadCredential"] == ["ecc:/etc/ecc-controld/secrets"]
    assert "/var/backups/ecc-controld 0700 ecc-controld" in made
    assert read("ecc-controld-backup.service")["ReadWritePaths"][0].split()[0] == "/var/backups/ecc-controld"


def test_users_and_folders_are_made_in_an_empty_root(root: Path) -> None:
    (root / "etc/group").write_text("root:x:0:\ndialout:x:20:\nvideo:x:44:\ninput:x:104:\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    for program, name in (("systemd-sysusers", "sysusers.conf"), ("systemd-tmpfiles", "tmpfiles.conf")):
        more = ["--create"] if program == "systemd-tmpfiles" else []
        done = subprocess.run(
            [program, f"--root={root}", *more, str(UNITS / name)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    users = (root / "etc/passwd").read_text()
    assert "\necc-controld:" in users
    assert "\necc-kiosk:" in users
    groups = dict(re.findall(r"^([\w-]+):.*:([\w,-]*)$", (root / "etc/group").read_text(), re.MULTILINE))
    assert "ecc-controld" in groups["dialout"]
    assert (root / "etc/ecc-controld/secrets").stat().st_mode & 0o777 == 0o700
    assert (root / "var/backups/ecc-controld").stat().st_mode & 0o777 == 0o700


def test_serial_adapters_are_for_the_daemons_group() -> None:
    rules = (UNITS / "70-ecc-controld-serial.rules").read_text(encoding="utf-8")
    assert 'GROUP="dialout", MODE="0660"' in rules
    labels = set(re.findall(r'LABEL="(\w+)"', rules))
    assert set(re.findall(r'GOTO="(\w+)"', rules)) <= labels
    assert read("ecc-controld.service")["SupplementaryGroups"] == ["dialout"]
