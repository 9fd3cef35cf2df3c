"""The law under a state machine: any order of presses, losses, refusals and slow effects, no socket, no clock.

The device of this test keeps commands of a broken connection inside and may carry them out later, as real ones
do. Whenever a wish is called proved, the device must really be so, and nothing that could change it may still be
inside.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ecc_controld.control.agenda import Agenda, Ask, Observe, Pause, Write
from ecc_controld.control.book import Book
from ecc_controld.control.gate import Gate
from ecc_controld.control.guard import Guards
from ecc_controld.control.law import Facts
from ecc_controld.control.ledger import Ledger
from ecc_controld.control.wishes import Swap, Wishes
from ecc_controld.hall.store import Entry, Store
from ecc_controld.hall.wish import Layer, Life, Outcome, State, Wish
from ecc_controld.sdk import Reading, Refusal, Value
from support.linebox import LineBox, PipelinedBox, config

SETTLE = 0.5
QUIET = 0.1
PROVED = (Outcome.OK, Outcome.ALREADY, Outcome.LATE)
VALUES = {"a": [1, 2, 3], "b": [1, 2], "c": [4, 5], "preset": ["duty", "emergency"], "mute": [False, True]}


@dataclass
class Effect:
    at: float
    point: str
    value: Value
    connection: int
    lost: bool = False


@dataclass
class Device:
    """Values now, and what is still going to happen to them."""

    values: dict[str, Value] = field(
        default_factory=lambda: {"a": 0, "b": 0, "c": 0, "mute": False, "preset": "duty", "lamp": 0}
    )
    effects: list[Effect] = field(default_factory=list)
    connection: int = 0
    replaces: bool = True

    def command(self, now: float, point: str, value: Value, delay: float, *, lost: bool) -> None:
        """A command arrives. Some devices drop what an older one would still do, others do all in their order."""
        mine = [e for e in self.effects if e.connection == self.connection and e.point == point]
        if self.replaces:
            for effect in mine:
                self.effects.remove(effect)
        at = max([now + delay, *(e.at for e in mine)])
        self.effects.append(Effect(at, point, value, self.connection, lost))
        if point == "preset":
            self.effects.append(Effect(now + min(delay, QUIET) * 0.9, "c", 77, self.connection, lost))

    def happen(self, now: float) -> None:
        """Everything that is due."""
        for effect in sorted(self.effects, key=lambda e: e.at):
            if effect.at <= now:
                self.values[effect.point] = effect.value
                self.effects.remove(effect)


class Hall(RuleBasedStateMachine):
    """One device under the law; time moves only by rules."""

    kind = LineBox

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        driver = self.kind(config("x", settle=SETTLE))
        self.store = Store([("x", driver.points)])
        self.gate = Gate(self.store, lambda device: None)
        self.wishes = Wishes(self.store, self.gate, lambda device: None)
        self.book = Book(
            "x", self.store.by_device["x"], poll_s=2.0, gap_s=0.0, window=driver.window, pipelines=driver.pipelines
        )
        self.book.offline_since = self.now
        self.ledger = Ledger(self.book, self.store, self.gate)
        self.guards = Guards(self.book, self.store, self.wishes.begin)
        self.agenda = Agenda(self.book, self.store, self.ledger, self.guards)
        self.device = Device()
        self.pending: list[Swap] = []
        self.poked: set[str] = set()
        self.store.on_life.append(self._check_proof)

    # -- the oracle --------------------------------------------------------------------------------------

    def _check_proof(self, entry: Entry, wish: Wish, life: Life) -> None:
        if life.state is not State.HELD or life.outcome not in PROVED or life.drifted or entry.local in self.poked:
            return
        self.device.happen(self.now)
        real = self.device.values[entry.local]
        assert real == wish.value, f"{entry.name} called {life.outcome} at {wish.value} but is {real}"
        rest = [e for e in self.device.effects if e.point == entry.local and e.value != wish.value]
        assert not rest, f"{entry.name} called {life.outcome} while {rest} is still inside"

    # -- rules -------------------------------------------------------------------------------------------

    @initialize(replaces=st.booleans())
    def begin(self, replaces: bool) -> None:
        self.device.replaces = replaces
        self.link_up()

    @rule(data=st.data())
    def scene(self, data: st.DataObject) -> None:
        points = data.draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, min_size=1))
        self._accept({name: data.draw(st.sampled_from(VALUES[name])) for name in points}, Layer.SCENE)

    @rule(data=st.data(), name=st.sampled_from(["a", "b", "c", "mute"]))
    def by_hand(self, data: st.DataObject, name: str) -> None:
        self._accept({name: data.draw(st.sampled_from(VALUES[name]))}, Layer.MANUAL)

    @rule(name=st.sampled_from(["a", "b", "c", "mute"]))
    def take_back(self, name: str) -> None:
        number = self.store.next_number()
        self.wishes.release_manual([f"x.{name}"], number=number, cause=Facts())

    @rule()
    def disk_done(self) -> None:
        for swap in self.pending:
            self.wishes.durable(swap)
        self.pending.clear()

    @rule()
    def disk_failed(self) -> None:
        while self.pending:
            self.wishes.withdraw(self.pending.pop(0), Facts())

    @rule()
    def link_up(self) -> None:
        if not self.book.online:
            self.device.connection += 1
            self.ledger.link_up(self.now)

    @rule()
    def link_down(self) -> None:
        if self.book.online:
            self._break(by_us=False)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.device.happen(self.now)

    @rule(name=st.sampled_from(["a", "b", "c", "mute"]), data=st.data())
    def somebody_at_the_device(self, name: str, data: st.DataObject) -> None:
        self.device.values[name] = data.draw(st.sampled_from(VALUES[name]))
        self.poked.add(name)

    @rule(
        answers=st.lists(
            st.sampled_from(["ok", "ok", "ok", "no", "busy", "cut", "silent"]), min_size=1, max_size=12
        ),
        delay=st.sampled_from([0.0, 0.05, 0.3, 0.49]),
    )
    def work(self, answers: list[str], delay: float) -> None:
        for answer in answers:
            if not self._step(answer, delay):
                return

    @invariant()
    def attempts_are_bounded(self) -> None:
        for entry in self.store.entries.values():
            assert entry.life is None or 0 <= entry.life.attempts <= 3
            assert entry.living is entry.top

    def teardown(self) -> None:
        """A healthy device and a little time: every wish that nobody disturbs by hand is true."""
        self.disk_done()
        self.poked = {name for name in self.poked}
        self.link_up()
        end = self.now + 20
        for _ in range(5000):
            if self.now >= end:
                break
            if not self._step("ok", 0.05):
                until = self.agenda.next(self.now)
                assert isinstance(until, Pause)
                self.now = max(self.now + 0.001, min(until.until, end))
                self.device.happen(self.now)
        else:
            raise AssertionError(f"the keeper never rests: {self.agenda.next(self.now)}")
        for entry in self.store.entries.values():
            life, wish = entry.life, entry.top
            if wish is None or life is None or entry.blind:
                continue
            guarded = life.state is State.BLOCKED and life.reason == "guard_failed"
            assert guarded or life.state in (State.HELD, State.UNSETTLED), (entry.name, life)
            if life.as_wanted:
                assert self.device.values[entry.local] == wish.value, (entry.name, life)

    # -- inside ------------------------------------------------------------------------------------------

    def _accept(self, values: dict[str, Value], layer: Layer) -> None:
        number = self.store.next_number()
        self.store.pending.add(number)
        wishes = {
            f"x.{name}": Wish(
                number=number,
                point=f"x.{name}",
                value=value,
                layer=layer,
                by="p",
                since=self.now,
                accepted=self.now,
                settle_s=SETTLE,
            )
            for name, value in values.items()
        }
        self.poked -= set(values)
        if layer is Layer.SCENE:
            self.pending.append(self.wishes.replace_layer(layer, wishes, number=number, cause=Facts()))
        else:
            self.pending.append(self.wishes.set_manual(wishes, number=number, cause=Facts()))

    def _break(self, *, by_us: bool) -> None:
        for effect in self.device.effects:
            effect.lost = True
        self.ledger.link_down(self.now, "reset", "", by_us=by_us)

    def _step(self, answer: str, delay: float) -> bool:
        """One step of the agenda against the device; False when there is nothing to do now."""
        self.device.happen(self.now)
        self.guards.tend(self.now, self.now)
        step = self.agenda.next(self.now)
        if isinstance(step, Write):
            self._write(step, answer, delay)
        elif isinstance(step, Ask):
            self._read([entry.local for entry in step.entries])
        elif isinstance(step, Observe):
            self.book.observe_at = self.now + self.book.poll_s
            self._read([local for local, entry in self.book.entries.items() if not entry.blind])
        return not isinstance(step, Pause)

    def _write(self, step: Write, answer: str, delay: float) -> None:
        asked = self.now
        numbers = []
        for entry in step.entries:
            wish = entry.top
            assert wish is not None
            assert wish.number not in self.store.pending, "written before it was durable"
            assert entry.life is not None
            assert entry.life.state is State.READY
            numbers.append(wish.number)
            self.ledger.handed_over(entry, self.now)
            if answer not in ("no", "busy"):
                self.device.command(self.now, entry.local, wish.value, delay, lost=answer != "ok")
        if answer in ("cut", "silent"):
            self._break(by_us=answer == "silent")
            return
        values = dict(self.device.values)
        self.device.happen(self.now)
        values = dict(self.device.values)
        self.now += 0.01
        for entry, number in zip(step.entries, numbers, strict=True):
            if answer == "ok":
                self.ledger.acknowledged(entry, number, self.now, said=True)
            else:
                self.ledger.refused(entry, number, Refusal("no", busy=answer == "busy"), self.now)
        for entry in step.ask:
            self.ledger.read([Reading(entry.local, values[entry.local])], asked, self.now)

    def _read(self, names: list[str]) -> None:
        values = dict(self.device.values)
        self.ledger.read([Reading(name, values[name]) for name in names], self.now, self.now)


def _sent_then_refused(hall: Hall, first: dict[str, Value], second: dict[str, Value], replaces: bool) -> None:
    """A write is acknowledged and still settling when the next wish's write is refused as busy."""
    hall.begin(replaces=replaces)
    hall.work(["ok"] * 8, 0.0)
    for values, answer in ((first, "ok"), (second, "busy")):
        hall._accept(values, Layer.MANUAL)
        hall.disk_done()
        name = next(iter(values))
        entry = hall.book.entries[name]
        before = hall.book.tracks[name].written_at
        while hall.book.tracks[name].written_at == before:
            assert hall._step(answer, 0.3)
        assert entry.dirty
    hall.teardown()  # the oracle looks at every proof


