"""A scene as it is wanted: every wish with its value, its conditions and what it is judged by. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ecc_controld.sdk.point import OnReturn, Value
from ecc_controld.sdk.text import Text

from .params import Param, ParamValue, resolve

Criticality: TypeAlias = Literal["must", "should", "may"]
IfFailed: TypeAlias = Literal["block", "go_on"]


@dataclass(frozen=True)
class Prereq:
    """A point that must be at `value` first; `if_failed` says what happens when it will not be."""

    point: str
    value: Value
    if_failed: IfFailed = "block"


@dataclass(frozen=True)
class Want:
    """One wish. `point` is the full name (`wall.preset`), `local` the device's own. Times in seconds; None
    takes the default of the run or of the point.
    """

    point: str
    device: str
    local: str
    value: Value
    criticality: Criticality = "should"
    timeout_s: float | None = None
    settle_s: float | None = None
    on_return: OnReturn | None = None
    prereqs: tuple[Prereq, ...] = ()


@dataclass(frozen=True)
class Do:
    """A one-shot action of a device, sent at most once a run."""

    device: str
    action: str


@dataclass(frozen=True)
class Scene:
    """One file of `scenes/`, checked against the hall, with certain values of its parameters.

    `digest` is the SHA-256 of the file (with bases: of all of them), `text` its text. `given` are the parameters that
    it was made with; the scenes that are loaded have the usual ones. `fallbacks`: the `else:` of a point, which is
    checked but not carried out yet. `make` makes the same scene with others; None: it has no parameters.
    """

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
    params: tuple[Param, ...] = ()
    given: Mapping[str, ParamValue] = field(default_factory=dict)
    fallbacks: Mapping[str, Want] = field(default_factory=dict)
    make: Callable[[Mapping[str, object]], Scene] | None = field(default=None, compare=False, repr=False)

    def at(self, raw: Mapping[str, object]) -> Scene:
        """The scene with the parameters of a press; raises BadParams."""
        if self.make is not None:
            return self.make(raw)
        resolve({}, raw)
        return self
