"""Every wheel that an installation needs, for places without internet: `make wheelhouse`.

    wheelhouse/x86_64/*.whl  wheelhouse/aarch64/*.whl  with SHA256SUMS, ours among them

Install from it: pip install --no-index --find-links wheelhouse/x86_64 ecc-controld
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MACHINES = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12")
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")  # Debian 12 has glibc 2.36
TRIES = 3


def platform_args(machine: str, python: str) -> list[str]:
    """What tells pip to look for wheels of another machine or Python."""
    platforms = [f"--platform={libc}_{machine}" for libc in GLIBC]
    return [*platforms, "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]


def pip(*args: str) -> None:
    """Run pip; a server that is slow gets three tries."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    for left in reversed(range(TRIES)):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
        if not left:
            sys.exit(f"pip {' '.join(args)}\n{done.stderr}")
        time.sleep(5)


def own_wheel(out: Path) -> Path:
    """Build our own wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return our_wheel(out)


def our_wheel(folder: Path) -> Path:
    """The newest wheel of ours in a folder."""
    return max(folder.glob("ecc_controld-*.whl"), key=lambda path: path.stat().st_mtime)


def fill(folder: Path, wheel: Path, machine: str, pythons: Sequence[str]) -> None:
    """All wheels of one machine, with their checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    for python in pythons:
        pip("download", *platform_args(machine, python), "--dest", str(folder), str(wheel))
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.glob("*.whl"))
    ]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="ascii")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "wheelhouse")
    parser.add_argument("--machine", action="append", choices=MACHINES)
    parser.add_argument("--python", action="append", metavar="3.N")
    args = parser.parse_args()
    wheel = own_wheel(args.out.parent)
    for machine in args.machine or MACHINES:
        fill(args.out / machine, wheel, machine, args.python or PYTHONS)
        print(args.out / machine)


if __name__ == "__main__":
    main()
