"""The words of the API in the hall's two languages. A word that is not listed is shown as it is."""

from __future__ import annotations

from typing import Any, Literal

from ecc_controld.sdk.text import Text

Lang = Literal["zh", "en"]

LINKS = {
    "offline": Text("不在线", "offline"),
    "connecting": Text("连接中", "connecting"),
    "identifying": Text("识别中", "identifying"),
    "online": Text("在线", "online"),
    "refused": Text("被拒绝", "refused"),
}
OUTCOMES = {
    "ok": Text("到位", "ok"),
    "already": Text("原已到位", "already so"),
    "unverifiable": Text("无法回读", "unverifiable"),
    "late": Text("迟到", "late"),
    "not_settled": Text("未达到", "not settled"),
    "rejected": Text("被设备拒绝", "rejected"),
    "offline": Text("不在线", "offline"),
    "blocked": Text("前置项未成", "blocked"),
    "overridden": Text("被他人改动", "overridden"),
    "superseded": Text("已被取代", "superseded"),
    "skipped": Text("已跳过", "skipped"),
    "out_of_service": Text("停用", "out of service"),
}
EVIDENCE = {
    "none": Text("未发出", "not sent"),
    "commanded": Text("已发出", "commanded"),
    "acknowledged": Text("已应答", "acknowledged"),
    "read_back": Text("已回读", "read back"),
    "measured": Text("已实测", "measured"),
}
VERDICTS = {
    "ready": Text("到位", "READY"),
    "degraded": Text("部分到位", "DEGRADED"),
    "failed": Text("未到位", "FAILED"),
    "superseded": Text("已被取代", "SUPERSEDED"),
}
CRITICALITY = {"must": Text("必须", "must"), "should": Text("应当", "should"), "may": Text("可选", "may")}
PLANNED = {
    "write": Text("将改变", "write"),
    "already": Text("原已到位", "already so"),
    "unknown": Text("未知", "unknown"),
    "offline": Text("不在线", "offline"),
    "out_of_service": Text("停用", "out of service"),
}
LAYERS = {
    "scene": Text("场景", "scene"),
    "manual": Text("手动", "manual"),
    "fire": Text("消防", "fire"),
    "guard": Text("保护", "guard"),
}
RUN_STATES = {
    "open": Text("进行中", "open"),
    "assessed": Text("已评估", "assessed"),
    "closed": Text("已结束", "closed"),
}
DEEDS = {
    "due": Text("待执行", "due"),
    "sent": Text("已发出", "sent"),
    "acknowledged": Text("已应答", "acknowledged"),
    "failed": Text("失败", "failed"),
    "unknown": Text("不明", "unknown"),
}
COUNTS = {**OUTCOMES, "total": Text("共", "total"), "open": Text("进行中", "open")}
COLOURS = {
    "ready": "bold green",
    "degraded": "bold yellow",
    "failed": "bold red",
    "superseded": "bold magenta",
    "online": "green",
    "offline": "red",
    "refused": "red",
}
SIMULATED = Text("模拟 SIMULATED：没有连接真实设备", "SIMULATED 模拟: no real device is connected")
OBSERVE_ONLY = Text("只观察：不发送任何控制命令", "OBSERVE ONLY: nothing is ever written")


def word(known: dict[str, Text], code: object, lang: Lang) -> str:
    """A code of the API as people say it; empty for none."""
    if code is None:
        return ""
    text = known.get(str(code))
    return str(code) if text is None else pick(text, lang)


def pick(text: Text, lang: Lang) -> str:
    """One of the two sentences."""
    return text.zh if lang == "zh" else text.en


def said(names: Any, lang: Lang) -> str:
    """A `{"zh", "en"}` object of the API; empty for none."""
    if not isinstance(names, dict):
        return "" if names is None else str(names)
    other = "en" if lang == "zh" else "zh"
    return str(names.get(lang) or names.get(other) or "")


def value(raw: object, lang: Lang, unit: str = "") -> str:
    """A point's value for people: on and off in words, a true minus, its unit."""
    if raw is None:
        return "—"
    if isinstance(raw, bool):
        return pick(Text("开", "on") if raw else Text("关", "off"), lang)
    if isinstance(raw, (int, float)):
        text = f"{raw:g}".replace("-", "−") if isinstance(raw, float) else str(raw).replace("-", "−")
        return f"{text} {unit}".rstrip()
    return str(raw)


def seconds(raw: object) -> str:
    """A duration in s; empty for none."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return ""
    return f"{raw:.1f} s" if raw < 600 else f"{raw / 60:.0f} min"
