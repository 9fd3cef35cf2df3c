"""The JSON Schemas: current, true to what the loader takes, and of use for the hall at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecc_controld.__main__ import main
from ecc_controld.registry import Registry
from ecc_controld.scene.load import load_scenes
from ecc_controld.scene.schema import ABOUT, scene_schema
from ecc_controld.settings import Hall, load_hall
from ecc_controld.settings.schema import config_schema
from ecc_controld.yamlfile import FilesInvalid
from support.fakehall import DRIVERS, HALL, hall, write
from support.minischema import fits

ROOT = Path(__file__).parents[2]
HEAD = "scene: s\nmode: duty\n"


class Editor(yaml.SafeLoader):
    """YAML 1.2 as editors read it: `on` is a word, `true` is not."""


Editor.yaml_implicit_resolvers = {
    first: [
        (tag, rule) for tag, rule in rules if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Editor.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def seen(text: str) -> Any:
    return yaml.load(text, Editor)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    text = HALL.replace("lists: {", "lists: {eyes: [cam1, cam2], ")
    return hall(tmp_path_factory.mktemp("hall"), text)


@pytest.fixture(scope="module")
def sample() -> Hall:
    return load_hall(ROOT / "config", Registry.load(), secrets=lambda _: "x")


@pytest.mark.parametrize("of", ["scene", "config"])
def test_the_committed_schema_is_what_the_code_says(of: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", of]) == 0
    out = capsys.readouterr().out
    assert (ROOT / "docs" / "schema" / f"{of}.json").read_text(encoding="utf-8") == out, (
        f"run: ecc-controld schema {of} > docs/schema/{of}.json"
    )
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def known_keys(place: Hall, folder: Path, text: str) -> set[str]:
    """The keys that the loader names beside an unknown one."""
    with pytest.raises(FilesInvalid) as caught:
        load_scenes(write(folder, s=text), place)
    return set(next(p.valid for p in caught.value.problems if "unknown key zzz" in p.message.en))


def test_the_keys_are_those_of_the_loader(place: Hall, tmp_path: Path) -> None:
    schema = scene_schema()
    defs = schema["$defs"]
    assert set(schema["properties"]) == known_keys(place, tmp_path, HEAD + "zzz: 1\n") == set(ABOUT)
    long = HEAD + "want: {wall.power: {value: on, zzz: 1}}\n"
    assert set(defs["long"]["properties"]) == known_keys(place, tmp_path, long)
    order = HEAD + "want: {wall.power: on}\nafter: {wall.power: {points: [wall.power], zzz: 1}}\n"
    assert set(defs["order"]["additionalProperties"]["anyOf"][1]["properties"]) == known_keys(
        place, tmp_path, order
    )
    variant = HEAD + "params: {a: {choices: [b]}}\nwhen: {a: {b: {want: {}, zzz: 1}}}\n"
    assert set(defs["variant"]["then"]["properties"]) == known_keys(place, tmp_path, variant)
    action = HEAD + "do: [{zzz: 1}]\n"
    assert set(defs["action"]["properties"]) == known_keys(place, tmp_path, action)
    params = set()
    for kind in ("choice", "boolean", "number", "list", "text"):
        text = HEAD + f"params: {{a: {{type: {kind}, choices: [b], min: 1, max: 2, zzz: 1}}}}\n"
        params |= known_keys(place, tmp_path, text)
    assert set(defs["param"]["properties"]) == params


def test_the_keys_of_a_configuration_are_those_of_the_loader(tmp_path: Path) -> None:
    schema = config_schema(Registry(DRIVERS))
    for text, shape in (
        (HALL + "zzz: 1\n", schema),
        (HALL.replace("zone: 前区", "zzz: 1"), schema["$defs"]["device"]),
        (HALL.replace("label: internal", "zzz: 1"), schema["$defs"]["source"]),
    ):
        with pytest.raises(FilesInvalid) as caught:
            hall(tmp_path, text)
        assert set(caught.value.problems[0].valid) == set(shape["properties"])


def test_the_sample_hall_fits(sample: Hall) -> None:
    plain, full = scene_schema(), scene_schema(sample)
    for path in sorted((ROOT / "scenes").glob("*.yaml")):
        document = seen(path.read_text(encoding="utf-8"))
        assert fits(document, plain, plain), path
        assert fits(document, full, full), path
    config = config_schema(Registry.load())
    for path in sorted((ROOT / "config").glob("*.yaml")):
        assert fits(seen(path.read_text(encoding="utf-8")), config, config), path


GOOD = [
    'want: {wall: {power: on, input: hdmi1, preset: quad, brightness: 50, label: 5}, "camera/*": {power: off}}',
    "want: {dsp: {mic: {1: {gain: -10}}, mic.2.gain: −10 dB, preset: {value: duty, criticality: must, timeout: 3s}}}",
    'want: {matrix: {out.1: gis, out.2: 3, out: {3: "4"}}, "@eyes": {preset: overview}, matrix.out: {4: 1}}',
    "params: {p: {choices: [quad, duty], default: quad}}\nwant: {wall.preset: '{p}', side.brightness: '{p}'}",
    "params: {who: {type: list, choices: '@eyes', default: [cam1]}}\nwant: {'{who}': {power: on}, '{who}.power': on}",
    "want: {wall.power: on, side.power: on}\nafter: {wall.power: [side.power], side.power: {points: wall.power}}",
    "do: [{device: dsp, action: chime}]\nready_within: 1500ms\nholds: no\npriority: 30\ntitle: {zh: 值班}",
    "params: {a: {type: boolean}}\nwhen: {a: {on: {wall.power: on}, off: {do: [], want: {wall.power: off}}}}",
]
BAD = [
    "wants: {}",
    "mode: dutty",
    "priority: 101",
    "ready_within: 60",
    "want: {wall: on}",
    "want: {wall.power: {value: on, criticality: always}}",
    "want: {wall.power: {value: on, timout: 3s}}",
    "after: {wall.power: []}",
    "do: [{device: dsp}]",
    "params: {Level: {choices: [a]}}",
    "params: {a: {}}",
    "params: {a: {type: colour}}",
    "when: {a: {on: {want: {}, wants: {}}}}",
    "fragment: s",
]
BAD_HERE = [
    "want: {wal: {power: on}}",
    "want: {wall.powr: on}",
    "want: {wall: {powr: on}}",
    "want: {wall: {power: maybe}}",
    "want: {wall: {input: hdmi3}}",
    "want: {side.preset: parked}",
    "want: {wall.temperature: 20}",
    "want: {dsp.mic.1.gain: 13}",
    'want: {"camra/*": {power: on}}',
    'want: {"@ears": {power: on}}',
    "do: [{device: wall, action: chime}]",
    "params: {a: {choices: '@ears'}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_fits(place: Hall, text: str) -> None:
    document = seen(HEAD + text)
    for schema in (scene_schema(), scene_schema(place)):
        assert fits(document, schema, schema)


@pytest.mark.parametrize("text", BAD)
def test_what_does_not(place: Hall, text: str) -> None:
    document = {"scene": "s", "mode": "duty", **seen(text)}
    for schema in (scene_schema(), scene_schema(place)):
        assert not fits(document, schema, schema)


@pytest.mark.parametrize("text", BAD_HERE)
def test_what_does_not_fit_this_hall(place: Hall, text: str) -> None:
    document = {"scene": "s", "mode": "duty", **seen(text)}
    plain, full = scene_schema(), scene_schema(place)
    assert fits(document, plain, plain)
    assert not fits(document, full, full)


def test_options_are_those_of_the_driver() -> None:
    schema = config_schema(Registry(DRIVERS))

    def fit(options: str) -> bool:
        text = f"devices: {{w: {{driver: display, address: tcp://a, options: {options}}}}}"
        return fits(seen(text), schema, schema)

    assert fit("{model: VX600, warm: on, cabinets: 3, corner: [1, 2], windows: {a: {depth: 4}}}")
    assert not fit("{model: VX9}")
    assert not fit("{cabinet: 3}")
    assert not fit("{windows: {a: {dept: 4}}}")


def test_the_command_knows_a_hall(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["schema", "scene", "--config", str(ROOT / "config")]) == 0
    wishes = json.loads(capsys.readouterr().out)["$defs"]["wishes"]
    assert {"wall", "wall.power", "seat/*", "@leader-seats", "dsp.preset", "matrix.out.7"} <= set(
        wishes["properties"]
    )
    write(tmp_path, hall="schema: 1\n")
    assert main(["schema", "scene", "--config", str(tmp_path)]) == 2
    assert "hall: is missing" in capsys.readouterr().err
