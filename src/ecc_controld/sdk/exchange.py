"""One exchange with a device: bytes out, and how the answer to them is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .point import Reading


@dataclass(frozen=True)
class Answer:
    """The device's answer to one exchange: accepted, with the readings that it carried."""

    readings: tuple[Reading, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Refusal:
    """The device's own "no" to one exchange.

    `busy`: the same may succeed a little later. `not_fitted`: the model lacks this optional point altogether;
    it is then no longer asked for.
    """

    reason: str
    busy: bool = False
    not_fitted: bool = False


Verdict: TypeAlias = Answer | Refusal | None
Judge: TypeAlias = Callable[[Any], Verdict]
"""Looks at one message: None if it is not about this exchange. Must be strict: an answer belongs to a question."""


@dataclass(frozen=True)
class Exchange:
    """Bytes out and how their answer is recognised.

    `judge=None`: the device never answers this (evidence stays "commanded"). `timeout_s` overrides the
    driver's `answer_s`. `resends` (datagram wires): how often the very same bytes are sent again when no
    answer came, spread evenly over the time-out. `more` (datagram wires): further datagrams of the same
    exchange, each sent by itself right behind `send`; the judge decides when all of it is answered.
    """

    send: bytes
    judge: Judge | None
    timeout_s: float | None = None
    resends: int = 0
    more: tuple[bytes, ...] = ()
