"""Sentences for people, in the hall's two languages."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """One sentence or name in Chinese and in English."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        """The JSON shape `{"zh": .., "en": ..}` of the API."""
        return {"zh": self.zh, "en": self.en}
