"""The wheelhouse is whole: an installation from it needs no other place, on either kind of machine."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
import venv
from pathlib import Path

import pytest

from support.deploying import Run

PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")


def resolve(run: Run, folder: Path, machine: str, python: str, code: int = 0) -> set[str]:
    """What pip would install from this folder alone on such a machine."""
    done = run(
        sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-index", "--only-binary=:all:",
        f"--find-links={folder}", *(f"--platform={libc}_{machine}" for libc in PLATFORMS), "--implementation=cp",
        f"--python-version={python}", f"--target={folder / 'none'}", "ecc-controld", code=code,
    )  # fmt: skip
    return set(re.findall(r"(\S+)-[0-9][^\s-]*(?=\s|$)", done.stdout.partition("Would install")[2]))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_it_is_complete(run: Run, wheelhouse: Path, machine: str, python: str) -> None:
    found = resolve(run, wheelhouse / machine, machine, python)
    assert {"ecc-controld", "aiohttp", "pydantic-core", "PyYAML", "structlog", "prometheus_client"} <= {
        name if name in ("PyYAML", "prometheus_client") else name.replace("_", "-") for name in found
    }


def test_a_missing_wheel_would_be_noticed(run: Run, wheelhouse: Path, tmp_path: Path) -> None:
    folder = tmp_path / "aarch64"
    shutil.copytree(wheelhouse / "aarch64", folder)
    next(folder.glob("pydantic_core-*-cp312-*")).unlink()
    resolve(run, folder, "aarch64", "3.11")
    resolve(run, folder, "aarch64", "3.12", code=1)


def test_the_checksums_are_those_of_the_files(wheelhouse: Path) -> None:
    for folder in wheelhouse.iterdir():
        lines = (folder / "SHA256SUMS").read_text().splitlines()
        listed = dict(reversed(line.split("  ", 1)) for line in lines)
        assert {path.name for path in folder.glob("*.whl")} == set(listed)
        for name, sum_ in listed.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sum_


def test_it_installs_here_without_an_index(run: Run, wheelhouse: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    folder = wheelhouse / platform.machine()
    run(home / "bin" / "python", "-m", "pip", "install", "--no-index", f"--find-links={folder}", "ecc-controld")
    said = run(home / "bin" / "ecc-controld", "--version").stdout.strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", said)
    config = Path(__file__).resolve().parents[1] / "support" / "minihall"
    run(home / "bin" / "eccctl", "check", "--config", config / "config", "--scenes", config / "scenes")
