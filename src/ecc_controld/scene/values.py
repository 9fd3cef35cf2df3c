"""From the text of a file to the value of a point, with a sentence for people when it does not fit.

`{name}` stands for a parameter: alone it is the parameter's own value (a number stays a number), inside a text it
is its words. What a press puts in is never looked through again. `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ecc_controld.sdk.point import BadValue
from ecc_controld.yamlfile import Node, Problems, Scalar

from .params import Given, Param, ParamValue, word

_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}")
PLACES = 16
"""How many parameters one text may hold: what it grows to stays small."""


def names(text: str) -> tuple[str, ...]:
    """The parameters that a text asks for."""
    return tuple(found[1] for found in _PART.finditer(text) if found[1] is not None)


def whole(text: str) -> str | None:
    """The parameter that a text is nothing but."""
    found = _PART.fullmatch(text)
    return None if found is None else found[1]


def fill(text: str, given: Given) -> ParamValue | None:
    """The text with its parameters; None while a required one is not given (only when files are checked)."""
    asked = names(text)
    if any(given[name] is None for name in asked):
        return None
    if (name := whole(text)) is not None:
        return given[name]
    return _PART.sub(lambda found: found[0][0] if found[1] is None else word(given[found[1]]), text)


def check_names(node: Scalar, params: Mapping[str, Param | None], problems: Problems) -> bool:
    """Whether every parameter that the text asks for is there and can stand where it does.

    `params` has None for one that was not understood: its own error is enough.
    """
    asked = names(node.text)
    if len(asked) > PLACES:
        zh, en = f"一段文字中至多 {PLACES} 个参数", f"at most {PLACES} parameters in one text"
        problems.add(node.mark, zh, en)
        return False
    for name in asked:
        param = params.get(name)
        if name not in params:
            zh, en = f"没有参数 {name}", f"there is no parameter {name}"
            problems.add(node.mark, zh, en, params, name)
            return False
        if param is not None and param.type == "list":
            zh = f'参数 {name} 是列表，不能作为点位的值或文字的一部分；可用作 want: 的键 "{{{name}}}"'
            en = f'parameter {name} is a list: no point takes one; it can be a key of want: ("{{{name}}}")'
            problems.add(node.mark, zh, en)
            return False
    return True


def scalar(node: Node, what: str, params: Mapping[str, Param | None], problems: Problems) -> Scalar | None:
    """The node as one value that the language knows; None and a problem otherwise."""
    if not isinstance(node, Scalar):
        zh, en = f"{what} 应为一个值，不是列表或映射", f"{what}: expected one value, not a list or a map"
    elif node.is_null:
        zh, en = f"{what} 没有值", f"{what}: a value is missing"
    elif node.text.startswith("@"):
        zh = f"{what} 不能是列表；@列表 可用作 want: 的键或参数的 default、choices"
        en = f"{what}: no point takes a list; @lists are keys of want:, and default or choices of parameters"
    else:
        return node if check_names(node, params, problems) else None
    problems.add(node.mark, zh, en)
    return None


def misfit(node: Scalar, shown: object, bad: BadValue, what: str, problems: Problems) -> None:
    """Note that `what` cannot have the value that the node came to."""
    text = (
        shown if isinstance(shown, str) else word(shown) if isinstance(shown, (bool, int, float)) else str(shown)
    )
    quoted = text if len(text) <= 60 else text[:60] + "…"
    if isinstance(shown, str):  # what is no text is shown as none
        quoted = repr(quoted)
    # The words of a choice are listed by the problem itself.
    zh = f"{what} 不能是 {quoted}" + ("" if bad.valid else f"，应为{bad.expected.zh}")
    en = f"{what} cannot be {quoted}" + ("" if bad.valid else f", expected {bad.expected.en}")
    problems.add(node.mark, zh, en, bad.valid, text)
