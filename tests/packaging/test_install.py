"""`make install` into a DESTDIR, again over itself, and `make uninstall`."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from support.deploying import OWN, ROOT, Run


def make(run: Run, verb: str, root: Path, wheelhouse: Path, *more: str) -> str:
    """make itself; its own environment is this one, so that it is not made anew."""
    pretend = root.parent / "venv"
    return run(
        "make", verb, f"DESTDIR={root}", f"WHEELHOUSE={wheelhouse / platform.machine()}", f"VENV={pretend}",
        f"BIN={Path(sys.executable).parent}", f"--assume-old={pretend}/.dev", *more,
    ).stdout  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def units(root: Path, lib: str) -> set[str]:
    """Names of everything that came from systemd/."""
    return {path.name for path in (root / lib).rglob("*") if path.is_file()}


def test_install_again_and_uninstall(run: Run, wheelhouse: Path, root: Path) -> None:
    make(run, "install", root, wheelhouse)
    env = root / "opt" / "ecc-controld"
    python = env / "bin" / "python3"
    assert run(python, "-m", "ecc_controld", "--version").stdout.strip()
    where = run(
        python, "-c", "import aiohttp, ecc_drivers, sys; print(aiohttp.__file__, *ecc_drivers.__path__)"
    ).stdout
    assert all(path.startswith(str(env)) for path in where.split()), "its libraries are its own"
    for name in ("ecc-controld", "eccctl", "ecc-twins"):
        link = root / "usr/local/bin" / name
        assert os.readlink(link) == f"/opt/ecc-controld/bin/{name}"
        first, *_ = (env / "bin" / name).read_text().splitlines()
        assert first == "#!/opt/ecc-controld/bin/python3", "no trace of DESTDIR"
        run(python, env / "bin" / name, "--help")
    for path in env.rglob("*"):
        if path.suffix in (".json", ".cfg", ".pth", "") and path.is_file() and not path.is_symlink():
            assert str(root.parent).encode() not in path.read_bytes(), path
    shipped = {p.name for p in (ROOT / "systemd").rglob("*") if p.suffix in (".service", ".socket", ".timer")}
    assert shipped <= units(root, "usr/local/lib/systemd/system")

    options, hall = root / "etc/default/ecc-controld", root / "etc/ecc-controld/config/hall.yaml"
    options.write_text("ECC_CONTROLD_OPTIONS=--observe-only\n")
    hall.write_text("mine\n")
    stale = env / "lib" / f"python{OWN}" / "site-packages" / "stale.py"
    stale.write_text("")
    make(run, "install", root, wheelhouse)
    assert (options.read_text(), hall.read_text()) == ("ECC_CONTROLD_OPTIONS=--observe-only\n", "mine\n")
    assert not stale.exists()

    said = make(run, "uninstall", root, wheelhouse)
    assert str(root / "etc/ecc-controld") in said
    assert not env.exists()
    left = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() or p.is_symlink()}
    assert all(name.startswith("etc/") for name in left), left
    assert hall.read_text() == "mine\n"


def test_other_places(run: Run, wheelhouse: Path, root: Path) -> None:
    make(run, "install", root, wheelhouse, "PREFIX=/usr", "ENVDIR=/srv/ecc")
    assert os.readlink(root / "usr/bin/eccctl") == "/srv/ecc/bin/eccctl"
    for unit in (root / "usr/lib/systemd/system").glob("*"):
        assert "/opt/ecc-controld" not in unit.read_text()
    assert not (root / "opt").exists()
