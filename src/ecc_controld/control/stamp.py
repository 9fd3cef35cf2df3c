"""Times and run ids as text."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def rfc3339(wall: float, zone: tzinfo = UTC) -> str:
    """Unix time as RFC 3339 with zone and milliseconds."""
    return datetime.fromtimestamp(wall, zone).isoformat(timespec="milliseconds")


def from_rfc3339(text: str) -> float:
    """RFC 3339 text with a zone as Unix time; raises ValueError."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("a time needs a zone, for example +08:00")
    return when.timestamp()


def run_id(wall: float, count: int) -> str:
    """A run's id: sorts by time, unique by the counter."""
    return f"r{datetime.fromtimestamp(wall, UTC):%Y%m%dT%H%M%S}-{count:06d}"
