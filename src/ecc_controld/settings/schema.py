"""A JSON Schema (draft 2020-12) of the files in `config/`, made from the loader's tables and the drivers' `Options`."""

from __future__ import annotations

from typing import Any

from ecc_controld.registry import Registry
from ecc_controld.scene.schema import DRAFT, DURATION, NAMED, SCALAR, SWITCH, ref, words

from .devices import CREDENTIAL, DEVICE_ID, ID_LIMIT
from .load import SCHEMA, WORD_LIMIT
from .options import json_schema

TEXTS: dict[str, Any] = {"type": "array", "items": SCALAR}
DEVICE_KEYS = (
    "driver", "name", "group", "zone", "address", "secret", "options", "presets", "gap", "observe_only", "in_service"
)  # fmt: skip


def config_schema(registry: Registry) -> dict[str, Any]:
    """The schema, with the options of every driver that is installed."""
    defs: dict[str, Any] = {"device": _device(registry), "source": _source()}
    for name in registry.names():
        driver = registry.driver(name)
        assert driver is not None
        defs[f"options-{name}"] = _loosened(json_schema(driver.Options, f"#/$defs/options-{name}/$defs/{{model}}"))
    word = {"pattern": f"^{DEVICE_ID.pattern}$"}
    return {
        "$schema": DRAFT,
        "title": "ecc_controld: 配置文件 configuration file",
        "description": "各文件合并，每个键只写一次 / all files of the folder together, each key once",
        "type": "object",
        "properties": {
            "schema": {"description": "格式版本 / version of the format", "enum": [SCHEMA, str(SCHEMA)]},
            "hall": {
                "description": "大厅 / the hall",
                "type": "object",
                "properties": {
                    "name": NAMED,
                    "timezone": {"type": "string", "description": "时区 / time zone, such as Asia/Shanghai"},
                },
                "required": ["name", "timezone"],
                "additionalProperties": False,
            },
            "networks": {"description": "设备所在网段 / networks in which devices live", **TEXTS},
            "devices": {
                "description": "设备 / devices by id",
                "type": "object",
                "propertyNames": {**word, "maxLength": ID_LIMIT},
                "additionalProperties": ref("device"),
            },
            "lists": {
                "description": "列表，场景中写作 @名称 / lists, @name in scenes",
                "type": "object",
                "propertyNames": {**word, "maxLength": WORD_LIMIT},
                "additionalProperties": TEXTS,
            },
            "sources": {
                "description": "信号源 / pictures and sounds that can be routed",
                "type": "object",
                "propertyNames": {**word, "maxLength": WORD_LIMIT},
                "additionalProperties": ref("source"),
            },
        },
        "additionalProperties": False,
        "$defs": defs,
    }


def _device(registry: Registry) -> dict[str, Any]:
    shapes: dict[str, Any] = {
        "driver": {"description": "驱动 / driver", **words(registry.names())},
        "name": {"description": "名称 / name for people", **NAMED},
        "group": {"description": "分组，场景中写作 组/* / group/* in scenes", "type": "string"},
        "zone": {"description": "区域 / where it is", **SCALAR},
        "address": {"description": "地址，如 tcp://10.20.1.10:5200 / address", "type": "string"},
        "secret": {
            "description": "凭据的名称，不是密码 / name of a credential, never its value",
            "type": "string",
        },
        "options": {"description": "驱动自己的选项 / the driver's own options", "type": "object"},
        "presets": {
            "description": "预置词对应设备的编号或名称 / words for the device's numbers or names",
            "type": "object",
            "additionalProperties": {"type": ["integer", "string"]},
        },
        "gap": {"description": "每条命令后的间隔 / pause after each command", **DURATION},
        "observe_only": {"description": "只观察 / read, never written to", **words(SWITCH)},
        "in_service": {"description": "是否启用 / off: left alone", **words(SWITCH)},
    }
    shapes["secret"]["pattern"] = f"^{CREDENTIAL.pattern}$"
    return {
        "type": "object",
        "properties": {key: shapes[key] for key in DEVICE_KEYS},
        "required": ["driver", "address"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"driver": {"const": name}}, "required": ["driver"]},
                "then": {"properties": {"options": ref(f"options-{name}")}},
            }
            for name in registry.names()
        ],
    }


def _source() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "zh": SCALAR,
            "en": SCALAR,
            "input": {"description": "接在哪个输入 / where it is plugged in: matrix.in.3", "type": "string"},
            "label": {"description": "密级标签 / label", **SCALAR},
        },
        "required": ["zh", "input"],
        "additionalProperties": False,
    }


def _loosened(node: Any) -> Any:
    """As editors read YAML: `on` is a word for them, `2` a number, and the loader takes both. Made-up titles go."""
    if isinstance(node, list):
        return [_loosened(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _loosened(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))
    }
    kind = node.get("type")
    if kind == "boolean":
        del found["type"]
        return {**found, **words(SWITCH)}
    if kind in ("number", "integer"):
        return {**found, "type": [kind, "string"]}
    return {**found, **SCALAR} if kind == "string" else found
