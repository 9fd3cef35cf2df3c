"""What people see: tables and lines. Widths are counted in cells, so that Chinese lines up."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text as Styled

from ecc_controld.sdk.text import Text

from . import words
from .sentences import moment
from .words import Lang, pick, said, seconds, value, word

Row = Mapping[str, Any]
Cell = str | Styled


def clean(text: str) -> str:
    """Text from outside without control characters: a device's name must not steer the terminal."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char for char in text)


def coloured(text: str, code: object) -> Styled:
    """A word in the colour of its code."""
    return Styled(clean(text), style=words.COLOURS.get(str(code), ""))


def table(lang: Lang, heads: Iterable[Text], rows: Iterable[Sequence[Cell]]) -> Table:
    """Rows under bilingual heads; nothing is cut, long cells fold."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        made.add_column(pick(head, lang), overflow="fold")
    for row in rows:
        made.add_row(*(clean(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def devices(found: Sequence[Row], lang: Lang) -> Table:
    """GET /devices."""
    heads = [
        Text("设备", "device"),
        Text("名称", "name"),
        Text("分组", "group"),
        Text("区域", "zone"),
        Text("连接", "link"),
        Text("型号", "model"),
        Text("地址", "address"),
        Text("说明", "note"),
    ]
    return table(lang, heads, (_device(row, lang) for row in found))


def _device(row: Row, lang: Lang) -> list[Cell]:
    note = said(row.get("reason_text"), lang) or str(row.get("reason") or "")
    if not row.get("in_service", True):
        note = pick(Text("停用", "out of service"), lang) + (f" · {note}" if note else "")
    if row.get("observe_only"):
        note = pick(Text("只观察", "observe only"), lang) + (f" · {note}" if note else "")
    link = row.get("link")
    return [
        str(row.get("id", "")),
        said(row.get("name"), lang),
        str(row.get("group") or ""),
        str(row.get("zone") or ""),
        coloured(word(words.LINKS, link, lang), link),
        str((row.get("identity") or {}).get("model") or row.get("driver") or ""),
        str(row.get("address") or ""),
        note,
    ]


def points(found: Sequence[Row], lang: Lang) -> Table:
    """GET /points."""
    heads = [
        Text("点位", "point"),
        Text("名称", "title"),
        Text("期望", "want"),
        Text("实际", "got"),
        Text("读数距今", "age"),
        Text("状态", "state"),
        Text("来自", "by"),
        Text("说明", "note"),
    ]
    return table(lang, heads, (_point(row, lang) for row in found))


def _point(row: Row, lang: Lang) -> list[Cell]:
    unit = str(row.get("unit") or "")
    by = " · ".join(part for part in (word(words.LAYERS, row.get("layer"), lang), row.get("want_by")) if part)
    return [
        str(row.get("point", "")),
        said(row.get("title"), lang),
        value(row.get("want"), lang, unit),
        value(row.get("got"), lang, unit),
        seconds(row.get("age_s")),
        point_state(row, lang),
        by,
        said(row.get("reason_text"), lang) or str(row.get("reason") or ""),
    ]


def point_state(row: Row, lang: Lang) -> Styled:
    """Whether a point is as wanted, in one word."""
    if row.get("want") is None:
        return Styled("")
    if row.get("as_wanted"):
        return Styled(pick(Text("一致", "as wanted"), lang), style="green")
    outcome = row.get("outcome")
    if outcome is None and row.get("state") == "doubt":
        return Styled(pick(Text("待核实", "in doubt"), lang), style="yellow")
    if outcome is None:
        return Styled(pick(Text("进行中", "striving"), lang), style="yellow")
    return Styled(word(words.OUTCOMES, outcome, lang), style="red")


def scenes(found: Sequence[Row], lang: Lang) -> Table:
    """GET /scenes."""
    heads = [
        Text("", ""),
        Text("场景", "scene"),
        Text("名称", "title"),
        Text("模式", "mode"),
        Text("优先级", "priority"),
        Text("保持", "holds"),
        Text("项数", "wishes"),
        Text("目标时间", "ready within"),
        Text("参数", "parameters"),
    ]
    return table(lang, heads, (_scene(row, lang) for row in found))


def _scene(row: Row, lang: Lang) -> list[Cell]:
    return [
        "▶" if row.get("active") else "",
        str(row.get("name", "")),
        said(row.get("title"), lang),
        str(row.get("mode") or ""),
        str(row.get("priority", "")),
        pick(Text("是", "yes"), lang) if row.get("holds") else "",
        str(row.get("wishes", "")),
        seconds(row.get("ready_within_s")),
        "; ".join(_param(one) for one in row.get("params") or ()),
    ]


def _param(row: Row) -> str:
    """What a parameter may be, the usual value first: `level=III (I, II, III, IV)`."""
    usual, limits = row.get("default"), row.get("range") or {}
    shown = f"{row.get('name')}={'?' if usual is None else params_value(usual)}"
    if choices := row.get("choices"):
        return f"{shown} ({', '.join(map(str, choices))})"
    if "min" in limits and "max" in limits:
        return f"{shown} ({limits['min']:g} … {limits['max']:g} {row.get('unit') or ''}".rstrip() + ")"
    return shown


def params(found: Mapping[str, Any] | None) -> str:
    """The parameters of a press in one line; empty for none."""
    return ", ".join(f"{name}={params_value(one)}" for name, one in (found or {}).items())


def params_value(one: object) -> str:
    """A parameter's value as it is written."""
    if isinstance(one, bool):
        return "on" if one else "off"
    return ",".join(map(str, one)) if isinstance(one, list) else str(one)


