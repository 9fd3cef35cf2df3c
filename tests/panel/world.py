"""A small hall in the API's shapes (config-and-api.md): what the stub server tells the panel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]
ZONE = timezone(timedelta(hours=8))

DEVICES = [
    ("wall", "LED 大屏", "LED wall", "display", "pjlink"),
    ("side-left", "左侧屏", "Left screen", "display", "pjlink"),
    ("side-right", "右侧屏", "Right screen", "display", "pjlink"),
    ("matrix", "主矩阵 40×40", "Main matrix 40x40", "matrix", "videohub"),
    ("dsp", "音频处理器", "Audio processor", "audio", "qsys"),
    ("cam1", "1 号摄像机（主席台）", "Camera 1 (rostrum)", "camera", "visca"),
    ("cam2", "2 号摄像机", "Camera 2", "camera", "visca"),
    ("cam3", "3 号摄像机", "Camera 3", "camera", "visca"),
    ("seat-7", "7 号席位显示器", "Seat display 7", "display", "pjlink"),
]

# (point, zh, en, type, unit, criticality, the value that every scene here wants)
POINTS = [
    ("wall.power", "电源", "Power", "boolean", "", "must", True),
    ("wall.input", "信号源", "Input", "choice", "", "must", "hdmi-1"),
    ("side-left.power", "电源", "Power", "boolean", "", "should", True),
    ("side-right.power", "电源", "Power", "boolean", "", "should", True),
    ("matrix.out.1", "输出 1", "Output 1", "choice", "", "must", "gis"),
    ("matrix.out.2", "输出 2", "Output 2", "choice", "", "should", "scene-feed"),
    ("matrix.out.3", "输出 3", "Output 3", "choice", "", "should", "conference"),
    ("dsp.preset", "预置", "Preset", "choice", "", "must", "emergency"),
    ("dsp.mic.2.gain", "2 号话筒增益", "Microphone 2 gain", "number", "dB", "should", -10.0),
    ("cam1.preset", "预置位", "Preset", "choice", "", "should", "overview"),
    ("cam2.preset", "预置位", "Preset", "choice", "", "should", "overview"),
    ("cam3.preset", "预置位", "Preset", "choice", "", "may", "overview"),
    ("seat-7.power", "电源", "Power", "boolean", "", "should", True),
]

SCENES = [
    ("duty", "值班", "Duty", "duty", 20, False, "tap", 60.0),
    ("warning", "预警", "Warning", "warning", 60, False, "tap", 60.0),
    ("conference", "会议", "Conference", "conference", 40, False, "tap", 90.0),
    ("emergency", "应急", "Emergency", "emergency", 80, True, "hold", 60.0),
]


def text(zh: str, en: str) -> Json:
    """A name or sentence as the API carries it."""
    return {"zh": zh, "en": en}


def stamp(at: datetime | None = None) -> str:
    """RFC 3339 in the hall's zone, with milliseconds."""
    return (at or datetime.now(UTC)).astimezone(ZONE).isoformat(timespec="milliseconds")


def devices() -> dict[str, Json]:
    """Every device online and well."""
    return {
        name: {
            "id": name,
            "driver": driver,
            "name": text(zh, en),
            "group": group,
            "zone": "front",
            "address": f"tcp://10.20.1.{10 + n}:4352",
            "link": "online",
            "reason": None,
            "reason_text": None,
            "since": stamp(),
            "identity": {"model": f"{driver.upper()}-9{n}", "name": "", "serial": f"SN00{n}", "firmware": "1.4.2"},
            "last_exchange_age_s": 0.4,
            "in_service": True,
        }
        for n, (name, zh, en, group, driver) in enumerate(DEVICES)
    }


def points() -> dict[str, Json]:
    """Every point wanted by duty and as wanted."""
    return {
        name: {
            "point": name,
            "device": name.split(".")[0],
            "trait": None,
            "title": text(zh, en),
            "type": kind,
            "unit": unit,
            "range": {},
            "access": "readwrite",
            "want": value,
            "want_by": "duty desk",
            "want_since": stamp(),
            "layer": "scene",
            "got": value,
            "age_s": 0.5,
            "dirty": False,
            "as_wanted": True,
            "outcome": "ok",
            "evidence": "read_back",
            "state": "held",
        }
        for name, zh, en, kind, unit, _, value in POINTS
    }


def scenes() -> dict[str, Json]:
    """The four modes."""
    return {
        name: {
            "name": name,
            "title": text(zh, en),
            "mode": mode,
            "priority": priority,
            "holds": holds,
            "confirm": confirm,
            "ready_within_s": within,
            "layer": "scene",
            "stand_down": "restore",
            "wishes": len(POINTS),
            "active": name == "duty",
        }
        for name, zh, en, mode, priority, holds, confirm, within in SCENES
    }


def manual_scene(name: str, zh: str, en: str) -> Json:
    """A scene that is set by hand: without a mode, over whatever holds the hall."""
    duty = scenes()["duty"]
    return {**duty, "name": name, "title": text(zh, en), "mode": None, "priority": 10, "layer": "manual"}


def card(name: str, criticality: str, value: object) -> Json:
    """One point of a run that has just been opened."""
    return {
        "point": name,
        "device": name.split(".")[0],
        "criticality": criticality,
        "want": value,
        "got": None,
        "age_s": None,
        "outcome": None,
        "evidence": "none",
        "reason": None,
        "reason_text": None,
        "elapsed_s": None,
        "used_else": None,
    }


def run(number: int, scene: str, key: str | None, by: str = "值班席") -> Json:
    """A run that has just been opened."""
    return {
        "id": f"r{number}",
        "scene": scene,
        "params": {},
        "by": by,
        "key": key,
        "trigger": "panel",
        "drill": False,
        "opened": stamp(),
        "closed": None,
        "state": "open",
        "verdict": None,
        "superseded_by": None,
        "resumed": False,
        "objective_s": 60.0,
        "elapsed_s": None,
        "points": [card(name, criticality, value) for name, _, _, _, _, criticality, value in POINTS],
        "actions": [],
    }
