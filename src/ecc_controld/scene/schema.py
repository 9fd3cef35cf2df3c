"""A JSON Schema (draft 2020-12) of scene files, so that editors complete and check them. Pure; made from the loader's
own tables. With a hall it knows the devices, points and values that are there.

Editors read YAML with types (`on`, `3`, `-10` are no texts for them), so each value is allowed in both forms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from ecc_controld.sdk.point import Kind, Switch

from .expand import CRITICALITY, ON_RETURN
from .hallview import HallView, groups, points
from .head import CONFIRM, KEYS, LAYERS, NAME, PRIORITY, STAND_DOWN
from .order import IF_FAILED
from .paramfile import FIELDS
from .params import CHOICES, PARAMS, TEXT_LIMIT
from .params import NAME as PARAM_NAME
from .params import TYPES as PARAM_TYPES
from .parts import VARIANT

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SWITCH = [True, False, "on", "off", "yes", "no", "开", "关"]
SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
DURATION: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|min|h)$"}
NAMED: dict[str, Any] = {
    "anyOf": [
        SCALAR,
        {"type": "object", "properties": {"zh": SCALAR, "en": SCALAR}, "additionalProperties": False},
    ]
}
FILLED: dict[str, Any] = {"type": "string", "pattern": r"\{[a-z][a-z0-9_]*\}"}
"""A text with a parameter, which only a press makes a value."""
ABOUT = {
    "scene": "场景名，与文件名相同 / the scene's name, equal to the file's",
    "fragment": "片段名：只供其他文件 extends，不是场景 / a piece for others to extend, no scene of its own",
    "title": "名称，可含 {参数} / the name for people; may hold {parameters}",
    "extends": "以另一个文件为基础，后写的优先 / the file that this one is based on; later values win",
    "mode": "模式 / the mode",
    "layer": "scene 切换模式；manual 只是手动设定 / scene has a mode, manual sets manual wishes",
    "priority": "优先级，默认按模式 / default by mode",
    "holds": "是否锁定大厅 / only a stand-down or an equal or higher scene ends it",
    "confirm": "面板上如何确认 / how the panel asks for it",
    "ready_within": "目标时间 / what every run is measured against",
    "deadline": "最终评判时间 / when a run is judged at last",
    "params": "参数 / what a press may choose",
    "want": "各点位的期望 / what the hall shall be",
    "after": "次序：等前置点位到位 / what waits for what",
    "when": "按参数取值增改 / what a value of a parameter adds or changes",
    "else": "达不到时的替代（已检查，尚未执行）/ what to do when a wish cannot be met (checked, not carried out yet)",
    "do": "一次性动作 / one-shot actions",
    "stand_down": "解除后怎么办 / what follows when it ends",
}
"""What each key is for; a key without a sentence is an error in the tests."""


Shapes: TypeAlias = dict[str, str]
"""Shapes as JSON with the names of their definitions."""


def scene_schema(hall: HallView | None = None) -> dict[str, Any]:
    """The schema; with a hall also its names and values."""
    defs: dict[str, Any] = {
        "wish": {"anyOf": [SCALAR, ref("long"), ref("map")]},
        "long": _long(SCALAR),
        "map": {"type": "object", "additionalProperties": ref("wish"), "not": {"required": ["value"]}},
        "order": _order(),
        "param": _param(hall),
        "action": _action(hall),
        "variant": {
            "if": {"type": "object", "anyOf": [{"required": [key]} for key in VARIANT]},
            "then": _variant(),
            "else": ref("wishes"),
        },
    }
    by_name = {r"\.": ref("wish")}  # a device alone has a map of points
    defs["wishes"] = {"type": "object", "patternProperties": by_name, "additionalProperties": ref("map")}
    if hall is not None:
        shapes: Shapes = {}
        defs["wishes"] = _wishes(hall, shapes)
        defs |= {name: json.loads(text) for text, name in shapes.items()}
    return {
        "$schema": DRAFT,
        "title": "ecc_controld: 场景文件 scene file",
        "type": "object",
        "properties": {key: {"description": ABOUT[key], **_key(key)} for key in KEYS},
        "additionalProperties": False,
        "oneOf": [{"required": ["scene"]}, {"required": ["fragment"]}],
        "$defs": defs,
    }


def ref(name: str) -> dict[str, Any]:
    """A reference to one of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def words(found: Iterable[object]) -> dict[str, Any]:
    """One of these words; one that looks like a number may be written as one."""
    listed: list[object] = []
    for one in found:
        listed.append(one)
        if isinstance(one, str) and one.isascii() and one.isdigit() and str(int(one)) == one:
            listed.append(int(one))
    return {"enum": listed}


def _key(key: str) -> dict[str, Any]:
    return {
        "scene": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "fragment": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "title": NAMED,
        "extends": {"type": "string"},
        "mode": words(PRIORITY),
        "layer": words(LAYERS),
        "priority": {"type": "integer", "minimum": 0, "maximum": 100},
        "holds": words(SWITCH),
        "confirm": words(CONFIRM),
        "ready_within": DURATION,
        "deadline": DURATION,
        "params": {
            "type": "object",
            "propertyNames": {"pattern": f"^{PARAM_NAME.pattern}$"},
            "maxProperties": PARAMS,
            "additionalProperties": ref("param"),
        },
        "want": ref("wishes"),
        "after": ref("order"),
        "when": _when(),
        "else": ref("wishes"),
        "do": {"type": "array", "items": ref("action")},
        "stand_down": words(STAND_DOWN),
    }[key]


