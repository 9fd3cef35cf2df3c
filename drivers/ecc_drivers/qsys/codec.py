"""QRC, the JSON-RPC dialect of Q-SYS Cores: bytes to messages and back. No I/O.

Follows the public pages "QRC Overview" and "QRC Commands" of the Q-SYS Help and the Beckhoff TF6310 page of
error codes; sections named below are those of the project's protocol sheet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ecc_controld.sdk import DelimitedFramer, LocalProtocolError, RemoteProtocolError

MESSAGE_LIMIT = 1 << 20
"""Bytes of one message at most ("Transport": answers about whole components are long)."""

END = b"\0"
LARGEST = 1e300

UNKNOWN_COMPONENT = 7
UNKNOWN_CONTROL = 8
LOGON_REQUIRED = 10
STANDBY = -32604

ERRORS: Mapping[int, str] = {
    -32700: "bad JSON",
    -32600: "not a request",
    -32601: "unknown method",
    -32602: "bad parameters",
    -32603: "server error",
    STANDBY: "the core is on standby",
    2: "bad page request id",
    3: "page request refused",
    4: "missing file",
    5: "change groups exhausted",
    6: "unknown change group",
    UNKNOWN_COMPONENT: "unknown component",
    UNKNOWN_CONTROL: "unknown control",
    9: "bad mixer channel index",
    LOGON_REQUIRED: "logon required",
}
"""Meaning of the error codes ("Errors"); -32604 is known from a public client only."""


@dataclass(frozen=True)
class Result:
    """The answer to the request `id`."""

    id: float | None
    result: Any


@dataclass(frozen=True)
class Fault:
    """The refusal of the request `id` (None where the core could not read it)."""

    id: float | None
    code: int
    message: str

    def __str__(self) -> str:
        known = ERRORS.get(self.code, "")
        words = known if not self.message or self.message.lower() == known else self.message
        return f"{words or 'refused'} (error {self.code})"


@dataclass(frozen=True)
class Notice:
    """What the core says unasked: EngineStatus, change group pushes."""

    method: str
    params: Any


Message: TypeAlias = Result | Fault | Notice


@dataclass(frozen=True)
class ControlState:
    """One control as the core reports it; `component` is empty for a named control, absent fields are None."""

    component: str
    name: str
    value: bool | int | float | str | None
    string: str | None
    position: float | None


@dataclass(frozen=True)
class EngineStatus:
    """State is `Active`, `Standby` or `Idle`; another `design_code` means that every name is to be checked."""

    state: str
    design_name: str
    design_code: str
    platform: str = ""


class QrcCodec:
    """Cuts the stream at NUL and reads each message; empty messages are skipped ("Test vectors")."""

    def __init__(self) -> None:
        self._framer = DelimitedFramer(END, MESSAGE_LIMIT)

    def feed(self, data: bytes) -> Iterator[Message]:
        """All messages that are complete now; raises RemoteProtocolError behind the last sound one."""
        for frame in self._framer.feed(data):
            if frame:
                yield parse(frame)


def request(number: int, method: str, params: Any) -> bytes:
    """A request that the core answers under the same number."""
    return _encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def notification(method: str, params: Any) -> bytes:
    """A request without id: the core acts and answers nothing."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})


Call: TypeAlias = tuple[str, Any]
"""Method and params."""


def get(component: str, names: Sequence[str]) -> Call:
    """Asks for controls: of a component, or named controls when `component` is empty."""
    if component:
        return "Component.Get", {"Name": component, "Controls": [{"Name": name} for name in names]}
    return "Control.Get", list(names)


def set_one(component: str, name: str, what: Mapping[str, Any]) -> Call:
    """Sets one control; `what` is `{"Value": v}`, with `Ramp` in seconds where it shall ramp."""
    one = {"Name": name, **what}
    return ("Component.Set", {"Name": component, "Controls": [one]}) if component else ("Control.Set", one)


def add_to_group(group: str, component: str, names: Sequence[str]) -> Call:
    """Puts controls into a change group, which is made if need be."""
    if component:
        controls = [{"Name": name} for name in names]
        return "ChangeGroup.AddComponentControl", {
            "Id": group,
            "Component": {"Name": component, "Controls": controls},
        }
    return "ChangeGroup.AddControl", {"Id": group, "Controls": list(names)}


def load_snapshot(bank: str, number: int, ramp_s: float) -> Call:
    """Loads snapshot `number` of a bank, in `ramp_s` seconds."""
    return "Snapshot.Load", {"Name": bank, "Bank": number, **({"Ramp": ramp_s} if ramp_s else {})}