@pytest.mark.parametrize("replaces", [True, False])
def test_a_refusal_does_not_end_the_settle_time_of_the_write_before_it(replaces: bool) -> None:
    _sent_then_refused(Hall(), {"a": 1}, {"a": 0}, replaces)


@pytest.mark.parametrize("replaces", [True, False])
def test_a_refusal_does_not_end_the_quiet_time_that_another_write_began(replaces: bool) -> None:
    hall = Hall()
    hall.begin(replaces=replaces)
    preset, c = hall.book.entries["preset"], hall.book.entries["c"]
    hall.ledger._disturb(c, float("inf"), hall.now)
    hall.ledger._disturb(c, hall.now + QUIET, hall.now)
    hall.ledger._disturb(c, float("inf"), hall.now)
    hall.ledger.refused(preset, 0, Refusal("busy", busy=True), hall.now)
    assert c.trust_after == hall.now + QUIET
    assert hall.book.tracks["c"].quiet_until == hall.now + QUIET


def test_what_a_hand_made_true_does_not_prove_that_our_command_is_over() -> None:
    hall = PipelinedHall()
    hall.begin(replaces=False)
    hall.work(["ok"], 0.0)
    hall.device.values["a"] = 2  # somebody at the device, just before the same is asked for
    for values in ({"a": 2}, {"a": 1}):
        hall._accept(values, Layer.SCENE)
        hall.disk_done()
        if values == {"a": 2}:
            assert hall._step("ok", 0.3)
            hall.link_down()
    hall.teardown()  # the oracle looks at every proof


class PipelinedHall(Hall):
    """The same with write and question in one segment."""

    kind = PipelinedBox


TestHall = Hall.TestCase
# A slice here; `make soak` takes a thousand longer ones.
SOAK = bool(os.environ.get("ECC_SOAK"))
TestHall.settings = settings(
    max_examples=1000 if SOAK else 60, stateful_step_count=60 if SOAK else 30, deadline=None
)
TestPipelinedHall = PipelinedHall.TestCase
TestPipelinedHall.settings = TestHall.settings
