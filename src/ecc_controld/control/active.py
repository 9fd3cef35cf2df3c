"""Which scene has the hall: a durable thing of its own, that outlives the run which set it up."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ecc_controld.sdk.text import Text


@dataclass(frozen=True, slots=True)
class Active:
    """The scene that has the hall now. `since` is Unix time; `before` (with its params) the scene that stood before
    a hold."""

    scene: str
    mode: str | None
    title: Text
    params: dict[str, Any]
    by: str
    since: float
    run: str
    holds: bool
    priority: int
    drill: bool = False
    before: str | None = None
    verdict: str | None = None
    before_params: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        """For the journal."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def load(cls, body: bytes) -> Active:
        """From the journal."""
        found = json.loads(body)
        return cls(**{**found, "title": Text(*found["title"])})
