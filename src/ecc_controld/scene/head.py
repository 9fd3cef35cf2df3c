"""The head of a scene file: who it is, what it is worth, how it is pressed and judged."""

from __future__ import annotations

import re
from typing import Any

from ecc_controld import yamlfile
from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import Fields, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from . import values
from .document import Document
from .expand import LONGEST_S
from .paramfile import Params

PRIORITY = {"fire": 100, "emergency": 80, "warning": 60, "conference": 40, "duty": 20}
HOLDING = ("fire", "emergency")
CONFIRM = ("tap", "hold", "pin")
LAYERS = ("scene", "manual")
STAND_DOWN = ("restore", "duty", "none")
KEYS = (
    "scene", "fragment", "title", "extends", "mode", "layer", "priority", "holds", "confirm", "ready_within", "deadline",
    "params", "want", "after", "when", "else", "do", "stand_down",
)  # fmt: skip
"""Every key of a file."""

READY_WITHIN_S = 60.0
DEADLINE_FACTOR = 1.5
DEADLINE_LEAST_S = 30.0
MANUAL_PRIORITY = 0

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def check_identity(document: Document, problems: Problems) -> None:
    """Unknown keys, and a name that is not the file's."""
    fields = Fields(document.root, problems)
    for key in KEYS:
        fields.take(key)
    fields.done()
    scene, fragment = document.root.get("scene"), document.root.get("fragment")
    if scene is None and fragment is None:
        fields.need("scene")
        return
    if scene is not None and fragment is not None:
        zh, en = "scene 与 fragment 只能有一个", "a file is either a scene or a fragment"
        problems.add(fragment.mark, zh, en)
    _check_name(scene or fragment, document.stem, problems)


def _check_name(node: Node | None, stem: str, problems: Problems) -> None:
    name = yamlfile.as_text(node, problems)
    if node is None or name is None:
        return
    if not NAME.fullmatch(name):
        zh, en = (
            "场景名须为小写英文字母、数字、- 和 _",
            "a scene's name holds a-z, 0-9, - and _ and begins with a letter",
        )
        problems.add(node.mark, zh, en)
    elif name != stem:
        zh = f"场景名 {name} 与文件名 {stem}.yaml 不一致"
        problems.add(node.mark, zh, f"scene {name} must be in a file called {name}.yaml, this is {stem}.yaml")


def read_head(root: MapNode, name: str, params: Params, problems: Problems) -> dict[str, Any]:
    """The facts of a (merged) file by the names that `Scene` has for them."""
    fields = Fields(root, problems)
    title = yamlfile.as_name(fields.take("title"), problems)
    _check_title(root.get("title"), params, problems)
    layer = yamlfile.as_word(fields.take("layer"), LAYERS, problems) or "scene"
    mode = _mode(fields, layer, problems)
    priority = yamlfile.as_int(fields.take("priority"), 0, 100, problems)
    holds = _holds(fields.take("holds"), layer, problems)
    ready_within_s, deadline_s = _times(fields, problems)
    return {
        "name": name,
        "title": title or Text(name, name),
        "mode": mode,
        "layer": layer,
        "priority": PRIORITY.get(mode or "", MANUAL_PRIORITY) if priority is None else priority,
        "holds": mode in HOLDING if holds is None else holds,
        "confirm": yamlfile.as_word(fields.take("confirm"), CONFIRM, problems) or "tap",
        "ready_within_s": ready_within_s,
        "deadline_s": deadline_s,
        "stand_down": yamlfile.as_word(fields.take("stand_down"), STAND_DOWN, problems) or "restore",
    }


def _check_title(node: Node | None, params: Params, problems: Problems) -> None:
    texts = (
        [node]
        if isinstance(node, Scalar)
        else [one for _, one in node.entries]
        if isinstance(node, MapNode)
        else []
    )
    for text in texts:
        if isinstance(text, Scalar):
            values.check_names(text, params.found, problems)


def _mode(fields: Fields, layer: str, problems: Problems) -> str | None:
    if layer == "manual":
        fields.refuse(("mode",), "手动场景（layer: manual）没有模式", "a scene with layer: manual has no mode")
        return None
    return yamlfile.as_word(fields.need("mode"), PRIORITY, problems)


def _holds(node: Node | None, layer: str, problems: Problems) -> bool | None:
    holds = yamlfile.as_bool(node, problems)
    if node is not None and holds and layer == "manual":
        problems.add(node.mark, "手动场景不能锁定大厅", "a scene with layer: manual cannot hold the hall")
    return holds


def _times(fields: Fields, problems: Problems) -> tuple[float, float]:
    ready = yamlfile.as_seconds(fields.take("ready_within"), 1.0, LONGEST_S, problems) or READY_WITHIN_S
    node = fields.take("deadline")
    deadline = yamlfile.as_seconds(node, 1.0, 2 * LONGEST_S, problems)
    if deadline is None:
        return ready, max(DEADLINE_FACTOR * ready, DEADLINE_LEAST_S)
    if node is not None and deadline < ready:
        zh, en = f"deadline 不能早于 ready_within（{ready:g} s）", f"deadline is before ready_within ({ready:g} s)"
        problems.add(node.mark, zh, en)
    return ready, deadline
