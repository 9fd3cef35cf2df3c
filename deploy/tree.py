"""The installed files below a root: an environment of its own, programs, units, defaults. `make install`.

The environment is made by hand rather than by venv, so that it can be made for another machine and under a DESTDIR:
a `pyvenv.cfg`, a link to the system's Python, the libraries, and a small script a program.
"""

from __future__ import annotations

import argparse
import compileall
import configparser
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wheelhouse import ROOT, our_wheel, own_wheel, pip

NAME = "ecc-controld"
ENV = "/opt/ecc-controld"
UNITS = {".service", ".socket", ".timer", ".target", ".path", ".slice"}
PROGRAM = """\
#!{env}/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""
KEPT = ("etc/ecc-controld", "var/lib/ecc-controld")
"""What neither an upgrade nor a removal touches."""


@dataclass(frozen=True)
class Layout:
    """Where things go. `root` is DESTDIR; the others are paths as the installed system sees them."""

    root: Path
    prefix: PurePosixPath
    env: PurePosixPath

    def at(self, path: PurePosixPath | str) -> Path:
        """A path of the installed system below the root."""
        return self.root / str(path).lstrip("/")


def environment(layout: Layout, python: str, interpreter: str, wheel: Path, pip_args: list[str]) -> list[str]:
    """The environment with this wheel of ours in it; returns the names of its programs."""
    env = layout.at(layout.env)
    shutil.rmtree(env, ignore_errors=True)  # a library that is not needed any more must not stay
    library = env / "lib" / f"python{python}" / "site-packages"
    library.mkdir(parents=True)
    pip("install", "--target", str(library), "--no-compile", "--no-warn-script-location", *pip_args, str(wheel))
    for trace in library.glob("*.dist-info/direct_url.json"):  # where it was built is nobody's business
        trace.unlink()
    shutil.rmtree(library / "bin", ignore_errors=True)  # their first lines name the Python that installed them
    programs = env / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(interpreter)
    (programs / "python").symlink_to("python3")
    home = PurePosixPath(interpreter).parent
    (env / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {python}\n", encoding="ascii"
    )
    return _programs(layout, library, programs)


def _programs(layout: Layout, library: Path, folder: Path) -> list[str]:
    (found,) = library.glob("ecc_controld-*.dist-info/entry_points.txt")
    points = configparser.ConfigParser(delimiters=("=",))
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read(found, encoding="utf-8")
    for name, target in points["console_scripts"].items():
        module, _, function = target.partition(":")
        script = folder / name
        script.write_text(PROGRAM.format(env=layout.env, module=module, function=function), encoding="ascii")
        script.chmod(0o755)
    return list(points["console_scripts"])


def system_files(layout: Layout, programs: list[str]) -> None:
    """Links to the programs, units, documents."""
    folder = layout.at(layout.prefix / "bin")
    folder.mkdir(parents=True, exist_ok=True)
    for name in programs:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(layout.env / "bin" / name)
    for source in sorted((ROOT / "systemd").rglob("*")):
        if source.is_file() and source.suffix != ".md" and not source.name.startswith("."):
            target = layout.at(layout.prefix / "lib" / _place(source.relative_to(ROOT / "systemd")))
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            target.write_text(text.replace(ENV, str(layout.env)), encoding="utf-8")
            target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
    documents = layout.at(layout.prefix / "share" / "doc" / NAME)
    documents.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "LICENSE", documents / "copyright")
    for name in ("README.md", "README.zh.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, documents / name)


def _place(path: Path) -> PurePosixPath:
    """Where below lib/ a file of systemd/ belongs."""
    for kind in ("sysusers", "tmpfiles"):
        if kind in str(path):
            return PurePosixPath(f"{kind}.d", f"{NAME}.conf")
    if path.suffix == ".rules":
        return PurePosixPath("udev/rules.d", path.name)
    if path.suffix in UNITS:
        return PurePosixPath("systemd/system", path.name)
    if path.suffix == ".conf" and path.parent.name.endswith(".d"):
        return PurePosixPath("systemd/system", path.parent.name, path.name)
    if path.suffix in ("", ".sh"):
        return PurePosixPath(NAME, path.name)
    sys.exit(f"systemd/{path}: it is not known where this kind of file belongs")


def defaults(layout: Layout) -> None:
    """What belongs to the hall's engineer from then on: made once, never changed again."""
    options = layout.at("/etc/default/ecc-controld")
    if not options.exists():
        options.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "deploy" / "default", options)
    hall = layout.at("/etc/ecc-controld")
    if not hall.exists():
        for name in ("config", "scenes"):
            shutil.copytree(ROOT / name, hall / name, ignore=shutil.ignore_patterns("secrets", ".*"))


def remove(layout: Layout) -> None:
    """Everything that `make install` put there but what is the hall's own."""
    env = layout.at(layout.env)
    for name in [path.name for path in (env / "bin").glob("ecc*")]:
        layout.at(layout.prefix / "bin" / name).unlink(missing_ok=True)
    shutil.rmtree(env, ignore_errors=True)
    for source in (ROOT / "systemd").rglob("*"):
        if source.is_file() and source.suffix != ".md" and not source.name.startswith("."):
            place = _place(source.relative_to(ROOT / "systemd"))
            layout.at(layout.prefix / "lib" / place).unlink(missing_ok=True)
    shutil.rmtree(layout.at(layout.prefix / "share" / "doc" / NAME), ignore_errors=True)
    for kept in KEPT:
        if layout.at(kept).exists():
            print(f"保留 / kept: {layout.at(kept)}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("install", "uninstall"))
    parser.add_argument("--destdir", type=Path, default=Path("/"))
    parser.add_argument("--prefix", type=PurePosixPath, default=PurePosixPath("/usr/local"))
    parser.add_argument("--env", type=PurePosixPath, default=PurePosixPath(ENV))
    parser.add_argument("--wheelhouse", type=Path, help="take every wheel from here, and none from the internet")
    parser.add_argument(
        "--interpreter", default=str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    )
    args = parser.parse_args()
    layout = Layout(args.destdir.absolute(), args.prefix, args.env)
    if args.verb == "uninstall":
        remove(layout)
        return
    with tempfile.TemporaryDirectory() as work:
        wheel = our_wheel(args.wheelhouse) if args.wheelhouse else own_wheel(Path(work))
        wheels = ["--no-index", "--find-links", str(args.wheelhouse)] if args.wheelhouse else []
        programs = environment(layout, f"3.{sys.version_info[1]}", args.interpreter, wheel, wheels)
    compileall.compile_dir(
        layout.at(layout.env), quiet=2, stripdir=str(layout.root) if args.destdir != Path("/") else None
    )
    system_files(layout, programs)
    defaults(layout)
    print(f"已安装 / installed: {layout.at(layout.env)}")


if __name__ == "__main__":
    main()
