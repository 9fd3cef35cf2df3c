"""From what is written, for one combination of parameters, to one wish a point.

A named device overrides a list, a list a group. Among equals the later layer wins (a base, the file, its variants);
within one layer two of them for one point are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from ecc_controld.sdk.point import BadValue, OnReturn, Value
from ecc_controld.yamlfile import Mark, Problems, one_of

from . import values
from .expand import Leaf, Written
from .hallview import HallView, points
from .model import Criticality, Want
from .params import Given

Level: TypeAlias = tuple[int, int]
"""Which layer: the number of the file in its chain of bases, and how deep a variant is."""
Layers: TypeAlias = Iterable[tuple[Level, Written]]


@dataclass(frozen=True)
class Wish:
    """A wish for one point, with its place in the file, before the order is known."""

    want: Want
    mark: Mark


@dataclass
class Memory:
    """What does not depend on parameters, kept from one combination to the next: wishes, and the points that a
    driver wants first.
    """

    wishes: dict[tuple[int, str, str], Wish] = field(default_factory=dict)
    first: dict[str, tuple[str, ...]] = field(default_factory=dict)


def overlay(layers: Layers, given: Given, hall: HallView, memory: Memory, problems: Problems) -> dict[str, Wish]:
    """Every wish by full point name."""
    found = list(layers)
    defaults = {key: word for _, written in found for key, word in written.defaults.items()}
    winners = _winners(found, given, problems)
    wishes: dict[str, Wish] = {}
    for leaf, devices in winners:
        unfit: dict[tuple[str, ...], list[str]] = {}
        for device in devices:
            criticality = leaf.criticality or defaults.get(device) or defaults.get(leaf.target.key) or "should"
            key = (id(leaf), device, criticality)
            wish = memory.wishes.get(key)
            if wish is None:
                try:
                    wish = Wish(_want(leaf, device, criticality, given, hall), leaf.mark)
                except BadValue as bad:
                    unfit.setdefault((bad.expected.en, *bad.valid), []).append(device)
                    continue
                if not leaf.asks:
                    memory.wishes[key] = wish
            wishes[wish.want.point] = wish
        for devices_unfit in unfit.values():
            _tell_unfit(leaf, devices_unfit, given, hall, problems)
    return wishes


def _winners(found: list[tuple[Level, Written]], given: Given, problems: Problems) -> list[tuple[Leaf, list[str]]]:
    """Each leaf with the devices for which it is the one that counts, in the order in which they are written."""
    best: dict[str, tuple[int, Level, Leaf]] = {}
    tops: dict[str, int] = {}
    written = [(level, leaf, _devices(leaf, given)) for level, one in found for leaf in one.leaves]
    for _, leaf, devices in written:
        for device in devices:
            point = f"{device}.{leaf.local}"
            tops[point] = max(tops.get(point, 0), leaf.target.rank)
    for level, leaf, devices in written:
        for device in devices:
            point = f"{device}.{leaf.local}"
            if leaf.target.rank < tops[point]:
                continue
            first = best.get(point)
            if first is None or first[1] < level:
                best[point] = (leaf.target.rank, level, leaf)
            elif first[1] == level:
                at = first[2].mark.line
                zh = f"{point} 在第 {at} 行已有同级的要求；请删除一处"
                en = f"{point} is wanted in line {at} already, just as specifically; remove one"
                problems.add(leaf.mark, zh, en)
    mine: dict[int, list[str]] = {}
    for point, (_, _, leaf) in best.items():
        mine.setdefault(id(leaf), []).append(point.partition(".")[0])
    return [(leaf, mine[id(leaf)]) for _, leaf, _ in written if id(leaf) in mine]


def _devices(leaf: Leaf, given: Given) -> Iterable[str]:
    if leaf.target.param is None:
        return leaf.having
    chosen = given[leaf.target.param]
    return [device for device in leaf.having if isinstance(chosen, tuple) and device in chosen]


def _want(leaf: Leaf, device: str, criticality: str, given: Given, hall: HallView) -> Want:
    """The wish of a leaf for one device; raises BadValue."""
    raw = values.fill(leaf.value.text, given)
    value: Value = "" if raw is None else points(hall, device)[leaf.local].kind.parse(raw)
    return Want(
        point=f"{device}.{leaf.local}",
        device=device,
        local=leaf.local,
        value=value,
        criticality=cast(Criticality, criticality),
        timeout_s=leaf.timeout_s,
        settle_s=leaf.settle_s,
        on_return=cast(OnReturn | None, leaf.on_return),
    )


def _tell_unfit(leaf: Leaf, devices: list[str], given: Given, hall: HallView, problems: Problems) -> None:
    """One sentence for all devices of a group that have the same trouble."""
    raw = values.fill(leaf.value.text, given)
    try:
        points(hall, devices[0])[leaf.local].kind.parse(raw)
    except BadValue as bad:
        what = f"{one_of(devices).en}: {leaf.local}" if len(devices) > 1 else f"{devices[0]}.{leaf.local}"
        values.misfit(leaf.value, raw, bad, what, problems)


def fallbacks(
    layers: Layers, wishes: Mapping[str, Wish], given: Given, hall: HallView, problems: Problems
) -> dict[str, Wish]:
    """The `else:` of each wish that has one. A group stands for those of it that the scene wants."""
    found = overlay(_wanted_only(layers, wishes, problems), given, hall, Memory(), problems)
    for name, wish in found.items():
        first = wishes[name].want
        if points(hall, first.device)[first.local].kind.same(first.value, wish.want.value):
            zh, en = f"{name} 的 else 与要求相同", f"the else of {name} is what the scene wants anyway"
            problems.add(wish.mark, zh, en)
    return found


def _wanted_only(layers: Layers, wishes: Mapping[str, Wish], problems: Problems) -> list[tuple[Level, Written]]:
    kept = []
    for level, written in layers:
        leaves = []
        for leaf in written.leaves:
            having = tuple(device for device in leaf.having if f"{device}.{leaf.local}" in wishes)
            if having == leaf.having:
                leaves.append(leaf)
            elif having:
                leaves.append(_narrowed(leaf, having))
            else:
                what = f"{leaf.target.key}.{leaf.local}"
                zh, en = (
                    f"本场景没有要求 {what}，无从替代",
                    f"{what} is not wanted by this scene, so it needs no else",
                )
                problems.add(leaf.mark, zh, en, wishes, what)
        kept.append((level, Written(leaves, written.defaults)))
    return kept


def _narrowed(leaf: Leaf, having: tuple[str, ...]) -> Leaf:
    return replace(leaf, having=having)
