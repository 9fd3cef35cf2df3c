"""Judges a document by a JSON Schema: the keywords that ours use, and an error for any other."""

from __future__ import annotations

import re
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
SAID = {"$schema", "$defs", "title", "description", "default"}
"""Keywords that judge nothing."""


def fits(value: Any, schema: Any, root: Any) -> bool:
    """Whether a document is as the schema says."""
    if isinstance(schema, bool):
        return schema
    return all(_keyword(key, said, value, schema, root) for key, said in schema.items() if key not in SAID)


def _keyword(key: str, said: Any, value: Any, schema: Any, root: Any) -> bool:
    judge = JUDGES.get(key)
    if judge is None:
        raise AssertionError(f"the schema uses {key}, which nobody here knows")
    return judge(said, value, schema, root)


def _ref(said: str, value: Any, schema: Any, root: Any) -> bool:
    at = root
    for part in said.removeprefix("#/").split("/"):
        at = at[part]
    return fits(value, at, root)


def _type(said: Any, value: Any, schema: Any, root: Any) -> bool:
    kinds = [said] if isinstance(said, str) else said
    return any(
        isinstance(value, KINDS[kind]) and (not isinstance(value, bool) or kind == "boolean") for kind in kinds
    )


def _enum(said: Any, value: Any, schema: Any, root: Any) -> bool:
    return any(type(one) is type(value) and one == value for one in said)


def _rest(said: Any, value: Any, schema: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    rest = [key for key in value if key not in known and not any(re.search(one, key) for one in patterns)]
    return all(fits(value[key], said, root) for key in rest)


def _if(said: Any, value: Any, schema: Any, root: Any) -> bool:
    branch = schema.get("then", True) if fits(value, said, root) else schema.get("else", True)
    return fits(value, branch, root)


def _in_object(test: Any) -> Any:
    return lambda said, value, schema, root: not isinstance(value, dict) or test(said, value, root)


def _in_array(test: Any) -> Any:
    return lambda said, value, schema, root: not isinstance(value, list) or test(said, value, root)


def _in_number(test: Any) -> Any:
    return lambda said, value, schema, root: (
        not isinstance(value, (int, float)) or isinstance(value, bool) or test(said, value)
    )


def _in_text(test: Any) -> Any:
    return lambda said, value, schema, root: not isinstance(value, str) or test(said, value)


JUDGES: dict[str, Any] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": lambda said, value, schema, root: _enum([said], value, schema, root),
    "anyOf": lambda said, value, schema, root: any(fits(value, one, root) for one in said),
    "allOf": lambda said, value, schema, root: all(fits(value, one, root) for one in said),
    "oneOf": lambda said, value, schema, root: sum(fits(value, one, root) for one in said) == 1,
    "not": lambda said, value, schema, root: not fits(value, said, root),
    "if": _if,
    "then": lambda said, value, schema, root: True,
    "else": lambda said, value, schema, root: True,
    "properties": _in_object(
        lambda s, v, root: all(fits(v[key], one, root) for key, one in s.items() if key in v)
    ),
    "patternProperties": _in_object(
        lambda s, v, root: all(fits(v[k], one, root) for p, one in s.items() for k in v if re.search(p, k))
    ),
    "additionalProperties": _rest,
    "propertyNames": _in_object(lambda s, v, root: all(fits(key, s, root) for key in v)),
    "required": _in_object(lambda s, v, root: all(key in v for key in s)),
    "minProperties": _in_object(lambda s, v, root: len(v) >= s),
    "maxProperties": _in_object(lambda s, v, root: len(v) <= s),
    "items": _in_array(lambda s, v, root: all(fits(one, s, root) for one in v)),
    "prefixItems": _in_array(
        lambda s, v, root: all(fits(one, each, root) for one, each in zip(v, s, strict=False))
    ),
    "minItems": _in_array(lambda s, v, root: len(v) >= s),
    "maxItems": _in_array(lambda s, v, root: len(v) <= s),
    "minimum": _in_number(lambda s, v: v >= s),
    "maximum": _in_number(lambda s, v: v <= s),
    "exclusiveMinimum": _in_number(lambda s, v: v > s),
    "exclusiveMaximum": _in_number(lambda s, v: v < s),
    "pattern": _in_text(lambda s, v: re.search(s, v) is not None),
    "minLength": _in_text(lambda s, v: len(v) >= s),
    "maxLength": _in_text(lambda s, v: len(v) <= s),
}
