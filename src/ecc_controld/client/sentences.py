"""Problem documents as one clear sentence, with what helps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ecc_controld.sdk.text import Text

from .words import Lang, pick, said

SHOWN = 12
"""How many valid names a sentence lists."""


def problem_sentence(document: dict[str, Any], lang: Lang) -> str:
    """What the daemon said no to, why, and what would be valid."""
    english = document.get("detail") or document.get("title") or document.get("code") or "?"
    parts = [str(document.get("detail_zh") or english) if lang == "zh" else str(english)]
    if held := _held_by(document.get("held_by"), lang):
        parts.append(held)
    if nearest := document.get("nearest"):
        parts.append(pick(Text(f"是不是“{nearest}”？", f"did you mean {nearest!r}?"), lang))
    if (valid := document.get("valid")) and document.get("code") != "bad_value":  # that sentence lists them
        parts.append(_valid([str(name) for name in valid], lang))
    return _joined(parts, lang)


def _held_by(held: object, lang: Lang) -> str:
    if not isinstance(held, dict):
        return "" if held is None else pick(Text(f"当前由 {held} 保持", f"held by {held}"), lang)
    title = said(held.get("title"), lang) or str(held.get("scene") or "?")
    by, since = held.get("by") or "?", moment(held.get("since"))
    zh = f"当前场景“{title}”，操作者 {by}" + (f"，自 {since}" if since else "")
    en = f"held by scene {title!r}, pressed by {by}" + (f" at {since}" if since else "")
    return pick(Text(zh, en), lang)


def _valid(names: list[str], lang: Lang) -> str:
    more = len(names) - SHOWN
    zh, en = "可用：" + "、".join(names[:SHOWN]), "valid: " + ", ".join(names[:SHOWN])
    if more > 0:
        zh, en = f"{zh} 等 {len(names)} 个", f"{en} and {more} more"
    return pick(Text(zh, en), lang)


def _joined(parts: list[str], lang: Lang) -> str:
    bare = [part.rstrip("。.；;") for part in parts]
    return "；".join(bare) if lang == "zh" else "; ".join(bare)


def moment(raw: object) -> str:
    """A time of the API (RFC 3339, or Unix seconds) as a person reads it; empty for none."""
    try:
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw).astimezone().strftime("%m-%d %H:%M:%S")
        if isinstance(raw, str):
            return datetime.fromisoformat(raw).strftime("%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(raw)
    return ""
