"""The composition root: builds everything once, runs it, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from prometheus_client.registry import Collector

from . import __version__
from .api import shapes
from .api.context import Context, DeviceFacts
from .api.events import Events
from .api.server import build
from .control.engine import Engine, Unit
from .hall.store import Alarm
from .journal import Journal, JournalOpenError
from .registry import Registry
from .scene.load import load_scenes
from .sdk.errors import EccError, LinkError
from .sdk.text import Text
from .sdk.wire import Address, ByteWire
from .service.lag import LoopWatch
from .settings import Hall, load_hall
from .twins import simulated_secret
from .twins.child import TwinsError, TwinsProcess, twins_at
from .wires import tcp, udp

log = structlog.get_logger("app")

EXIT_INVALID = 2
EXIT_PORT = 10
EXIT_STATE = {"wrong_stamp": 11, "no_rights": 12, "newer_schema": 13, "locked": 14}
EXIT_STATE_OTHER = 15
EXIT_TWINS = 16


class CannotStart(EccError):
    """One sentence in both languages, and the exit code that goes with it."""

    def __init__(self, exit_code: int, text: Text) -> None:
        super().__init__(text.en)
        self.exit_code = exit_code
        self.text = text


@dataclass(frozen=True)
class Options:
    """The command line of `ecc-controld run`. `twins` is the control address of twins that already run."""

    config: Path
    scenes: Path
    state: Path
    host: str
    port: int
    simulate: bool
    twins: str | None
    observe_only: bool = False

    @property
    def simulated(self) -> bool:
        """No live device is touched."""
        return self.simulate or self.twins is not None


async def run(options: Options) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises CannotStart or FilesInvalid before anything is served."""
    registry = Registry.load()
    secrets = simulated_secret if options.simulated else _secrets(options.config)
    hall = load_hall(options.config, registry, secrets=secrets)
    load_scenes(options.scenes, hall)  # every error is said before a twin or a journal is opened
    listener = _listen(options.host, options.port)
    try:
        async with _twins(options) as (addresses, control):
            if addresses is not None:
                hall = load_hall(options.config, registry, secrets=secrets, addresses=addresses)
            journal = _open_journal(options)
            try:
                await _serve(options, hall, journal, listener, control)
            finally:
                await journal.close()
    finally:
        listener.close()


async def _serve(
    options: Options, hall: Hall, journal: Journal, listener: socket.socket, control: str | None
) -> None:
    scenes = load_scenes(options.scenes, hall)
    units = {
        name: Unit(device.driver, device.gap_s, options.observe_only or device.observe_only, device.in_service)
        for name, device in hall.devices.items()
    }
    engine = Engine(units, scenes, journal, dial)
    if journal.quarantined is not None:
        engine.store.raise_alarm(_lost_memory(journal.quarantined))
    watch = LoopWatch(engine.store)
    context = _context(options, hall, engine, journal, control, (watch.lag,))
    runner = web.AppRunner(build(context), access_log=None, keepalive_timeout=15.0, shutdown_timeout=2.0)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        engine.start()
        watch.start()
        _announce(options, hall, listener)
        await stop.wait()
        log.info("stopping")
    finally:
        context.events.close()
        await engine.stop()
        await runner.cleanup()
        await watch.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _lost_memory(moved_to: Path) -> Alarm:
    text = Text(
        f"日志库已损坏，移到 {moved_to}；此前的模式和设定已丢失，请重新选择场景",
        f"the journal was damaged and moved to {moved_to}; the mode and all wishes are lost: press a scene again",
    )
    return Alarm("journal_damaged", "journal_damaged", text, since=time.time())


