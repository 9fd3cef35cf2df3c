"""A Debian package with an environment of its own under /opt/ecc-controld: `make deb`. Only dpkg-deb is needed.

Wheels are bound to one Python, so the package is too: python3.11 on Debian 12. ARCH=arm64 is made on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from tree import ENV, NAME, Layout, environment, system_files
from wheelhouse import ROOT, fill, our_wheel, own_wheel, platform_args

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
CONTROL = """\
Package: ecc-controld
Version: {version}
Architecture: {arch}
Maintainer: ecc_controld <noreply@example.invalid>
Installed-Size: {size}
Depends: python{python}, systemd
Suggests: fonts-noto-cjk, chromium
Section: video
Priority: optional
Description: control daemon of an emergency command hall
 One program for LED wall and displays, matrix, DSP and microphones and cameras:
 scenes turn the hall from a duty room into a command post and back, planned
 before, proved after by read-back and kept true.
 .
 应急指挥大厅控制程序：大屏、矩阵、音频、摄像机，一键切换，逐项回读确认。
"""


def version() -> str:
    """Of the program."""
    text = (ROOT / "src" / "ecc_controld" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def tree(root: Path, arch: str, python: str, interpreter: str, wheels: Path | None) -> None:
    """Everything that the package installs."""
    machine = MACHINES[arch]
    with tempfile.TemporaryDirectory() as work:
        if wheels is None:
            wheels = Path(work) / machine
            fill(wheels, own_wheel(Path(work)), machine, [python])
        args = ["--no-index", "--find-links", str(wheels), *platform_args(machine, python)]
        layout = Layout(root, PurePosixPath("/usr"), PurePosixPath(ENV))
        programs = environment(layout, python, interpreter, our_wheel(wheels), args)
    system_files(layout, programs)
    options = layout.at("/etc/default/ecc-controld")
    options.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "default", options)
    sample = layout.at("/usr/share/ecc-controld")
    for name in ("config", "scenes"):
        shutil.copytree(ROOT / name, sample / name, ignore=shutil.ignore_patterns("secrets", ".*"))


def package(root: Path, out: Path, arch: str, python: str, number: str) -> Path:
    """Pack the tree."""
    debian = root / "DEBIAN"
    shutil.rmtree(debian, ignore_errors=True)
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]
    size = sum(path.stat().st_size for path in files) // 1024 + 1
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():  # whatever the umask of the builder was
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    debian.mkdir()
    (debian / "control").write_text(
        CONTROL.format(version=number, arch=arch, size=size, python=python), encoding="utf-8"
    )
    (debian / "conffiles").write_text("/etc/default/ecc-controld\n", encoding="ascii")
    (debian / "md5sums").write_text("".join(sums), encoding="utf-8")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copy(ROOT / "deploy" / "deb" / script, debian / script)
        (debian / script).chmod(0o755)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{NAME}_{number}_{arch}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def main() -> None:
    """The command line."""
    host = "arm64" if "aarch64" in sys.implementation._multiarch else "amd64"  # type: ignore[attr-defined]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", choices=tuple(MACHINES), default=host)
    parser.add_argument("--python", default=f"3.{sys.version_info[1]}", metavar="3.N")
    parser.add_argument("--interpreter", help="of the installed system; /usr/bin/python3.N")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels, ours among them: no internet is needed")
    parser.add_argument("--revision", default="1")
    parser.add_argument(
        "--tree", type=Path, help="make the files here and keep them; made already: only pack them"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    args = parser.parse_args()
    interpreter = args.interpreter or f"/usr/bin/python{args.python}"
    with tempfile.TemporaryDirectory() as work:
        root = args.tree or Path(work) / "root"
        if not (root / ENV.lstrip("/")).exists():
            tree(root, args.arch, args.python, interpreter, args.wheels)
        print(package(root, args.out, args.arch, args.python, f"{version()}-{args.revision}"))


if __name__ == "__main__":
    main()
