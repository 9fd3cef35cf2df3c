"""The shapes of requests and answers as models: checked on the way in, described in openapi.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str
Words = dict[Literal["zh", "en"], str]


class Strict(BaseModel):
    """A request body: unknown fields are errors, types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ActivateBody(Strict):
    """POST /scenes/{name}/activate."""

    params: dict[str, Any] = Field(
        default_factory=dict,
        description="the scene's parameters by name (GET /scenes/{name} lists them); the others have their defaults",
    )
    stand_down: bool = False
    drill: bool = False


class StandDownBody(Strict):
    """POST /stand-down: the scene that shall have the hall afterwards, or none for what the held scene says."""

    scene: str | None = None
    drill: bool = False


class ValueBody(Strict):
    """PUT /points/{point} and POST /points/{point}/hold."""

    value: Scalar


class Answer(BaseModel):
    """An answer of the API."""

    model_config = ConfigDict(extra="forbid")


class Hall(Answer):
    """The hall now."""

    name: Words
    mode: str | None
    scene: str | None
    title: Words | None
    params: dict[str, Any]
    since: str | None
    by: str | None
    run: str | None
    verdict: Literal["ready", "degraded", "failed", "superseded"] | None
    holds: bool
    drill: bool
    wanted: int
    as_wanted: int
    simulated: bool
    observe_only: bool
    twins: str | None
    boot: str
    version: str
    time: str


class Identity(Answer):
    """Who answered at the address."""

    model: str
    name: str
    serial: str
    firmware: str


class Device(Answer):
    """One device and its link."""

    id: str
    driver: str
    name: Words
    group: str
    zone: str
    address: str
    link: Literal["offline", "connecting", "identifying", "online", "refused"]
    reason: str | None
    reason_text: Words | None
    detail: str | None
    since: str | None
    identity: Identity | None
    last_exchange_age_s: float | None
    in_service: bool
    observe_only: bool


class Devices(Answer):
    """All devices."""

    devices: list[Device]


OutcomeWord = Literal[
    "ok",
    "already",
    "unverifiable",
    "late",
    "not_settled",
    "rejected",
    "offline",
    "blocked",
    "overridden",
    "superseded",
    "skipped",
    "out_of_service",
]
EvidenceWord = Literal["none", "commanded", "acknowledged", "read_back", "measured"]


class Point(Answer):
    """One point: observed and wanted."""

    point: str
    device: str
    title: Words
    trait: str
    type: str
    unit: str
    range: dict[str, Any]
    access: Literal["read", "write", "readwrite", "momentary"]
    fitted: bool
    want: Scalar | None
    want_by: str | None
    want_since: str | None
    layer: Literal["scene", "manual", "fire", "guard"] | None
    got: Scalar | None
    age_s: float | None
    dirty: bool
    state: str | None
    as_wanted: bool | None
    outcome: OutcomeWord | None
    evidence: EvidenceWord | None
    reason: str | None
    reason_text: Words | None


class Points(Answer):
    """All points, never paged."""

    points: list[Point]


class Param(Answer):
    """A parameter of a scene. `choices` of a choice or a list, `range` of a number or a text."""

    name: str
    title: Words
    type: Literal["choice", "boolean", "number", "list", "text"]
    choices: list[str] | None
    range: dict[str, Any]
    unit: str
    default: Scalar | list[str] | None
    required: bool


class SceneShort(Answer):
    """A scene without its wishes."""

    name: str
    title: Words
    mode: str | None
    priority: int
    holds: bool
    confirm: Literal["tap", "hold", "pin"]
    ready_within_s: float
    deadline_s: float
    layer: Literal["scene", "manual"]
    stand_down: Literal["restore", "duty", "none"]
    params: list[Param]
    wishes: int
    active: bool
    digest: str


class Scenes(Answer):
    """All scenes."""

    scenes: list[SceneShort]


class SceneWhole(SceneShort):
    """A scene with its wishes, expanded with the parameters `given`, its usual ones."""

    given: dict[str, Any]
    want: list[dict[str, Any]]
    else_: list[dict[str, Any]] = Field(alias="else")
    do: list[dict[str, Any]]
    text: str


class PlanItem(Answer):
    """One wish of a plan."""

    point: str
    want: Scalar
    got: Scalar | None
    action: Literal["write", "already", "unknown", "offline", "out_of_service"]
    criticality: Literal["must", "should", "may"]
    after: list[str]


class WouldFail(Answer):
    """A wish that would fail now, and why."""

    point: str
    reason: str
    reason_text: Words | None


class Plan(Answer):
    """What would change, in which order."""

    scene: str
    params: dict[str, Any]
    waves: list[list[PlanItem]]
    counts: dict[str, int]
    would_fail: list[WouldFail]
    estimate_s: float | None


class RunPoint(Answer):
    """One point of a run's card."""

    point: str
    device: str
    criticality: Literal["must", "should", "may"]
    want: Scalar
    got: Scalar | None
    age_s: float | None
    state: str
    outcome: OutcomeWord | None
    evidence: EvidenceWord
    reason: str | None
    reason_text: Words | None
    detail: str | None
    elapsed_s: float | None
    used_else: None


class RunAction(Answer):
    """One action of a run."""

    device: str
    action: str
    state: Literal["due", "sent", "acknowledged", "failed", "unknown"]
    reason: str | None


class Run(Answer):
    """A run's card. In answers to a press `points` has only those that are not fine."""

    id: str
    url: str
    scene: str
    params: dict[str, Any]
    by: str
    key: str | None
    trigger: str
    drill: bool
    opened: str
    closed: str | None
    state: Literal["open", "assessed", "closed"]
    verdict: Literal["ready", "degraded", "failed", "superseded"] | None
    superseded_by: str | None
    resumed: bool
    objective_s: float
    deadline_s: float
    elapsed_s: float | None
    counts: dict[str, int]
    points: list[RunPoint]
    actions: list[RunAction]


class RunAnswer(Answer):
    """The answer to a press."""

    run: Run | None


class Runs(Answer):
    """Runs, newest first. `next`: pass it as `before` for the next page."""

    runs: list[Run]
    next: str | None


class PointAnswer(Answer):
    """A wish after it was set or taken back."""

    point: Point


class ActionAnswer(Answer):
    """What became of an action."""

    action: RunAction


class Alarm(Answer):
    """Something that a person must know."""

    id: str
    code: str
    text: Words
    since: str
    device: str | None
    point: str | None
    cleared: bool


class Alarms(Answer):
    """Standing alarms."""

    alarms: list[Alarm]


class ProblemDocument(BaseModel):
    """RFC 9457, with what helps."""

    type: str
    title: str
    status: int
    detail: str
    detail_zh: str
    code: str


class Health(Answer):
    """GET /healthz and /readyz."""

    status: Literal["ok"]
