"""The layers of a scene: what each file of the chain says, and its `when:` variants with their conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ecc_controld import yamlfile
from ecc_controld.sdk.point import BadValue
from ecc_controld.yamlfile import Fields, Mark, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from .document import Document
from .expand import Reader, Written
from .hallview import HallView
from .model import Do
from .order import Line, read_after
from .overlay import Level
from .params import Given, Param, ParamValue
from .values import misfit

VARIANT = ("want", "after", "do", "else", "when")
"""The keys of a variant in its long form; without any of them it is a map of wishes."""


@dataclass(frozen=True)
class Part:
    """One layer. `when`: it counts only while these parameters have these values."""

    level: Level
    when: tuple[tuple[str, ParamValue], ...] = ()
    wants: Written = field(default_factory=Written)
    otherwise: Written = field(default_factory=Written)
    after: tuple[Line, ...] = ()
    actions: tuple[Do, ...] = ()
    instead: bool = False
    """Its actions replace those of the bases (a file's own `do:`), else they are added (a variant's)."""

    def counts(self, given: Given) -> bool:
        """Whether its condition is true."""
        return all(given[name] == value for name, value in self.when)


def read_parts(files: Sequence[Document], reader: Reader) -> list[Part]:
    """Every layer of a chain of files, the farthest base first."""
    return [part for number, one in enumerate(files) for part in _parts(one.root, (number, 0), (), reader)]


def actions_of(parts: Sequence[Part]) -> tuple[Do, ...]:
    """The one-shot actions of the layers that count."""
    found: tuple[Do, ...] = ()
    for part in parts:
        found = part.actions if part.instead else found + part.actions
    return tuple(dict.fromkeys(found))


def _parts(
    body: MapNode, level: Level, when: tuple[tuple[str, ParamValue], ...], reader: Reader
) -> Iterator[Part]:
    problems = reader.problems
    want, after, otherwise = (yamlfile.as_mapping(body.get(key), problems) for key in ("want", "after", "else"))
    yield Part(
        level,
        when,
        Written() if want is None else reader.written(want),
        Written() if otherwise is None else _fallbacks(otherwise, reader),
        () if after is None else read_after(after, problems),
        read_actions(body.get("do"), reader.hall, problems),
        instead=not when and body.get("do") is not None,
    )
    variants = yamlfile.as_mapping(body.get("when"), problems)
    for key, values in () if variants is None else variants.entries:
        yield from _variants(key, values, level, when, reader)


def _fallbacks(node: MapNode, reader: Reader) -> Written:
    """The `else:`: how much it matters is said where the wish stands."""
    found = reader.written(node)
    if found.defaults or any(leaf.criticality for leaf in found.leaves):
        zh, en = "else 中不写 criticality：以要求为准", "no criticality in else: that of the wish counts"
        reader.problems.add(node.mark, zh, en)
    return found


def _variants(
    key: Scalar, node: Node, level: Level, when: tuple[tuple[str, ParamValue], ...], reader: Reader
) -> Iterator[Part]:
    problems, param = reader.problems, reader.params.get(key.text)
    if key.text not in reader.params:
        problems.add(
            key.mark, f"没有参数 {key.text}", f"there is no parameter {key.text}", reader.params, key.text
        )
        return
    if param is not None and not param.alternatives():
        zh = f"参数 {key.text} 不是 choices 也不是 boolean，不能用于 when"
        en = f"parameter {key.text} has neither choices nor is it boolean: it cannot be asked in when"
        problems.add(key.mark, zh, en)
        return
    values = yamlfile.as_mapping(node, problems)
    for word, body in () if values is None else values.entries:
        value = None if param is None else _value(word, param, problems)
        shaped = _long_form(body, word, problems)
        if value is not None and shaped is not None:
            yield from _parts(shaped, (level[0], level[1] + 1), (*when, (key.text, value)), reader)


def _value(word: Scalar, param: Param, problems: Problems) -> ParamValue | None:
    try:
        return param.parse(word.text)
    except BadValue as bad:
        misfit(word, word.text, bad, param.name, problems)
        return None


def _long_form(node: Node, word: Scalar, problems: Problems) -> MapNode | None:
    """A variant with the keys `want`, `after`, `do`, `else`, `when`; the short form is its `want`."""
    if isinstance(node, Scalar) and node.is_null:
        problems.add(word.mark, "变体什么也没要求", "nothing is wanted here")
        return None
    body = yamlfile.as_mapping(node, problems)
    if body is None:
        return None
    if not any(body.get(key) is not None for key in VARIANT):
        return MapNode(((Scalar("want", False, body.mark), body),), body.mark)
    fields = Fields(body, problems)
    for key in VARIANT:
        fields.take(key)
    fields.done()
    return body


def read_actions(node: Node | None, hall: HallView, problems: Problems) -> tuple[Do, ...]:
    """The one-shot actions of a `do:`."""
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


def else_marks(files: Sequence[Document]) -> list[Mark]:
    """Where each `else:` of a chain stands, variants included."""
    found: list[Mark] = []

    def look(node: Node) -> None:
        if not isinstance(node, MapNode):
            return
        for key, value in node.entries:
            if key.text == "else":
                found.append(key.mark)
            elif key.text == "when" and isinstance(value, MapNode):
                for _, variants in value.entries:
                    for _, body in variants.entries if isinstance(variants, MapNode) else ():
                        look(body)

    for document in files:
        look(document.root)
    return found
