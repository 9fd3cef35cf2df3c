"""The journal's public shapes: what is put in and what comes back after a restart."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("scene_layer", "manual", "hold", "life", "service")
KEY_LIFE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Put:
    """One durable value; `body` None deletes it. `kind` is one of KINDS."""

    kind: str
    key: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Clear:
    """Drops every value of a kind; within one Change it is done before the puts."""

    kind: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; written again under the same id as it goes on. Times RFC 3339, `body` JSON, ids sort by time."""

    id: str
    scene: str
    opened: str
    closed: str | None
    state: str
    body: bytes


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An idempotency key: the run that it opened, the digest of its request, epoch seconds. Kept 24 hours."""

    key: str
    run: str
    digest: str
    at: float


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of the history, which is only ever appended to."""

    at: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that must go on after a restart (wishes, runs); the journal keeps the highest ever given."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is written together or not at all; clears come first, then puts, in their order."""

    puts: tuple[Put, ...] = ()
    clears: tuple[Clear, ...] = ()
    runs: tuple[RunRow, ...] = ()
    keys: tuple[KeyRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    counters: tuple[Counter, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.puts or self.clears or self.runs or self.keys or self.events or self.counters)


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a restart needs: values by kind (every one of KINDS is there), runs not closed (oldest first), keys."""

    puts: dict[str, dict[str, bytes]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    runs: tuple[RunRow, ...] = ()
    keys: tuple[KeyRow, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
