"""`ecc-twins --config DIR`: serve the twins of a configured hall, and a control API to break and heal them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from ecc_controld.registry import Registry
from ecc_controld.sdk import ConfigError, Text
from ecc_controld.settings import load_hall
from ecc_controld.yamlfile import FilesInvalid

from . import simulated_secret
from .program import arguments, run
from .server import Blueprint

USAGE = 2
CANNOT_LISTEN = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or the end of the parent. Exit codes: 2 bad arguments or an invalid file, 10 a port."""
    parser = arguments()
    parser.add_argument("--config", type=Path, required=True, metavar="DIR", help="the hall's configuration")
    args = parser.parse_args(argv)
    try:
        blueprints = blueprints_of(args.config)
    except FilesInvalid as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return USAGE
    except ConfigError as error:
        print(f"ecc-twins: {error.text.en} / {error.text.zh}", file=sys.stderr)
        return USAGE
    try:
        return asyncio.run(run(blueprints, args, lambda: _again(args.config)))
    except OSError as error:
        place = ":".join(map(str, args.control))
        print(f"ecc-twins: 无法监听 {place}：{error.strerror}\necc-twins: cannot listen: {error}", file=sys.stderr)
        return CANNOT_LISTEN


def _again(config_dir: Path) -> list[Blueprint]:
    """The devices for a reload; raises ValueError with every problem."""
    try:
        return blueprints_of(config_dir)
    except FilesInvalid as invalid:
        raise ValueError("\n".join(map(str, invalid.problems))) from invalid
    except ConfigError as error:
        raise ValueError(str(error)) from error


def blueprints_of(config_dir: Path) -> list[Blueprint]:
    """What the twins of a configured hall are made of; raises FilesInvalid, ConfigError."""
    registry = Registry.load()
    hall = load_hall(config_dir, registry, secrets=simulated_secret)
    found = []
    for device in hall.devices.values():
        name = device.driver.name
        twin = registry.twin(name)
        if twin is None:
            why = "; ".join(str(fault) for fault in registry.faults if fault.name == name) or "none is installed"
            raise ConfigError(
                Text(
                    f"设备 {device.config.id}：驱动 {name} 没有孪生：{why}",
                    f"device {device.config.id}: driver {name} has no twin: {why}",
                )
            )
        found.append(Blueprint(device.config, name, twin, device.driver.points))
    return found


if __name__ == "__main__":
    sys.exit(main())
