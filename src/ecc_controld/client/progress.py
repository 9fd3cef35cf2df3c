"""The display while a run is open: one row a device, commanded and confirmed told apart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text as Styled

from ecc_controld.sdk.text import Text

from . import tables
from .http import Api
from .words import Lang, pick, seconds

POLL_S = 0.25
SENT = ("sent", "acked", "doubt")
CONFIRMED = ("ok", "already", "unverifiable", "late")
STAGES = ("failed", "sent", "waiting", "confirmed")
"""The order in which rows need eyes."""


def stage(point: Mapping[str, Any]) -> str:
    """waiting, sent, confirmed or failed."""
    outcome = point.get("outcome")
    if outcome is not None:
        return "confirmed" if outcome in CONFIRMED else "failed"
    if point.get("state") in SENT or point.get("evidence") in ("commanded", "acknowledged"):
        return "sent"
    return "waiting"


def by_device(points: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """How many points of each device are at which stage; devices that need eyes first."""
    found: dict[str, Counter[str]] = {}
    for point in points:
        found.setdefault(str(point.get("device", "")), Counter())[stage(point)] += 1
    worst = {device: next(n for n, name in enumerate(STAGES) if stages[name]) for device, stages in found.items()}
    return dict(sorted(found.items(), key=lambda item: worst[item[0]]))


def display(run: Mapping[str, Any], lang: Lang, rows: int) -> RenderableType:
    """The whole display, at most `rows` devices."""
    devices = by_device(run.get("points") or ())
    heads = [
        Text("设备", "device"),
        Text("等待", "waiting"),
        Text("已发出", "sent"),
        Text("已确认", "confirmed"),
        Text("未到位", "failed"),
    ]
    styles = {"waiting": "", "sent": "yellow", "confirmed": "green", "failed": "bold red"}
    shown = list(devices.items())[: max(1, rows)]
    body: list[list[tables.Cell]] = [
        [device, *(Styled(str(stages[name] or ""), style=style) for name, style in styles.items())]
        for device, stages in shown
    ]
    parts: list[RenderableType] = [_head(run, lang), tables.table(lang, heads, body)]
    if len(devices) > len(shown):
        more = len(devices) - len(shown)
        parts.append(Styled(pick(Text(f"另有 {more} 台设备", f"and {more} more devices"), lang)))
    return Group(*parts)


def _head(run: Mapping[str, Any], lang: Lang) -> Styled:
    elapsed, objective = seconds(run.get("elapsed_s")) or "0.0 s", seconds(run.get("objective_s"))
    text = Text(
        f"{run.get('scene')}：{elapsed}，目标 {objective}", f"{run.get('scene')}: {elapsed} of {objective}"
    )
    return Styled(pick(text, lang), style="bold")


async def follow(api: Api, run_id: str, console: Console, lang: Lang, limit_s: float | None) -> dict[str, Any]:
    """Show a run until it is assessed or the limit (s) is over; returns the last card. A pipe shows nothing."""
    clock = asyncio.get_running_loop().time
    deadline = None if limit_s is None else clock() + limit_s
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            run = (await api.get("runs", run_id)).data
            if console.is_terminal:
                live.update(display(run, lang, console.height - 6), refresh=True)
            if run.get("state") != "open" or (deadline is not None and clock() >= deadline):
                return run
            await asyncio.sleep(POLL_S if deadline is None else max(0.0, min(POLL_S, deadline - clock())))
