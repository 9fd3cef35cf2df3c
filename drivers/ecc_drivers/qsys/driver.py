"""Driver for Q-SYS Cores over QRC: gains, mutes, meters, selections, snapshots and triggers of a design."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ecc_controld.sdk import (
    Answer,
    ConfigError,
    DeviceConfig,
    Driver,
    Exchange,
    Identity,
    LinkError,
    LinkRefused,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Text,
    Value,
    Verdict,
)

from . import codec
from .codec import Call, ControlState, EngineStatus, Fault, Message, Notice, QrcCodec, Result
from .controls import ActionOptions, ControlOptions, build_action, build_control, plain_code
from .snapshot import SnapshotOptions, build_presets

GROUP = "ecc"
"""The one change group of our connection; it dies with the socket."""

NAMES_AT_ONCE = 100
"""Controls asked for in one message: a whole design never comes near the message limit."""

Key = tuple[str, str]


@dataclass(frozen=True)
class QSysOptions:
    """`user`: account on the core; `design`: name that must be running; `feedback_s`: rate of pushes, 0 = none."""

    user: str = ""
    design: str = ""
    feedback_s: float = 0.5
    controls: Mapping[str, ControlOptions] = field(default_factory=dict)
    actions: Mapping[str, ActionOptions] = field(default_factory=dict)
    snapshot: SnapshotOptions = field(default_factory=SnapshotOptions)


class QSys(Driver):
    """One core. Answers carry the number of their question, so exchanges pipeline."""

    name: ClassVar[str] = "qsys"
    port: ClassVar[int] = 1710
    Options: ClassVar[type[Any]] = QSysOptions
    window: ClassVar[int] = 16
    pipelines: ClassVar[bool] = True
    answer_s: ClassVar[float] = 2.0
    poll_s: ClassVar[float] = 2.5

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        options = config.options
        self._options: QSysOptions = options if isinstance(options, QSysOptions) else QSysOptions()
        if self._options.feedback_s < 0:
            raise ConfigError(Text("秒数，0 为不要", "seconds, 0 for none"), option="feedback_s")
        self._controls = {name: build_control(name, given) for name, given in self._options.controls.items()}
        self._presets = build_presets(config.presets, self._options.snapshot, self._controls)
        self.points = {name: control.point for name, control in self._controls.items()}
        if self._presets is not None:
            self.points["preset"] = self._presets.point
        self.actions = {name: build_action(name, given) for name, given in self._options.actions.items()}
        self._by_key: dict[Key, list[str]] = {}
        for name, control in self._controls.items():
            self._by_key.setdefault(control.key, []).append(name)
        self._numbers = itertools.count(1)
        self._forget()

    def _forget(self) -> None:
        """What is known of one connection only."""
        self._status: EngineStatus | None = None
        self._missing: set[Key] = set()
        self._seen: dict[str, Value] = {}
        self._parts: set[float] = set()
        self._autopoll: int | None = None

    def codec(self) -> QrcCodec:
        """A fresh codec."""
        return QrcCodec()

    # -- login -------------------------------------------------------------------------------------------

    async def attach(self, session: Session) -> Identity:
        """Log on, see that the right design is active, check every control's name, ask for pushes."""
        self._forget()
        try:
            await self._log_on(session)
            status = await self._identify(session)
            for component, names in self._asked(set()):
                await self._check_names(session, component, names)
            if self._options.feedback_s:
                await self._ask_for_pushes(session)
        except RemoteProtocolError as error:
            raise LinkError("protocol_error", str(error)) from error
        return Identity(model=status.platform or "Q-SYS Core", name=status.design_name)

    async def _log_on(self, session: Session) -> None:
        if self.config.secret:
            user, colon, pin = self.config.secret.partition(":")
            if self._options.user or not colon:
                user, pin = self._options.user, self.config.secret
            _, answer = await self._call(session, "Logon", {"User": user, "Password": pin})
            if isinstance(answer, Fault) and answer.code != codec.STANDBY:
                raise LinkRefused("wrong_password", f"logon refused: {answer}")
            _sound(answer)

    async def _identify(self, session: Session) -> EngineStatus:
        _, answer = await self._call(session, "StatusGet", 0)
        self._status = status = codec.engine_status(_sound(answer))
        if status.state != "Active":
            raise LinkError("not_ready", f"the core is {status.state}; only an active core can be written")
        if self._options.design and status.design_name != self._options.design:
            raise LinkRefused(
                "wrong_model", f"design {status.design_name!r} runs, expected {self._options.design!r}"
            )
        return status

    async def _call(self, session: Session, method: str, params: Any) -> tuple[int, Result | Fault]:
        """One question while logging in: its number and its answer, whichever it is."""
        number, said = next(self._numbers), list[Result | Fault]()

        def judge(message: Message) -> Verdict:
            if isinstance(message, Notice) or message.id != number:
                return None
            said.append(message)
            return Answer()

        await session.exchange(Exchange(codec.request(number, method, params), judge))
        return number, said[0]

    async def _check_names(self, session: Session, component: str, names: Sequence[str]) -> None:
        """Remember what the design lacks: one wrong name must not blind all the others."""
        _, answer = await self._call(session, *codec.get(component, names))
        if isinstance(answer, Result):
            found = {state.name for state in codec.control_states(answer.result, component)}
            self._missing |= {(component, name) for name in names if name not in found}
            return
        if answer.code not in (codec.UNKNOWN_COMPONENT, codec.UNKNOWN_CONTROL):
            _sound(answer)
        if len(names) == 1 or answer.code == codec.UNKNOWN_COMPONENT:
            self._missing |= {(component, name) for name in names}
            return
        for few in codec.chunks(names, self.window):
            await asyncio.gather(*(self._check_names(session, component, [name]) for name in few))

    async def _ask_for_pushes(self, session: Session) -> None:
        """Build the change group anew; a core that has none left is polled only."""
        for component, names in self._asked(self._missing):
            _, answer = await self._call(session, *codec.add_to_group(GROUP, component, names))
            if isinstance(answer, Fault):
                return
        self._autopoll, _ = await self._call(
            session, "ChangeGroup.AutoPoll", {"Id": GROUP, "Rate": self._options.feedback_s}
        )

    def _asked(self, without: set[Key]) -> list[tuple[str, Sequence[str]]]:
        """Component and names of each message that together ask for every control."""
        by_component: dict[str, list[str]] = {}
        for component, name in self._by_key:
            if (component, name) not in without:
                by_component.setdefault(component, []).append(name)
        return [
            (component, few)
            for component, names in by_component.items()
            for few in codec.chunks(names, NAMES_AT_ONCE)
        ]

    # -- reading -----------------------------------------------------------------------------------------

    def observe(self) -> Sequence[Exchange]:
        """All controls in one message (one more a component), then the preset through its witnesses."""
        exchanges = [self._read(component, names) for component, names in self._asked(self._missing)]
        if self._presets is not None and self._presets.wants:
            exchanges.append(self.query("preset"))
        return exchanges or [self._alive()]

    def query(self, point: str) -> Exchange:
        """The control behind a point, or all witnesses of the preset."""
        if point == "preset":
            return self._read_preset()
        component, name = self._controls[point].key
        return self._read(component, [name])

    def _read(self, component: str, names: Sequence[str]) -> Exchange:
        return self._numbered_read(component, names)[1]

    def _numbered_read(self, component: str, names: Sequence[str]) -> tuple[int, Exchange]:
        def take(result: Any) -> Answer | Refusal:
            readings = self._readings(codec.control_states(result, component))
            if not readings:
                return Refusal(f"{subject}: not reported by the core", not_fitted=True)
            return Answer(tuple(readings))

        subject = _called(component, names)
        return self._ask(*codec.get(component, names), subject, take)

    def _read_preset(self) -> Exchange:
        """Asks for every witness, in as many messages as there are components. The last answer decides; the
        earlier ones come to `heard`, which knows their numbers.
        """
        presets = self._presets
        assert presets is not None
        by_component: dict[str, list[str]] = {}
        keys = dict.fromkeys(self._controls[witness].key for witness in presets.witnesses)
        # One that the design lacks would cost the others their answer; the verdict names it.
        for component, name in [key for key in keys if key not in self._missing] or keys:
            by_component.setdefault(component, []).append(name)
        parts: dict[float, Exchange] = dict(
            self._numbered_read(component, names) for component, names in by_component.items()
        )
        self._parts |= set(parts)
        verdicts: list[Answer | Refusal] = []

        def judge(message: Message) -> Verdict:
            part = None if isinstance(message, Notice) or message.id is None else parts.get(message.id)
            verdict = None if part is None or part.judge is None else part.judge(message)
            if verdict is None:
                return None
            verdicts.append(verdict)
            if len(verdicts) < len(parts):
                return None
            self._parts -= set(parts)
            return self._preset_verdict(verdicts)

        return Exchange(b"".join(part.send for part in parts.values()), judge)

    def _preset_verdict(self, verdicts: Sequence[Answer | Refusal]) -> Answer | Refusal:
        presets = self._presets
        assert presets is not None
        values: dict[str, Value] = {}
        for verdict in verdicts:
            if isinstance(verdict, Refusal):
                return verdict
            values.update((reading.point, reading.value) for reading in verdict.readings)
        for witness in presets.witnesses:
            if witness not in values:
                component, name = self._controls[witness].key
                return Refusal(f"{_called(component, [name])}: not in the design", not_fitted=True)
        readings = [Reading(point, value) for point, value in values.items()]
        return Answer((*readings, Reading("preset", presets.word(values, self._controls))))

    def _readings(self, states: Sequence[ControlState]) -> list[Reading]:
        """Readings of every point behind the reported controls; controls that are nobody's are passed over."""
        readings = [
            Reading(name, self._controls[name].decode(state))
            for state in states
            for name in self._by_key.get((state.component, state.name), ())
            if self._controls[name].reported_in(state)
        ]
        self._seen.update((reading.point, reading.value) for reading in readings)
        return readings

    def heard(self, message: Message) -> Sequence[Reading]:
        """Pushed changes, as hints. A core that is no longer what we attached to costs the connection."""
        if isinstance(message, Notice):
            if message.method == "EngineStatus":
                self._check_status(codec.engine_status(message.params))
            return self._pushed(message)
        if message.id is not None and message.id in self._parts:
            self._parts.discard(message.id)
            return ()
        if message.id not in (None, self._autopoll) or codec.changes(message) is None:
            raise RemoteProtocolError(f"an answer to nobody's question: {message!r}"[:200])
        return self._pushed(message)

    def _pushed(self, message: Message) -> Sequence[Reading]:
        pushed = codec.changes(message)
        if pushed is None:
            return ()  # a notice of something that we do not follow
        readings = self._readings(pushed[1])
        witnesses = self._presets.witnesses if self._presets is not None else ()
        told = any(reading.point in witnesses for reading in readings)
        if self._presets is not None and told and all(witness in self._seen for witness in witnesses):
            readings.append(Reading("preset", self._presets.word(self._seen, self._controls)))
        return readings

    def _check_status(self, status: EngineStatus) -> None:
        known = self._status
        if status.state != "Active":
            raise RemoteProtocolError(f"the core went to {status.state}")
        if known is not None and status.design_code != known.design_code:
            raise RemoteProtocolError(f"another design was started: {status.design_name!r}")

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, point: str, value: Value) -> Exchange:
        """Set a control, or load a snapshot."""
        presets = self._presets
        if point == "preset" and presets is not None:
            options = presets.options
            number = presets.number(value)
            call = codec.load_snapshot(options.bank, number, options.ramp)
            return self._command(call, f"{options.bank} {number}")
        control = self._controls[point]
        return self._set(*control.key, control.encode(value))

    def act(self, action: str) -> Exchange:
        """Set the control of an action to its value."""
        given = self._options.actions.get(action)
        if given is None:
            return super().act(action)
        return self._set(given.component, given.control, {"Value": plain_code(given.value)})

    def _set(self, component: str, name: str, what: Mapping[str, Any]) -> Exchange:
        return self._command(codec.set_one(component, name, what), _called(component, [name]))

    def _command(self, call: Call, called: str) -> Exchange:
        # What an acknowledgement says about values is what was wanted, not what is true: no readings.
        def take(result: Any) -> Answer | Refusal:
            unknown = codec.unknown_controls(result)
            if unknown:
                return Refusal(f"{called}: unknown control", not_fitted=True)
            return Refusal(f"{called}: not done") if result is False else Answer()

        return self._ask(*call, called, take)[1]

    # -- exchanges ---------------------------------------------------------------------------------------

    def _ask(
        self, method: str, params: Any, called: str, take: Callable[[Any], Answer | Refusal]
    ) -> tuple[int, Exchange]:
        """A numbered question; only the answer under that number is taken."""
        number = next(self._numbers)

        def judge(message: Message) -> Verdict:
            if isinstance(message, Notice) or message.id != number:
                return None
            return take(message.result) if isinstance(message, Result) else _refusal(message, called)

        return number, Exchange(codec.request(number, method, params), judge)

    def _alive(self) -> Exchange:
        """A question for a device without controls: the connection must be seen to live."""

        def take(result: Any) -> Answer:
            self._check_status(codec.engine_status(result))
            return Answer()

        return self._ask("StatusGet", 0, "status", take)[1]


def _called(component: str, names: Sequence[str]) -> str:
    """What people know the controls by: their names in the design."""
    few = ", ".join(names[:3]) + (", .." if len(names) > 3 else "")
    return f"{component} / {few}" if component else few


def _refusal(fault: Fault, called: str) -> Refusal:
    if fault.code in (codec.LOGON_REQUIRED, codec.STANDBY):
        raise RemoteProtocolError(str(fault))  # attach finds out what it is and says so
    not_fitted = fault.code in (codec.UNKNOWN_COMPONENT, codec.UNKNOWN_CONTROL)
    return Refusal(f"{called}: {fault}", not_fitted=not_fitted)


def _sound(answer: Result | Fault) -> Any:
    """The result of a question while logging in; raises LinkError for a refusal."""
    if isinstance(answer, Result):
        return answer.result
    if answer.code == codec.LOGON_REQUIRED:
        raise LinkRefused("wrong_password", str(answer))
    raise LinkError("not_ready", str(answer))
