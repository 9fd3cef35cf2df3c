"""What a scene would change now, in which order, and what would fail. Pure; sends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ecc_controld.sdk.point import Value

from .order import waves
from .store import Store


class Wanted(Protocol):
    """What a plan must know of one wish of a scene."""

    @property
    def point(self) -> str: ...
    @property
    def value(self) -> Value: ...
    @property
    def criticality(self) -> str: ...
    @property
    def after(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Item:
    """One wish of a plan. `action` is write, already, unknown, offline or out_of_service."""

    point: str
    want: Value
    got: Value | None
    action: str
    criticality: str
    after: tuple[str, ...]
    reason: str = ""


def plan(store: Store, wants: Sequence[Wanted]) -> list[list[Item]]:
    """The waves of a scene: everything in one wave may converge side by side, after the wave before it."""
    items = {want.point: _item(store, want) for want in wants}
    order = waves(list(items), {name: list(item.after) for name, item in items.items()})
    return [[items[name] for name in wave] for wave in order]


def _item(store: Store, want: Wanted) -> Item:
    entry = store.entries[want.point]
    device = store.devices[entry.device]
    action, reason = "write", ""
    # (A device that is only observed is planned like any other: what would change is just what people look for then.)
    if not device.in_service:
        action = "out_of_service"
    elif device.link != "online":
        action, reason = "offline", device.reason
    elif entry.blind:
        action = "write"
    elif entry.observed is None:
        action = "unknown"
    elif not entry.dirty and entry.is_at(want.value):
        action = "already"
    return Item(want.point, want.value, entry.observed, action, want.criticality, want.after, reason)


def as_json(
    name: str, order: Sequence[Sequence[Item]], estimate_s: float | None, sentence: Callable[[str], Any]
) -> Mapping[str, Any]:
    """The API's shape of a plan. `sentence` gives a reason code's text."""
    items = [item for wave in order for item in wave]
    failing = [item for item in items if item.action == "offline"]
    return {
        "scene": name,
        "waves": [
            [
                {
                    "point": item.point,
                    "want": item.want,
                    "got": item.got,
                    "action": item.action,
                    "criticality": item.criticality,
                    "after": list(item.after),
                }
                for item in wave
            ]
            for wave in order
        ],
        "counts": dict(sorted(Counter(item.action for item in items).items())),
        "would_fail": [
            {"point": item.point, "reason": item.reason, "reason_text": sentence(item.reason)} for item in failing
        ],
        "estimate_s": estimate_s,
    }