def _when() -> dict[str, Any]:
    """Parameter, then its value, then the variant."""
    values = {"type": "object", "additionalProperties": ref("variant")}
    return {"type": "object", "additionalProperties": values}


def _variant() -> dict[str, Any]:
    shapes = {
        "want": ref("wishes"),
        "after": ref("order"),
        "do": {"type": "array", "items": ref("action")},
        "else": ref("wishes"),
        "when": _when(),
    }
    properties = {key: shapes[key] for key in VARIANT}
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def _long(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "value": value,
            "criticality": words(CRITICALITY),
            "timeout": DURATION,
            "settle": DURATION,
            "on_return": words(ON_RETURN),
        },
        "required": ["value"],
        "additionalProperties": False,
    }


def _order() -> dict[str, Any]:
    named = {"type": "string", "pattern": r"\."}
    listed = {"anyOf": [named, {"type": "array", "items": named, "minItems": 1}]}
    whole = {
        "type": "object",
        "properties": {"points": listed, "if_failed": words(IF_FAILED)},
        "required": ["points"],
        "additionalProperties": False,
    }
    return {"type": "object", "propertyNames": named, "additionalProperties": {"anyOf": [listed, whole]}}


def _param(hall: HallView | None) -> dict[str, Any]:
    lists: dict[str, Any] = {"type": "string", "pattern": "^@"}
    if hall is not None:
        lists = {"enum": [f"@{name}" for name in hall.lists]}
    listed = {"type": "array", "items": SCALAR, "minItems": 1, "maxItems": CHOICES}
    shapes = {
        "title": NAMED,
        "type": words(PARAM_TYPES),
        "choices": {"anyOf": [lists, listed]},
        "default": {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]},
        "min": SCALAR,
        "max": SCALAR,
        "unit": SCALAR,
        "max_length": {"type": "integer", "minimum": 1, "maximum": TEXT_LIMIT},
    }
    known = dict.fromkeys(key for keys in FIELDS.values() for key in keys)
    return {
        "type": "object",
        "properties": {key: shapes[key] for key in known},
        "anyOf": [{"required": ["choices"]}, {"required": ["type"]}],
        "additionalProperties": False,
    }


def _action(hall: HallView | None) -> dict[str, Any]:
    device: dict[str, Any] = {"type": "string"}
    action: dict[str, Any] = {"type": "string"}
    if hall is not None:
        able = {name: one.driver.actions for name, one in hall.devices.items() if one.driver.actions}
        device, action = words(able), words(dict.fromkeys(word for known in able.values() for word in known))
    return {
        "type": "object",
        "properties": {"device": device, "action": action},
        "required": ["device", "action"],
        "additionalProperties": False,
    }


# -- with a hall -----------------------------------------------------------------------------------------


def _wishes(hall: HallView, shapes: Shapes) -> dict[str, Any]:
    """A map of wishes in which every key is a device, group or list of the hall, with or without a point."""
    members = {name: [name] for name in hall.devices}
    members |= {f"{name}/*": found for name, found in groups(hall).items()}
    members |= {
        f"@{name}": list(found)
        for name, found in hall.lists.items()
        if found and all(one in hall.devices for one in found)
    }
    properties: dict[str, Any] = {}
    for key, devices in members.items():
        inside = _points(devices, hall, shapes)
        properties[key] = _kept(
            {
                "type": "object",
                "properties": {"criticality": words(CRITICALITY), **inside},
                "additionalProperties": False,
            },
            shapes,
        )
        properties |= {f"{key}.{local}": shape for local, shape in inside.items()}
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {r"^\{[a-z][a-z0-9_]*\}": ref("wish")},
        "additionalProperties": False,
    }


def _points(devices: Iterable[str], hall: HallView, shapes: Shapes) -> dict[str, Any]:
    """What may be wanted of any of the devices; parts of a name lead to maps."""
    found: dict[str, list[Any]] = {}
    parts: dict[str, None] = {}
    for device in devices:
        for local, point in points(hall, device).items():
            if not point.writable:
                continue
            shape = _kept(_wish(point.kind), shapes)
            if shape not in found.setdefault(local, []):
                found[local].append(shape)
            pieces = local.split(".")
            parts |= dict.fromkeys(".".join(pieces[:n]) for n in range(1, len(pieces)))
    whole = {local: one[0] if len(one) == 1 else {"anyOf": one} for local, one in found.items()}
    return {**{part: ref("map") for part in parts if part not in whole}, **whole}


def _wish(kind: Kind) -> dict[str, Any]:
    value = _value(kind)
    return {"anyOf": [value, _long(value)]}


def _value(kind: Kind) -> dict[str, Any]:
    """What a kind takes, as far as its range says."""
    limits = kind.range()
    if isinstance(kind, Switch):
        return {"anyOf": [words(SWITCH), FILLED]}
    if "words" in limits:
        return {"anyOf": [words([*limits["words"], *getattr(kind, "aliases", ())]), FILLED]}
    if "min" in limits and "max" in limits:
        return {
            "anyOf": [{"type": "number", "minimum": limits["min"], "maximum": limits["max"]}, {"type": "string"}]
        }
    return SCALAR


def _kept(shape: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    """The shape as a definition of its own: a hall has thousands of points and a few dozen shapes."""
    text = json.dumps(shape, ensure_ascii=False)
    return ref(shapes.setdefault(text, f"shape-{len(shapes) + 1}"))
