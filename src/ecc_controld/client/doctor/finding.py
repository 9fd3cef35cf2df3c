"""One line of the doctor: what is, whether that is fine, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ecc_controld.sdk.text import Text

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """`check` is stable; `fail` means that the hall cannot work so, `warn` that somebody should look."""

    check: str
    status: Status
    text: Text
    do: Text | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "check": self.check,
            "status": self.status,
            "text": self.text.as_dict(),
            "do": None if self.do is None else self.do.as_dict(),
        }


def ok(check: str, zh: str, en: str) -> Finding:
    """Fine."""
    return Finding(check, "ok", Text(zh, en))


def warn(check: str, text: Text, do: Text) -> Finding:
    """Somebody should look."""
    return Finding(check, "warn", text, do)


def fail(check: str, text: Text, do: Text) -> Finding:
    """The hall cannot work so."""
    return Finding(check, "fail", text, do)
