"""What is legal and unwise in scene files. Warnings, told by `check`; nothing is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ecc_controld.yamlfile import Mark, Problems, Scalar, one_of

from .document import Document, mark_of
from .hallview import HallView, points
from .model import Want
from .paramfile import Params
from .parts import else_marks
from .template import Built


def scene(
    files: Sequence[Document], params: Params, builds: Sequence[Built], hall: HallView, warnings: Problems
) -> None:
    """The warnings of one scene, over all of its combinations."""
    for mark in else_marks(files):
        zh = "else: 已检查，但本版本尚不执行"
        warnings.add(mark, zh, "else: is checked, but not carried out by this version yet")
    _unasked(files, params, warnings)
    for built in builds:
        _blind_must(built, hall, warnings)
        _opens_early(built, hall, warnings)


def unused(documents: Iterable[Document], bases: set[str], warnings: Problems) -> None:
    """Fragments that nobody extends are checked by nobody."""
    for one in documents:
        if one.is_fragment and one.stem not in bases:
            zh = f"没有场景扩展 {one.stem}，其内容未经检查"
            en = f"no scene extends {one.stem}, so that what it says is not checked"
            warnings.add(mark_of(one, "fragment"), zh, en)


def duty_silent(scenes: Sequence[Sequence[Built]], hall: HallView, warnings: Problems) -> None:
    """What an emergency sets and no duty scene names stays as the emergency left it. One warning a device."""
    duty = [builds for builds in scenes if builds[0].scene.mode == "duty"]
    if not duty:
        return
    named = {
        point for builds in duty for built in builds for want in built.scene.wants for point in _moves(want, hall)
    }
    for builds in scenes:
        if builds[0].scene.mode != "emergency":
            continue
        silent: dict[str, dict[str, Mark]] = {}
        for built in builds:
            for point, wish in built.wishes.items():
                if point not in named:
                    silent.setdefault(wish.want.device, {}).setdefault(point, wish.mark)
        for found in silent.values():
            listed = one_of(found)
            zh = f"应急设定了 {listed.zh}，值班场景没有提到：应急结束后转入值班时将保持不变"
            en = f"emergency sets {listed.en}, which duty never names: it stays so when duty follows"
            warnings.add(min(found.values(), key=lambda mark: (mark.line, mark.column)), zh, en)


def _moves(want: Want, hall: HallView) -> set[str]:
    """The point of a wish, and those that writing it sets too (what a preset loads)."""
    point = points(hall, want.device)[want.local]
    return {f"{want.device}.{local}" for local in (want.local, *point.disturbs)}


def _unasked(files: Sequence[Document], params: Params, warnings: Problems) -> None:
    """Parameters that change nothing."""
    texts = [one.source.text for one in files]
    for name, mark in params.marks.items():
        asked = any(f"{{{name}}}" in text for text in texts) or any(_asked_in_when(one, name) for one in files)
        if not asked:
            warnings.add(mark, f"参数 {name} 没有用到", f"parameter {name} is used nowhere")


def _asked_in_when(document: Document, name: str) -> bool:
    stack = [document.root.get("when")]
    while stack:
        node = stack.pop()
        if node is None or isinstance(node, Scalar):
            continue
        for key, value in getattr(node, "entries", ()):
            if key.text == name:
                return True
            stack.append(value)
    return False


def _blind_must(built: Built, hall: HallView, warnings: Problems) -> None:
    for name, wish in built.wishes.items():
        want = wish.want
        if want.criticality == "must" and not points(hall, want.device)[want.local].readable:
            zh = f"{name} 是 must，但无法读回：只有设备的应答为证"
            en = f"{name} is a must that cannot be read back: the device's acknowledgement is all the proof"
            warnings.add(wish.mark, zh, en)


def _opens_early(built: Built, hall: HallView, warnings: Problems) -> None:
    """A microphone that opens while its preset is not verified may be loud, or live in the wrong room."""
    wants = {want.point: want for want in built.scene.wants}
    for name, want in wants.items():
        if not _opens(want, hall):
            continue
        presets = [one for one in wants.values() if one.device == want.device and _is_preset(one, hall)]
        first = _before(name, wants)
        for preset in presets:
            guard = points(hall, preset.device)[preset.local].guard
            if preset.point not in first and want.local not in guard:
                zh = f"{name} 在 {preset.point} 核实之前就打开；请写 after: {{{name}: [{preset.point}]}}"
                en = f"{name} opens before {preset.point} is verified; write after: {{{name}: [{preset.point}]}}"
                warnings.add(built.wishes[name].mark, zh, en)


def _opens(want: Want, hall: HallView) -> bool:
    trait = points(hall, want.device)[want.local].trait
    return want.value is False and (trait == "mute" or want.local.rpartition(".")[2] == "mute")


def _is_preset(want: Want, hall: HallView) -> bool:
    return points(hall, want.device)[want.local].trait == "preset" or want.local == "preset"


def _before(name: str, wants: dict[str, Want]) -> set[str]:
    """Every point that must be true before this one, and blocks it."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for prereq in wants[ahead.pop()].prereqs:
            if prereq.if_failed == "block" and prereq.point not in found:
                found.add(prereq.point)
                ahead.append(prereq.point)
    return found
