"""A keeper's book: what it must remember about the points of its device, beside the store. Plain data."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ecc_controld.hall.store import NEVER, Entry
from ecc_controld.sdk.exchange import Exchange
from ecc_controld.sdk.point import Value

FOREVER = float("inf")
UNREACHABLE_S = 5.0
"""How long a device may be away before its wishes get the outcome `offline`."""


@dataclass(slots=True)
class Track:
    """Times (monotonic) around one point.

    - `ask_at`: when to read it back, None: with the next poll.
    - `written_at`, `answered_at`: the last write, and from when on a read can show its effect (FOREVER while it
      is unanswered).
    - `settle_until`: until then a different value is not yet a failure.
    - `quiet_until`: until then another point's write may still move it.
    - `quiet_before`, `trust_before`: what `quiet_until` and the entry's `trust_after` were before FOREVER.
    - `not_before`: a busy device is left alone until then.
    - `before`, `moved`: what it was when the first write left that is not proved yet (None: unknown), and whether it
      was read as anything else since. `older_until`: until then an earlier one of several such writes may not even have
      begun to show.
    - `probed`: it was asked since it became ready, and the device could not say.
    - `returning`: the first trusted read since the link came up is still to be judged.
    """

    ask_at: float | None = None
    written_at: float = NEVER
    answered_at: float = NEVER
    settle_until: float = NEVER
    quiet_until: float = NEVER
    quiet_before: float = NEVER
    trust_before: float = NEVER
    not_before: float = NEVER
    before: Value | None = None
    moved: bool = False
    older_until: float = NEVER
    probed: bool = False
    returning: bool = False


@dataclass(slots=True)
class Drive:
    """A momentary movement: runs while renewed, ends by itself at `until`."""

    value: Value
    until: float
    by: str
    sent: Value | None = None


@dataclass(slots=True)
class Deed:
    """An action that is due once: its name and what to call with `acknowledged` or `failed`, and a reason."""

    action: str
    tell: object


@dataclass(slots=True, eq=False)
class Book:
    """One device: its entries with their tracks, its link, its pace.

    `answered`: it has answered anything since it came online. A device that only ever lets us in and hangs up again is
    away all the time, so `offline_since` is when the last session ended in which it had answered.
    """

    device: str
    entries: dict[str, Entry]
    poll_s: float
    gap_s: float
    window: int
    pipelines: bool
    observe_only: bool = False
    tracks: dict[str, Track] = field(default_factory=dict)
    online: bool = False
    refused: bool = False
    answered: bool = False
    offline_since: float = NEVER
    reason: str = "not_dialled"
    detail: str = ""
    observe_at: float = NEVER
    observing: deque[Exchange] = field(default_factory=deque)
    free_at: float = NEVER
    guards: dict[str, Value | None] = field(default_factory=dict)
    drives: dict[str, Drive] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tracks = {local: Track() for local in self.entries}

    def unreachable(self, now: float) -> bool:
        """Away for long enough, or refused, that its wishes are told so."""
        return not self.online and (self.refused or now >= self.unreachable_from)

    @property
    def unreachable_from(self) -> float:
        """From when on it counts as unreachable, unless it comes back."""
        return self.offline_since + UNREACHABLE_S
