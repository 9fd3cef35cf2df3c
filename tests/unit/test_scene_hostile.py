"""Scene files that are huge, cut off or made to hurt: a clear error, in little memory, and the hall as it was."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecc_controld.scene.load import load_scenes, parse_scene
from ecc_controld.settings import Hall
from ecc_controld.yamlfile import MAX_BYTES, FilesInvalid, Problems, Source
from support.fakehall import hall, write
from support.scenefile import Load, loader, problems_of

SMALL = """\
scene: s
extends: base
mode: duty
params: {level: {choices: [I, II], default: I}, n: {type: number, min: 0, max: 9, default: 1}}
want: {wall: {power: on, label: "{level}{n}"}, "camera/*": {power: on}}
when: {level: {I: {wall.clock: '1'}}}
else: {wall.power: off}
"""
BASE = "fragment: base\nwant: {matrix.out.1: gis}\nafter: {matrix.out.1: [wall.power]}\n"
MEMORY = 64 << 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    return hall(tmp_path_factory.mktemp("hall"))


@pytest.fixture
def load(place: Hall, tmp_path: Path) -> Load:
    return loader(tmp_path / "scenes", place)


@contextmanager
def little_memory(limit: int = MEMORY) -> Iterator[None]:
    """What happens inside needs no more than this at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak >> 20} MiB"


def test_ten_megabytes(place: Hall, tmp_path: Path) -> None:
    write(tmp_path, s="scene: s\nmode: duty\nwant:\n" + "  wall.label: x\n" * 700_000)
    assert (tmp_path / "s.yaml").stat().st_size > 10_000_000
    with little_memory(4 << 20), pytest.raises(FilesInvalid) as caught:
        load_scenes(tmp_path, place)
    assert "bigger than 1024 KiB" in str(caught.value)


def test_a_hundred_thousand_aliases(load: Load) -> None:
    text = "scene: s\nmode: duty\na: &a [x]\nb: [" + "*a," * 100_000 + "]\n"
    assert len(text) < MAX_BYTES
    with little_memory():
        (problem,) = problems_of(load, s=text)
    assert "anchors (&) are not supported" in problem.message.en
    assert (problem.line, problem.column) == (3, 4)


def test_aliases_without_an_anchor_in_sight(load: Load) -> None:
    (problem,) = problems_of(load, s="scene: s\nmode: duty\nwant: [" + "*a," * 100_000 + "]\n")
    assert (problem.line, problem.column) == (3, 8)


def test_cut_off_at_every_byte(place: Hall) -> None:
    """Each piece is a scene or a problem, never an error of ours."""
    whole = SMALL.replace("extends: base\n", "").encode()
    scenes = 0
    for end in range(len(whole)):
        problems = Problems()
        text = whole[:end].decode(errors="replace")
        found = parse_scene(Source("s.yaml", text, ""), place, problems)
        assert (found is None) == bool(problems), text
        scenes += found is not None
    assert 0 < scenes < len(whole) / 2


def test_a_base_that_is_cut_off_at_every_byte(load: Load) -> None:
    kept = load(s=SMALL, base=BASE)["s"]
    for end in range(len(BASE)):
        for problem in problems_of(load, s=SMALL, base=BASE[:end]):
            assert problem.line > 0
    assert load(s=SMALL, base=BASE)["s"] == kept


@pytest.mark.parametrize(
    "text",
    [
        "params: {" + ", ".join(f"p{n}: {{choices: [a, b]}}" for n in range(5000)) + "}",
        "params: {x: {choices: [" + ", ".join(f"c{n}" for n in range(20_000)) + "]}}",
        "params: {x: {type: list, choices: [" + ", ".join(f"c{n}" for n in range(20_000)) + "]}}",
        "params: {x: {choices: ['" + "y" * 100_000 + "']}}",
        "params: {x: {type: text, default: '" + "y" * 100_000 + "'}}",
        "params: {x: {type: number, min: 1e999, max: 2}}",
        "params: {x: {type: number, min: -" + "9" * 5000 + ", max: 2}}",
        "params: {x: {type: text, default: y}}\nwant: {wall.label: '" + "{x}" * 50_000 + "'}",
        "params: {x: {type: text, default: y}}\nwant: {wall.label: '" + "{" * 200_000 + "'}",
        "title: '" + "{x}" * 150 + "'",
        "when: " + "{a: {b: {when: " * 6 + "{}" + "}}}" * 6,
        "extends: ../../etc/passwd",
        "extends: [base]",
        "fragment: {a: b}",
    ],
    ids=lambda text: text[:24] + text[-12:],
)
def test_hostile_texts(load: Load, text: str) -> None:
    with little_memory():
        found = problems_of(load, s=f"scene: s\nmode: duty\n{text}\n")
    assert found
    for problem in found:
        assert len(problem.message.en) < 2000
        assert any("\u4e00" <= c <= "\u9fff" for c in problem.message.zh)


def test_what_fails_in_hundreds_of_combinations_is_told_once(load: Load) -> None:
    params = ", ".join(f"p{n}: {{choices: [a, b, c, d]}}" for n in range(4))
    wishes = "".join(f"  matrix.out.{n + 1}: '{{p{n}}}'\n" for n in range(4))
    with little_memory():
        found = problems_of(load, s=f"scene: s\nmode: duty\nparams: {{{params}}}\nwant:\n{wishes}")
    assert {p.line for p in found} == {5, 6, 7, 8}
    assert len(found) <= 16


WORDS = st.sampled_from(
    [
        "I",
        "II",
        "level",
        "n",
        "@townships",
        "@eyes",
        "{level}",
        "{n}",
        "{{",
        "x",
        "on",
        "9",
        "-1",
        "wall",
        "want",
        "when",
        "else",
        "after",
        "choices",
        "type",
        "list",
        "text",
        "number",
        "boolean",
        "default",
        "min",
        "max",
        "s",
        "wall.power",
        "wall.label",
        "camera/*",
        "cam1",
        "do",
        "base",
        "{x}.power",
        "null",
        "criticality",
        "😀",
    ]
)
TREES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=20
)


@given(params=TREES, want=TREES, when=TREES, otherwise=TREES)
@settings(max_examples=300, deadline=None)
def test_any_shape_is_a_scene_or_a_problem(
    place: Hall, params: object, want: object, when: object, otherwise: object
) -> None:
    text = f"scene: s\nmode: duty\nparams: {json.dumps(params)}\nwant: {json.dumps(want)}\nwhen: {json.dumps(when)}\nelse: {json.dumps(otherwise)}\n"
    problems = Problems()
    scene = parse_scene(Source("s.yaml", text, ""), place, problems)
    assert (scene is None) == bool(problems)
