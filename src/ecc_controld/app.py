"""The composition root: builds everything once, runs it, and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from prometheus_client.registry import Collector

from . import __version__
from .api import shapes
from .api.context import Context
from .api.events import Events
from .api.server import build
from .control.engine import Engine
from .control.reconfigure import Changes, reconfigure
from .hall.store import Alarm, DeviceState
from .journal import Journal, JournalOpenError
from .loading import Loaded, Loader, facts_of, units_of
from .log import current as current_log
from .ntp import synchronised
from .registry import Registry
from .sdk.errors import EccError, LinkError
from .sdk.text import Text
from .sdk.wire import Address, ByteWire
from .service.activation import BACKLOG, BadSocket
from .service.clock import ClockWatch
from .service.drain import drain, prepare
from .service.lag import LoopWatch
from .service.manager import Manager
from .service.measures import ServiceMeasures
from .service.reload import Reloader
from .settings import Hall
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
    manager = _manager()
    loader = Loader(options.config, options.scenes, options.simulated, Registry.load())
    loaded = loader.load()  # every error is said before a twin or a journal is opened
    listener = manager.listener or _listen(options.host, options.port)
    try:
        async with _twins(options) as twins:
            if twins is not None:
                loaded = loader.load(twins.addresses)
            journal = _open_journal(options)
            try:
                await _serve(options, loader, loaded, journal, listener, twins, manager)
            finally:
                await journal.close()
    finally:
        listener.close()
        manager.notifier.close()


async def _serve(
    options: Options,
    loader: Loader,
    loaded: Loaded,
    journal: Journal,
    listener: socket.socket,
    twins: Twins | None,
    manager: Manager,
) -> None:
    units = units_of(loaded.hall, observe_only=options.observe_only)
    engine = Engine(units, loaded.scenes, journal, dial)
    if journal.quarantined is not None:
        engine.store.raise_alarm(_lost_memory(journal.quarantined))
    watch = LoopWatch(engine.store)
    control = None if twins is None else twins.control
    measures = ServiceMeasures()
    context = _context(options, loaded.hall, engine, journal, control, (watch.lag, measures))
    app = build(context)
    prepare(app)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=2.0)
    async with contextlib.AsyncExitStack() as stack:  # taken down in the opposite order
        stack.push_async_callback(watch.stop)
        stack.push_async_callback(engine.stop)
        stack.callback(context.events.close)
        await runner.setup()
        engine.start()  # before anything is accepted: a press must find what was recalled
        site = web.SockSite(runner, listener, backlog=BACKLOG)
        await site.start()
        stack.push_async_callback(runner.cleanup)
        stack.callback(engine.runs.close)  # whoever waits for an outcome gets an answer first
        stack.push_async_callback(drain, app, site, runner)
        stack.callback(context.events.close)
        watch.start()
        clock = ClockWatch(engine, lambda: context.zone, ntp=None if options.simulated else synchronised)
        _spawn(stack, "clock", clock.run())
        watching = manager.watch(engine, listener)
        stack.push_async_callback(watching.stop)
        measures.watch(watching.watchdog)

        async def again() -> Changes:
            return await _again(options, loader, context, control)

        reloader = Reloader(engine, manager.notifier, watching.status, again)
        _spawn(stack, "reload", reloader.run())
        stop = stack.enter_context(_signals(reloader.request))
        _announce(options, loaded.hall, listener, context)
        await _until_the_end(stop, twins, engine)


async def _again(options: Options, loader: Loader, context: Context, control: str | None) -> Changes:
    """One reload: everything is checked, then all is swapped in one turn of the loop."""
    loaded = await loader.again(control)
    hall = loaded.hall

    def tell() -> None:
        context.name, context.zone, context.facts = hall.name, ZoneInfo(hall.timezone), facts_of(hall)
        context.events.restart()

    units = units_of(hall, observe_only=options.observe_only)
    return await reconfigure(context.engine, units, loaded.scenes, tell)


async def _until_the_end(stop: asyncio.Event, twins: Twins | None, engine: Engine) -> None:
    """Until somebody ends us. Twins that end by themselves end us too: what they simulated is gone with them."""
    stopped = asyncio.ensure_future(stop.wait())
    waiting: set[asyncio.Future[Any]] = {stopped}
    if twins is not None and twins.ended is not None:
        waiting.add(asyncio.ensure_future(twins.ended()))
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if stopped in done:
        log.info("stopping")
        return
    how = str(next(iter(done)).result())
    log.error("twins ended", code="twins_ended", detail=how)
    engine.acceptance.note_event("twins_ended", detail=how)
    raise CannotStart(EXIT_TWINS, Text(f"模拟设备意外结束：{how}", f"the twins ended by themselves: {how}"))


def _spawn(stack: contextlib.AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    """A task that ends with the stack."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    stack.push_async_callback(_cancel, task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def _signals(reload: Callable[[], None]) -> Iterator[asyncio.Event]:
    """Set by SIGTERM and SIGINT. SIGHUP reloads; but where we began on a terminal that is closed, it is the end.

    SIGUSR1 makes the log one level louder, SIGUSR2 as loud as it began.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    on_terminal = os.isatty(0)

    def hangup() -> None:
        if on_terminal and not os.isatty(0):
            stop.set()
        else:
            reload()

    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: stop.set,
        signal.SIGINT: stop.set,
        signal.SIGHUP: hangup,
    }
    if (running := current_log()) is not None:
        handlers |= {signal.SIGUSR1: running.louder, signal.SIGUSR2: running.as_begun}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield stop
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


def _manager() -> Manager:
    try:
        return Manager()
    except BadSocket as error:
        raise CannotStart(EXIT_PORT, error.text) from error


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
        facts=facts_of(hall),
        boot=journal.boot,
        version=__version__,
        simulated=options.simulated,
        observe_only=options.observe_only,
        twins=control,
        events=events,
        measures=measures,
    )
    return context


def _announce(options: Options, hall: Hall, listener: socket.socket, context: Context) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    kind = "模拟 SIMULATED" if options.simulated else "真实设备 LIVE"
    print(f"{hall.name.zh} / {hall.name.en} · {kind} · {len(hall.devices)} 台设备 devices", flush=True)
    if options.observe_only:
        print("只观察，不发送任何控制命令 / OBSERVE ONLY: nothing is ever written", flush=True)
    place = f"面板 Panel: http://{shown}:{port}/"
    print(place, flush=True)
    if options.simulated:
        _announce_again(context, place)
    log.info(
        "listening",
        host=host,
        port=port,
        simulated=options.simulated,
        devices=len(hall.devices),
        observe_only=options.observe_only,
    )


def _announce_again(context: Context, place: str) -> None:
    """Once all devices are online: the lines that told of each have pushed the address off a small screen."""
    store, told = context.engine.store, False

    def look(_: DeviceState) -> None:
        nonlocal told
        if not told and all(device.link == "online" for device in store.devices.values()):
            told = True
            print(f"{len(store.devices)} 台设备全部在线 all devices are online · {place}", flush=True)

    store.on_device.append(look)


async def dial(address: Address) -> ByteWire:
    """Open the wire that the address names; raises LinkError."""
    if address.scheme == "udp":
        return await udp.dial(address)
    if address.scheme == "tcp":
        return await tcp.dial(address)
    raise LinkError("dial_failed", f"no wire for {address.scheme}")


@dataclass(frozen=True)
class Twins:
    """Where the twins are. `ended`: waits until our child has ended; None for twins that are not ours."""

    addresses: Mapping[str, Address]
    control: str
    ended: Callable[[], Coroutine[Any, Any, str]] | None = None


@contextlib.asynccontextmanager
async def _twins(options: Options) -> AsyncIterator[Twins | None]:
    """The twins, where the hall is simulated; a child of ours ends with us."""
    if not options.simulated:
        yield None
        return
    try:
        if options.twins is not None:
            control = _control_url(options.twins)
            there = Twins(await twins_at(control), control)
        else:
            child = await TwinsProcess.start(options.config)
    except TwinsError as error:
        raise CannotStart(
            EXIT_TWINS, Text(f"模拟设备无法启动：{error.text.zh}", f"the twins do not run: {error.text.en}")
        ) from error
    if options.twins is not None:
        yield there
        return
    try:
        yield Twins(child.addresses, child.control_url, child.ended)
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
        listener.listen(BACKLOG)
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
