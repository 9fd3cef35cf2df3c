"""The verbs of eccctl. Each asks the API, shows the answer, and returns an exit code."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text as Styled

from ecc_controld.sdk.text import Text

from . import tables, words
from .http import Api, Refusal, Reply
from .progress import follow
from .sentences import moment, problem_sentence
from .words import Lang, pick, said, seconds, word

READY, DEGRADED, USAGE, FAILED, REFUSED, UNREACHABLE = range(6)
"""Exit codes."""

VERDICT_CODES = {"ready": READY, "degraded": DEGRADED, "failed": FAILED, "superseded": REFUSED}
OUTCOME_CODES = {
    "ok": READY,
    "already": READY,
    "unverifiable": READY,
    "late": DEGRADED,
    "skipped": DEGRADED,
    "out_of_service": DEGRADED,
    "overridden": REFUSED,
    "superseded": REFUSED,
}
WAIT_LIMIT_S = 600.0
"""The longest wait that the API takes."""


@dataclass(frozen=True)
class Desk:
    """Where a verb asks and speaks."""

    api: Api
    console: Console
    lang: Lang
    json: bool

    def say(self, text: Text, style: str = "") -> None:
        """One sentence for people."""
        self.console.print(Styled(tables.clean(pick(text, self.lang)), style=style))

    def show(self, what: RenderableType) -> None:
        """A table."""
        self.console.print(what)

    async def hall(self) -> dict[str, Any]:
        """The hall; when it is simulated that is said first."""
        found = (await self.api.get("hall")).data
        if found.get("simulated"):
            self.say(words.SIMULATED, "bold reverse yellow")
        if found.get("observe_only"):
            self.say(words.OBSERVE_ONLY, "bold reverse yellow")
        return found


def raw(body: bytes) -> None:
    """The API's own bytes on standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


def refusal_code(refusal: Refusal) -> int:
    """4: the daemon may not or will not; 3: it cannot; 2: what was asked is wrong."""
    if refusal.status in (401, 403, 409, 410):
        return REFUSED
    return FAILED if refusal.status >= 500 or refusal.status == 408 else USAGE


def refusal_text(refusal: Refusal, lang: Lang) -> str:
    """A problem document as one sentence."""
    return tables.clean(problem_sentence(refusal.document, lang))


async def status(desk: Desk) -> int:
    """The hall now, and what is not as it should be."""
    if desk.json:
        raw((await desk.api.get("hall")).raw)
        return READY
    hall = await desk.hall()
    devices = (await desk.api.get("devices")).data["devices"]
    points = (await desk.api.get("points")).data["points"]
    lang = desk.lang
    desk.say(Text(said(hall.get("name"), "zh"), said(hall.get("name"), "en")), "bold")
    desk.say(_mode(hall))
    online = sum(1 for device in devices if device.get("link") == "online")
    wanted = [point for point in points if point.get("want") is not None]
    odd = [point for point in wanted if not point.get("as_wanted")]
    desk.say(Text(f"设备：{online}/{len(devices)} 在线", f"devices: {online} of {len(devices)} online"))
    desk.say(
        Text(
            f"点位：{len(wanted) - len(odd)}/{len(wanted)} 与期望一致",
            f"points: {len(wanted) - len(odd)} of {len(wanted)} as wanted",
        )
    )
    absent = [device for device in devices if device.get("link") != "online"]
    if absent:
        desk.show(tables.devices(absent, lang))
    if odd:
        desk.show(tables.points(odd, lang))
    return READY


