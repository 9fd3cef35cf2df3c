"""The running of `ecc-twins`: its options, its one line when ready, and its end with whoever started it."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

from aiohttp import web

from .control import control_app
from .server import Blueprint, TwinHall


async def run(
    blueprints: Sequence[Blueprint],
    args: argparse.Namespace,
    again: Callable[[], Sequence[Blueprint]] | None = None,
) -> int:
    """Serve until told to end; prints one line when everything answers. `again` reads the devices for a reload."""
    stop = asyncio.Event()
    with _signals(stop.set), _parent(args.parent_pid, stop.set), _stdin(args.until_stdin_closes, stop.set):
        async with AsyncExitStack() as stack:
            hall = await stack.enter_async_context(TwinHall(blueprints))
            runner = web.AppRunner(
                control_app(hall, again), access_log=None, keepalive_timeout=15, shutdown_timeout=1
            )
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, *args.control).start()
            host, port = runner.addresses[0][:2]
            _say(f"ecc-twins ready http://{_quoted(host)}:{port} ({len(hall.twins)} twins)", stop.set)
            await stop.wait()
    return 0


def arguments() -> argparse.ArgumentParser:
    """The options that do not depend on where the devices come from."""
    parser = argparse.ArgumentParser("ecc-twins", description="Emulated devices of a hall, on loopback sockets.")
    parser.add_argument(
        "--control", type=_loopback, default=("127.0.0.1", 0), metavar="HOST:PORT", help="default: a free port"
    )
    parser.add_argument("--ports", choices=["free"], default="free", help="the twins take free ports")
    parser.add_argument("--parent-pid", type=int, metavar="N", help="end when this process ends")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input closes")
    return parser


def _say(line: str, stop: Callable[[], None]) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # nobody is there any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        stop()


def _loopback(text: str) -> tuple[str, int]:
    """`HOST:PORT` on this machine only: the control API asks nobody who they are."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
        number = int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, got {text!r}") from None
    if not local or not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a loopback address and a port, got {text!r}")
    return host, number


def _quoted(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    yield
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


@contextmanager
def _parent(pid: int | None, stop: Callable[[], None]) -> Iterator[None]:
    """Watch a process through a descriptor that becomes readable when it ends, however it ends."""
    if pid is None:
        yield
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:  # it has ended already
        stop()
        yield
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(descriptor)
        stop()

    loop.add_reader(descriptor, ended)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@contextmanager
def _stdin(watched: bool, stop: Callable[[], None]) -> Iterator[None]:
    """Watch standard input: the kernel closes it when the parent ends, however it ends."""
    if not watched:
        yield
        return
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        try:
            ended = not os.read(descriptor, 4096)
        except OSError:
            ended = True
        if ended:
            loop.remove_reader(descriptor)
            stop()

    loop = asyncio.get_running_loop()
    try:
        loop.add_reader(descriptor, readable)
    except OSError:  # a file, or nothing at all: it is at its end by nature
        stop()
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