def plan(found: Row, lang: Lang) -> Table:
    """The waves of GET /scenes/{name}/plan."""
    heads = [
        Text("批次", "wave"),
        Text("点位", "point"),
        Text("现在", "got"),
        Text("期望", "want"),
        Text("动作", "action"),
        Text("重要性", "criticality"),
        Text("须先完成", "after"),
    ]
    rows = (
        [
            str(number),
            str(item.get("point", "")),
            value(item.get("got"), lang),
            value(item.get("want"), lang),
            word(words.PLANNED, item.get("action"), lang),
            word(words.CRITICALITY, item.get("criticality"), lang),
            ", ".join(map(str, item.get("after") or ())),
        ]
        for number, wave in enumerate(found.get("waves") or (), 1)
        for item in wave
    )
    return table(lang, heads, rows)


def would_fail(found: Sequence[Row], lang: Lang) -> Table:
    """What a plan says would fail now."""
    heads = [Text("会失败的点位", "would fail"), Text("原因", "reason")]
    rows = (
        [str(row.get("point", "")), said(row.get("reason_text"), lang) or str(row.get("reason"))] for row in found
    )
    return table(lang, heads, rows)


def runs(found: Sequence[Row], lang: Lang) -> Table:
    """GET /runs, newest first."""
    heads = [
        Text("编号", "run"),
        Text("场景", "scene"),
        Text("开始", "opened"),
        Text("操作者", "by"),
        Text("结论", "verdict"),
        Text("用时", "elapsed"),
        Text("目标", "objective"),
        Text("计数", "counts"),
    ]
    return table(lang, heads, (_run(row, lang) for row in found))


def _run(row: Row, lang: Lang) -> list[Cell]:
    scene = str(row.get("scene", ""))
    if row.get("drill"):
        scene += pick(Text("（演练）", " (drill)"), lang)
    return [
        str(row.get("id", "")),
        scene,
        moment(row.get("opened")),
        str(row.get("by") or ""),
        verdict(row, lang),
        seconds(row.get("elapsed_s")),
        seconds(row.get("objective_s")),
        counts(row.get("counts"), lang),
    ]


def verdict(run: Row, lang: Lang) -> Styled:
    """The verdict of a run, or that it is still open."""
    code = run.get("verdict")
    if code is None:
        return Styled(word(words.RUN_STATES, run.get("state"), lang), style="yellow")
    return coloured(word(words.VERDICTS, code, lang), code)


def counts(found: object, lang: Lang, known: Mapping[str, Text] = words.COUNTS) -> str:
    """Counts in one line, without zeros."""
    if not isinstance(found, dict):
        return ""
    shown = [f"{word(dict(known), name, lang)} {number}" for name, number in found.items() if number]
    return " · ".join(shown)


def run_points(found: Sequence[Row], lang: Lang) -> Table:
    """Points of a run's card."""
    heads = [
        Text("点位", "point"),
        Text("重要性", "criticality"),
        Text("期望", "want"),
        Text("实际", "got"),
        Text("结果", "outcome"),
        Text("证据", "evidence"),
        Text("用时", "elapsed"),
        Text("原因", "reason"),
    ]
    return table(lang, heads, (_run_point(row, lang) for row in found))


def _run_point(row: Row, lang: Lang) -> list[Cell]:
    reason = said(row.get("reason_text"), lang) or str(row.get("reason") or "")
    if row.get("detail"):
        reason = f"{reason} ({row['detail']})" if reason else str(row["detail"])
    outcome = row.get("outcome")
    shown = word(words.OUTCOMES, outcome, lang) or pick(Text("进行中", "open"), lang)
    return [
        str(row.get("point", "")),
        word(words.CRITICALITY, row.get("criticality"), lang),
        value(row.get("want"), lang),
        value(row.get("got"), lang),
        Styled(shown, style="green" if outcome in FINE else "yellow" if outcome in (None, "late") else "red"),
        word(words.EVIDENCE, row.get("evidence"), lang),
        seconds(row.get("elapsed_s")),
        reason,
    ]


FINE = ("ok", "already", "unverifiable")
"""Outcomes that nobody needs to look at."""


def deeds(found: Sequence[Row], lang: Lang) -> Table:
    """The one-shot actions of a run."""
    heads = [Text("设备", "device"), Text("动作", "action"), Text("状态", "state"), Text("原因", "reason")]
    rows = (
        [
            str(row.get("device", "")),
            str(row.get("action", "")),
            word(words.DEEDS, row.get("state"), lang),
            str(row.get("reason") or ""),
        ]
        for row in found
    )
    return table(lang, heads, rows)