def _mode(hall: Mapping[str, Any]) -> Text:
    if hall.get("scene") is None:
        return Text("当前模式：尚未选择", "mode: none chosen yet")
    title, since, by = hall.get("title"), moment(hall.get("since")), hall.get("by")
    verdict = hall.get("verdict")
    zh = f"当前模式：{said(title, 'zh') or hall['scene']}，自 {since}，操作者 {by}"
    en = f"mode: {said(title, 'en') or hall['scene']}, since {since}, by {by}"
    if verdict is not None:
        zh += f"，结论 {word(words.VERDICTS, verdict, 'zh')}"
        en += f", verdict {word(words.VERDICTS, verdict, 'en')}"
    if told := tables.params(hall.get("params")):
        zh, en = f"{zh}，{told}", f"{en}, {told}"
    if hall.get("holds"):
        zh, en = f"{zh}（保持中）", f"{en} (holds)"
    if hall.get("drill"):
        zh, en = f"【演练】{zh}", f"DRILL: {en}"
    return Text(zh, en)


async def listing(desk: Desk, name: str, **query: str | None) -> int:
    """devices, points, scenes or runs as a table."""
    if desk.json:
        raw((await desk.api.get(name, **query)).raw)
        return READY
    makers = {"devices": tables.devices, "points": tables.points, "scenes": tables.scenes, "runs": tables.runs}
    await desk.hall()
    found = (await desk.api.get(name, **query)).data[name]
    desk.show(makers[name](found, desk.lang))
    return READY


async def plan(desk: Desk, scene: str, params: Sequence[tuple[str, str]] = ()) -> int:
    """What a scene would change now; sends nothing. `params`: names and values, a name again for each item of a list."""
    query = {"param": [f"{name}:{value}" for name, value in params] or None}
    if desk.json:
        raw((await desk.api.get("scenes", scene, "plan", **query)).raw)
        return READY
    await desk.hall()
    found = (await desk.api.get("scenes", scene, "plan", **query)).data
    if told := tables.params(found.get("params")):
        desk.say(Text(f"参数：{told}", f"parameters: {told}"))
    desk.show(tables.plan(found, desk.lang))
    planned = {**words.COUNTS, **words.PLANNED}
    summary, estimate = found.get("counts"), seconds(found.get("estimate_s"))
    zh = tables.counts(summary, "zh", planned) + (f"；预计 {estimate}" if estimate else "")
    en = tables.counts(summary, "en", planned) + (f"; takes about {estimate}" if estimate else "")
    desk.say(Text(zh, en))
    if failing := found.get("would_fail"):
        desk.show(tables.would_fail(failing, desk.lang))
    return READY


async def apply(
    desk: Desk,
    scene: str,
    params: Sequence[tuple[str, str]] = (),
    *,
    wait: float | None,
    stand_down: bool,
    drill: bool,
) -> int:
    """Press a scene. `wait` in s: until its run is assessed, at most so long; None: do not wait."""
    body = {"params": _params(params), "stand_down": stand_down, "drill": drill}
    return await _press(desk, ("scenes", scene, "activate"), body, wait)


