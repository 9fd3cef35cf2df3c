"""The order of a scene's wishes: what the file says under `after:` and what the drivers know of their points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from ecc_controld import yamlfile
from ecc_controld.hall.order import find_cycle, longest
from ecc_controld.yamlfile import Fields, Mark, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from .hallview import HallView, groups, points
from .model import IfFailed, Prereq, Want
from .overlay import Level, Memory, Wish
from .params import Given
from .values import whole

IF_FAILED = ("block", "go_on")


@dataclass(frozen=True)
class Line:
    """One line of `after:`: what waits, and for what."""

    key: Scalar
    prereqs: tuple[Scalar, ...]
    if_failed: IfFailed


@dataclass
class _Edges:
    """Prerequisites of each point, and where in the file the order of a point was given."""

    before: dict[str, dict[str, IfFailed]]
    marks: dict[str, Mark] = field(default_factory=dict)


def read_after(node: MapNode, problems: Problems) -> tuple[Line, ...]:
    """The lines of an `after:`; whether their points are wanted is only known with the parameters."""
    return tuple(line for key, value in node.entries if (line := _line(key, value, problems)) is not None)


def ordered(
    wishes: Mapping[str, Wish],
    layers: Iterable[tuple[Level, Sequence[Line]]],
    given: Given,
    hall: HallView,
    memory: Memory,
    problems: Problems,
) -> tuple[Want, ...]:
    """The wishes with their prerequisites. Names that are wrong and cycles are noted as problems.

    What a later layer says of a point replaces what earlier ones said of it.
    """
    written: dict[str, tuple[Level, dict[str, IfFailed]]] = {}
    edges = _Edges({name: _known_order(wish, wishes, hall, memory) for name, wish in wishes.items()})
    for level, lines in sorted(layers, key=lambda one: one[0]):
        for line in lines:
            prereqs = [name for item in line.prereqs for name in _wanted(item, wishes, given, hall, problems)]
            for dependent in _wanted(line.key, wishes, given, hall, problems):
                said = written.get(dependent)
                if said is None or said[0] != level:
                    said = written[dependent] = (level, {})
                said[1].update(dict.fromkeys(prereqs, line.if_failed))
                edges.marks[dependent] = line.key.mark
    for dependent, (_, found) in written.items():
        edges.before[dependent].update(found)
    _tell_cycle(edges, wishes, problems)
    return tuple(_after(wish.want, edges.before[name], wishes) for name, wish in wishes.items())


def _after(want: Want, before: Mapping[str, IfFailed], wishes: Mapping[str, Wish]) -> Want:
    """The wish with its prerequisites, each at the value that the scene wants."""
    if not before:
        return want
    prereqs = (Prereq(point, wishes[point].want.value, if_failed) for point, if_failed in before.items())
    return replace(want, prereqs=tuple(prereqs))


def slowest_chain(wants: Iterable[Want], hall: HallView) -> tuple[list[str], float]:
    """The chain of dependent wishes whose devices' gaps add up to the most, and that sum in seconds."""
    found = {want.point: want for want in wants}
    cost = {name: hall.devices[want.device].gap_s for name, want in found.items()}
    chain = longest(found, {name: [p.point for p in want.prereqs] for name, want in found.items()}, cost)
    return chain, sum(cost[name] for name in chain)


def _known_order(wish: Wish, wishes: Mapping[str, Wish], hall: HallView, memory: Memory) -> dict[str, IfFailed]:
    """What the driver knows: its own `after`, and whatever disturbs the point goes first.

    A guard is no prerequisite: the keeper writes it as a part of the wish.
    """
    name, device, local = wish.want.point, wish.want.device, wish.want.local
    first = memory.first.get(name)
    if first is None:
        known = points(hall, device)
        disturbing = [other for other, point in known.items() if local in point.disturbs]
        first = tuple(f"{device}.{other}" for other in [*sorted(known[local].after), *disturbing])
        memory.first[name] = first
    return {other: "block" for other in first if other in wishes}


def _line(key: Scalar, node: Node, problems: Problems) -> Line | None:
    """`point: [points]`, or `point: {points: [..], if_failed: go_on}`."""
    if_failed: IfFailed = "block"
    listed: Node | None = node
    if isinstance(node, MapNode):
        fields = Fields(node, problems)
        listed = fields.need("points")
        if_failed = cast(IfFailed, yamlfile.as_word(fields.take("if_failed"), IF_FAILED, problems) or "block")
        fields.done()
    if listed is None:
        return None
    items = (listed,) if isinstance(listed, Scalar) else yamlfile.as_items(listed, problems)
    if items == ():
        problems.add(listed.mark, "没有前置点位", "no point is named")
    texts = [(item, yamlfile.as_text(item, problems)) for item in items or ()]
    named = tuple(item for item, text in texts if isinstance(item, Scalar) and text is not None)
    return Line(key, named, if_failed) if all(_has_point(one, problems) for one in (key, *named)) else None


def _has_point(name: Scalar, problems: Problems) -> bool:
    if "." in name.text:
        return True
    problems.add(name.mark, f"{name.text} 应为 设备.点位", f"{name.text}: expected device.point")
    return False


def _wanted(
    name: Scalar, wishes: Mapping[str, Wish], given: Given, hall: HallView, problems: Problems
) -> list[str]:
    """The points that a name stands for: one, or of a group or list (`group/*.point`) those that the scene wants."""
    target, _, local = name.text.partition(".")
    members: Sequence[str] = (target,)
    chosen = given.get(whole(target) or "")
    if target.endswith("/*"):
        members = groups(hall).get(target.removesuffix("/*"), [])
    elif target.startswith("@"):
        members = hall.lists.get(target[1:], ())
    elif isinstance(chosen, tuple):
        members = chosen
    found = [f"{device}.{local}" for device in members if f"{device}.{local}" in wishes]
    if not found and chosen != ():  # of no devices there is no order
        zh = f"本场景没有要求 {name.text}，不能用于次序"
        en = f"{name.text} is not wanted by this scene, so it has no place in its order"
        problems.add(name.mark, zh, en, wishes, name.text)
    return found


def _tell_cycle(edges: _Edges, wishes: Mapping[str, Wish], problems: Problems) -> None:
    cycle = find_cycle({name: before for name, before in edges.before.items() if before})
    if cycle is None:
        return
    written = [edges.marks[name] for name in cycle if name in edges.marks]
    mark = written[0] if written else wishes[cycle[0]].mark
    path = " -> ".join(cycle)
    zh, en = f"次序成环（每项等待下一项）：{path}", f"the order is a cycle (each waits for the next): {path}"
    problems.add(mark, zh, en)
