"""Reads `scenes/*.yaml` (docs/engineers/scenes.md), checked against the hall. All errors of all files at once.

Only `load_scenes` touches files; `parse_scene` takes text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecc_controld import yamlfile
from ecc_controld.yamlfile import Problem, Problems

from . import lint
from .combos import Combo, combos, told
from .document import Document, chain, digest, extended, merged, read_document
from .expand import Reader
from .hallview import HallView
from .head import check_identity, read_head
from .model import Scene
from .paramfile import Params, read_params
from .parts import read_parts
from .template import KEPT, Built, Template

FAILING = 64
"""After so many combinations that fail, the others are not looked at."""


@dataclass(frozen=True)
class Checked:
    """A scene with its usual parameters, and all that it can be, for the warnings."""

    scene: Scene
    files: Sequence[Document]
    params: Params
    builds: Sequence[Built]


def load_scenes(scenes_dir: Path, hall: HallView, warnings: Problems | None = None) -> Mapping[str, Scene]:
    """All scenes of a folder by name; raises FilesInvalid with every problem of every file.

    `warnings` takes what is legal and unwise.
    """
    problems = Problems()
    documents: dict[str, Document | None] = {}
    for path in yamlfile.folder(scenes_dir, problems):
        source = yamlfile.read(path, problems)
        documents[path.stem] = None if source is None else read_document(source, problems)
    found: dict[str, Checked] = {}
    for stem, document in documents.items():
        if document is None:
            continue
        check_identity(document, problems)
        if not document.is_fragment:
            checked = _check(document, documents, hall, problems)
            if checked is not None:
                found[stem] = checked
    problems.raise_any()
    if warnings is not None:
        lint.unused([one for one in documents.values() if one], extended(documents), warnings)
        lint.duty_silent([one.builds for one in found.values()], hall, warnings)
        for checked in found.values():
            lint.scene(checked.files, checked.params, checked.builds, hall, warnings)
    return {stem: checked.scene for stem, checked in found.items()}


def parse_scene(source: yamlfile.Source, hall: HallView, problems: Problems) -> Scene | None:
    """The scene of one file without bases; None, and problems, if anything in it is wrong."""
    before = len(problems)
    document = read_document(source, problems)
    if document is None:
        return None
    check_identity(document, problems)
    checked = _check(document, {document.stem: document}, hall, problems)
    return None if checked is None or len(problems) > before else checked.scene


def _check(
    document: Document, others: Mapping[str, Document | None], hall: HallView, problems: Problems
) -> Checked | None:
    """One scene with its bases. Its problems are its own, also those in a base that others had to tell already."""
    mine = Problems()
    files = chain(document, others, mine)
    checked = None if files is None else _checked(document, files, hall, mine)
    for problem in mine.all():
        problems.put(problem)
    return checked


def _checked(document: Document, files: list[Document], hall: HallView, problems: Problems) -> Checked | None:
    root = merged(files)
    params = read_params(root.get("params"), hall, problems)
    head = read_head(root, document.stem, params, problems)
    head |= {"digest": digest(files), "text": document.source.text}
    parts = read_parts(files, Reader(hall, params.found, problems))
    if not params.sound:
        return None
    template = Template(head, root, parts, params.good, hall)
    builds = _builds(template, params, problems, broken=bool(problems))
    if problems or not builds:
        return None
    for built in builds[:KEPT]:
        template.keep(built.scene)
    return Checked(builds[0].scene, files, params, builds)


def _builds(template: Template, params: Params, problems: Problems, *, broken: bool) -> list[Built]:
    """The scene of every combination that must be checked, the usual one first."""
    all_of_them = combos(template.params)
    if all_of_them is None:
        first = next(iter(params.marks.values()))
        problems.add(
            first, "参数的取值组合太多，请减少选项", "too many combinations of choices; have fewer of them"
        )
        return []
    found: dict[Problem, list[Combo]] = {}
    builds: list[Built] = []
    tried = 0
    failed = 0
    for combo in all_of_them:
        mine = Problems()
        built = template.build(combo, mine, broken=broken)
        tried += 1
        if built is not None:
            builds.append(built)
        failed += bool(mine)
        for problem in mine.all():
            found.setdefault(problem, []).append(combo)
        if failed > FAILING:
            break
    for problem in told(found, all_of_them[:tried]):
        problems.put(problem)
    return builds
