"""A run: the measured episode from a press until it is judged. Pure; times are given.

A run only counts. Conditions and order live with the wishes; here each wanted point has a card, the cards have
outcomes, and the outcomes have a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Criticality, Evidence, Layer, Life, Outcome, State, Wish
from ecc_controld.sdk.point import Value


class Verdict(StrEnum):
    """What a run comes to."""

    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    SUPERSEDED = "superseded"


FINE = frozenset({Outcome.OK, Outcome.ALREADY, Outcome.UNVERIFIABLE})
ASIDE = frozenset({Outcome.OVERRIDDEN, Outcome.SKIPPED, Outcome.OUT_OF_SERVICE})
"""Set aside by a person: never makes a run failed, where it matters it makes it degraded."""
FINAL = FINE | ASIDE | {Outcome.LATE, Outcome.SUPERSEDED}
"""Outcomes that waiting cannot improve."""


@dataclass(slots=True)
class Card:
    """One wanted point of a run. `elapsed_s` is from the press to the outcome."""

    point: str
    device: str
    criticality: Criticality
    want: Value
    number: int
    layer: Layer
    got: Value | None = None
    got_at: float | None = None
    outcome: Outcome | None = None
    evidence: Evidence = Evidence.NONE
    reason: str = ""
    detail: str = ""
    state: State = State.NEW
    elapsed_s: float | None = None

    @property
    def fine(self) -> bool:
        """True, already true, or as good as this device can prove."""
        return self.outcome in FINE


@dataclass(slots=True)
class Deed:
    """One action of a run: due, sent, acknowledged, failed, or unknown after a crash."""

    device: str
    action: str
    state: str = "due"
    reason: str = ""


@dataclass(slots=True, eq=False)
class Run:
    """The episode. `opened` is Unix time, `began` the same moment on the monotonic clock."""

    id: str
    scene: str
    params: dict[str, Any]
    by: str
    trigger: str
    opened: float
    began: float
    objective_s: float
    deadline_s: float
    digest: str
    layer: Layer
    key: str | None = None
    drill: bool = False
    state: str = "open"
    closed: float | None = None
    verdict: Verdict | None = None
    superseded_by: str | None = None
    resumed: bool = False
    elapsed_s: float | None = None
    cards: dict[str, Card] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)

    def enter(self, entry: Entry, wish: Wish, life: Life, now: float) -> bool:
        """A life changed; returns whether a card of this run did."""
        card = self.cards.get(entry.name)
        if card is None or self.state == "closed":
            return False
        if card.number != wish.number or card.layer is not wish.layer:
            return False
        had = card.outcome
        card.state, card.outcome, card.evidence = life.state, life.told, life.told_evidence
        card.reason, card.detail = life.reason, life.detail
        card.got, card.got_at = entry.observed, entry.observed_at
        if card.outcome is None:
            card.elapsed_s = None
        elif card.outcome is not had:
            card.elapsed_s = now - self.began
        return True

    def counts(self) -> dict[str, int]:
        """How many points have which outcome; `open` for those that strive, `total` for all."""
        found = Counter("open" if card.outcome is None else str(card.outcome) for card in self.cards.values())
        return {"total": len(self.cards), **dict(sorted(found.items()))}

    def review(self, now: float) -> bool:
        """Assess, reopen or close; returns whether the state changed."""
        if self.state == "closed":
            return False
        before = (self.state, self.verdict)
        outcomes = [card.outcome for card in self.cards.values()]
        if any(outcome is None for outcome in outcomes):
            self.state, self.verdict = "open", None
        else:
            self.state, self.verdict = "assessed", judge(self.cards.values())
            if all(outcome in FINAL for outcome in outcomes):
                self._close(now)
        if self.state != "closed" and now >= self.began + self.deadline_s:
            self._time_is_up(now)
        return (self.state, self.verdict) != before

    def supersede(self, by: str, now: float) -> None:
        """Another scene took the hall."""
        for card in self.cards.values():
            card.outcome = Outcome.SUPERSEDED
            card.reason, card.detail = "superseded", by
        self.superseded_by = by
        self.verdict = Verdict.SUPERSEDED
        self._close(now)

    def withdraw(self, now: float) -> None:
        """Its wishes could not be made durable: nothing was sent."""
        self.verdict = Verdict.FAILED
        self._close(now)

    def reinstate(self, entries: Mapping[str, Entry], now: float) -> None:
        """What superseded it never happened: count on with its wishes, which have new numbers."""
        self.state, self.verdict, self.superseded_by = "open", None, None
        self.closed = self.elapsed_s = None
        for card in self.cards.values():
            entry = entries.get(card.point)
            if entry is None:
                card.outcome, card.reason, card.detail = Outcome.OVERRIDDEN, "removed", ""
                continue
            wish = entry.layers.get(card.layer)
            if wish is None or wish.run != self.id or entry.living is not wish or entry.life is None:
                card.outcome, card.reason, card.detail = Outcome.OVERRIDDEN, "overridden", ""
            if wish is not None and wish.run == self.id:
                card.number = wish.number
                if entry.living is wish and entry.life is not None:
                    self.enter(entry, wish, entry.life, now)

    def _time_is_up(self, now: float) -> None:
        for card in self.cards.values():
            if card.outcome is None:
                waits = card.state in (State.WAITING, State.BLOCKED)
                card.outcome = Outcome.BLOCKED if waits else Outcome.NOT_SETTLED
                card.reason = card.reason or "deadline"
                card.elapsed_s = now - self.began
        self.verdict = judge(self.cards.values())
        self._close(now)

    def _close(self, now: float) -> None:
        self.state = "closed"
        self.elapsed_s = now - self.began
        self.closed = self.opened + self.elapsed_s


def judge(cards: Iterable[Card]) -> Verdict:
    """The verdict by criticality: failed if a must point is bad, degraded if one that matters is not fine."""
    verdict = Verdict.READY
    for card in cards:
        if card.criticality == "may" or card.outcome in FINE:
            continue
        if card.criticality == "must" and card.outcome not in ASIDE and card.outcome is not Outcome.LATE:
            return Verdict.FAILED
        verdict = Verdict.DEGRADED
    return verdict
