"""Twin of a Q-SYS Core: QRC on a socket, with ramps, change groups, snapshots, logon, standby and idle close.

Written from the protocol sheet alone; it shares no code with the driver.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ecc_controld.sdk import Peer, TcpTwin, Value

from .emulation import Design, Key, Knob, by_hand, single

BUFFER_LIMIT = 1 << 20

MESSAGES: Mapping[int, str] = {
    -32700: "Parse error",
    -32600: "Invalid request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Server error",
    -32604: "Core is on Standby",
    5: "Change Groups exhausted",
    6: "Unknown change group",
    7: "Unknown component name",
    8: "Unknown control",
    9: "Illegal mixer channel index",
    10: "Logon required",
}

OPEN = frozenset({"Logon", "NoOp", "StatusGet"})
"""Methods that need no logon."""

DEEDS = ("Control.Set", "Component.Set", "Snapshot.", "Mixer.")
"""Methods that change the hall (by their beginning)."""


class Refused(Exception):
    """An error answer; `code` of the sheet's table."""

    def __init__(self, code: int) -> None:
        super().__init__(MESSAGES[code])
        self.code = code


@dataclass(eq=False)
class Group:
    """A change group of one client. `ticket` grows when its automatic poll is set anew."""

    keys: list[Key] = field(default_factory=list)
    told: dict[Key, Any] = field(default_factory=dict)
    ticket: int = 0