def _context(
    options: Options,
    hall: Hall,
    engine: Engine,
    journal: Journal,
    control: str | None,
    measures: Sequence[Collector],
) -> Context:
    makers: dict[str, Callable[[Any], dict[str, Any]]] = {
        "point": lambda entry: shapes.point(context, entry),
        "device": lambda state: shapes.device(context, state),
        "run": lambda run: shapes.run(context, run),
        "hall": lambda _: shapes.hall(context),
        "alarm": lambda alarm: shapes.alarm(context, alarm),
        "beat": lambda _: {"time": context.time(), "boot": context.boot},
    }
    events = Events(engine, lambda kind, thing: makers[kind](thing), journal.boot)
    context = Context(
        engine=engine,
        name=hall.name,
        zone=ZoneInfo(hall.timezone),
        facts={name: _facts(device) for name, device in hall.devices.items()},
        boot=journal.boot,
        version=__version__,
        simulated=options.simulated,
        observe_only=options.observe_only,
        twins=control,
        events=events,
        measures=measures,
    )
    return context


def _facts(device: Any) -> DeviceFacts:
    config = device.config
    return DeviceFacts(device.driver.name, config.name, device.group, device.zone, str(config.address))


def _announce(options: Options, hall: Hall, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    kind = "模拟 SIMULATED" if options.simulated else "真实设备 LIVE"
    print(f"{hall.name.zh} / {hall.name.en} · {kind} · {len(hall.devices)} 台设备 devices", flush=True)
    if options.observe_only:
        print("只观察，不发送任何控制命令 / OBSERVE ONLY: nothing is ever written", flush=True)
    print(f"面板 Panel: http://{shown}:{port}/", flush=True)
    log.info(
        "listening",
        host=host,
        port=port,
        simulated=options.simulated,
        devices=len(hall.devices),
        observe_only=options.observe_only,
    )


async def dial(address: Address) -> ByteWire:
    """Open the wire that the address names; raises LinkError."""
    if address.scheme == "udp":
        return await udp.dial(address)
    if address.scheme == "tcp":
        return await tcp.dial(address)
    raise LinkError("dial_failed", f"no wire for {address.scheme}")


@contextlib.asynccontextmanager
async def _twins(options: Options) -> AsyncIterator[tuple[Mapping[str, Address] | None, str | None]]:
    """The addresses of the twins, where the hall is simulated; a child of ours ends with us."""
    if not options.simulated:
        yield None, None
        return
    try:
        if options.twins is not None:
            yield await twins_at(_control_url(options.twins)), _control_url(options.twins)
            return
        child = await TwinsProcess.start(options.config)
    except TwinsError as error:
        raise CannotStart(
            EXIT_TWINS, Text(f"模拟设备无法启动：{error}", f"the twins do not run: {error}")
        ) from error
    try:
        yield child.addresses, child.control_url
    finally:
        await child.stop()


def _control_url(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        text = Text(
            f"无法监听 {host}:{port}（{error.strerror}）；换一个端口，或停掉占用它的程序",
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port or stop what holds it",
        )
        raise CannotStart(EXIT_PORT, text) from error
    return listener


def _open_journal(options: Options) -> Journal:
    try:
        journal = Journal.open(options.state, stamp="simulated" if options.simulated else "live")
    except JournalOpenError as error:
        raise CannotStart(EXIT_STATE.get(error.code, EXIT_STATE_OTHER), error.text) from error
    if journal.quarantined is not None:
        log.error("journal quarantined", code="journal_damaged", moved_to=str(journal.quarantined))
    return journal


def _secrets(config: Path) -> Callable[[str], str | None]:
    """Credentials of the service manager, else files of mode 0600 in `secrets/` beside the configuration."""
    places = [os.environ.get("CREDENTIALS_DIRECTORY"), str(config / "secrets")]

    def secret(name: str) -> str | None:
        for place in places:
            path = Path(place) / name if place else None
            try:
                if path is None or not path.is_file():
                    continue
                if place == places[1] and stat.S_IMODE(path.stat().st_mode) & 0o077:
                    print(f"{path}: 权限应为 0600 / must have mode 0600", file=sys.stderr)
                    return None
                return path.read_text(encoding="utf-8").strip()
            except OSError as error:
                print(f"{path}: 无法读取 / cannot be read: {error.strerror}", file=sys.stderr)
                return None
            except UnicodeDecodeError:
                print(f"{path}: 不是 UTF-8 文本 / is not UTF-8 text", file=sys.stderr)
                return None
        return None

    return secret
