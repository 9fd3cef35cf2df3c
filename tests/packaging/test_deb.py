"""The Debian package, installed, upgraded, removed and purged by dpkg itself in a root of its own.

What is checked: unpacking, conffiles, dependencies and the maintainer scripts as dpkg calls them, which act below
DPKG_ROOT. What is not: creating the user and talking to systemd, which a root that is not running cannot do.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest

from support.deploying import OWN, ROOT, Run

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
OTHER = {"amd64": "arm64", "arm64": "amd64"}[ARCH]
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
STATUS = """\
Package: {name}
Status: install ok installed
Maintainer: none <none@example.invalid>
Architecture: {arch}
Version: 999
Description: stands for the system's own

"""


def build(run: Run, out: Path, house: Path, tree: Path, revision: str, arch: str = ARCH) -> Path:
    interpreter = Path(sys.base_prefix) / "bin" / f"python{OWN}"
    done = run(
        sys.executable, "deploy/deb.py", "--arch", arch, "--python", OWN, "--interpreter", interpreter,
        "--wheels", house / MACHINES[arch], "--tree", tree, "--revision", revision, "--out", out,
    )  # fmt: skip
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def packages(run: Run, wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two revisions: the second has another default and one file less."""
    work = tmp_path_factory.mktemp("deb")
    first = build(run, work, wheelhouse, work / "tree", "1")
    with (work / "tree" / "etc/default/ecc-controld").open("a") as file:
        file.write("# new in 2\n")
    (work / "tree" / "usr/share/doc/ecc-controld/README.md").unlink()
    return first, build(run, work, wheelhouse, work / "tree", "2")


class Root:
    """A root with a dpkg database of its own, in which a few packages count as installed."""

    def __init__(self, run: Run, path: Path, present: tuple[str, ...]) -> None:
        self.run, self.path = run, path
        admin = path / "var/lib/dpkg"
        for name in ("info", "updates", "triggers"):
            (admin / name).mkdir(parents=True)
        (admin / "available").touch()
        (admin / "status").write_text("".join(STATUS.format(name=name, arch=ARCH) for name in present))

    def dpkg(self, *args: object, code: int = 0) -> str:
        done = self.run(
            "dpkg", f"--root={self.path}", "--force-script-chrootless", "--force-not-root", "--log=/dev/null",
            *args, code=code, PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )  # fmt: skip
        return done.stdout + done.stderr

    def text(self, path: str) -> str:
        return (self.path / path).read_text(encoding="utf-8")


@pytest.fixture
def root(run: Run, tmp_path: Path) -> Root:
    return Root(run, tmp_path / "root", (f"python{OWN}", "systemd"))


def test_its_life(run: Run, packages: tuple[Path, Path], root: Root) -> None:
    first, second = packages
    said = root.dpkg("-i", first)
    assert "--observe-only" in said, "what to do next is said"
    assert "首次连接真实设备" in said
    env = root.path / "opt/ecc-controld"
    version = run(env / "bin/python3", "-m", "ecc_controld", "--version").stdout.strip()
    assert first.name.startswith(f"ecc-controld_{version}-1_")
    assert (root.path / "usr/bin/eccctl").is_symlink()
    assert root.text("etc/ecc-controld/config/hall.yaml") == (ROOT / "config/hall.yaml").read_text(
        encoding="utf-8"
    )

    # The engineer makes it theirs; the daemon begins to remember.
    (root.path / "etc/default/ecc-controld").write_text("ECC_CONTROLD_OPTIONS=--observe-only\n")
    (root.path / "etc/ecc-controld/config/hall.yaml").write_text("mine\n")
    state = root.path / "var/lib/ecc-controld"
    state.mkdir()
    (state / "journal.db").write_text("memory")
    shutil.rmtree(root.path / "etc/ecc-controld/scenes")  # on purpose: nobody brings the sample's back
    (env / "lib/__pycache__").mkdir()
    (env / "lib/__pycache__/x.pyc").write_text("")

    said = root.dpkg("--force-confold", "-i", second)
    assert "--observe-only" not in said, "an upgrade does not tell what to do first"
    assert root.text("etc/default/ecc-controld") == "ECC_CONTROLD_OPTIONS=--observe-only\n"
    assert "# new in 2" in root.text("etc/default/ecc-controld.dpkg-dist")
    assert root.text("etc/ecc-controld/config/hall.yaml") == "mine\n"
    assert not (root.path / "etc/ecc-controld/scenes").exists()
    assert not (root.path / "usr/share/doc/ecc-controld/README.md").exists()
    run(env / "bin/python3", "-m", "ecc_controld", "--version")

    root.dpkg("-r", "ecc-controld")
    assert not env.exists(), [str(path) for path in env.rglob("*")]
    assert not (root.path / "usr/bin/eccctl").is_symlink()
    assert root.text("etc/default/ecc-controld") == "ECC_CONTROLD_OPTIONS=--observe-only\n"

    said = root.dpkg("-P", "ecc-controld")
    for place in ("/etc/ecc-controld", "/var/lib/ecc-controld"):
        assert f"数据仍保留在 {place}" in said
        assert f"data is still in {place}" in said
    assert not (root.path / "etc/default/ecc-controld").exists()
    assert root.text("var/lib/ecc-controld/journal.db") == "memory"
    assert root.text("etc/ecc-controld/config/hall.yaml") == "mine\n"


def test_a_purge_without_data_says_nothing_of_data(packages: tuple[Path, Path], root: Root) -> None:
    root.dpkg("-i", packages[0])
    shutil.rmtree(root.path / "etc/ecc-controld")
    assert "/var/lib/ecc-controld" not in root.dpkg("-P", "ecc-controld")


def test_an_untouched_default_follows_the_package(packages: tuple[Path, Path], root: Root) -> None:
    for package in packages:
        root.dpkg("-i", package)
    assert "# new in 2" in root.text("etc/default/ecc-controld")


def test_the_wrong_python_is_refused(run: Run, packages: tuple[Path, Path], tmp_path: Path) -> None:
    bare = Root(run, tmp_path / "bare", ("systemd",))
    assert f"python{OWN}" in bare.dpkg("-i", packages[0], code=1)


def test_the_other_machines_package_has_its_binaries(run: Run, wheelhouse: Path, tmp_path: Path) -> None:
    package = build(run, tmp_path, wheelhouse, tmp_path / "tree", "1", OTHER)
    assert run("dpkg-deb", "-f", package, "Architecture").stdout.strip() == OTHER
    binaries = list((tmp_path / "tree").rglob("*.so"))
    assert any("_pydantic_core" in path.name for path in binaries)
    number = {"amd64": 62, "arm64": 183}[OTHER]  # ELF e_machine
    assert {int.from_bytes(path.read_bytes()[18:20], "little") for path in binaries} == {number}