class QSysTwin(TcpTwin):
    """A core that runs the configured design.

    Knobs for tests: `push_shape` which of the three shapes an automatic poll has; `bool_form` how booleans are
    told; `set_answer` what a set returns; `fade_after_s` when the numbers of a snapshot follow its
    acknowledgement; `idle_s` when a silent client is dropped; `boot_s` how long it is idle after a reboot.
    """

    idle_s: ClassVar[float] = 60.0
    boot_s: ClassVar[float] = 2.0
    fade_after_s: ClassVar[float] = 0.15
    push_shape: ClassVar[Literal["poll", "autopoll", "result"]] = "poll"
    bool_form: ClassVar[Literal["number", "bool", "text"]] = "number"
    set_answer: ClassVar[Literal["true", "values"]] = "true"
    groups_limit: ClassVar[int] = 4
    mixers: ClassVar[tuple[str, ...]] = ("Mixer",)
    mixer_channels: ClassVar[int] = 8
    platform: ClassVar[str] = "Core 110f"
    design_name: str = ""
    design_code: str = "qALFilm6IcCo"
    state: str = ""

    def power_on(self) -> None:
        rebooted = bool(self.state)
        self.design = Design(self.config)
        self.design_name = getattr(self.config.options, "design", "") or "Hall"
        self.state = "Idle" if rebooted and self.boot_s else "Active"
        if self.state == "Idle":
            self.later(self.boot_s, lambda: self.set_state("Active"))

    # -- at the device -----------------------------------------------------------------------------------

    def poke(self, point: str, value: Value) -> None:
        """Turn a control by hand, or load a preset; change groups tell it at their next poll."""
        if point == "preset":
            if value not in self.design.words:
                raise ValueError(f"{value!r} is not one of {', '.join(self.design.words)}")
            self._load(self.design.banks[self.design.bank][self.design.words[str(value)]], 0.0)
            return
        knob, kind = self.design.by_point[point]
        knob.set(by_hand(knob, kind, value))

    def set_state(self, state: str) -> None:
        """Become Active, Standby or Idle, and tell everybody."""
        self.state = state
        self.push(self._engine_status())

    def start_design(self, name: str, code: str) -> None:
        """Another design is deployed: change groups are gone, and everybody is told."""
        self.design_name, self.design_code = name, code
        for peer in self.peers:
            peer.memory.pop("groups", None)
        self.push(self._engine_status())

    # -- the wire ----------------------------------------------------------------------------------------

    def greet(self, peer: Peer) -> bytes:
        peer.memory["heard"] = time.monotonic()
        self._watch(peer)
        return self._engine_status()

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        peer.memory["heard"] = time.monotonic()
        peer.buffer += data
        *frames, rest = bytes(peer.buffer).split(b"\0")
        peer.buffer[:] = rest
        if len(rest) > BUFFER_LIMIT:
            self._drop(peer)
            return []
        return [frame for frame in frames if frame]

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        try:
            asked = json.loads(frame)
        except (ValueError, RecursionError):
            return [_message(id=None, error=_error(-32700))]
        number = asked.get("id") if isinstance(asked, dict) else None
        sound = isinstance(asked, dict) and isinstance(asked.get("method"), str)
        if not sound or isinstance(number, (str, bool, list, dict)):
            return [_message(id=None, error=_error(-32600))]
        try:
            said: dict[str, Any] = {"result": self._do(peer, asked["method"], asked.get("params"), number)}
        except Refused as refused:
            said = {"error": _error(refused.code)}
        except (KeyError, TypeError, ValueError, AttributeError):
            said = {"error": _error(-32602)}
        return [] if number is None else [_message(id=number, **said)]

    def _do(self, peer: Peer, method: str, params: Any, number: Any) -> Any:
        if self.config.secret and method not in OPEN and not peer.memory.get("logged_on"):
            raise Refused(10)
        if method.startswith(DEEDS):
            if self.rejecting:
                raise Refused(-32603)
            if self.state == "Standby":
                raise Refused(-32604)
        if self.state == "Idle" and method not in OPEN:
            raise Refused(-32603)
        if method.startswith("Mixer."):
            return self._mixer(method, params)
        known: Mapping[str, Callable[[], Any]] = {
            "Logon": lambda: self._logon(peer, params),
            "NoOp": lambda: True,
            "StatusGet": lambda: {**self._status(), "Status": {"Code": 0, "String": "OK"}},
            "Control.Get": lambda: [self._report(self._knob("", name)) for name in _strings(params)],
            "Control.Set": lambda: self._set("", [params]),
            "Component.Get": lambda: self._component_get(params),
            "Component.Set": lambda: self._set(params["Name"], params["Controls"]),
            "Component.GetComponents": self._components,
            "Component.GetControls": lambda: self._component_controls(params["Name"]),
            "Snapshot.Load": lambda: self._snapshot(params, save=False),
            "Snapshot.Save": lambda: self._snapshot(params, save=True),
        }
        if method in known:
            return known[method]()
        if method.startswith("ChangeGroup."):
            return self._group_method(peer, method, params, number)
        raise Refused(-32601)

    # -- status and logon --------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        return {
            "Platform": self.platform,
            "State": self.state,
            "DesignName": self.design_name,
            "DesignCode": self.design_code,
            "IsRedundant": False,
            "IsEmulator": False,
        }

    def _engine_status(self) -> bytes:
        params = {key: value for key, value in self._status().items() if key != "Platform"}
        return _message(method="EngineStatus", params=params)

    def _logon(self, peer: Peer, params: Any) -> bool:
        secret, user = self.config.secret or "", getattr(self.config.options, "user", "")
        account = [user, secret] if user or ":" not in secret else secret.split(":", 1)
        if secret and [params["User"], params["Password"]] != account:
            raise Refused(10)
        peer.memory["logged_on"] = True
        return True

    def _watch(self, peer: Peer) -> None:
        """Drop a client that has been silent for too long."""
        left = peer.memory["heard"] + self.idle_s - time.monotonic()
        if peer not in self.peers:
            return
        if left <= 0:
            self._drop(peer)
        else:
            self.later(left, lambda: self._watch(peer))

    def _drop(self, peer: Peer) -> None:
        self.peers.discard(peer)
        peer.close()

    # -- controls ----------------------------------------------------------------------------------------

    def _knob(self, component: str, name: Any) -> Knob:
        if component and component not in self.design.components():
            raise Refused(7)
        found = self.design.knobs.get((component, name))
        if found is None:
            raise Refused(8)
        return found

    def _report(self, knob: Knob) -> dict[str, Any]:
        """Named controls are told without their position, those of components with it."""
        value = knob.value
        report: dict[str, Any] = {"Name": knob.key[1], "Value": value, "String": str(value)}
        if knob.kind == "mute":
            word = "muted" if value else "unmuted"
            forms = {"number": (float(value), word), "bool": (value, str(value).lower()), "text": (word, word)}
            report["Value"], report["String"] = forms[self.bool_form]
        elif knob.numeric:
            report["Value"] = single(value)
            report["String"] = f"{value:.1f}dB" if knob.kind in ("gain", "meter") else f"{value:.3f}"
        if knob.key[0]:
            report["Position"] = single(knob.position)
        return report

    def _set(self, component: str, items: list[dict[str, Any]]) -> Any:
        knobs = [self._knob(component, item["Name"]) for item in items]
        for knob, item in zip(knobs, items, strict=True):
            if self.ignoring:
                continue
            if "Value" in item:
                knob.set(item["Value"], float(item.get("Ramp") or 0.0))
            else:
                knob.set_position(item["Position"])
        return True if self.set_answer == "true" else [self._report(knob) for knob in knobs]

    def _component_get(self, params: Any) -> dict[str, Any]:
        component = params["Name"]
        reports = [self._report(self._knob(component, item["Name"])) for item in params["Controls"]]
        return {"Name": component, "Controls": reports}

    def _components(self) -> list[dict[str, Any]]:
        return [{"Name": name, "Type": "gain", "Properties": []} for name in self.design.components()]

    def _component_controls(self, component: str) -> dict[str, Any]:
        knobs = self.design.components().get(component)
        if knobs is None:
            raise Refused(7)
        kinds = {"mute": "Boolean", "text": "Text", "choice": "Integer", "trigger": "Trigger"}
        controls = [
            {
                **self._report(knob),
                "Type": kinds.get(knob.kind, "Float"),
                "ValueMin": knob.low,
                "ValueMax": knob.high,
                "Direction": "Read Only" if knob.kind == "meter" else "Read/Write",
            }
            for knob in knobs
        ]
        return {"Name": component, "Controls": controls}

    def _mixer(self, method: str, params: Any) -> bool:
        name = params["Mixer"] if "Mixer" in params else params["Name"]
        if name not in self.mixers:
            raise Refused(7)
        try:
            cells = self.design.cells(params, self.mixer_channels)
        except ValueError:
            raise Refused(9) from None
        if not self.ignoring:
            self.design.mixer.update({(method, *cell): params["Value"] for cell in cells})
        return True

    # -- snapshots ---------------------------------------------------------------------------------------

    def _snapshot(self, params: Any, *, save: bool) -> bool:
        bank, number = self.design.banks[params["Name"]], params["Bank"]
        ramp_s = float(params.get("Ramp") or 0.0)
        if not save and number not in bank:
            raise Refused(-32602)
        if self.ignoring:
            return True
        if save:
            bank[int(number)] = {knob.key: knob.value for knob in self.design.knobs.values()}
        else:
            self._load(bank[number], ramp_s)
        return True

    def _load(self, snapshot: Mapping[Key, Any], ramp_s: float) -> None:
        """Switches at once; numbers ramp, or jump a little after the acknowledgement as real designs do."""
        numbers = {key: value for key, value in snapshot.items() if self.design.knobs[key].numeric}
        for key, value in snapshot.items():
            if key not in numbers:
                self.design.knobs[key].set(value)
        if ramp_s or not self.fade_after_s:
            self._move(numbers, ramp_s)
        else:
            self.later(self.fade_after_s, lambda: self._move(numbers, 0.0))

    def _move(self, numbers: Mapping[Key, Any], ramp_s: float) -> None:
        for key, value in numbers.items():
            self.design.knobs[key].set(value, ramp_s)

    # -- change groups -----------------------------------------------------------------------------------

    def _group_method(self, peer: Peer, method: str, params: Any, number: Any) -> Any:
        groups: dict[Any, Group] = peer.memory.setdefault("groups", {})
        name, verb = params["Id"], method.removeprefix("ChangeGroup.")
        if verb in ("AddControl", "AddComponentControl"):
            keys = self._named(params)
            if name not in groups and len(groups) >= self.groups_limit:
                raise Refused(5)
            known = groups.setdefault(name, Group()).keys
            known += [key for key in keys if key not in known]
            return True
        group = groups.get(name)
        if group is None:
            raise Refused(6)
        if verb == "Poll":
            return {"Id": name, "Changes": self._changes(group)}
        if verb == "AutoPoll":
            group.ticket += 1
            rate_s = max(float(params["Rate"]), 0.03)
            first = {"Id": name, "Changes": self._changes(group)} if self.push_shape == "result" else True
            self.later(rate_s, lambda: self._tick(peer, name, group, group.ticket, rate_s, number))
            return first
        if verb == "Invalidate":
            group.told.clear()
        elif verb == "Remove":
            gone = self._named(params)
            group.keys = [key for key in group.keys if key not in gone]
        elif verb == "Clear":
            group.keys.clear()
        elif verb == "Destroy":
            del groups[name]
        else:
            raise Refused(-32601)
        return True

    def _named(self, params: Any) -> list[Key]:
        if "Component" in params:
            component = params["Component"]
            return [self._knob(component["Name"], item["Name"]).key for item in component["Controls"]]
        return [self._knob("", name).key for name in _strings(params["Controls"])]

    def _changes(self, group: Group) -> list[dict[str, Any]]:
        """What differs from what was last told: everything at the first poll."""
        found = []
        for key in group.keys:
            report = self._report(self.design.knobs[key])
            if group.told.get(key) != report:
                group.told[key] = report
                found.append({"Component": key[0], **report} if key[0] else report)
        return found

    def _tick(self, peer: Peer, name: Any, group: Group, ticket: int, rate_s: float, number: Any) -> None:
        if (
            peer not in self.peers
            or peer.memory.get("groups", {}).get(name) is not group
            or group.ticket != ticket
        ):
            return
        body = {"Id": name, "Changes": self._changes(group)}
        if body["Changes"]:
            method = {"poll": "ChangeGroup.Poll", "autopoll": "ChangeGroup.AutoPoll"}.get(self.push_shape)
            self.say(peer, _message(method=method, params=body) if method else _message(id=number, result=body))
        self.later(rate_s, lambda: self._tick(peer, name, group, ticket, rate_s, number))


def _strings(raw: Any) -> list[str]:
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw):
        raise ValueError("an array of names")
    return raw


def _error(code: int) -> dict[str, Any]:
    return {"code": code, "message": MESSAGES[code]}


def _message(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}, ensure_ascii=False).encode() + b"\0"
