"""The page that teaches the language says what is true: each of its files loads, or fails as it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecc_controld.registry import Registry
from ecc_controld.scene.combos import EVERY, PAIRS
from ecc_controld.scene.document import DEPTH
from ecc_controld.scene.load import load_scenes
from ecc_controld.scene.model import Prereq, Scene
from ecc_controld.scene.params import TEXT_LIMIT, TEXT_USUAL
from ecc_controld.scene.template import KEPT
from ecc_controld.settings import Hall, load_hall
from ecc_controld.yamlfile import FilesInvalid, Problems
from support.fakehall import write
from support.scenefile import values, wants

PAGE = Path(__file__).parents[2] / "docs" / "engineers" / "scenes.md"
FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    hall: str
    good: Mapping[str, str]
    wrong: Mapping[str, tuple[str, str]]
    """Name of the file: its text, and the errors that follow it."""


def name_of(text: str) -> str:
    found = re.match(r"(?:scene|fragment): (\S+)", text)
    assert found is not None, text
    return found[1]


@pytest.fixture(scope="module")
def page() -> Page:
    blocks = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    (hall,) = [text for kind, how, text in blocks if kind == "yaml" and text.startswith("schema:")]
    good = [text for kind, how, text in blocks if (kind, how) == ("yaml", "") and text != hall]
    wrong = {
        name_of(text): (text, blocks[n + 1][2])
        for n, (kind, how, text) in enumerate(blocks)
        if (kind, how) == ("yaml", "wrong")
    }
    found = Page(hall, {name_of(text): text for text in good}, wrong)
    assert len(found.good) == len(good)
    assert len(blocks) == 1 + len(good) + 2 * len(wrong), "a block that nobody tests"
    return found


@pytest.fixture(scope="module")
def hall(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Hall:
    folder = write(tmp_path_factory.mktemp("config"), hall=page.hall)
    return load_hall(folder, Registry.load(), secrets={}.get)


@pytest.fixture
def scenes(page: Page, hall: Hall, tmp_path: Path) -> Mapping[str, Scene]:
    return load_scenes(write(tmp_path, **page.good), hall)


def test_every_file_loads(page: Page, scenes: Mapping[str, Scene]) -> None:
    assert set(scenes) == set(page.good) - {"all-on"}
    assert len(scenes) >= 6


def test_the_wrong_ones_fail_as_the_page_says(page: Page, hall: Hall, tmp_path: Path) -> None:
    assert len(page.wrong) >= 3
    for name, (text, errors) in page.wrong.items():
        with pytest.raises(FilesInvalid) as caught:
            load_scenes(write(tmp_path / name, **{name: text}), hall)
        said = [f"{Path(p.file).name}:{p.line}:{p.column}: {p.message.en}" for p in caught.value.problems]
        assert said == errors.splitlines()


def test_what_the_page_says_of_them(scenes: Mapping[str, Scene]) -> None:
    command = wants(scenes["command"])
    musts = {name for name, want in command.items() if want.criticality == "must"}
    assert musts == {"wall.power", "wall.input"}, "the device's word counts for what its group wants of it, too"
    assert values(scenes["briefing"]) == {
        "wall.power": False,
        "side.power": True,
        "desk.power": True,
        "side.input": "hdmi1",
        "desk.input": "hdmi2",
    }
    typhoon = scenes["typhoon"]
    assert (typhoon.mode, typhoon.ready_within_s) == ("warning", 45.0)
    assert values(typhoon)["matrix.out.2"] == "townships"
    assert scenes["clear-wall"].layer == "manual"
    assert scenes["fallback"].fallbacks["matrix.out.1"].value == "gis"


def test_the_parameters_of_the_page(scenes: Mapping[str, Scene]) -> None:
    usual = scenes["response"]
    assert (usual.title.zh, values(usual)["dsp.mic.1.gain"]) == ("III 级响应", -10.0)
    first = usual.at({"level": "I", "seats": ["desk"], "gain": "−20 dB"})
    assert first.title.en == "Response level I"
    assert {"side.power", "desk.power", "matrix.out.2"} <= set(values(first))
    assert Prereq("desk.power", True) in wants(first)["matrix.out.1"].prereqs
    assert len(usual.at({"level": "II"}).actions) == 1


def test_its_warnings(page: Page, hall: Hall, tmp_path: Path) -> None:
    warnings = Problems()
    load_scenes(write(tmp_path, **page.good), hall, warnings)
    said = [(Path(one.file).stem, one.message.en) for one in warnings.all()]
    assert [name for name, text in said if "else:" in text] == ["fallback"]
    assert not [text for name, text in said if name in ("command", "response") and "before" in text]


def test_its_numbers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number, words in (
        (DEPTH, "at most {} together"),
        (EVERY, "combinations up to {}"),
        (PAIRS, "more than {} such pairs"),
        (KEPT, "newest {} combinations"),
        (TEXT_USUAL, "default {}, at most"),
        (TEXT_LIMIT, "at most {})"),
    ):
        assert words.format(f"{number:,}") in text.replace("\n", " ")