def _params(given: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Parameters as the API takes them: texts, which the scene reads; a name that comes again makes a list."""
    values: dict[str, list[str]] = {}
    for name, value in given:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else list(found) for name, found in values.items()}


async def stand_down(desk: Desk, *, wait: float | None) -> int:
    """End the scene that holds the hall."""
    return await _press(desk, ("stand-down",), {}, wait)


async def _press(desk: Desk, path: tuple[str, ...], body: dict[str, Any], wait: float | None) -> int:
    key = str(uuid.uuid4())
    if desk.json:
        query = {"wait": None if wait is None else f"{wait:g}"}
        reply = await desk.api.call("POST", *path, body=body, key=key, query=query, wait_s=wait or 0.0)
        raw(reply.raw)
        return _press_code(reply.data.get("run"), waited=wait is not None)
    await desk.hall()
    run = (await desk.api.call("POST", *path, body=body, key=key)).data.get("run")
    if run is None:
        desk.say(Text("已结束保持", "stood down"))
        return READY
    if wait is None:
        desk.say(
            Text(
                f"已接受：{run['scene']}，编号 {run['id']}（eccctl run {run['id']} 查看结果）",
                f"accepted: {run['scene']}, run {run['id']} (eccctl run {run['id']} shows the result)",
            )
        )
        return READY
    card = await follow(desk.api, run["id"], desk.console, desk.lang, wait)
    _card(desk, card, everything=False)
    return _press_code(card, waited=True)


def _press_code(run: Mapping[str, Any] | None, *, waited: bool) -> int:
    """An unfinished run is no success for whoever waited for it."""
    if run is None or not waited:
        return READY
    return VERDICT_CODES.get(str(run.get("verdict")), FAILED)


async def run(desk: Desk, run_id: str) -> int:
    """One run's card; the exit code is its verdict's, 0 while it is open."""
    if desk.json:
        reply = await desk.api.get("runs", run_id)
        raw(reply.raw)
        return _run_code(reply)
    await desk.hall()
    reply = await desk.api.get("runs", run_id)
    _card(desk, reply.data, everything=True)
    return _run_code(reply)


def _run_code(reply: Reply) -> int:
    verdict = reply.data.get("verdict")
    return READY if verdict is None else VERDICT_CODES.get(str(verdict), FAILED)


def _card(desk: Desk, card: Mapping[str, Any], *, everything: bool) -> None:
    lang, verdict = desk.lang, card.get("verdict")
    elapsed, objective = seconds(card.get("elapsed_s")), seconds(card.get("objective_s"))
    what = tables.verdict(card, lang)
    drill = pick(Text("【演练】", "DRILL: "), lang) if card.get("drill") else ""
    line = Styled(drill).append(tables.clean(str(card.get("scene")))).append(" ")
    if told := tables.params(card.get("params")):
        line.append(f"({told}) ")
    line.append_text(what)
    if elapsed:
        line.append(pick(Text(f"，用时 {elapsed}，目标 {objective}", f", {elapsed} of {objective}"), lang))
    if card.get("superseded_by"):
        by = card["superseded_by"]
        line.append(pick(Text(f"，被 {by} 取代", f", by run {by}"), lang))
    desk.show(line)
    if verdict is None:
        desk.say(Text(f"仍在进行，编号 {card.get('id')}", f"still open, run {card.get('id')}"))
    if summary := tables.counts(card.get("counts"), lang):
        desk.show(Styled(summary))
    points = list(card.get("points") or ())
    shown = points if everything else [one for one in points if one.get("outcome") not in tables.FINE]
    if shown:
        desk.show(tables.run_points(shown, lang))
    if deeds := card.get("actions"):
        desk.show(tables.deeds(deeds, lang))


async def set_point(desk: Desk, point: str, value: str, *, wait: float | None) -> int:
    """Want a value by hand. The point's own type reads the text."""
    if not desk.json:
        await desk.hall()
    query = {"wait": None if wait is None else f"{wait:g}"}
    body = {"value": value}
    reply = await desk.api.call("PUT", "points", point, body=body, query=query, wait_s=wait or 0.0)
    return _point(desk, reply, waited=wait is not None)


async def release(desk: Desk, point: str) -> int:
    """Take a manual wish back."""
    if not desk.json:
        await desk.hall()
    return _point(desk, await desk.api.call("DELETE", "points", point, "want"), waited=False)


def _point(desk: Desk, reply: Reply, *, waited: bool) -> int:
    found = reply.data.get("point")
    row = found if isinstance(found, dict) else reply.data
    if desk.json:
        raw(reply.raw)
    else:
        desk.show(tables.points([row], desk.lang))
    return OUTCOME_CODES.get(str(row.get("outcome")), FAILED) if waited else READY


def problems_json(problems: Iterable[Any], warnings: Iterable[Any] = ()) -> dict[str, Any]:
    """What `check --json` prints: the problems and warnings of the files, in the API's manner."""
    return {"problems": [_told(one) for one in problems], "warnings": [_told(one) for one in warnings]}


def _told(problem: Any) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message.as_dict(),
        "valid": list(problem.valid),
        "nearest": problem.nearest,
    }
