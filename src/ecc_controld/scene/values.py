"""From the text of a file to the value of a point, with a sentence for people when it does not fit."""

from __future__ import annotations

import re

from ecc_controld.sdk.point import BadValue
from ecc_controld.yamlfile import Node, Problems, Scalar

_SUBSTITUTION = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


def scalar(node: Node, what: str, problems: Problems) -> Scalar | None:
    """The node as one value that the language knows; None and a problem otherwise."""
    if not isinstance(node, Scalar):
        zh, en = f"{what} 应为一个值，不是列表或映射", f"{what}: expected one value, not a list or a map"
    elif node.is_null:
        zh, en = f"{what} 没有值", f"{what}: a value is missing"
    elif _SUBSTITUTION.search(node.text):
        zh, en = f"{what}：本版本不支持 {{参数}}", f"{what}: {{parameters}} are not supported by this version"
    elif node.text.startswith("@"):
        zh, en = f"{what}：本版本不支持 @列表", f"{what}: @lists are not supported by this version"
    else:
        return node
    problems.add(node.mark, zh, en)
    return None


def misfit(node: Scalar, bad: BadValue, what: str, problems: Problems) -> None:
    """Note that `what` cannot have the value of the node."""
    shown = node.text if len(node.text) <= 60 else node.text[:60] + "…"
    # The words of a choice are listed by the problem itself.
    zh = f"{what} 不能是 {shown!r}" + ("" if bad.valid else f"，应为{bad.expected.zh}")
    en = f"{what} cannot be {shown!r}" + ("" if bad.valid else f", expected {bad.expected.en}")
    problems.add(node.mark, zh, en, bad.valid, node.text)
