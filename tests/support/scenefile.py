"""Scenes out of YAML text: for the hall of fakehall, and for the line-protocol devices of a Rig."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ecc_controld.scene.load import load_scenes, parse_scene
from ecc_controld.scene.model import Scene, Want
from ecc_controld.sdk import Driver
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import FilesInvalid, Problem, Problems, Source

from .fakehall import write
from .linebox import LineBox, config

Load = Callable[..., Mapping[str, Scene]]
"""`load(s="...", base="...")`: the scenes of files with these texts."""


def loader(folder: Path, hall: Hall) -> Load:
    """Loads the files that it is given, and no others."""

    def load(**files: str) -> Mapping[str, Scene]:
        for old in folder.glob("*.yaml"):
            old.unlink()
        return load_scenes(write(folder, **files), hall)

    return load


def problems_of(load: Load, **files: str) -> list[Problem]:
    """What is wrong with these files; [] if nothing is."""
    try:
        load(**files)
    except FilesInvalid as invalid:
        return list(invalid.problems)
    return []


def wants(scene: Scene) -> dict[str, Want]:
    """The wishes by point."""
    return {want.point: want for want in scene.wants}


def values(scene: Scene) -> dict[str, object]:
    """What each point shall be."""
    return {want.point: want.value for want in scene.wants}


def spot(text: str, what: str) -> tuple[int, int]:
    """Line and column of the first place of a text."""
    before = text[: text.index(what)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@dataclass(frozen=True)
class _Device:
    driver: Driver
    group: str = "box"
    gap_s: float = 0.0


@dataclass(frozen=True)
class _View:
    devices: Mapping[str, _Device]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def line_scene(
    text: str, devices: Mapping[str, type[LineBox]], lists: Mapping[str, tuple[str, ...]] | None = None
) -> Scene:
    """The scene of a text whose first line is `scene: NAME`, for devices of a Rig."""
    name = text.partition("\n")[0].removeprefix("scene: ")
    view = _View({one: _Device(kind(config(one))) for one, kind in devices.items()}, lists or {})
    problems = Problems()
    scene = parse_scene(Source(f"{name}.yaml", text, name), view, problems)
    problems.raise_any()
    assert scene is not None
    return scene
