"""`ecc-twins` with two devices made by hand, for tests of the program without configuration files.

The directory given with --config is not read; one named `broken` is an invalid one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from ecc_controld.sdk import Address, DeviceConfig, Peer, UdpTwin, Value
from ecc_controld.twins.program import arguments, run
from ecc_controld.twins.server import Blueprint
from support.linebox import LineBox, LineTwin, Options, config


class EchoUdp(UdpTwin):
    """Answers each datagram with itself."""

    def power_on(self) -> None:
        self.knob: Value = 0

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        return [data]

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        return [frame]

    def poke(self, point: str, value: Value) -> None:
        if point != "knob":
            raise KeyError(point)
        if not isinstance(value, int):
            raise ValueError("a whole number")
        self.knob = value


def blueprints() -> list[Blueprint]:
    """A line box on TCP and an echo on UDP."""
    box = LineBox(config("box"))
    echo = config("回声")
    echo = DeviceConfig("echo", echo.name, Address("udp", "10.20.0.9", 52381), Options())
    return [Blueprint(box.config, "linebox", LineTwin, box.points), Blueprint(echo, "echo", EchoUdp)]


def main() -> int:
    parser = arguments()
    parser.add_argument("--config", type=Path, default=Path("plain"))
    args = parser.parse_args()
    if args.config.name == "broken":
        print("config/hall.yaml:3:1: 坏了 / it is broken", file=sys.stderr)
        return 2
    return asyncio.run(run(blueprints(), args))


if __name__ == "__main__":
    sys.exit(main())
