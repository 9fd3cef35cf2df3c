"""The hall's time: a clock that jumps by an hour or by ten years moves no deadline, and people are told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ecc_controld.control.acceptance import Press
from ecc_controld.control.wallclock import WallClock
from ecc_controld.service.clock import EVERY_S, NTP_LOST_S, SHOWN_S, ClockWatch
from support.linebox import LineBox
from support.rig import Rig, scene, until

HOUR = 3600.0
TEN_YEARS = 10 * 365.25 * 86400
JUMPS = [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS]
ZONE = ZoneInfo("Asia/Shanghai")


class Fake:
    """Two clocks that move only by hand; the wall clock is set apart by `shift`."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.shift = 1_790_000_000.0

    def wall(self) -> float:
        return self.monotonic + self.shift

    def now(self) -> float:
        return self.monotonic

    def clock(self) -> WallClock:
        return WallClock(self.wall, self.now)


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Moves the wall clock of the whole process; the monotonic one goes on."""
    real, by = time.time, [0.0]

    def fake() -> float:
        return real() + by[0]

    monkeypatch.setattr(time, "time", fake)
    monkeypatch.setattr("ecc_controld.control.keeper.wall_time", fake)

    def move(seconds: float) -> None:
        by[0] += seconds

    yield move
    by[0] = 0.0


def test_slewing_is_no_jump() -> None:
    fake = Fake()
    clock = fake.clock()
    for _ in range(10_000):
        fake.monotonic += 1.0
        fake.shift += 0.0005  # as fast as NTP may slew
        clock.check()
    assert clock.take_jumps() == []


@pytest.mark.parametrize("by", JUMPS)
def test_a_jump_is_seen_once_with_both_times(by: float) -> None:
    fake = Fake()
    clock = fake.clock()
    fake.monotonic += 5.0
    before = fake.wall()
    fake.shift += by
    (jump,) = clock.take_jumps()
    assert (jump.before, jump.after) == pytest.approx((before, before + by))
    assert jump.by == pytest.approx(by)
    assert clock.take_jumps() == []


@pytest.mark.parametrize("by", JUMPS)
def test_the_age_of_a_press_is_true_across_a_jump(by: float) -> None:
    fake = Fake()
    clock = fake.clock()
    fresh, old = fake.wall() - 1.0, fake.wall() - 60.0
    fake.shift += by
    assert clock.age(fresh, 5.0) == pytest.approx(1.0)
    assert clock.age(old, 5.0) == pytest.approx(60.0)
    assert clock.age(fake.wall() - 2.0, 5.0) == pytest.approx(2.0), "pressed after the jump"
    fake.monotonic += 20.0
    assert clock.age(fresh, 5.0) != pytest.approx(21.0), "the earlier clock is forgotten"


async def test_a_jump_is_an_alarm_a_history_entry_and_over_after_an_hour(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"a": LineBox}, [scene("duty", {"a.a": 5})]) as rig:
        fake = Fake()
        engine = rig.engine
        engine.clock = fake.clock()
        watch = ClockWatch(engine, lambda: ZONE, ntp=None, monotonic=fake.now)
        watch.look()
        assert not engine.store.alarms
        fake.shift += TEN_YEARS
        watch.look()
        alarm = engine.store.alarms["clock_jump"]
        assert "10.0 年" in alarm.text.zh
        assert "forward by 10.0 years" in alarm.text.en
        await rig.journal.commit(_nothing())
        ((_, event),) = [one for one in await rig.journal.events(limit=50) if one[1].kind == "clock_jump"]
        told = json.loads(event.body)
        assert told["before"].endswith("+08:00"), "in the hall's own zone"
        assert (told["before"][:4], told["after"][:4]) == ("2026", "2036")
        fake.shift -= HOUR
        watch.look()
        assert "back by 1.0 hours" in engine.store.alarms["clock_jump"].text.en
        fake.monotonic += SHOWN_S - 1
        watch.look()
        assert "clock_jump" in engine.store.alarms
        fake.monotonic += 2
        watch.look()
        assert "clock_jump" not in engine.store.alarms


async def test_lost_synchronisation_is_told_after_a_while_and_its_return_at_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"a": LineBox}, [scene("duty", {"a.a": 5})]) as rig:
        fake, in_step = Fake(), [True]
        watch = ClockWatch(rig.engine, lambda: ZONE, ntp=lambda: in_step[0], monotonic=fake.now)

        def minutes(seconds: float) -> None:
            for _ in range(int(seconds / 10)):
                fake.monotonic += 10
                watch.look()

        minutes(NTP_LOST_S * 2)
        in_step[0] = False
        minutes(NTP_LOST_S - 60)
        assert not rig.engine.store.alarms
        minutes(120)
        assert set(rig.engine.store.alarms) == {"clock_unsynchronised"}
        in_step[0] = True
        minutes(60)
        assert not rig.engine.store.alarms


async def test_where_nobody_can_tell_nobody_is_alarmed(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"a": LineBox}, [scene("duty", {"a.a": 5})]) as rig:
        fake = Fake()
        watch = ClockWatch(rig.engine, lambda: ZONE, ntp=lambda: None, monotonic=fake.now)
        for _ in range(100):
            fake.monotonic += 30
            watch.look()
        assert not rig.engine.store.alarms


@pytest.mark.parametrize("by", JUMPS)
async def test_a_jump_in_the_midst_of_a_switch_changes_nothing(
    tmp_path: Path, shift: Callable[[float], None], by: float
) -> None:
    wants = {f"{device}.{local}": 7 for device in "ab" for local in "abc"}
    async with Rig(tmp_path, {"a": LineBox, "b": LineBox}, [scene("duty", wants)]) as rig:
        await rig.online()
        watch = asyncio.create_task(ClockWatch(rig.engine, lambda: ZONE, ntp=None, every_s=0.02).run())
        try:
            press = Press(by="值班员", key="k", digest="d")
            run = await rig.press("duty", press)
            shift(by)
            await rig.finished(run)
            assert run.verdict == "ready"
            assert {str(card.outcome) for card in run.cards.values()} <= {"ok", "already"}
            assert run.elapsed_s is not None
            assert 0 <= run.elapsed_s < run.objective_s
            await until(lambda: "clock_jump" in rig.engine.store.alarms)
            again = Press(by="值班员", key="other", digest="d")
            await rig.switch("duty", again)
            assert await rig.engine.arbiter.known_key(press) == run.id, "the key is still known"
            await rig.twins["a"].fault("refuse")
            await until(lambda: rig.engine.store.devices["a"].link != "online")
            await rig.twins["a"].heal()
            await rig.online()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


async def test_keys_of_a_clock_that_was_ahead_are_forgotten(
    tmp_path: Path, shift: Callable[[float], None]
) -> None:
    async with Rig(tmp_path, {"a": LineBox}, [scene("duty", {"a.a": 5})]) as rig:
        shift(TEN_YEARS)
        await rig.switch("duty", Press(by="x", key="ahead", digest="d"))
        shift(-TEN_YEARS)
        await rig.switch("duty", Press(by="x", key="now", digest="d"))
        await rig.stop()
        await rig.start()
        keys = rig.engine.arbiter.keys
        assert keys.run_of("ahead") is None
        assert keys.run_of("now") is not None


def test_the_watch_looks_often_enough() -> None:
    assert EVERY_S <= 1.0


def _nothing():  # type: ignore[no-untyped-def]
    from ecc_controld.journal import Change

    return Change()
