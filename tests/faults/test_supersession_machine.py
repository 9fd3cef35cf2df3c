"""Supersession at the wire, as a hypothesis state machine: `make soak` shrinks a failing interleaving to its few moves.

The moves and the oracles are those of test_supersession.py, which plays many long interleavings at once.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ecc_controld.link import backoff
from faults.keeping import SLOWEST_S, KeepingHall, moment
from faults.test_supersession import DEVICES, Play

SOAK = bool(os.environ.get("ECC_SOAK"))
RULES = settings(
    max_examples=150 if SOAK else 8,
    stateful_step_count=25 if SOAK else 12,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=list(Phase) if SOAK else [Phase.generate],  # shrinking plays hundreds of halls: minutes
)
SEEDS = st.integers(0, 9999)
PAUSES = st.sampled_from((0.0, 0.0, 0.0, 0.005, 0.03, 0.1, SLOWEST_S))


class Wire(RuleBasedStateMachine):
    """One hall over real sockets; each rule is one move of a person, a device or the service manager."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.trouble: list[object] = []
        self.loop.set_exception_handler(lambda loop, context: self.trouble.append(context))
        self.folder = tempfile.TemporaryDirectory()
        self.hall = KeepingHall(Path(self.folder.name) / "state", DEVICES)
        self.do(self.hall.__aenter__())
        self.do(self.hall.start())
        self.play = Play(0, self.hall)

    def do(self, what: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(what)

    def move(self, name: str, seed: int, pause: float) -> None:
        """One move with dice of its own, so that leaving out another move does not change it."""
        self.play.dice.seed(seed)
        self.do(getattr(self.play, name)())
        if pause:
            self.do(moment(pause))

    @rule(seed=SEEDS, pause=PAUSES)
    def press(self, seed: int, pause: float) -> None:
        self.move("press", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def by_hand(self, seed: int, pause: float) -> None:
        self.move("by_hand", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def take_back(self, seed: int, pause: float) -> None:
        self.move("take_back", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def disturb(self, seed: int, pause: float) -> None:
        self.move("disturb", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def heal(self, seed: int, pause: float) -> None:
        self.move("heal", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def reboot(self, seed: int, pause: float) -> None:
        self.move("reboot", seed, pause)

    @rule(seed=SEEDS, pause=PAUSES)
    def restart(self, seed: int, pause: float) -> None:
        self.move("restart", seed, pause)

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not self.hall.wrong, self.hall.wrong
        assert not self.trouble, self.trouble

    def teardown(self) -> None:
        """Healed, the hall becomes what was asked for last."""
        try:
            self.do(self.play.healed())
            self.nothing_is_wrong()
        finally:
            self.do(self.hall.__aexit__(None, None, None))
            self.do(self.loop.shutdown_default_executor())
            self.loop.close()
            self.folder.cleanup()


def test_any_moves_end_as_it_was_wanted_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FLAT_S", 0.1)
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "MOST_S", 0.2)
    run_state_machine_as_test(Wire, settings=RULES)
