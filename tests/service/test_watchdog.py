"""The watchdog is fed while everything makes progress, and falls silent when any one thing stands still."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from ecc_controld.journal.writer import Writer
from ecc_controld.service.manager import Watching
from ecc_controld.service.notify import Notifier
from ecc_controld.service.watchdog import Watchdog
from support.linebox import LineBox
from support.manager import ManagerEnd
from support.rig import Rig, scene, until

EVERY_S = 0.05
"""A round of the watchdog in these tests."""


@asynccontextmanager
async def served(status: int = 200) -> AsyncIterator[tuple[socket.socket, list[int]]]:
    """A listener that answers /healthz; the list's one number is the status."""
    answer = [status]

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(status=answer[0])

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    try:
        yield listener, answer
    finally:
        await runner.cleanup()


@asynccontextmanager
async def watched(
    tmp_path: Path, manager: ManagerEnd
) -> AsyncIterator[tuple[Rig, Watching, Callable[[], int], list[int]]]:
    """A hall of two devices under a watchdog; the function counts how often the manager was fed."""
    rig = Rig(tmp_path / "state", {"a": LineBox, "b": LineBox}, [scene("duty", {"a.a": 5})])
    async with rig, served() as (listener, answer):
        notifier = Notifier(manager.address)
        watching = Watching(notifier, EVERY_S * 4, rig.engine, listener, {})
        try:
            yield rig, watching, lambda: manager.count("WATCHDOG", "1"), answer
        finally:
            await watching.stop()
            notifier.close()


async def rounds(watching: Watching, more: int) -> None:
    """Wait for so many more rounds."""
    target = watching.watchdog.rounds + more
    await until(lambda: watching.watchdog.rounds >= target)


async def stays_silent(watching: Watching, fed: Callable[[], int], about: str) -> None:
    """From the moment in which it is noticed, rounds go by without food."""
    await until(lambda: about in watching.watchdog.standing_still)
    before = fed()
    await rounds(watching, 5)
    assert fed() == before
    assert set(watching.watchdog.standing_still) == {about}


async def fed_again(watching: Watching, fed: Callable[[], int]) -> None:
    before = fed()
    await until(lambda: fed() >= before + 3)
    assert not watching.watchdog.standing_still


async def test_ready_comes_first_and_an_idle_hall_is_fed_each_round(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (rig, watching, fed, _):
        await rig.online()
        assert [key for one in manager.read() for key in one][:2] == ["STATUS", "READY"]
        before, fed_before = watching.watchdog.rounds, fed()
        await until(lambda: fed() >= fed_before + 10)
        assert watching.watchdog.rounds - before <= fed() - fed_before + 1, "a round was not fed"
    assert manager.read()[-1] == {"STOPPING": "1"}


async def test_dark_and_dumb_devices_never_starve_the_watchdog(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (rig, watching, fed, _):
        await rig.online()
        seen: set[str] = set()
        watching.watchdog.on_change.append(lambda: seen.update(watching.watchdog.standing_still))
        await rig.twins["a"].fault("silent")
        await rig.twins["b"].fault("refuse")
        await rig.press("duty")
        await until(lambda: all(device.link != "online" for device in rig.engine.store.devices.values()))
        await fed_again(watching, fed)
        assert "keepers" not in seen


async def test_a_keeper_that_stands_still_is_noticed(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (rig, watching, fed, _):
        await rig.online()
        keeper, frozen = rig.engine.keepers["a"], asyncio.Event()

        async def stuck() -> None:
            await frozen.wait()

        keeper._step = stuck  # type: ignore[method-assign]
        keeper.wake()
        await stays_silent(watching, fed, "keepers")
        assert watching.watchdog.standing_still["keepers"] == "a"
        await manager.until(lambda: any("keepers" in line for line in manager.statuses()))
        del keeper._step
        frozen.set()
        await fed_again(watching, fed)
        await manager.until(lambda: "keepers" not in manager.statuses()[-1])


async def test_a_task_that_died_is_noticed(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (rig, watching, fed, _):
        await rig.online()
        rig.engine._tasks["b"][1].cancel()
        await stays_silent(watching, fed, "keepers")
        assert watching.watchdog.standing_still["keepers"] == "b"


async def test_a_journal_thread_that_hangs_is_noticed(
    tmp_path: Path, manager: ManagerEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(tmp_path, manager) as (_, watching, fed, _answer):
        await fed_again(watching, fed)
        go_on = threading.Event()
        write = Writer._write

        def hang(writer: Writer, jobs: list[object]) -> object:
            go_on.wait(30)
            return write(writer, jobs)  # type: ignore[arg-type]

        monkeypatch.setattr(Writer, "_write", hang)
        try:
            await stays_silent(watching, fed, "journal")
        finally:
            monkeypatch.undo()
            go_on.set()
        await fed_again(watching, fed)


async def test_an_api_that_does_not_answer_is_noticed(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (_, watching, fed, answer):
        await fed_again(watching, fed)
        answer[0] = 500
        await stays_silent(watching, fed, "api")
        answer[0] = 200
        await fed_again(watching, fed)


async def test_a_late_loop_is_not_fed(manager: ManagerEnd) -> None:
    notifier = Notifier(manager.address)
    watchdog = Watchdog(notifier, 1.0, {})
    watchdog.lag_s = 3.0
    await watchdog.round()
    assert (set(watchdog.standing_still), watchdog.fed) == ({"loop"}, 0)
    watchdog.lag_s = 0.1
    await watchdog.round()
    assert (watchdog.standing_still, manager.count("WATCHDOG")) == ({}, 1)
    notifier.close()


async def test_a_blocked_loop_shows_as_lag(manager: ManagerEnd) -> None:
    blocked = threading.Event()
    watchdog = Watchdog(Notifier(None), 0.2, {})
    task = asyncio.create_task(watchdog.run())
    await until(lambda: watchdog.rounds >= 1)
    blocked.wait(0.4)  # on the loop's own thread: nothing else runs meanwhile
    seen = watchdog.rounds
    await until(lambda: watchdog.rounds > seen)
    assert watchdog.lag_s > 0.2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_where_nobody_watches_nothing_is_fed(manager: ManagerEnd) -> None:
    notifier = Notifier(manager.address)
    await Watchdog(notifier, None, {}).round()
    assert manager.read() == []
    notifier.close()


async def test_status_tells_mode_and_counts_when_they_change(tmp_path: Path, manager: ManagerEnd) -> None:
    async with watched(tmp_path, manager) as (rig, _watching, _, _answer):
        await manager.until(lambda: manager.statuses() and "devices 2/2" in manager.statuses()[-1])
        assert manager.statuses()[0].startswith("无模式 no mode · 设备 devices 0/2")
        await rig.switch("duty")
        await manager.until(lambda: "duty" in manager.statuses()[-1] and "wishes 1/1" in manager.statuses()[-1])
        await rig.twins["b"].fault("refuse")
        await manager.until(lambda: "devices 1/2" in manager.statuses()[-1])
        told = manager.statuses()
        assert all(one != another for one, another in itertools.pairwise(told)), "told without a change"
