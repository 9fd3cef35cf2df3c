"""Commands that are still inside a device when somebody asks for something else: each case that a soak has found.

The device takes a second for what it is told; KeepingHall says so when something is called proved that is not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ecc_controld.control.acceptance import Press
from ecc_controld.hall.wish import Outcome, State, Wish
from ecc_controld.sdk import Value
from faults.devices import LINE, PIPELINED, Kind
from faults.keeping import KeepingHall, keeping
from support.linebox import LineBox, PipelinedBox
from support.rig import until

SLOW_S = 1.0
PATIENT = keeping(LINE, LineBox, settle_s=1.5)
PATIENT_PIPELINED = keeping(PIPELINED, PipelinedBox, settle_s=1.5)


@pytest.fixture(params=[PATIENT, PATIENT_PIPELINED], ids=["one", "pipelined"])
async def hall(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeepingHall]:
    """A hall with one slow device, online."""
    kind: Kind = request.param
    async with KeepingHall(tmp_path, {"x": kind}) as made:
        await made.start()
        await made.online()
        made.twins["x"].slow_s = SLOW_S
        yield made


async def want(hall: KeepingHall, local: str, value: Value) -> Wish:
    """A wish by hand."""
    hall.manual_wants[f"x.{local}"] = value
    return await hall.engine.hands.set(hall.entry("x", local), value, Press(by="手"))


async def release(hall: KeepingHall, local: str) -> None:
    """Nobody wants it any longer."""
    hall.manual_wants.pop(f"x.{local}")
    assert await hall.engine.hands.release(hall.entry("x", local), Press(by="手"))


async def inside(hall: KeepingHall, local: str) -> None:
    """Wait until a command is inside the device."""
    await until(lambda: any(effect.point == local for effect in hall.twins["x"].inside))


async def acknowledged(hall: KeepingHall, local: str) -> None:
    """Wait until the device has acknowledged it, which it has not carried out."""
    await inside(hall, local)
    await until(lambda: hall.entry("x", local).life.state is State.ACKED)
    await inside(hall, local)


async def proved(hall: KeepingHall) -> None:
    """Wait until everything is proved; nothing may have been called so before it was."""
    await until(lambda: hall.wrong or (hall.settled() and not hall.twins["x"].inside))
    assert not hall.wrong


async def restart(hall: KeepingHall) -> None:
    """The program ends and starts again; the device goes on."""
    await hall.stop()
    await hall.start()


@pytest.mark.parametrize("replaces", [True, False], ids=["drops the older", "does all in order"])
@pytest.mark.parametrize("ignored", [False, True], ids=["done", "ignored"])
async def test_there_and_back_again_is_not_proved_by_what_was_before(
    hall: KeepingHall, replaces: bool, ignored: bool
) -> None:
    hall.twins["x"].replaces = replaces
    await want(hall, "a", 5)
    await acknowledged(hall, "a")
    if ignored:
        await hall.twins["x"].fault("ignore")
    await want(hall, "a", 0)
    await until(lambda: [data for _, data in hall.sent["x"] if b"SET a 0" in data])
    await until(lambda: hall.entry("x", "a").life.state is State.ACKED)
    await hall.twins["x"].heal()
    await proved(hall)


async def test_a_third_value_is_proved_at_once(hall: KeepingHall) -> None:
    """Only the value from before is ambiguous: nobody waits for the settle time of what was superseded."""
    await want(hall, "a", 5)
    await acknowledged(hall, "a")
    hall.twins["x"].slow_s = 0.0
    await want(hall, "a", 6)
    await proved(hall)
    assert hall.engine.keepers["x"].book.tracks["a"].older_until > hall.entry("x", "a").observed_at


async def test_a_refusal_of_the_newer_says_nothing_of_the_older(hall: KeepingHall) -> None:
    await want(hall, "a", 5)
    await acknowledged(hall, "a")
    hall.twins["x"].mishaps = ["no"]
    await want(hall, "a", 0)
    await until(lambda: hall.entry("x", "a").life.outcome is Outcome.REJECTED)
    await until(lambda: hall.wrong or not hall.twins["x"].inside)
    hall.retry("x", "a")
    await proved(hall)


async def test_a_released_wish_is_remembered_over_a_restart(hall: KeepingHall) -> None:
    await want(hall, "a", 5)
    await acknowledged(hall, "a")
    await release(hall, "a")
    await restart(hall)
    await inside(hall, "a")
    await want(hall, "a", 0)
    await proved(hall)


async def test_a_guard_is_remembered_over_a_restart(hall: KeepingHall) -> None:
    await want(hall, "mute", False)
    await until(lambda: hall.entry("x", "mute").life.as_wanted)
    await want(hall, "preset", "emergency")
    await inside(hall, "mute")
    await release(hall, "preset")
    await restart(hall)
    await inside(hall, "mute")
    await want(hall, "mute", False)
    await proved(hall)


async def test_what_a_preset_will_still_move_is_remembered_over_a_restart(hall: KeepingHall) -> None:
    await want(hall, "c", 4)
    await until(lambda: hall.settled())
    hall.twins["x"].mishaps = ["unanswered"]
    await want(hall, "preset", "emergency")
    await until(lambda: hall.twins["x"].mishaps == [])
    await restart(hall)
    await proved(hall)
