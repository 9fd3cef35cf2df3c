"""The loop's lag is measured; a stall is dumped with the place where the loop stands, a frozen process is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ecc_controld.hall.store import Store
from ecc_controld.log import setup
from ecc_controld.service import lag
from ecc_controld.service.lag import CALM_S, Lag, LoopWatch
from support.rig import until


class Lines:
    """The log's lines so far, as JSON."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._rest = b""
        self.found: list[dict[str, Any]] = []

    def of(self, code: str) -> list[dict[str, Any]]:
        """Lines with this code."""
        while True:
            try:
                data = os.read(self._source, 65536)
            except BlockingIOError:
                break
            if not data:
                break
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.found += map(json.loads, whole)
        return [line for line in self.found if line["code"] == code]


@pytest.fixture
def lines() -> Iterator[Lines]:
    source, fd = os.pipe()
    os.set_blocking(source, False)
    log = setup(fd=fd, terminal=False)
    yield Lines(source)
    log.close()
    os.close(source)
    os.close(fd)


@asynccontextmanager
async def watching(store: Store, stall_s: float) -> AsyncIterator[LoopWatch]:
    watch = LoopWatch(store, tick_s=0.01, stall_s=stall_s)
    watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


def block_until(true: Callable[[], object]) -> None:
    """What must never happen in the product: the loop's thread waits for something."""
    moment = threading.Event()
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        moment.wait(0.01)


def dumps(lines: Lines) -> int:
    """How often the loop's own stack was told."""
    return sum(line["thread"] == "MainThread" for line in lines.of("loop_stalled"))


async def test_a_blocked_loop_is_dumped_with_the_place_where_it_stands(lines: Lines) -> None:
    store = Store([])
    async with watching(store, 0.3) as watch:
        block_until(lambda: dumps(lines) and len(lines.found) >= 2)
        first, *others = lines.of("loop_stalled")
        assert first["thread"] == "MainThread", "the loop's own thread comes first"
        assert "in block_until" in first["exception"], "and says where it is"
        assert first["seconds"] > 0.2
        assert {"log"} <= {line["thread"] for line in others}
        assert "loop watch" not in {line["thread"] for line in others}
        assert store.alarms == {}, "only the loop itself may raise an alarm"
        await until(lambda: "loop_lag" in store.alarms)
        assert watch.lag.stalls == 1
        assert watch.lag.worst(time.monotonic()) > 0.2
        assert lines.of("loop_lag")[0]["seconds"] > 0.2
        block_until(lambda: dumps(lines) == 2)  # the next stall is told again
        again = time.monotonic()
        block_until(lambda: time.monotonic() > again + 0.5)
        assert dumps(lines) == 2, "but only once"


async def test_the_alarm_ends_when_it_was_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "CALM_S", 0.2)
    store = Store([])
    async with watching(store, 0.2) as watch:
        start = time.monotonic()
        block_until(lambda: time.monotonic() > start + 0.4)
        await until(lambda: "loop_lag" in store.alarms)
        await until(lambda: not store.alarms)
        assert watch.lag.stalls == 1


async def test_a_loop_that_runs_says_nothing(lines: Lines) -> None:
    store = Store([])
    async with watching(store, 2.0) as watch:
        await until(lambda: sum(watch.lag.counts) >= 20)
    assert (store.alarms, lines.of("loop_stalled"), watch.lag.stalls) == ({}, [], 0)


PROGRAM = """
import asyncio, sys
from ecc_controld.hall.store import Store
from ecc_controld.log import setup
from ecc_controld.service.lag import LoopWatch

async def main():
    setup(fd=2, terminal=False)
    store = Store([])
    watch = LoopWatch(store, tick_s=0.01, stall_s=0.3)
    watch.start()
    print("on", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    before = sum(watch.lag.counts)
    while sum(watch.lag.counts) < before + 5:
        await asyncio.sleep(0.01)
    await watch.stop()
    print(watch.lag.stalls, list(store.alarms), flush=True)

asyncio.run(main())
"""


def test_a_process_that_was_stopped_is_no_stall() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "on\n"
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        stopped = time.monotonic()
        block_until(lambda: time.monotonic() > stopped + 1.0)
        child.send_signal(signal.SIGCONT)
        assert child.stderr is not None
        first = child.stderr.readline()  # it is said before the program may end
        out, err = child.communicate("\n", timeout=20)
    codes = [json.loads(line)["code"] for line in (first, *err.splitlines())]
    assert out.split() == ["0", "[]"]
    assert codes == ["process_frozen"]


def test_the_worst_lag_is_forgotten_after_two_windows() -> None:
    measured = Lag()
    measured.enter(0.7, 10 * CALM_S)
    measured.enter(0.1, 10 * CALM_S + 1)
    assert measured.worst(11 * CALM_S - 1) == 0.7
    measured.enter(0.2, 11 * CALM_S)
    assert measured.worst(12 * CALM_S - 1) == 0.7
    assert measured.worst(12 * CALM_S) == 0.2
    assert measured.worst(20 * CALM_S) == 0.0


def test_prometheus_gets_a_histogram() -> None:
    measured = Lag()
    for late in (0.0, 0.001, 0.0011, 3.0, 30.0):
        measured.enter(late, time.monotonic())
    registry = CollectorRegistry()
    registry.register(measured)
    text = generate_latest(registry).decode()
    for line in (
        'ecc_loop_lag_seconds_bucket{le="0.001"} 2.0',
        'ecc_loop_lag_seconds_bucket{le="0.005"} 3.0',
        'ecc_loop_lag_seconds_bucket{le="5.0"} 4.0',
        'ecc_loop_lag_seconds_bucket{le="+Inf"} 5.0',
        "ecc_loop_lag_seconds_count 5.0",
        "ecc_loop_lag_worst_seconds 30.0",
    ):
        assert line in text.splitlines()


async def test_stop_before_start_is_harmless() -> None:
    await LoopWatch(Store([])).stop()
    assert "loop watch" not in {thread.name for thread in threading.enumerate()}
