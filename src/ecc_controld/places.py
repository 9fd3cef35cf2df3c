"""Where a hall's files are when the command line does not say: here, then the system's places, then the sample."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

ETC = Path("/etc/ecc-controld")
VAR = Path("/var/lib/ecc-controld")
NAME = "ecc_controld"
STAMP = "stamp"


def folder(name: str, etc: Path | None = None) -> Path:
    """`config` or `scenes`: in the working directory, else in /etc/ecc-controld, else the sample that comes along."""
    for place in (Path(name), (etc or ETC) / name):
        if place.is_dir():
            return place
    sample = Path(str(files("ecc_controld"))) / "sample" / name
    return sample if sample.is_dir() else Path(name)  # a checkout has none: whoever reads it says what is missing


def state() -> Path:
    """Where the daemon keeps its state by default."""
    given = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    return Path(given or Path.home() / ".local" / "state") / NAME


def known_state() -> Path:
    """The first default place that is a state directory already; for tools that look at one, not for the daemon."""
    found = [state(), VAR / NAME, VAR, Path(".state")]
    return next((path for path in found if _stamped(path)), found[0])


def _stamped(path: Path) -> bool:
    try:
        return (path / STAMP).exists()
    except OSError:  # not ours to look into; whoever opens it says so
        return True
