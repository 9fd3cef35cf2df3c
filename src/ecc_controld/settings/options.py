"""A device's `options:` checked against its driver's `Options`, every error at its place in the file."""

from __future__ import annotations

import types
from collections.abc import Mapping as MappingType
from collections.abc import Sequence as SequenceType
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from ecc_controld.sdk import BadValue, Switch, Text
from ecc_controld.yamlfile import Mapping, Mark, Node, Problems, Scalar, Sequence

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


def options(node: Mapping | None, mark: Mark, kind: Any, problems: Problems) -> Any:
    """An instance of `kind`, or None and problems. `mark` is where the device stands if it has no options."""
    before = len(problems)
    data = {} if node is None else _shaped(node, kind, problems)
    if len(problems) > before:
        return None
    try:
        return _adapter(kind).validate_python({"options": data}).options
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            _tell(error, node, mark, kind, problems)
        return None


def place(node: Mapping | None, path: str) -> Mark | None:
    """Where the option of a dotted path stands, or the deepest part of it that is there; keys may hold dots."""
    mark = None
    parts = path.split(".")
    at: Node | None = node
    while parts:
        if isinstance(at, Sequence) and parts[0].isdigit() and int(parts[0]) < len(at.items):
            at, parts = at.items[int(parts[0])], parts[1:]
            mark = at.mark
            continue
        joined = range(len(parts), 0, -1)
        cut = next((n for n in joined if isinstance(at, Mapping) and at.get(".".join(parts[:n]))), None)
        if cut is None or not isinstance(at, Mapping):
            break
        entry = at.entry(".".join(parts[:cut]))
        assert entry is not None
        at, parts = entry[1], parts[cut:]
        mark = at.mark if isinstance(at, Scalar) else entry[0].mark
    return mark


def json_schema(kind: Any, refs: str) -> dict[str, Any]:
    """The JSON Schema of a driver's `Options`; `refs` is where its definitions are found (`{model}`)."""
    whole = _adapter(kind).json_schema(ref_template=refs)
    top = whole["properties"]["options"]
    return {**top, "$defs": whole["$defs"]} if "$defs" in whole else dict(top)


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # A dataclass takes the configuration of the model that holds it, nested ones too: unknown keys are errors.
    return TypeAdapter(create_model("Holder", __config__=_STRICT, options=(kind, ...)))


def _shaped(node: Node, hint: Any, problems: Problems) -> Any:
    """The node as dicts, lists and texts, in the shape that the hint's type understands."""
    inner = _without_none(hint)
    if isinstance(node, Scalar):
        if not node.is_null:
            return _shaped_text(node.text, inner)
        if inner is hint:
            problems.add(node.mark, "此处为空，应写一个值", "nothing here, expected a value")
        return None
    if isinstance(node, Sequence):
        return [_shaped(item, _child(inner, str(n)), problems) for n, item in enumerate(node.items)]
    return {key.text: _shaped(value, _child(inner, key.text), problems) for key, value in node.entries}


def _shaped_text(text: str, hint: Any) -> Any:
    if get_origin(hint) is Literal:  # pydantic compares these, it does not parse them
        return next((one for one in get_args(hint) if str(one).lower() == text.lower()), text)
    if hint is bool:
        try:
            return Switch().parse(text)
        except BadValue:
            return text
    return text.replace("\u2212", "-") if hint in (int, float) else text  # the trade writes a true minus


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        left = [one for one in get_args(hint) if one is not type(None)]
        if len(left) < len(get_args(hint)):
            return left[0] if len(left) == 1 else Union[tuple(left)]  # noqa: UP007 - built at run time
    return hint


def _child(hint: Any, part: str) -> Any:
    """The type of the value below a key, or of the item of that number."""
    args, origin = get_args(hint), get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return get_type_hints(hint).get(part, str)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return args[int(part)] if part.isdigit() and int(part) < len(args) else str
    if isinstance(origin, type) and issubclass(origin, MappingType):
        return args[1]
    return args[0] if args and origin in (tuple, list) else str


def _descend(hint: Any, path: SequenceType[str]) -> Any:
    for part in path:
        hint = _child(_without_none(hint), part)
    return _without_none(hint)


def _tell(error: Any, node: Mapping | None, mark: Mark, kind: type[Any], problems: Problems) -> None:
    path = [str(part) for part in error["loc"][1:]]
    found, walked, at = _walk(node, path)
    at = at or mark
    where = ".".join(path[:walked] if error["type"] != "missing" else path)
    if error["type"] == "unexpected_keyword_argument":
        parent = _descend(kind, path[:-1])
        valid = tuple(field.name for field in fields(parent)) if is_dataclass(parent) else ()
        at = _key(node, path) or at
        problems.add(at, f"未知的选项 {path[-1]}", f"unknown option {path[-1]}", valid, path[-1])
    elif error["type"] == "literal_error" and isinstance(found, Scalar):
        valid = tuple(map(str, get_args(_descend(kind, path))))
        zh, en = f"选项 {where} 取值不可用", f"option {where}: {found.text!r} is not valid"
        problems.add(at, zh, en, valid, found.text)
    elif walked < len(path) and error["type"] != "missing":  # the rest names a member of a union
        problems.add(at, f"选项 {where} 应为一个值", f"option {where}: expected a plain value")
    else:
        text = _sentence(error)
        problems.add(at, f"选项 {where}：{text.zh}", f"option {where}: {text.en}")


def _key(node: Mapping | None, path: SequenceType[str]) -> Mark | None:
    """Where the last key of a path stands."""
    parent, _, _ = _walk(node, path[:-1])
    entry = parent.entry(path[-1]) if isinstance(parent, Mapping) else None
    return None if entry is None else entry[0].mark


def _sentence(error: Any) -> Text:
    kind = str(error["type"])
    context = error.get("ctx", {})
    if kind == "missing":
        return Text("必须给出", "is missing")
    if kind.startswith("int_"):
        return Text("应为整数", "expected a whole number")
    if kind.startswith(("float_", "finite_", "decimal_")):
        return Text("应为数", "expected a number")
    if kind.startswith("bool_"):
        return Text("应为 on 或 off", "expected on or off")
    if kind.startswith("string_"):
        return Text("应为文字", "expected a text")
    if kind.startswith(("dict_", "mapping_", "dataclass_", "model_")):
        return Text("应为 键: 值", "expected keys and values")
    if kind in ("too_long", "too_short"):
        wanted = context.get("max_length", context.get("min_length"))
        return Text(f"应有 {wanted} 项", f"expected {wanted} items")
    if kind.startswith(("tuple_", "list_", "set_", "frozen_set_")):
        return Text("应为列表", "expected a list")
    return Text(f"取值无效（{error['msg']}）", str(error["msg"]))


def _walk(node: Node | None, path: SequenceType[str]) -> tuple[Node | None, int, Mark | None]:
    """As far down the path as there are nodes: the node, the parts walked, and where it stands (its key, for a
    map or list).
    """
    mark = None if node is None else node.mark
    for n, part in enumerate(path):
        if isinstance(node, Mapping) and (entry := node.entry(part)) is not None:
            node = entry[1]
            mark = node.mark if isinstance(node, Scalar) else entry[0].mark
        elif isinstance(node, Sequence) and part.isdigit() and int(part) < len(node.items):
            node = node.items[int(part)]
            mark = node.mark
        else:
            return node, n, mark
    return node, len(path), mark
