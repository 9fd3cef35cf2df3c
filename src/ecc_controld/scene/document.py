"""Scene files and their bases: who extends whom, and the head that comes of it. Pure; marks stay with each file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePath

from ecc_controld import yamlfile
from ecc_controld.yamlfile import Mapping as MapNode
from ecc_controld.yamlfile import Mark, Node, Problems, Scalar, Source

DEPTH = 8
"""How many files a chain of bases may have."""
IDENTITY = ("scene", "fragment", "extends")
"""What a file says of itself, and its heirs do not take over."""


@dataclass(frozen=True)
class Document:
    """One file that is YAML. A fragment is only there to be extended."""

    source: Source
    root: MapNode

    @property
    def stem(self) -> str:
        """The name by which others extend it."""
        return PurePath(self.source.file).stem

    @property
    def is_fragment(self) -> bool:
        """Whether it is no scene of its own."""
        return self.root.get("fragment") is not None and self.root.get("scene") is None


def read_document(source: Source, problems: Problems) -> Document | None:
    """The tree of a file; None, and problems, if it has none."""
    root = yamlfile.as_mapping(yamlfile.parse(source, problems), problems)
    return None if root is None else Document(source, root)


def chain(document: Document, others: Mapping[str, Document | None], problems: Problems) -> list[Document] | None:
    """The file behind all its bases, the farthest first; None, and a problem, if they do not end.

    `others` has None for a file that is no YAML: its own error is enough.
    """
    found = [document]
    while (node := found[0].root.get("extends")) is not None:
        name = yamlfile.as_text(node, problems)
        if name is None:
            return None
        if name not in others:
            valid = [one for one in others if one != document.stem]
            problems.add(node.mark, f"没有文件 {name}.yaml", f"there is no file {name}.yaml", valid, name)
            return None
        stems = [one.stem for one in reversed(found)]
        if name in stems:
            path = " -> ".join([*stems[stems.index(name) :], name])
            problems.add(node.mark, f"extends 成环：{path}", f"extends is a cycle: {path}")
            return None
        base = others[name]
        if base is None:
            return None
        if len(found) == DEPTH:
            zh, en = f"extends 超过 {DEPTH} 层", f"a chain of bases may have {DEPTH} files at most"
            problems.add(node.mark, zh, en)
            return None
        found.insert(0, base)
    return found


def digest(files: list[Document]) -> str:
    """What the text of a scene is known by: its file's own digest, or one over all of the chain."""
    if len(files) == 1:
        return files[0].source.digest
    return sha256("\0".join(one.source.digest for one in files).encode()).hexdigest()


def merged(files: list[Document]) -> MapNode:
    """The top-level entries of a chain; later values win. Parameters are merged field by field."""
    own = files[-1].root
    entries: dict[str, tuple[Scalar, Node]] = {}
    for document in files:
        for key, value in document.root.entries:
            if key.text in IDENTITY and document.root is not own:
                continue
            old = entries.get(key.text)
            if key.text == "params" and old is not None:
                value = _over(old[1], value, 2)
            entries[key.text] = (key, value)
    return MapNode(tuple(entries.values()), own.mark)


def _over(base: Node, node: Node, depth: int) -> Node:
    """The entries of both maps, `depth` levels down; those of `node` win."""
    if depth == 0 or not isinstance(base, MapNode) or not isinstance(node, MapNode):
        return node
    entries = {key.text: (key, value) for key, value in base.entries}
    for key, value in node.entries:
        old = entries.get(key.text)
        entries[key.text] = (key, value if old is None else _over(old[1], value, depth - 1))
    return MapNode(tuple(entries.values()), node.mark)


def extended(documents: Mapping[str, Document | None]) -> set[str]:
    """The files that some other file extends."""
    nodes = [one.root.get("extends") for one in documents.values() if one is not None]
    return {node.text for node in nodes if isinstance(node, Scalar)}


def mark_of(document: Document, key: str) -> Mark:
    """Where a key of the file stands, or the file."""
    entry = document.root.entry(key)
    return document.root.mark if entry is None else entry[0].mark
