"""Link states and what may follow what. Pure."""

from __future__ import annotations

from enum import StrEnum


class Link(StrEnum):
    """Where the connection to one device is."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    IDENTIFYING = "identifying"
    ONLINE = "online"
    REFUSED = "refused"


TRANSITIONS: dict[Link, frozenset[Link]] = {
    Link.OFFLINE: frozenset({Link.CONNECTING}),
    Link.CONNECTING: frozenset({Link.IDENTIFYING, Link.OFFLINE}),
    Link.IDENTIFYING: frozenset({Link.ONLINE, Link.OFFLINE, Link.REFUSED}),
    Link.ONLINE: frozenset({Link.OFFLINE}),
    Link.REFUSED: frozenset({Link.CONNECTING}),
}


def step(now: Link, then: Link) -> Link:
    """The next state; raises ValueError for a transition that the table does not have."""
    if then not in TRANSITIONS[now]:
        raise ValueError(f"a link does not go from {now} to {then}")
    return then
