"""The `params:` of a scene file: from nodes to `Param`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecc_controld import yamlfile
from ecc_controld.sdk.point import BadValue
from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import Fields, Mark, Node, Problems, Scalar

from .hallview import HallView
from .params import CHOICES, ITEMS, NAME, PARAMS, TEXT_LIMIT, TEXT_USUAL, TYPES, Param, ParamValue
from .values import misfit

FIELDS = {
    "choice": ("title", "type", "choices", "default"),
    "boolean": ("title", "type", "default"),
    "number": ("title", "type", "min", "max", "unit", "default"),
    "list": ("title", "type", "choices", "default"),
    "text": ("title", "type", "max_length", "default"),
}
"""The keys that each type of parameter has."""
LARGEST = 1e9


@dataclass
class Params:
    """The parameters of a scene and where they stand; None: it was not understood, which is told already."""

    found: dict[str, Param | None] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether all of them were understood."""
        return all(param is not None for param in self.found.values())

    @property
    def good(self) -> dict[str, Param]:
        """Those that were understood."""
        return {name: param for name, param in self.found.items() if param is not None}


def read_params(node: Node | None, hall: HallView, problems: Problems) -> Params:
    """All parameters of a (merged) `params:`."""
    params = Params()
    found = yamlfile.as_mapping(node, problems)
    for key, body in () if found is None else found.entries:
        params.marks[key.text] = key.mark
        params.found[key.text] = _param(key, body, hall, problems)
    if len(params.found) > PARAMS and found is not None:
        problems.add(found.mark, f"参数多于 {PARAMS} 个", f"more than {PARAMS} parameters")
        params.found = dict.fromkeys(params.found)
    return params


def _param(key: Scalar, node: Node, hall: HallView, problems: Problems) -> Param | None:
    before = len(problems)
    if not NAME.fullmatch(key.text):
        zh = f"参数名 {key.text!r} 须以小写英文字母开头，只含小写字母、数字和 _"
        en = f"parameter {key.text!r} must begin with a lower-case letter and hold only a-z, 0-9 and _"
        problems.add(key.mark, zh, en)
    if isinstance(node, Scalar) and node.is_null:
        problems.add(key.mark, "应为 choices: 或 type:", "expected choices: or type:")
        return None
    body = yamlfile.as_mapping(node, problems)
    if body is None:
        return None
    fields = Fields(body, problems)
    kind = _type(key, fields, problems)
    if kind is None:
        return None
    choices = _choices(key, fields, kind, hall, problems)
    low, high, unit = _range(key, fields, problems) if kind == "number" else (0.0, 0.0, "")
    longest = yamlfile.as_int(fields.take("max_length"), 1, TEXT_LIMIT, problems) if kind == "text" else None
    title = yamlfile.as_name(fields.take("title"), problems) or Text(key.text, key.text)
    default = fields.take("default")
    fields.done()
    if len(problems) > before:
        return None
    lists = hall.lists if kind == "list" else {}
    param = Param(key.text, title, kind, choices, low, high, unit, longest or TEXT_USUAL, None, lists)
    usual = None if default is None else _default(default, param, problems)
    if len(problems) > before:
        return None
    return Param(key.text, title, kind, choices, low, high, unit, longest or TEXT_USUAL, usual, lists)


def _type(key: Scalar, fields: Fields, problems: Problems) -> str | None:
    node = fields.take("type")
    if node is None and fields.node.get("choices") is not None:
        return "choice"
    if node is None:
        valid = ("choices", *TYPES)
        problems.add(
            key.mark,
            f"参数 {key.text} 缺少 choices: 或 type:",
            f"parameter {key.text} needs choices: or type:",
            valid,
        )
        return None
    return yamlfile.as_word(node, TYPES, problems)


def _choices(key: Scalar, fields: Fields, kind: str, hall: HallView, problems: Problems) -> tuple[str, ...]:
    if kind not in ("choice", "list"):
        return ()
    node = fields.need("choices") if kind == "choice" else fields.take("choices")
    if node is None:
        return ()
    if isinstance(node, Scalar) and node.text.startswith("@"):
        return named_list(node, hall, problems) or ()
    items = yamlfile.as_items(node, problems)
    if items is None:
        return ()
    words: dict[str, None] = {}
    for item in items:
        text = yamlfile.as_text(item, problems)
        if text in words:
            problems.add(item.mark, f"{text} 重复", f"{text} is listed twice")
        elif text is not None:
            words[text] = None
    limit = CHOICES if kind == "choice" else ITEMS
    if not items or len(items) > limit:
        problems.add(node.mark, f"应有 1 至 {limit} 项", f"expected 1 to {limit} items")
    return tuple(words)


def named_list(node: Scalar, hall: HallView, problems: Problems) -> tuple[str, ...] | None:
    """The list of the hall that `@name` stands for; None and a problem if there is none."""
    name = node.text.removeprefix("@")
    if name in hall.lists:
        return hall.lists[name]
    valid = [f"@{one}" for one in hall.lists]
    problems.add(node.mark, f"没有列表 {node.text}", f"there is no list {node.text}", valid, node.text)
    return None


def _range(key: Scalar, fields: Fields, problems: Problems) -> tuple[float, float, str]:
    unit = yamlfile.as_text(fields.take("unit"), problems) or ""
    ends = [_number(fields.need(name), unit, problems) for name in ("min", "max")]
    low, high = (0.0 if end is None else end for end in ends)
    if None not in ends and low > high:
        problems.add(key.mark, f"参数 {key.text} 的 min 大于 max", f"parameter {key.text}: min is above max")
    return low, high, unit


def _number(node: Node | None, unit: str, problems: Problems) -> float | None:
    text = yamlfile.as_text(node, problems)
    if node is None or text is None:
        return None
    probe = Param("", Text("", ""), "number", low=-LARGEST, high=LARGEST, unit=unit)
    try:
        return float(probe.parse(text))  # type: ignore[arg-type] # a number's value is a number
    except BadValue as bad:
        problems.add(node.mark, f"应为{bad.expected.zh}", f"expected {bad.expected.en}")
        return None


def _default(node: Node, param: Param, problems: Problems) -> ParamValue | None:
    raw: object
    if isinstance(node, Scalar):
        if node.is_null:
            problems.add(node.mark, "default 没有值", "default: a value is missing")
            return None
        raw = node.text
    else:
        items = yamlfile.as_items(node, problems)
        if items is None:
            return None
        raw = [yamlfile.as_text(item, problems) or "" for item in items]
    try:
        return param.parse(raw)
    except BadValue as bad:
        what = f"参数 {param.name} 的 default", f"the default of {param.name}"
        if isinstance(node, Scalar):
            misfit(node, node.text, bad, what[1], problems)
        else:
            zh, en = f"{what[0]} 应为{bad.expected.zh}", f"{what[1]}: expected {bad.expected.en}"
            problems.add(node.mark, zh, en, bad.valid)
        return None


def choices_of(params: Mapping[str, Param | None], name: str) -> tuple[str, ...] | None:
    """The words of a list parameter; None if it is no list, or was not understood."""
    param = params.get(name)
    return None if param is None or param.type != "list" else param.choices
