"""Reads `scenes/*.yaml` (docs/engineers/scenes.md), checked against the hall. All errors of all files at once.

Only `load_scenes` touches files; `parse_scene` takes text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from ecc_controld import yamlfile
from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import Fields, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from .expand import LONGEST_S, expand
from .hallview import HallView
from .model import Do, Scene, Want
from .order import ordered, slowest_chain

PRIORITY = {"fire": 100, "emergency": 80, "warning": 60, "conference": 40, "duty": 20}
HOLDING = ("fire", "emergency")
CONFIRM = ("tap", "hold", "pin")
LAYERS = ("scene", "manual")
STAND_DOWN = ("restore", "duty", "none")
LATER = ("extends", "params", "when", "else")
"""Parts of the language that this version does not have."""

READY_WITHIN_S = 60.0
DEADLINE_FACTOR = 1.5
DEADLINE_LEAST_S = 30.0
MANUAL_PRIORITY = 0

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def load_scenes(scenes_dir: Path, hall: HallView) -> Mapping[str, Scene]:
    """All scenes of a folder by name; raises FilesInvalid with every problem of every file."""
    problems = Problems()
    scenes: dict[str, Scene] = {}
    for path in yamlfile.folder(scenes_dir, problems):
        source = yamlfile.read(path, problems)
        scene = None if source is None else parse_scene(source, hall, problems)
        if scene is not None:
            scenes[scene.name] = scene
    problems.raise_any()
    return scenes


def parse_scene(source: yamlfile.Source, hall: HallView, problems: Problems) -> Scene | None:
    """The scene of one file; None, and problems, if anything in it is wrong."""
    before = len(problems)
    root = yamlfile.as_mapping(yamlfile.parse(source, problems), problems)
    if root is None:
        return None
    fields = Fields(root, problems)
    facts = _head(fields, source.file, problems)
    wants = _wants(fields, hall, problems)
    actions = _actions(fields.take("do"), hall, problems)
    fields.refuse(LATER, "本版本不支持", "not supported by this version")
    fields.done()
    if len(problems) == before and not wants and not actions:
        problems.add(root.mark, "场景什么也没要求", "the scene wants nothing")
    if len(problems) == before:
        _check_pace(root, wants, facts["ready_within_s"], hall, problems)
    if len(problems) > before:
        return None
    return Scene(**facts, wants=wants, actions=actions, digest=source.digest, text=source.text)


# -- the head of the file --------------------------------------------------------------------------------


def _head(fields: Fields, file: str, problems: Problems) -> dict[str, Any]:
    name = _name(fields.need("scene"), PurePath(file).stem, problems)
    title = yamlfile.as_name(fields.take("title"), problems)
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


def _name(node: Node | None, stem: str, problems: Problems) -> str:
    name = yamlfile.as_text(node, problems)
    if node is None or name is None:
        return stem
    if not NAME.fullmatch(name):
        zh, en = (
            "场景名须为小写英文字母、数字、- 和 _",
            "a scene's name holds a-z, 0-9, - and _ and begins with a letter",
        )
        problems.add(node.mark, zh, en)
    elif name != stem:
        zh = f"场景名 {name} 与文件名 {stem}.yaml 不一致"
        problems.add(node.mark, zh, f"scene {name} must be in a file called {name}.yaml, this is {stem}.yaml")
    return name


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


# -- what it wants ---------------------------------------------------------------------------------------


def _wants(fields: Fields, hall: HallView, problems: Problems) -> tuple[Want, ...]:
    node = yamlfile.as_mapping(fields.take("want"), problems)
    after = yamlfile.as_mapping(fields.take("after"), problems)
    before = len(problems)
    wishes = {} if node is None else expand(node, hall, problems)
    if len(problems) > before:
        return ()  # an order among wishes that could not be read would only repeat the errors
    return ordered(wishes, after, hall, problems)


def _actions(node: Node | None, hall: HallView, problems: Problems) -> tuple[Do, ...]:
    found = []
    for item in yamlfile.as_items(node, problems) or ():
        body = yamlfile.as_mapping(item, problems)
        if body is None:
            continue
        fields = Fields(body, problems)
        at_device, at_action = fields.need("device"), fields.need("action")
        fields.done()
        device = yamlfile.as_word(at_device, hall.devices, problems)
        if device is None:
            continue
        action = _action(at_action, device, hall, problems)
        if action is not None:
            found.append(Do(device, action))
    return tuple(found)


def _action(node: Node | None, device: str, hall: HallView, problems: Problems) -> str | None:
    known = hall.devices[device].driver.actions
    if isinstance(node, Scalar) and not known:
        problems.add(node.mark, f"设备 {device} 没有动作", f"{device} has no actions")
        return None
    return yamlfile.as_word(node, known, problems)


def _check_pace(
    root: MapNode, wants: tuple[Want, ...], ready_within_s: float, hall: HallView, problems: Problems
) -> None:
    chain, sum_s = slowest_chain(wants, hall)
    if sum_s <= ready_within_s:
        return
    entry = root.entry("ready_within")
    path = " -> ".join(chain)
    problems.add(
        root.mark if entry is None else entry[1].mark,
        f"ready_within {ready_within_s:g} s 无法达到：设备间隔之和已有 {sum_s:g} s（{path}）",
        f"ready_within of {ready_within_s:g} s cannot be met: the gaps of its devices add up to {sum_s:g} s ({path})",
    )
