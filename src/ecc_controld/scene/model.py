"""placeholder until the loader lands"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecc_controld.sdk.point import OnReturn, Value
from ecc_controld.sdk.text import Text


@dataclass(frozen=True)
class Prereq:
    point: str
    value: Value
    if_failed: Literal["block", "go_on"] = "block"


@dataclass(frozen=True)
class Want:
    point: str
    device: str
    local: str
    value: Value
    criticality: Literal["must", "should", "may"] = "should"
    timeout_s: float | None = None
    settle_s: float | None = None
    on_return: OnReturn | None = None
    prereqs: tuple[Prereq, ...] = ()


@dataclass(frozen=True)
class Do:
    device: str
    action: str


@dataclass(frozen=True)
class Scene:
    name: str
    title: Text
    mode: str | None
    priority: int
    holds: bool
    confirm: Literal["tap", "hold", "pin"]
    ready_within_s: float
    deadline_s: float
    layer: Literal["scene", "manual"]
    wants: tuple[Want, ...]
    actions: tuple[Do, ...]
    stand_down: Literal["restore", "duty", "none"]
    digest: str
    text: str
