"""A driver that is wrong costs its own device the connection, and nothing else: no task, no neighbour, no silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ecc_controld.sdk import Codec, Exchange, Identity, LocalProtocolError, Reading, Session, Value
from faults.devices import LINE, PJLINK, Kind
from faults.hall import Hall, scene_of
from support.linebox import LineBox, LineCodec
from support.rig import until

MAY_BLOCK = True
"""The traceback of a driver's fault reads its sources for the log."""


class Broken(LineBox):
    """Fails at `where`, from the moment in which `broken` is set."""

    answer_s: ClassVar[float] = 0.5
    poll_s: ClassVar[float] = 0.3
    broken: ClassVar[bool] = False
    where: ClassVar[str] = ""

    def _fail(self, where: str) -> None:
        if self.broken and self.where == where:
            raise KeyError(f"a bug in {where}")

    def codec(self) -> Codec:
        return BrokenCodec(self)

    async def attach(self, session: Session) -> Identity:
        self._fail("attach")
        return await super().attach(session)

    def observe(self) -> Sequence[Exchange]:
        self._fail("observe")
        return super().observe()

    def query(self, point: str) -> Exchange:
        self._fail("query")
        made = super().query(point)

        def judge(message: Any) -> Any:
            self._fail("judge")
            return made.judge and made.judge(message)

        return Exchange(made.send, judge)

    def write(self, point: str, value: Value) -> Exchange:
        self._fail("write")
        made = super().write(point, value)
        return Unspeakable(made.send, made.judge) if self.broken and self.where == "send" else made

    def heard(self, message: list[str]) -> Sequence[Reading]:
        self._fail("heard")
        return super().heard(message)

    def act(self, action: str) -> Exchange:
        self._fail("act")
        return super().act(action)


class Unspeakable(Exchange):
    """Finds out that it cannot be said only when it is to be said."""

    def __getattribute__(self, name: str) -> Any:
        if name == "send":
            raise LocalProtocolError("cannot be said")
        return super().__getattribute__(name)


class BrokenCodec(LineCodec):
    def __init__(self, driver: Broken) -> None:
        super().__init__()
        self._driver = driver

    def feed(self, data: bytes) -> Iterable[list[str]]:
        self._driver._fail("codec")
        return super().feed(data)


def broken(where: str) -> Kind:
    """A line box whose driver can fail at one place."""
    driver = type(f"Broken_{where}", (Broken,), {"where": where})
    return Kind("broken", driver, LINE.twin, LINE.config, {"a": 7, "b": 8}, LINE.begin, LINE.real, LINE.mark)


PLACES = ["attach", "codec", "observe", "query", "judge", "write", "send", "heard", "act"]


@pytest.mark.parametrize("where", PLACES)
async def test_a_fault_of_a_driver_costs_its_connection_only(tmp_path: Path, where: str) -> None:
    trouble: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
    devices = {"x": broken(where), "y": PJLINK}
    told: list[tuple[str, str]] = []
    async with Hall(tmp_path, devices) as hall:
        await hall.start()
        await hall.online()
        driver: Any = devices["x"].driver
        driver.broken = True
        if where == "attach":
            await hall.twins["x"].fault("reboot")
        run = await hall.press(scene_of(devices, deadline_s=60.0))
        if where == "heard":
            hall.twins["x"].poke("c", 5)
        if where == "act":
            hall.engine.keepers["x"].do("ping", lambda action, state, reason: told.append((state, reason)))
        await until(lambda: ("x", "offline", "driver_error") in [link[1:] for link in hall.links])
        await until(lambda: all(card.fine for card in run.cards.values() if card.device == "y"))
        assert not hall.engine.faults()
        if where == "act":
            assert told == [("failed", "driver_error")]
        driver.broken = False
        await until(lambda: hall.true("x"), 15.0)
    assert not trouble
