"""What a driver says about the points of a device, checked before anything relies on it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ecc_controld.hall.order import find_cycle
from ecc_controld.sdk import BadValue, Driver, Point, Text

POINT_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def faults(driver: Driver) -> list[Text]:
    """Everything that is wrong with the points and actions; empty if they are sound."""
    points = driver.points
    found: list[Text] = []
    for name, point in points.items():
        if name != point.name or not POINT_NAME.fullmatch(name) or len(name) > 100:
            found.append(Text(f"点位名 {name!r} 不合规", f"{name!r} is not a good name of a point"))
        found += _names(point, points)
        found += _guard(point, points)
        if point.access == "momentary" and point.stop is None:
            found.append(Text(f"点位 {name} 没有停止值", f"momentary point {name} has no stop value"))
    found += _mutual(points)
    if cycle := find_cycle({name: sorted(point.after & set(points)) for name, point in points.items()}):
        path = " -> ".join(cycle)
        found.append(Text(f"点位次序成环：{path}", f"the order of points is a cycle: {path}"))
    for name, action in driver.actions.items():
        if name != action.name or not POINT_NAME.fullmatch(name):
            found.append(Text(f"动作名 {name!r} 不合规", f"{name!r} is not a good name of an action"))
    return found


def _names(point: Point, points: Mapping[str, Point]) -> list[Text]:
    named = {"after": point.after, "disturbs": point.disturbs, "guard": frozenset(point.guard)}
    return [
        Text(
            f"点位 {point.name} 的 {fact} 指向不存在的 {name}",
            f"{point.name}: {fact} names {name}, which is no point",
        )
        for fact, names in named.items()
        for name in sorted(names - set(points))
    ]


def _guard(point: Point, points: Mapping[str, Point]) -> list[Text]:
    found = []
    for name, value in point.guard.items():
        guard = points.get(name)
        if guard is None:
            continue
        try:
            guard.kind.parse(value)
        except BadValue as error:
            found.append(
                Text(
                    f"点位 {point.name} 的 guard {name} 取值无效，{error.zh}",
                    f"{point.name}: guard {name}: {error}",
                )
            )
        if guard.access != "readwrite" or name == point.name:
            en = f"{point.name}: guard {name} must be another point that is read and written"
            found.append(Text(f"点位 {point.name} 的 guard {name} 须是另一个可读可写点位", en))
    return found


def _mutual(points: Mapping[str, Point]) -> list[Text]:
    found = []
    for name, point in points.items():
        for other in sorted(point.disturbs):
            if other == name or (other > name and other in points and name in points[other].disturbs):
                found.append(Text(f"点位 {name} 与 {other} 互相扰动", f"{name} and {other} disturb each other"))
    return found
