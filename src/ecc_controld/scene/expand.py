"""The `want:` of a scene file, read once: maps are sugar, `mic: {2: {gain: -10}}` is `mic.2.gain`.

What does not depend on parameters is settled here (devices, points, whether they can be wanted); which wish counts
and what its value is, is said for each combination of parameters in overlay.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ecc_controld import yamlfile
from ecc_controld.yamlfile import Fields, Mark, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from . import values
from .hallview import HallView, groups, points
from .paramfile import named_list
from .params import Param

CRITICALITY = ("must", "should", "may")
ON_RETURN = ("apply", "ask", "ignore")
LONGEST_S = 3600.0
LONG_FORM = ("value", "criticality", "timeout", "settle", "on_return")
GROUP, LIST, DEVICE = range(3)
"""How specific a key is: a named device overrides a list, a list overrides a group."""
_READ_ONLY = ("只能读取，不能要求", "can only be read, not wanted")
_MOMENTARY = ("是点动控制，不能写进场景", "is a momentary control, which a scene cannot want")


@dataclass(frozen=True)
class Target:
    """What a key stands for. `param`: the list parameter that says which of the members."""

    key: str
    rank: int
    members: tuple[str, ...]
    param: str | None = None


@dataclass(frozen=True, eq=False)
class Leaf:
    """One wish as it is written. `mark` is where its key stands, `having` those devices that have the point."""

    target: Target
    local: str
    value: Scalar
    mark: Mark
    having: tuple[str, ...]
    criticality: str | None = None
    timeout_s: float | None = None
    settle_s: float | None = None
    on_return: str | None = None

    @property
    def asks(self) -> tuple[str, ...]:
        """The parameters that its value depends on."""
        return values.names(self.value.text)


@dataclass
class Written:
    """The `want:` of a file. `defaults` are the `criticality:` of devices, lists and groups by key."""

    leaves: list[Leaf] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """What reading a part of a scene needs to know; `params` has None for one that was not understood."""

    hall: HallView
    params: Mapping[str, Param | None]
    problems: Problems

    # -- keys ------------------------------------------------------------------------------------------------

    def target(self, key: Scalar, text: str) -> Target | None:
        """The devices that a key names: `device`, `group/*`, `@list` or `{list parameter}`."""
        if (name := values.whole(text)) is not None:
            return self._chosen(key, text, name)
        if text.startswith("@"):
            return self._listed(key, text)
        if "/" in text or "*" in text:
            known = groups(self.hall)
            group = text.removesuffix("/*")
            if group in known and text.endswith("/*"):
                return Target(text, GROUP, tuple(known[group]))
            valid = [f"{name}/*" for name in known]
            self.problems.add(key.mark, f"没有分组 {text}", f"there is no group {text}", valid, text)
        elif text in self.hall.devices:
            return Target(text, DEVICE, (text,))
        else:
            self.problems.add(key.mark, f"没有设备 {text}", f"there is no device {text}", self.hall.devices, text)
        return None

    def _listed(self, key: Scalar, text: str) -> Target | None:
        members = named_list(Scalar(text, True, key.mark), self.hall, self.problems)
        if members is None or not self._all_devices(key, text, members):
            return None
        return Target(text, LIST, members)

    def _chosen(self, key: Scalar, text: str, name: str) -> Target | None:
        param = self.params.get(name)
        if name not in self.params:
            zh, en = f"没有参数 {name}", f"there is no parameter {name}"
            self.problems.add(key.mark, zh, en, self.params, name)
        elif param is None:
            return None
        elif param.type != "list" or not param.choices:
            zh = f"参数 {name} 须是带 choices 的列表（type: list），才能作为设备"
            en = f"parameter {name} must be a list with choices (type: list) to stand for devices"
            self.problems.add(key.mark, zh, en)
        elif self._all_devices(key, text, param.choices):
            return Target(text, LIST, param.choices, name)
        return None

    def _all_devices(self, key: Scalar, text: str, members: tuple[str, ...]) -> bool:
        wrong = next((one for one in members if one not in self.hall.devices), None)
        if wrong is None:
            return True
        zh, en = f"{text} 中的 {wrong} 不是设备", f"{text} names {wrong}, which is no device"
        self.problems.add(key.mark, zh, en, self.hall.devices, wrong)
        return False

    # -- wishes ----------------------------------------------------------------------------------------------

    def written(self, node: MapNode) -> Written:
        """Every wish of a map of wishes."""
        found = Written()
        for key, value in node.entries:
            text, _, rest = key.text.partition(".")
            target = self.target(key, text)
            if target is not None:
                self._one(key, value, target, rest, found)
        return found

    def _one(self, key: Scalar, value: Node, target: Target, rest: str, found: Written) -> None:
        if not rest and not isinstance(value, MapNode):
            zh, en = f"{target.key} 应为 点位: 值", f"{target.key}: expected points and values (point: value)"
            self.problems.add(value.mark if isinstance(value, Scalar) and not value.is_null else key.mark, zh, en)
            return
        if not rest and isinstance(value, MapNode):
            if (told := value.get("criticality")) is not None:
                default = yamlfile.as_word(told, CRITICALITY, self.problems)
                if default is not None:
                    found.defaults[target.key] = default
            value = MapNode(tuple(one for one in value.entries if one[0].text != "criticality"), value.mark)
            if not value.entries and told is None:
                self.problems.add(key.mark, f"{target.key} 什么也没要求", f"{target.key}: nothing is wanted")
        found.leaves += self._leaves(target, (rest,) if rest else (), key.mark, value)

    def _leaves(self, target: Target, path: tuple[str, ...], mark: Mark, node: Node) -> Iterator[Leaf]:
        """Every wish below a node; a map with the key `value` is the long form of one wish."""
        if isinstance(node, MapNode) and node.get("value") is None:
            if path and not node.entries:
                self.problems.add(mark, "什么也没要求", "nothing is wanted here")
            for key, value in node.entries:
                yield from self._leaves(target, (*path, key.text), key.mark, value)
            return
        local = ".".join(path)
        if not path:
            what = f"{target.key}."
            self.problems.add(mark, f"{what} 缺少点位名", f"{what}: the name of the point is missing")
            return
        yield from self._leaf(target, local, mark, node)

    def _leaf(self, target: Target, local: str, mark: Mark, node: Node) -> Iterator[Leaf]:
        problems = self.problems
        form = Fields(node, problems) if isinstance(node, MapNode) else None
        written = node if form is None else form.take("value")
        criticality = timeout_s = settle_s = on_return = None
        if form is not None:
            criticality = yamlfile.as_word(form.take("criticality"), CRITICALITY, problems)
            timeout_s = yamlfile.as_seconds(form.take("timeout"), 0.1, LONGEST_S, problems)
            settle_s = yamlfile.as_seconds(form.take("settle"), 0.0, LONGEST_S, problems)
            on_return = yamlfile.as_word(form.take("on_return"), ON_RETURN, problems)
            form.done()
        text = None if written is None else values.scalar(written, f"{target.key}.{local}", self.params, problems)
        having = self._having(target, local, mark)
        if text is not None and having and self._same_unit(having, local, text):
            yield Leaf(target, local, text, mark, having, criticality, timeout_s, settle_s, on_return)

    def _having(self, target: Target, local: str, mark: Mark) -> tuple[str, ...]:
        """The devices that have the point and can be told; a problem if there is none."""
        having = [device for device in target.members if local in points(self.hall, device)]
        if not having:
            valid = {
                name: None
                for device in target.members
                for name, point in points(self.hall, device).items()
                if point.writable
            }
            zh, en = f"没有点位 {target.key}.{local}", f"there is no point {target.key}.{local}"
            if target.rank == GROUP:
                group = target.key.removesuffix("/*")
                zh, en = f"{group} 组没有设备有点位 {local}", f"no device of group {group} has {local}"
            elif target.rank == LIST:
                zh, en = f"{target.key} 中没有设备有点位 {local}", f"no device of {target.key} has {local}"
            self.problems.add(mark, zh, en, valid, local)
        for device in having:
            point = points(self.hall, device)[local]
            if not point.writable:
                zh, en = _MOMENTARY if point.access == "momentary" else _READ_ONLY
                self.problems.add(mark, f"{device}.{local} {zh}", f"{device}.{local} {en}")
        return tuple(device for device in having if points(self.hall, device)[local].writable)

    def _same_unit(self, having: tuple[str, ...], local: str, text: Scalar) -> bool:
        """A number in percent is not one in decibels."""
        param = self.params.get(values.whole(text.text) or "")
        for device in having if param is not None and param.unit else ():
            unit = points(self.hall, device)[local].kind.unit
            if param is not None and unit and unit != param.unit:
                zh = f"{device}.{local} 的单位是 {unit}，参数 {param.name} 的单位是 {param.unit}"
                en = f"{device}.{local} is in {unit}, parameter {param.name} in {param.unit}"
                self.problems.add(text.mark, zh, en)
                return False
        return True
