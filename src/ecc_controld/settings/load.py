"""Reads `config/*.yaml` (docs/engineers/config.md) into a Hall. All errors of all files at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from ecc_controld import yamlfile
from ecc_controld.registry import Registry
from ecc_controld.scene.load import load_scenes
from ecc_controld.sdk import Address, Text
from ecc_controld.yamlfile import Fields, FilesInvalid, Mark, Node, Problem, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from . import address
from .devices import DEVICE_ID, Builder
from .model import Hall, Source

SCHEMA = 1
WORD_LIMIT = 64

Secrets = Callable[[str], str | None]


def load_hall(
    config_dir: Path,
    registry: Registry,
    *,
    secrets: Secrets,
    addresses: Mapping[str, Address] | None = None,
) -> Hall:
    """The hall of a folder; raises FilesInvalid with every problem.

    `secrets` gives the value of a credential by name. `addresses` (simulation) replaces the address of every
    device, after the checks; a device without one is a problem, so that no live device is dialled by mistake.
    """
    problems = Problems()
    parts, digest = _read(config_dir, problems)
    if not config_dir.is_dir():
        problems.raise_any()  # what is not in it is no further news
    hall = _hall(parts, digest, Builder(registry, secrets, addresses, problems), problems)
    problems.raise_any()
    return hall


def check(
    config_dir: Path,
    scenes_dir: Path,
    *,
    registry: Registry | None = None,
    secrets: Secrets | None = None,
    warnings: Problems | None = None,
) -> list[Problem]:
    """Every problem of a configuration and its scenes; without `secrets` no credential is asked for.

    `warnings` takes what is legal and unwise.
    """
    try:
        hall = load_hall(config_dir, registry or Registry.load(), secrets=secrets or (lambda _: "check"))
    except FilesInvalid as invalid:
        # Scenes cannot be judged without devices, but whether they are YAML can.
        problems = Problems()
        for path in yamlfile.folder(scenes_dir, problems):
            source = yamlfile.read(path, problems)
            if source is not None:
                yamlfile.parse(source, problems)
        return [*invalid.problems, *problems.all()]
    try:
        load_scenes(scenes_dir, hall, warnings)
    except FilesInvalid as invalid:
        return list(invalid.problems)
    return []


@dataclass
class _Parts:
    """The top-level keys of all files together."""

    here: Mark
    schema: list[Node] = field(default_factory=list)
    once: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    maps: dict[str, dict[str, tuple[Scalar, Node]]] = field(
        default_factory=lambda: {"devices": {}, "lists": {}, "sources": {}}
    )


def _read(config_dir: Path, problems: Problems) -> tuple[_Parts, str]:
    parts, digest = _Parts(Mark(str(config_dir))), sha256()
    for path in yamlfile.folder(config_dir, problems):
        source = yamlfile.read(path, problems)
        if source is None:
            continue
        digest.update(f"{path.name}\0{source.digest}\0".encode())
        root = yamlfile.as_mapping(yamlfile.parse(source, problems), problems)
        if root is not None:
            _merge(root, parts, problems)
    return parts, digest.hexdigest()


def _merge(root: MapNode, parts: _Parts, problems: Problems) -> None:
    fields = Fields(root, problems)
    if (schema := fields.take("schema")) is not None:
        parts.schema.append(schema)
    for key in ("hall", "networks"):
        fields.take(key)
        if (entry := root.entry(key)) is not None:
            _once(parts.once, entry, problems)
    for key, into in parts.maps.items():
        found = yamlfile.as_mapping(fields.take(key), problems)
        for entry in () if found is None else found.entries:
            _once(into, entry, problems)
    fields.done()


def _once(into: dict[str, tuple[Scalar, Node]], entry: tuple[Scalar, Node], problems: Problems) -> None:
    key = entry[0]
    first = into.setdefault(key.text, entry)
    if first is not entry:
        at = first[0].mark
        problems.add(key.mark, f"{key.text} 已在 {at} 给出", f"{key.text} is already given at {at}")


def _hall(parts: _Parts, digest: str, builder: Builder, problems: Problems) -> Hall:
    _check_schema(parts, problems)
    name, timezone = _identity(parts, problems)
    networks = address.networks(_needed(parts, "networks", problems), problems)
    sources = _sources(parts.maps["sources"], parts.maps["devices"], problems)
    devices = builder.devices(parts.maps["devices"], networks, sources)
    if not parts.maps["devices"] and not problems:
        problems.add(parts.here, "没有任何设备（devices:）", "there is no device (devices:)")
    return Hall(
        name=name,
        timezone=timezone,
        networks=tuple(map(str, networks)),
        devices=devices,
        lists=_lists(parts.maps["lists"], problems),
        sources=sources,
        digest=digest,
    )


def _check_schema(parts: _Parts, problems: Problems) -> None:
    if not parts.schema and not problems:
        problems.add(parts.here, f"缺少 schema: {SCHEMA}", f"schema: {SCHEMA} is missing")
    for node in parts.schema:
        yamlfile.as_word(node, [str(SCHEMA)], problems)


def _needed(parts: _Parts, key: str, problems: Problems) -> Node | None:
    found = parts.once.get(key)
    if found is None:
        problems.add(parts.here, f"缺少 {key}:", f"{key}: is missing in all files of this folder")
    return None if found is None else found[1]


def _identity(parts: _Parts, problems: Problems) -> tuple[Text, str]:
    node = yamlfile.as_mapping(_needed(parts, "hall", problems), problems)
    if node is None:
        return Text("", ""), "UTC"
    fields = Fields(node, problems)
    name = yamlfile.as_name(fields.need("name"), problems)
    at = fields.need("timezone")
    timezone = yamlfile.as_text(at, problems)
    fields.done()
    if at is not None and timezone is not None:
        try:
            ZoneInfo(timezone)
        except (ValueError, OSError, KeyError):  # unknown, or a path that leaves the database
            zh, en = (
                f"未知的时区 {timezone!r}，如 Asia/Shanghai",
                f"unknown time zone {timezone!r}, such as Asia/Shanghai",
            )
            problems.add(at.mark, zh, en)
    return name or Text("", ""), timezone or "UTC"


def _lists(found: Mapping[str, tuple[Scalar, Node]], problems: Problems) -> dict[str, tuple[str, ...]]:
    lists = {}
    for key, node in found.values():
        _good_word(key, problems)
        items = yamlfile.as_items(node, problems) or ()
        texts = [(item, yamlfile.as_text(item, problems)) for item in items]
        seen: set[str] = set()
        for item, text in texts:
            if text in seen:
                problems.add(item.mark, f"{text} 重复", f"{text} is listed twice")
            seen.add(text or "")
        lists[key.text] = tuple(text for _, text in texts if text is not None)
    return lists


def _sources(
    found: Mapping[str, tuple[Scalar, Node]], devices: Mapping[str, tuple[Scalar, Node]], problems: Problems
) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for key, node in found.values():
        _good_word(key, problems)
        body = yamlfile.as_mapping(node, problems)
        if body is None:
            continue
        fields = Fields(body, problems)
        zh, en = yamlfile.as_text(fields.need("zh"), problems), yamlfile.as_text(fields.take("en"), problems)
        at = fields.need("input")
        plugged = yamlfile.as_text(at, problems)
        label = yamlfile.as_text(fields.take("label"), problems) or ""
        fields.done()
        if at is None or plugged is None:
            continue
        device, dot, _ = plugged.partition(".")
        if not dot:
            problems.add(at.mark, "应为 设备.输入，如 matrix.in.3", "expected device.input, such as matrix.in.3")
        elif device not in devices:
            problems.add(at.mark, f"没有设备 {device}", f"there is no device {device}", devices, device)
        else:
            sources[key.text] = Source(Text(zh or en or key.text, en or zh or key.text), plugged, label)
    return sources


def _good_word(key: Scalar, problems: Problems) -> None:
    if not DEVICE_ID.fullmatch(key.text) or len(key.text) > WORD_LIMIT:
        problems.add(
            key.mark,
            f"{key.text!r} 须以小写英文字母开头，只含小写字母、数字、- 和 _",
            f"{key.text!r} must begin with a lower-case letter and hold only a-z, 0-9, - and _",
        )
