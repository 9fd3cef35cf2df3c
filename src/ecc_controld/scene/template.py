"""A scene file that was read: makes the scene of any combination of its parameters. Pure.

Everything that can be settled once is settled when it is loaded; what is left is cheap, and kept for the combinations
that were asked for last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecc_controld.sdk.text import Text
from ecc_controld.yamlfile import Mapping as MapNode
from ecc_controld.yamlfile import Problems

from .hallview import HallView
from .model import Scene, Want
from .order import ordered, slowest_chain
from .overlay import Memory, Wish, fallbacks, overlay
from .params import BadParams, Given, Param, ParamValue, resolve, word
from .parts import Part, actions_of
from .values import fill

KEPT = 64
"""How many combinations of a scene are kept ready; of a choice with few words that is all of them."""


@dataclass(frozen=True)
class Built:
    """A scene of one combination, and where its wishes stand."""

    scene: Scene
    wishes: Mapping[str, Wish]


class Template:
    """Makes scenes. `head` are the facts that `Scene` has, `root` the file's (merged) entries."""

    def __init__(
        self,
        head: Mapping[str, Any],
        root: MapNode,
        parts: Sequence[Part],
        params: Mapping[str, Param],
        hall: HallView,
    ) -> None:
        self.params = params
        self.parts = parts
        self._head = head
        self._root = root
        self._hall = hall
        self._memory = Memory()
        self._kept: OrderedDict[tuple[ParamValue | None, ...], Scene] = OrderedDict()

    def __call__(self, raw: Mapping[str, object]) -> Scene:
        """The scene with the parameters of a press; raises BadParams."""
        given = resolve(self.params, raw)
        key = tuple(given[name] for name in self.params)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        problems = Problems()
        built = self.build(given, problems)
        if problems or built is None:
            text = problems.all()[0].message
            raise BadParams("bad_params", text)
        self.keep(built.scene)
        return built.scene

    def keep(self, scene: Scene) -> None:
        """Have the scene of a combination ready; the one that was asked for longest ago is forgotten."""
        self._kept[tuple(scene.given.get(name) for name in self.params)] = scene
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def build(self, given: Given, problems: Problems, *, broken: bool = False) -> Built | None:
        """The scene of one combination; None, and problems, if it contradicts itself.

        `broken`: the file has errors that are told already, so that what depends on all wishes is not judged.
        """
        before = len(problems)
        parts = [part for part in self.parts if part.counts(given)]
        wishes = overlay([(part.level, part.wants) for part in parts], given, self._hall, self._memory, problems)
        actions = actions_of(parts)
        if broken or len(problems) > before:
            return None  # an order among wishes that could not be read would only repeat the errors
        others = [(part.level, part.otherwise) for part in parts if part.otherwise.leaves]
        instead = fallbacks(others, wishes, given, self._hall, problems) if others else {}
        lines = [(part.level, part.after) for part in parts]
        wants = ordered(wishes, lines, given, self._hall, self._memory, problems)
        if not wants and not actions:
            problems.add(self._root.mark, "场景什么也没要求", "the scene wants nothing")
        if len(problems) == before:
            self._check_pace(wants, problems)
        if len(problems) > before:
            return None
        scene = Scene(
            **dict(self._head, title=_filled(self._head["title"], given)),
            wants=wants,
            actions=actions,
            params=tuple(self.params.values()),
            given={name: value for name, value in given.items() if value is not None},
            fallbacks=_beside(wants, instead),
            make=self if self.params else None,
        )
        return Built(scene, wishes)

    def _check_pace(self, wants: tuple[Want, ...], problems: Problems) -> None:
        ready_within_s = self._head["ready_within_s"]
        if sum(self._hall.devices[want.device].gap_s for want in wants) <= ready_within_s:
            return  # then no chain among them is longer
        chain, sum_s = slowest_chain(wants, self._hall)
        if sum_s <= ready_within_s:
            return
        entry = self._root.entry("ready_within")
        path = " -> ".join(chain)
        problems.add(
            self._root.mark if entry is None else entry[1].mark,
            f"ready_within {ready_within_s:g} s 无法达到：设备间隔之和已有 {sum_s:g} s（{path}）",
            f"ready_within of {ready_within_s:g} s cannot be met: the gaps of its devices add up to {sum_s:g} s "
            f"({path})",
        )


def _filled(title: Text, given: Given) -> Text:
    """The title with its parameters; one with a text that is not given yet stays as it is written."""
    zh, en = fill(title.zh, given), fill(title.en, given)
    return Text(title.zh if zh is None else word(zh), title.en if en is None else word(en))


def _beside(wants: Sequence[Want], instead: Mapping[str, Wish]) -> dict[str, Want]:
    """The fallbacks with what they share with the wish that they stand in for: how much it matters, and its order."""
    return {
        want.point: Want(
            want.point,
            want.device,
            want.local,
            (other := instead[want.point].want).value,
            want.criticality,
            want.timeout_s if other.timeout_s is None else other.timeout_s,
            want.settle_s if other.settle_s is None else other.settle_s,
            other.on_return or want.on_return,
            want.prereqs,
        )
        for want in wants
        if want.point in instead
    }
