"""The one control law: the life of a wish as a table (docs/engineers/law.md tells it in words).

Pure. `advance(life, event, facts)` finds the first row of TABLE that fits and returns the next life. What a
keeper may say on the wire follows from the state alone (`ALLOWED`). A read is a fact only when it was *sent*
after the event that it judges; the keeper sees to that and says so in `Facts.trusted`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Flag, StrEnum, auto

from ecc_controld.hall.wish import ATTEMPTS, Evidence, Life, Outcome, State
from ecc_controld.sdk.point import Drift, OnReturn


class Event(StrEnum):
    """What can happen to a wish."""

    DURABLE = "durable"
    COMMIT_FAILED = "commit_failed"
    PREREQS_TRUE = "prereqs_true"
    PREREQ_FAILED = "prereq_failed"
    READ = "read"
    RETURN = "return"
    UNREACHABLE = "unreachable"
    HANDED_OVER = "handed_over"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    LINK_LOST = "link_lost"
    DISTURBED = "disturbed"
    RETRY = "retry"
    SKIP = "skip"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART = "restart"
    SUPERSEDED = "superseded"
    OVERRIDDEN = "overridden"


class Bytes(Flag):
    """What a keeper may put on the wire for a wish."""

    NONE = 0
    READ = auto()
    WRITE = auto()


ALLOWED: dict[State, Bytes] = {
    State.NEW: Bytes.READ,
    State.WAITING: Bytes.READ,
    State.READY: Bytes.READ | Bytes.WRITE,
    State.SENT: Bytes.READ,
    State.ACKED: Bytes.READ,
    State.DOUBT: Bytes.READ,
    State.HELD: Bytes.READ,
    State.UNSETTLED: Bytes.READ,
    State.BLOCKED: Bytes.READ,
    State.SUSPENDED: Bytes.READ,
    State.PARKED: Bytes.READ,
    State.WITHDRAWN: Bytes.NONE,
    State.GONE: Bytes.NONE,
}
"""Only a ready wish may be written: one row, checked at the instant of writing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the keeper knows at the moment of an event.

    `equal`: the read value is the wanted one. `trusted`: the read was sent after the acknowledgement and after
    the quiet time of everything that disturbs the point, and the point is not dirty by another wish.
    `settling`: the settle time still runs. `late`: past the wish's own limit. `young`: younger than 30 min.
    `waiting`: a prerequisite is not true yet. `blind`: the point cannot be read.
    """

    equal: bool = False
    trusted: bool = True
    settling: bool = False
    late: bool = False
    young: bool = True
    waiting: bool = False
    blind: bool = False
    idempotent: bool = True
    measured: bool = False
    acknowledged: bool = True
    busy: bool = False
    by_us: bool = False
    priority: int = 0
    drift: Drift = "alarm"
    on_return: OnReturn = "apply"
    reason: str = ""
    detail: str = ""


class Forbidden(Exception):
    """A keeper tried what the law does not allow: a bug of ours."""


When = Callable[[Life, Facts], bool]
Then = Callable[[Life, Facts], Life]


@dataclass(frozen=True)
class Row:
    """One line of the table: in one of `states`, on `event`, if `when`, the next life is `then`."""

    states: frozenset[State]
    event: Event
    when: When
    then: Then
    name: str


# -- conditions ----------------------------------------------------------------------------------------------


def always(life: Life, facts: Facts) -> bool:
    return True


def _same(life: Life, f: Facts) -> bool:
    return f.equal and f.trusted and not f.blind


def _other(life: Life, f: Facts) -> bool:
    return not f.equal and f.trusted and not f.blind


def _may_return(life: Life, f: Facts) -> bool:
    return f.on_return == "apply" and f.young


# -- consequences --------------------------------------------------------------------------------------------


def to(state: State) -> Then:
    """Only the state changes."""
    return lambda life, f: replace(life, state=state)


def _open(life: Life, f: Facts) -> Life:
    """Strive: to ready, or to waiting while a prerequisite is not true; judged anew."""
    return replace(
        life,
        state=State.WAITING if f.waiting else State.READY,
        outcome=None,
        evidence=Evidence.NONE,
        reason="",
        detail="",
        drifted=False,
        away=False,
        asked=False,
    )


def _anew(life: Life, f: Facts) -> Life:
    return _open(replace(life, attempts=ATTEMPTS), f)


def _proved(life: Life, f: Facts) -> Life:
    """Held: read equal. `already` only if this wish never had to command it."""
    if f.late and (life.commanded or life.outcome is not None):
        outcome = Outcome.LATE
    else:
        outcome = Outcome.OK if life.commanded else Outcome.ALREADY
    return replace(
        life,
        state=State.HELD,
        outcome=outcome,
        evidence=Evidence.MEASURED if f.measured else Evidence.READ_BACK,
        reason="",
        detail="",
        drifted=False,
        away=False,
        asked=False,
    )


def _after_all(life: Life, f: Facts) -> Life:
    return replace(_proved(life, f), outcome=Outcome.LATE)


def _blind_held(life: Life, f: Facts) -> Life:
    return replace(
        life,
        state=State.HELD,
        outcome=Outcome.UNVERIFIABLE,
        evidence=Evidence.ACKNOWLEDGED if f.acknowledged else Evidence.COMMANDED,
        reason="",
        detail="",
    )


def _sent(life: Life, f: Facts) -> Life:
    return replace(
        life,
        state=State.SENT,
        attempts=life.attempts - 1,
        commanded=True,
        outcome=None,
        evidence=Evidence.COMMANDED,
        reason="",
        detail="",
    )


def _acked(life: Life, f: Facts) -> Life:
    return replace(life, state=State.ACKED, evidence=Evidence.ACKNOWLEDGED, detail=f.detail)


def ends(state: State, outcome: Outcome, *, evidence: Evidence | None = None, reason: str = "") -> Then:
    """An outcome with the reason that the facts carry; `reason` where they carry none."""

    def then(life: Life, f: Facts) -> Life:
        kept = life.evidence if evidence is None else evidence
        return replace(
            life, state=state, outcome=outcome, evidence=kept, reason=f.reason or reason, detail=f.detail
        )

    return then


_never_true = ends(State.UNSETTLED, Outcome.NOT_SETTLED, reason="not_settled")


def _doubt(life: Life, f: Facts) -> Life:
    return replace(
        life, state=State.DOUBT, outcome=Outcome.OFFLINE, reason=f.reason, detail=f.detail, by_us=f.by_us
    )


def _drift(life: Life, f: Facts) -> Life:
    reason = "return_ask" if life.asked else "drift"
    return replace(life, drifted=True, away=False, outcome=Outcome.NOT_SETTLED, reason=reason, detail=f.detail)


def _away(life: Life, f: Facts) -> Life:
    return replace(life, away=True, reason=f.reason, detail=f.detail)


def _back(life: Life, f: Facts) -> Life:
    """Read again as it was: its outcome was never taken back, only not told."""
    return replace(life, away=False, reason="", detail="")


def _ask(life: Life, f: Facts) -> Life:
    """The device came back different and nobody may act alone: held as false, or unsettled if never held."""
    state = State.HELD if life.state is State.HELD else State.UNSETTLED
    return replace(
        life,
        state=state,
        drifted=state is State.HELD,
        away=False,
        asked=f.on_return != "ignore",
        outcome=Outcome.NOT_SETTLED,
        reason="return_ask" if f.on_return != "ignore" else "return_ignored",
        detail=f.detail,
    )


def _undurable(life: Life, f: Facts) -> Life:
    return replace(_open(life, f), durable=False)


def _restart(life: Life, f: Facts) -> Life:
    return replace(life, state=State.DOUBT, by_us=False, outcome=None, reason="", detail="")


def _rows(states: tuple[State, ...] | State, event: Event, when: When, then: Then, name: str) -> Row:
    found = frozenset({states} if isinstance(states, State) else states)
    return Row(found, event, when, then, name)


S, E = State, Event
LIVING = tuple(state for state in State if state not in (S.GONE, S.WITHDRAWN))
STRIVING = (S.NEW, S.WAITING, S.READY, S.SENT, S.ACKED, S.DOUBT)

TABLE: tuple[Row, ...] = (
    # A wish is accepted in memory first; bytes leave only when it is durable.
    _rows(S.NEW, E.DURABLE, always, _open, "new: durable"),
    _rows(S.NEW, E.COMMIT_FAILED, lambda w, f: f.priority >= 80, _undurable, "new: not durable, goes on"),
    _rows(S.NEW, E.COMMIT_FAILED, always, to(S.WITHDRAWN), "new: withdrawn"),
    # Order.
    _rows((S.WAITING, S.BLOCKED), E.PREREQS_TRUE, always, _open, "waiting: may go"),
    _rows((S.WAITING, S.READY), E.PREREQ_FAILED, always, ends(S.BLOCKED, Outcome.BLOCKED), "waiting: blocked"),
    # Ready: compare, then write only what differs.
    _rows(S.READY, E.READ, _same, _proved, "ready: already so"),
    _rows(S.READY, E.UNREACHABLE, always, ends(S.READY, Outcome.OFFLINE), "ready: unreachable"),
    _rows(S.DOUBT, E.UNREACHABLE, always, ends(S.DOUBT, Outcome.OFFLINE), "doubt: unreachable"),
    _rows(
        S.READY,
        E.RETURN,
        lambda w, f: not _may_return(w, f) and not f.equal and not f.blind,
        _ask,
        "ready: came back too late",
    ),
    _rows(S.READY, E.RETURN, _same, _proved, "ready: came back as wanted"),
    _rows(S.READY, E.HANDED_OVER, lambda w, f: w.attempts > 0, _sent, "ready: sent"),
    # Sent: whose answer is it?
    _rows(S.SENT, E.ACKNOWLEDGED, lambda w, f: f.blind, lambda w, f: _blind_held(_acked(w, f), f), "sent: blind"),
    _rows(S.SENT, E.ACKNOWLEDGED, always, _acked, "sent: acknowledged"),
    _rows(
        S.SENT,
        E.REFUSED,
        lambda w, f: f.busy and w.attempts > 0,
        lambda w, f: replace(w, state=S.READY, reason=f.reason, detail=f.detail),
        "sent: busy",
    ),
    _rows(
        S.SENT,
        E.REFUSED,
        always,
        ends(S.UNSETTLED, Outcome.REJECTED, evidence=Evidence.COMMANDED),
        "sent: refused",
    ),
    # (no answer in time and a mismatched answer abort the connection: they arrive here as LINK_LOST, `by_us`)
    _rows((S.SENT, S.ACKED), E.LINK_LOST, always, _doubt, "sent: link lost"),
    # Acknowledged is not done.
    _rows(S.ACKED, E.READ, _same, _proved, "acked: true"),
    _rows(S.ACKED, E.READ, lambda w, f: _other(w, f) and f.settling, to(S.ACKED), "acked: settling"),
    _rows(S.ACKED, E.READ, lambda w, f: _other(w, f) and w.attempts > 0, to(S.READY), "acked: once more"),
    _rows(S.ACKED, E.READ, _other, _never_true, "acked: not settled"),
    # Doubt: something of ours may still be inside the device.
    _rows(S.DOUBT, E.READ, _same, _proved, "doubt: it had arrived"),
    _rows(
        S.DOUBT,
        E.READ,
        lambda w, f: _other(w, f) and w.by_us and w.attempts <= 0,
        _never_true,
        "doubt: gives up",
    ),
    _rows(S.DOUBT, E.READ, lambda w, f: _other(w, f) and w.by_us, _open, "doubt: sent again, counted"),
    _rows(S.DOUBT, E.READ, _other, _anew, "doubt: sent again"),
    _rows(S.DOUBT, E.RETURN, lambda w, f: f.blind and f.idempotent, _anew, "doubt: blind, sent once more"),
    _rows(S.DOUBT, E.RETURN, lambda w, f: f.blind, _blind_held, "doubt: blind, left alone"),
    # Held: kept true.
    _rows(S.HELD, E.DISTURBED, lambda w, f: not w.drifted, _anew, "held: disturbed by our own write"),
    _rows(S.HELD, E.READ, lambda w, f: _same(w, f) and w.drifted, _proved, "held: true again"),
    _rows(S.HELD, E.READ, lambda w, f: _other(w, f) and not w.drifted, _drift, "held: drift"),
    # What a lost device once proved is not claimed of it until it is read again.
    _rows(S.HELD, E.UNREACHABLE, lambda w, f: not w.away or w.reason != f.reason, _away, "held: unreachable"),
    _rows((S.HELD,), E.RESTART, always, lambda w, f: replace(w, away=True, reason=""), "held: restart"),
    _rows((S.HELD,), E.READ, lambda w, f: _same(w, f) and w.away, _back, "held: read again"),
    _rows(S.HELD, E.READ, lambda w, f: _other(w, f) and w.away and w.drifted, _drift, "held: still another value"),
    _rows(
        S.HELD,
        E.RETURN,
        lambda w, f: f.blind and f.idempotent and _may_return(w, f),
        _anew,
        "held: blind, sent once more",
    ),
    _rows(S.HELD, E.RETURN, lambda w, f: f.blind and w.away, _back, "held: blind, left alone"),
    _rows(S.HELD, E.RETURN, lambda w, f: _same(w, f) and w.drifted, _proved, "held: came back as wanted"),
    _rows(S.HELD, E.RETURN, lambda w, f: _same(w, f) and w.away, _back, "held: came back as it was"),
    _rows(
        S.HELD,
        E.RETURN,
        lambda w, f: _other(w, f) and not w.drifted and _may_return(w, f),
        _anew,
        "held: came back different, applied",
    ),
    _rows(S.HELD, E.RETURN, lambda w, f: _other(w, f) and not w.drifted, _ask, "held: came back different, asks"),
    # Unsettled: a person, a new wish or a return.
    _rows(
        (S.UNSETTLED, S.BLOCKED, S.HELD, S.READY, S.PARKED),
        E.RETRY,
        lambda w, f: not w.as_wanted,
        _anew,
        "retried by a person",
    ),
    _rows(S.UNSETTLED, E.READ, _same, _after_all, "unsettled: true after all"),
    _rows(S.UNSETTLED, E.RETURN, _same, _after_all, "unsettled: came back as wanted"),
    _rows(S.UNSETTLED, E.RETURN, lambda w, f: _may_return(w, f) and not w.asked, _anew, "unsettled: returned"),
    # Set aside, and back.
    _rows(LIVING, E.SKIP, always, ends(S.PARKED, Outcome.SKIPPED), "go on without"),
    _rows(LIVING, E.OUT_OF_SERVICE, always, ends(S.PARKED, Outcome.OUT_OF_SERVICE), "out of service"),
    _rows(S.PARKED, E.IN_SERVICE, lambda w, f: w.outcome is Outcome.OUT_OF_SERVICE, _anew, "in service"),
    _rows(LIVING, E.SUSPEND, always, to(S.SUSPENDED), "suspended: fire, or moved by hand"),
    _rows(S.SUSPENDED, E.RESUME, always, _anew, "a person goes on"),
    # A start: whatever was under way is in doubt; held wishes wait for their first read (RETURN).
    _rows(STRIVING, E.RESTART, always, _restart, "restart: in doubt"),
    _rows((S.UNSETTLED, S.BLOCKED), E.RESTART, always, _restart, "restart: judged anew"),
    # A newer wish.
    _rows(LIVING, E.SUPERSEDED, always, ends(S.GONE, Outcome.SUPERSEDED), "superseded"),
    _rows(LIVING, E.OVERRIDDEN, always, ends(S.GONE, Outcome.OVERRIDDEN), "overridden"),
)

_BY_KEY: dict[tuple[State, Event], tuple[Row, ...]] = {
    (state, event): tuple(row for row in TABLE if row.event is event and state in row.states)
    for state in State
    for event in Event
}


def row_for(life: Life, event: Event, facts: Facts) -> Row | None:
    """The row of the table that applies, or None: the event changes nothing."""
    for row in _BY_KEY[life.state, event]:
        if row.when(life, facts):
            return row
    return None


def advance(life: Life, event: Event, facts: Facts = Facts()) -> Life:
    """The next life of a wish; the same object if the event changes nothing.

    Raises Forbidden when a write is handed over for a wish that may not be written.
    """
    row = row_for(life, event, facts)
    if row is None:
        if event is Event.HANDED_OVER:
            raise Forbidden(f"a wish in state {life.state} with {life.attempts} attempts may not be written")
        return life
    return row.then(life, facts)


def may_write(life: Life) -> bool:
    """Whether bytes that change the device may leave for this wish."""
    return Bytes.WRITE in ALLOWED[life.state] and life.attempts > 0