def parse(frame: bytes) -> Message:
    """One message without its NUL; raises RemoteProtocolError for anything that QRC does not know."""
    try:
        # NaN and Infinity are no JSON; a meter that has nothing to say must not cost the connection.
        raw = json.loads(frame.decode("utf-8"), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not JSON: {frame[:80]!r}") from error
    if not isinstance(raw, dict):
        raise RemoteProtocolError(f"not a JSON-RPC message: {frame[:80]!r}")
    if isinstance(raw.get("method"), str):
        return Notice(raw["method"], raw.get("params"))
    number = _number(raw.get("id"), frame)
    refusal = raw.get("error")
    if isinstance(refusal, dict) and _is_number(refusal.get("code")):
        return Fault(number, int(refusal["code"]), str(refusal.get("message") or ""))
    if "result" in raw and refusal is None:
        return Result(number, raw["result"])
    raise RemoteProtocolError(f"neither answer nor notice: {frame[:80]!r}")


def control_states(items: Any, component: str = "") -> list[ControlState]:
    """The controls of a `Control.Get`, `Component.Get` or change group answer ("Methods").

    `component` is that of the request; what the answer says wins. Raises RemoteProtocolError for items that
    are no controls.
    """
    if isinstance(items, dict) and "Controls" in items:
        items, component = items["Controls"], str(items.get("Name") or component)
    if not isinstance(items, list):
        raise RemoteProtocolError(f"not a list of controls: {items!r}"[:200])
    return [_control_state(item, component) for item in items]


def changes(message: Message) -> tuple[str, list[ControlState]] | None:
    """Group and changes of an automatic poll, in any of its three shapes ("AutoPoll pushes"); else None."""
    if isinstance(message, Notice):
        body = message.params if message.method in ("ChangeGroup.Poll", "ChangeGroup.AutoPoll") else None
    else:
        body = message.result if isinstance(message, Result) else None
    if not isinstance(body, dict) or "Changes" not in body:
        return None
    return str(body.get("Id", "")), control_states(body["Changes"])


def engine_status(body: Any) -> EngineStatus:
    """EngineStatus params or a StatusGet result; raises RemoteProtocolError when there is no State."""
    if not isinstance(body, dict) or not isinstance(body.get("State"), str):
        raise RemoteProtocolError(f"not an engine status: {body!r}"[:200])
    texts = {key: str(body.get(key) or "") for key in ("DesignName", "DesignCode", "Platform")}
    return EngineStatus(body["State"], texts["DesignName"], texts["DesignCode"], texts["Platform"])


def unknown_controls(result: Any) -> tuple[str, ...]:
    """Controls that a set answered as unknown: `Component.Set` may return their list instead of an error.

    Names alone are unknown controls, names with a value are those that were set. Raises RemoteProtocolError for
    a result that is no answer to a set at all.
    """
    if result is None or isinstance(result, (bool, dict)):
        return ()
    if not isinstance(result, list):
        raise RemoteProtocolError(f"not an answer to a set: {result!r}"[:200])
    bare = [item for item in result if not isinstance(item, dict) or "Value" not in item]
    return tuple(str(item.get("Name", "?")) if isinstance(item, dict) else str(item) for item in bare)


def chunks(names: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    """The names in groups of at most `size`."""
    rest = list(names)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


def _encode(message: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8") + END
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"cannot be said in QRC: {error}") from error


def _is_number(raw: Any) -> bool:
    # JSON integers have no bound: one that no float can hold is no number here.
    return isinstance(raw, (int, float)) and not isinstance(raw, bool) and abs(raw) <= LARGEST


def _text(raw: Any) -> str | None:
    # JSON can spell half a surrogate pair, which no file or screen can show.
    return raw.encode("utf-8", "replace").decode("utf-8") if isinstance(raw, str) else None


def _number(raw: Any, frame: bytes) -> float | None:
    if raw is None:
        return None
    if not _is_number(raw):
        raise RemoteProtocolError(f"the id is no number: {frame[:80]!r}")
    number: float = raw
    return number


def _control_state(item: Any, component: str) -> ControlState:
    if not isinstance(item, dict) or not isinstance(item.get("Name"), str):
        raise RemoteProtocolError(f"not a control: {item!r}"[:200])
    value, position = item.get("Value"), item.get("Position")
    return ControlState(
        component=str(item.get("Component") or component),
        name=item["Name"],
        value=value if isinstance(value, bool) or _is_number(value) else _text(value),
        string=_text(item.get("String")),
        position=float(position) if position is not None and _is_number(position) else None,
    )
