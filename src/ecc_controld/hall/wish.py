"""Wishes: what somebody wants of a point, and how far the hall has come with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal

from ecc_controld.sdk.point import OnReturn, Value

Criticality = Literal["must", "should", "may"]

ATTEMPTS = 3
"""Writes that one wish may cost before a person is asked."""


class State(StrEnum):
    """Where a wish is in its life (control/law.py has the table)."""

    NEW = "new"
    WAITING = "waiting"
    READY = "ready"
    SENT = "sent"
    ACKED = "acked"
    DOUBT = "doubt"
    HELD = "held"
    UNSETTLED = "unsettled"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    PARKED = "parked"
    WITHDRAWN = "withdrawn"
    GONE = "gone"


class Outcome(StrEnum):
    """What became of a wish; one word a point of a run."""

    OK = "ok"
    ALREADY = "already"
    UNVERIFIABLE = "unverifiable"
    LATE = "late"
    NOT_SETTLED = "not_settled"
    REJECTED = "rejected"
    OFFLINE = "offline"
    BLOCKED = "blocked"
    OVERRIDDEN = "overridden"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    OUT_OF_SERVICE = "out_of_service"


class Evidence(IntEnum):
    """How well an outcome is proved, weakest first."""

    NONE = 0
    COMMANDED = 1
    ACKNOWLEDGED = 2
    READ_BACK = 3
    MEASURED = 4

    @property
    def word(self) -> str:
        """The word of the API."""
        return self.name.lower()


class Layer(IntEnum):
    """Whose wish it is; the highest layer of a point is its top wish. GUARD is the keeper's own."""

    SCENE = 1
    MANUAL = 2
    FIRE = 3
    GUARD = 4

    @property
    def word(self) -> str:
        """The word of the API."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Prereq:
    """Another point that must first be as the scene wants it."""

    point: str
    value: Value
    if_failed: Literal["block", "go_on"] = "block"


@dataclass(frozen=True, slots=True)
class Wish:
    """A desired value of one point: who wants it, since when, through what.

    `number` is that of the acceptance (all wishes of one scene share it); it grows and is never used again.
    `since` is Unix time for people, `accepted` the same moment on the monotonic clock. `limit_s` is how long it
    may take before its truth counts as late.
    """

    number: int
    point: str
    value: Value
    layer: Layer
    by: str
    since: float
    accepted: float
    run: str | None = None
    priority: int = 0
    criticality: Criticality = "should"
    limit_s: float = 60.0
    settle_s: float = 2.0
    on_return: OnReturn = "apply"
    prereqs: tuple[Prereq, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """How far a wish has come. Only `control.law.advance` makes the next one.

    - `commanded`: a write of this wish was handed over at least once.
    - `drifted`: held, but the last read says otherwise; `asked`: a return waits for a person.
    - `away`: held, but not read since its device was lost (then with a reason) or since the start.
    - `by_us`: in doubt because we aborted for want of an answer (attempts then count on).
    """

    state: State = State.NEW
    attempts: int = ATTEMPTS
    outcome: Outcome | None = None
    evidence: Evidence = Evidence.NONE
    reason: str = ""
    detail: str = ""
    commanded: bool = False
    drifted: bool = False
    away: bool = False
    asked: bool = False
    by_us: bool = False
    durable: bool = True

    @property
    def as_wanted(self) -> bool:
        """The device was proved to be as this wish says, as far as it can be proved, and nothing denied it."""
        return self.state is State.HELD and not self.drifted and not self.away

    @property
    def told(self) -> Outcome | None:
        """The outcome that is told. What a lost device once proved is not claimed of it until it proves it again."""
        if not self.away:
            return self.outcome
        return Outcome.OFFLINE if self.reason else None

    @property
    def told_evidence(self) -> Evidence:
        """The evidence that is told with it."""
        if not self.away:
            return self.evidence
        return Evidence.COMMANDED if self.commanded else Evidence.NONE
