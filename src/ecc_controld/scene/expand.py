"""From the `want:` of a scene file to one wish a point. Maps are sugar: `mic: {2: {gain: -10}}` is `mic.2.gain`."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import cast

from ecc_controld import yamlfile
from ecc_controld.sdk.point import BadValue, OnReturn, Value
from ecc_controld.yamlfile import Fields, Mapping, Mark, Node, Problems, Scalar, one_of

from . import values
from .hallview import HallView, groups, points
from .model import Criticality, Want

CRITICALITY = ("must", "should", "may")
ON_RETURN = ("apply", "ask", "ignore")
LONGEST_S = 3600.0
_READ_ONLY = ("只能读取，不能要求", "can only be read, not wanted")
_MOMENTARY = ("是点动控制，不能写进场景", "is a momentary control, which a scene cannot want")


@dataclass(frozen=True)
class Leaf:
    """One wish as it is written: for a device or for all of a group. `mark` is where its key stands."""

    group: str | None
    device: str | None
    local: str
    value: Scalar
    mark: Mark
    criticality: str | None
    timeout_s: float | None
    settle_s: float | None
    on_return: str | None


@dataclass
class Written:
    """The `want:` of a file. `defaults` are the `criticality:` of devices and groups (`camera/*`)."""

    leaves: list[Leaf] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """A wish for one point, with its place in the file, before the order is known."""

    want: Want
    mark: Mark


def expand(node: Mapping, hall: HallView, problems: Problems) -> dict[str, Wish]:
    """Every wish of a `want:` by full point name; a named device overrides its group."""
    written = _read(node, hall, problems)
    named = {f"{leaf.device}.{leaf.local}" for leaf in written.leaves if leaf.device is not None}
    found: dict[str, Wish] = {}
    for leaf in written.leaves:
        for wish in _wishes(leaf, named, written, hall, problems):
            first = found.setdefault(wish.want.point, wish)
            if first is not wish:
                at = first.mark.line
                zh = f"{wish.want.point} 在第 {at} 行已有同级的要求；请删除一处"
                en = f"{wish.want.point} is wanted in line {at} already, just as specifically; remove one"
                problems.add(leaf.mark, zh, en)
    return found


# -- what is written -------------------------------------------------------------------------------------


def _read(node: Mapping, hall: HallView, problems: Problems) -> Written:
    known = groups(hall)
    written = Written()
    for key, value in node.entries:
        target, _, rest = key.text.partition(".")
        group = target.removesuffix("/*") if "/" in target or "*" in target else None
        if group is None and target not in hall.devices:
            problems.add(key.mark, f"没有设备 {target}", f"there is no device {target}", hall.devices, target)
        elif group is not None and group not in known:
            valid = [f"{name}/*" for name in known]
            problems.add(key.mark, f"没有分组 {target}", f"there is no group {target}", valid, target)
        else:
            _read_target(key, value, target, group, rest, written, problems)
    return written


def _read_target(
    key: Scalar, value: Node, target: str, group: str | None, rest: str, written: Written, problems: Problems
) -> None:
    if not rest and not isinstance(value, Mapping):
        zh, en = f"{target} 应为 点位: 值", f"{target}: expected points and values (point: value)"
        problems.add(value.mark if isinstance(value, Scalar) and not value.is_null else key.mark, zh, en)
        return
    if not rest and isinstance(value, Mapping):
        if (found := value.get("criticality")) is not None:
            default = yamlfile.as_word(found, CRITICALITY, problems)
            if default is not None:
                written.defaults[target] = default
        value = Mapping(tuple(one for one in value.entries if one[0].text != "criticality"), value.mark)
        if not value.entries and found is None:
            problems.add(key.mark, f"{target} 什么也没要求", f"{target}: nothing is wanted")
    device = target if group is None else None
    written.leaves += _leaves(group, device, (rest,) if rest else (), key.mark, value, problems)


def _leaves(
    group: str | None, device: str | None, path: tuple[str, ...], mark: Mark, node: Node, problems: Problems
) -> Iterator[Leaf]:
    """Every wish below a node; a map with the key `value` is the long form of one wish."""
    if isinstance(node, Mapping) and node.get("value") is None:
        if path and not node.entries:
            problems.add(mark, "什么也没要求", "nothing is wanted here")
        for key, value in node.entries:
            yield from _leaves(group, device, (*path, key.text), key.mark, value, problems)
        return
    local = ".".join(path)
    what = f"{device or f'{group}/*'}.{local}"
    if not path:
        problems.add(mark, f"{what} 缺少点位名", f"{what}: the name of the point is missing")
        return
    form = Fields(node, problems) if isinstance(node, Mapping) else None
    written = node if form is None else form.take("value")
    criticality = timeout_s = settle_s = on_return = None
    if form is not None:
        criticality = yamlfile.as_word(form.take("criticality"), CRITICALITY, problems)
        timeout_s = yamlfile.as_seconds(form.take("timeout"), 0.1, LONGEST_S, problems)
        settle_s = yamlfile.as_seconds(form.take("settle"), 0.0, LONGEST_S, problems)
        on_return = yamlfile.as_word(form.take("on_return"), ON_RETURN, problems)
        form.done()
    text = None if written is None else values.scalar(written, what, problems)
    if text is not None:
        yield Leaf(group, device, local, text, mark, criticality, timeout_s, settle_s, on_return)


# -- what it means ---------------------------------------------------------------------------------------


def _wishes(
    leaf: Leaf, named: AbstractSet[str], written: Written, hall: HallView, problems: Problems
) -> Iterator[Wish]:
    """The wishes of a leaf: for its device, or for those of its group that have the point and no wish of their own."""
    having = _having(leaf, hall, problems)
    if leaf.group is not None:
        having = [device for device in having if f"{device}.{leaf.local}" not in named]
    unfit: dict[tuple[str, ...], list[str]] = {}
    for device in having:
        point = points(hall, device)[leaf.local]
        if not point.writable:
            zh, en = _MOMENTARY if point.access == "momentary" else _READ_ONLY
            problems.add(leaf.mark, f"{device}.{leaf.local} {zh}", f"{device}.{leaf.local} {en}")
            continue
        try:
            value = point.kind.parse(leaf.value.text)
        except BadValue as bad:
            unfit.setdefault((bad.expected.en, *bad.valid), []).append(device)
            continue
        yield Wish(_want(leaf, device, value, written), leaf.mark)
    for devices in unfit.values():  # one sentence for all devices of a group that have the same trouble
        kind = points(hall, devices[0])[leaf.local].kind
        try:
            kind.parse(leaf.value.text)
        except BadValue as bad:
            what = f"{one_of(devices).en}: {leaf.local}" if len(devices) > 1 else f"{devices[0]}.{leaf.local}"
            values.misfit(leaf.value, bad, what, problems)


def _having(leaf: Leaf, hall: HallView, problems: Problems) -> list[str]:
    """The devices that a leaf is about and that have its point; a problem if there is none."""
    members = [leaf.device] if leaf.device is not None else groups(hall)[str(leaf.group)]
    having = [device for device in members if leaf.local in points(hall, device)]
    if having:
        return having
    valid = {name: None for device in members for name, point in points(hall, device).items() if point.writable}
    if leaf.device is not None:
        what = f"{leaf.device}.{leaf.local}"
        problems.add(leaf.mark, f"没有点位 {what}", f"there is no point {what}", valid, leaf.local)
    else:
        zh, en = f"{leaf.group} 组没有设备有点位 {leaf.local}", f"no device of group {leaf.group} has {leaf.local}"
        problems.add(leaf.mark, zh, en, valid, leaf.local)
    return []


def _want(leaf: Leaf, device: str, value: Value, written: Written) -> Want:
    by_group = written.defaults.get(f"{leaf.group}/*")
    return Want(
        point=f"{device}.{leaf.local}",
        device=device,
        local=leaf.local,
        value=value,
        criticality=cast(Criticality, leaf.criticality or written.defaults.get(device) or by_group or "should"),
        timeout_s=leaf.timeout_s,
        settle_s=leaf.settle_s,
        on_return=cast(OnReturn | None, leaf.on_return),
    )
