"""The driver contract. A driver speaks its protocol and nothing else.

The core owns connecting, backoff, timeouts, pacing, polling, settling and retries. A driver says which points
a device has, how a write or a query looks as bytes, and how the answer to it is recognised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .codec import Codec
from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Exchange
from .point import Action, Point, Reading, Value
from .session import Session
from .text import Text
from .wire import Address


@dataclass(frozen=True)
class Identity:
    """Who answered at the address, as the device says it."""

    model: str = ""
    name: str = ""
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True)
class DeviceConfig:
    """One device of `config/`, already checked.

    `options` is an instance of the driver's `Options`. `presets` maps words to the device's numbers or names.
    `sources` maps source words to this device's local input point (`{"gis": "in.3"}`). `secret` is the value
    of the credential or None.
    """

    id: str
    name: Text
    address: Address
    options: Any
    secret: str | None = None
    presets: Mapping[str, int | str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NoOptions:
    """A driver without options of its own."""


class Driver(ABC):
    """Base of every driver that speaks in bytes. One instance a device; `codec()` and `attach` start anew at
    each connection, so protocol state (sequence numbers, salts) is reset there.

    Class facts: `schemes` the wires it can use, `port` the usual one, `window` how many exchanges may be
    unanswered, `pipelines` whether write and query may leave in one segment and are processed in order,
    `answer_s` how long an answer may take, `poll_s` how often everything is read back. poll_s + answer_s is
    how soon a half-open connection is found: at most 5 s for TCP text protocols. `gap_s` is the pause that the
    model needs after each command (a configured `gap:` wins). `Options` is a frozen dataclass of plain types.
    """

    name: ClassVar[str]
    schemes: ClassVar[frozenset[str]] = frozenset({"tcp"})
    port: ClassVar[int]
    Options: ClassVar[type[Any]] = NoOptions
    window: ClassVar[int] = 1
    pipelines: ClassVar[bool] = False
    answer_s: ClassVar[float] = 2.0
    poll_s: ClassVar[float] = 2.0
    gap_s: ClassVar[float] = 0.0

    points: Mapping[str, Point]
    actions: Mapping[str, Action]

    def __init__(self, config: DeviceConfig) -> None:
        """Build `points` and `actions`; raises ConfigError for options that cannot be right together."""
        self.config = config
        self.points = {}
        self.actions = {}

    @abstractmethod
    def codec(self) -> Codec:
        """A fresh codec for a new connection."""

    @abstractmethod
    async def attach(self, session: Session) -> Identity:
        """Log in and identify; raises LinkRefused for a wrong password or model, LinkError otherwise."""

    @abstractmethod
    def observe(self) -> Sequence[Exchange]:
        """The exchanges that together truly read back every readable point; sent in order, one at a time."""

    @abstractmethod
    def write(self, point: str, value: Value) -> Exchange:
        """The command that makes `point` (local name) become `value`; called only when it leaves at once."""

    @abstractmethod
    def query(self, point: str) -> Exchange:
        """The question whose answer carries at least a reading of `point`."""

    def act(self, action: str) -> Exchange:
        """The one-shot command of an action."""
        raise LocalProtocolError(f"{self.name} has no action {action!r}")

    def heard(self, message: Any) -> Sequence[Reading]:
        """Readings in a message that answers no exchange (a push). Pushes are hints: the core updates what is
        shown and asks again before it judges. Raises RemoteProtocolError for a message that must not come
        unasked (an answer to nobody's question): the connection is then aborted.
        """
        raise RemoteProtocolError(f"unexpected message {message!r}"[:200])
