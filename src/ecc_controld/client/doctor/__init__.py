"""`eccctl doctor`: what is, whether it is fine, what to do. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import hall, machine
from .finding import Finding

__all__ = ["Ask", "Finding", "examine"]


@dataclass(frozen=True)
class Ask:
    """Where to look. `dial`: devices may be dialled where no daemon runs that knows them."""

    url: str
    config: Path
    scenes: Path
    state: Path
    certificates: Sequence[Path] = ()
    dial: bool = True


async def examine(ask: Ask) -> list[Finding]:
    """All findings, in the order of a start: the machine, the files, the daemon, the devices."""
    found = [machine.program(), *machine.clock(), machine.disk(ask.state)]
    files, told = hall.files(ask.config, ask.scenes)
    found += told
    port, running = await hall.port(ask.url)
    simulated = hall.stamp_of(ask.state) == "simulated" if running is None else running.simulated
    if files.credentials and not simulated:  # a simulated hall asks for none
        found += hall.credentials(files.credentials, ask.config)
    found += hall.state(ask.state)
    if files.hall is not None:
        found += hall.serial(files.hall)
    found += machine.certificates(ask.certificates)
    found.append(machine.fonts())
    found.append(port)
    if running is not None:
        found += hall.linked(running.devices)
    elif files.hall is not None and ask.dial and not simulated:
        found += await hall.reachable(files.hall)
    return found
