"""Rules for every test: nothing of ours blocks the event loop, and nothing is left over at the end.

A test that leaves a task, a thread, a descriptor (so also a socket) or a child process fails, although it passed:
what a test forgets, a daemon that runs for years would collect. What fixtures of a module or of the session hold
is theirs, and is judged with the last test that uses them.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from blockbuster import BlockBuster

PATIENCE_S = float(os.environ.get("ECC_PATIENCE_S", "3"))
"""A killed process or a closing transport needs a moment; what is still there afterwards is left over."""

START = ("load", "load_hall", "load_scenes", "check")
"""Reading files is the start's work, before anything is served; tests do it inside a loop."""


@pytest.fixture(autouse=True, scope="session")
def nothing_blocks() -> Iterator[BlockBuster]:
    """Blocking calls made by the product in an event loop raise BlockingError, for the whole session."""
    detector = BlockBuster(["ecc_controld", "ecc_drivers"])
    for pure in ("os.path.abspath", "os.getcwd"):  # touch no disk
        del detector.functions[pure]
    for function in detector.functions.values():
        function.can_block_in("ecc_controld/settings/load.py", START)
        function.can_block_in("ecc_controld/scene/load.py", START)
        function.can_block_in("ecc_controld/client/__main__.py", "main")  # eccctl is a process of its own
        function.can_block_in("ecc_controld/api/problems.py", "problems")  # a traceback reads its sources, once
        function.can_block_in("ecc_controld/api/server.py", "build")  # once, before anything is served
        function.can_block_in("ecc_controld/journal/journal.py", ("open", "recall"))  # the start waits for it
        function.can_block_in("tests/panel/stub.py", "_static")  # the stub is not the product
        function.can_block_in("ecc_controld/journal/writer.py", "join")  # a thread that has nothing left to do
    detector.activate()
    yield detector
    detector.deactivate()


class Held:
    """What the process holds at one moment: descriptors, threads, children, each with a name for people."""

    def __init__(self) -> None:
        self.things: dict[object, str] = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:  # the listing's own descriptor
                continue
            self.things["fd", fd, target] = f"descriptor {fd} ({target})"
        for thread in threading.enumerate():
            self.things["thread", thread] = f"thread {thread.name}"
        for task in Path("/proc/self/task").iterdir():
            try:
                children = (task / "children").read_text().split()
            except OSError:  # the thread ended meanwhile
                continue
            self.things.update({("child", child): f"child process {child}" for child in children})

    def beyond(self, allowed: set[object]) -> dict[object, str]:
        """What is here that was not allowed."""
        return {thing: name for thing, name in self.things.items() if thing not in allowed}


_of_fixtures: set[object] = set()
"""What fixtures that outlive a test opened while they were set up."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """Note what a fixture of a class, a module or the session opens."""
    if fixturedef.scope == "function":
        return (yield)
    before = set(Held().things)
    try:
        return (yield)
    finally:
        _of_fixtures.update(Held().beyond(before))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coroutine tests are also asked for their tasks, in their own loop."""
    for item in items:
        if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.function):
            continue
        marker = item.get_closest_marker("asyncio")
        scope = "function" if marker is None else marker.kwargs.get("loop_scope") or "function"
        if scope in ("function", "session"):
            place = item.fixturenames.index("nothing_left") + 1
            item.fixturenames.insert(place, f"no_task_left_in_{scope}_loop")


@pytest.fixture(autouse=True)
def may_block(request: pytest.FixtureRequest, nothing_blocks: BlockBuster) -> Iterator[None]:
    """A module of tests that reads files inside a loop as a program of its own does says MAY_BLOCK = True."""
    free = getattr(request.module, "MAY_BLOCK", False)
    if free:
        nothing_blocks.deactivate()
    yield
    if free:
        nothing_blocks.activate()


@pytest.fixture(autouse=True)
def nothing_left(nothing_blocks: BlockBuster, may_block: None) -> Iterator[None]:
    """The test ends with the descriptors, threads and children that it found."""
    before = set(Held().things)
    yield
    deadline = time.monotonic() + PATIENCE_S
    while left := Held().beyond(before | _of_fixtures):
        if time.monotonic() > deadline:
            pytest.fail("left over: " + ", ".join(sorted(left.values())))
        gc.collect()
        time.sleep(0.01)  # other threads and processes are ending; nothing wakes us when they have


@pytest_asyncio.fixture(loop_scope="function")
async def no_task_left_in_function_loop() -> AsyncIterator[None]:
    """For tests with a loop of their own."""
    before = asyncio.all_tasks()
    yield
    await _all_done(before)


@pytest_asyncio.fixture(loop_scope="session")
async def no_task_left_in_session_loop() -> AsyncIterator[None]:
    """For tests that share the session's loop."""
    before = asyncio.all_tasks()
    yield
    await _all_done(before)


def _of_a_visitor_gone(task: asyncio.Task[object]) -> bool:
    """aiohttp 3.14 leaves the handler waiting of a connection that came and went within one turn of the loop.

    It is the library's own task and nobody's request; it is ended here so that it cannot hide a task of ours.
    """
    gone = getattr(task.get_coro(), "__qualname__", "") == "RequestHandler.start"
    if gone:
        task.cancel()
    return gone


async def _all_done(before: set[asyncio.Task[object]]) -> None:
    """A cancelled task or a closing transport may need a few turns of the loop."""
    held = before | {task for task in asyncio.all_tasks() if task is asyncio.current_task()}
    deadline = time.monotonic() + PATIENCE_S
    while left := {task for task in asyncio.all_tasks() - held if not _of_a_visitor_gone(task)}:
        if time.monotonic() > deadline:
            names = sorted(map(repr, left))
            for task in left:
                task.cancel()
            pytest.fail("left over: " + ", ".join(names))
        await asyncio.sleep(0.005)
