"""The hall that is shipped: it loads without a problem, is what its users expect, and becomes ready on its twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from ecc_controld.app import dial
from ecc_controld.control.engine import Engine, Unit
from ecc_controld.journal import Journal
from ecc_controld.registry import Registry
from ecc_controld.scene.load import load_scenes
from ecc_controld.scene.model import Scene
from ecc_controld.sdk import Address, Twin
from ecc_controld.settings import Hall, check, load_hall
from ecc_controld.twins import simulated_secret
from support.rig import PERSON, until

MAY_BLOCK = True

ROOT = Path(__file__).parents[2]
CONFIG, SCENES = ROOT / "config", ROOT / "scenes"


@pytest.fixture(scope="module")
def hall() -> Hall:
    return load_hall(CONFIG, Registry.load(), secrets=simulated_secret)


@pytest.fixture(scope="module")
def scenes(hall: Hall) -> Mapping[str, Scene]:
    return load_scenes(SCENES, hall)


def _chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)


def test_nothing_is_wrong_in_it() -> None:
    assert check(CONFIG, SCENES) == []


def test_about_fifty_devices_over_all_drivers(hall: Hall) -> None:
    assert Counter(device.driver.name for device in hall.devices.values()) == {
        "pjlink": 25,
        "visca": 16,
        "qsys": 5,
        "videohub": 4,
    }
    assert {device.group for device in hall.devices.values()} == {
        "display",
        "seat",
        "meeting",
        "camera",
        "hall-camera",
        "audio",
        "matrix",
    }


def test_everything_has_a_chinese_and_an_english_name(hall: Hall, scenes: Mapping[str, Scene]) -> None:
    names = [hall.name, *(device.config.name for device in hall.devices.values())]
    names += [source.name for source in hall.sources.values()] + [scene.title for scene in scenes.values()]
    for name in names:
        assert _chinese(name.zh), name
        assert name.en.isascii(), name
    assert all(_chinese(device.zone) for device in hall.devices.values())
    assert len({device.config.name for device in hall.devices.values()}) == len(hall.devices)


def test_sources_are_labelled(hall: Hall) -> None:
    assert {source.label for source in hall.sources.values()} == {"public", "internal", "restricted"}


def test_some_displays_and_cores_have_credentials_that_must_be_there(hall: Hall) -> None:
    asked: list[str] = []

    def secret(name: str) -> str:
        asked.append(name)
        return "x"

    load_hall(CONFIG, Registry.load(), secrets=secret)
    assert set(asked) == {"wall", "side-screens", "meet-projector", "press", "dsp", "paging"}


def test_the_four_scenes(scenes: Mapping[str, Scene]) -> None:
    assert {name: scene.mode for name, scene in scenes.items()} == {
        name: name for name in ("duty", "warning", "emergency", "conference")
    }
    for scene in scenes.values():
        assert 20 <= len(scene.wants) <= 60
        assert any(want.criticality == "must" for want in scene.wants)
        assert any(want.prereqs for want in scene.wants)


def test_the_emergency_holds_and_wants_a_long_press(scenes: Mapping[str, Scene]) -> None:
    scene = scenes["emergency"]
    assert (scene.holds, scene.confirm, scene.ready_within_s, scene.stand_down) == (True, "hold", 60.0, "restore")
    wants = {want.point: want for want in scene.wants}
    routes = {f"matrix.out.{n}" for n in range(1, 5)}
    assert routes | {"wall.power"} == {prereq.point for prereq in wants["wall.input"].prereqs}
    assert wants["cam-hall-1.preset"].value == "speaker"
    assert wants["cam-hall-3.preset"].value == "overview"
    assert wants["paging.program"].criticality == "may"


@pytest.fixture
async def engine(tmp_path: Path, hall: Hall) -> AsyncIterator[Engine]:
    """The whole hall on its twins."""
    registry = Registry.load()
    twins: dict[str, Twin] = {}
    addresses: dict[str, Address] = {}
    journal = Journal.open(tmp_path / "state", stamp="simulated")
    try:
        for name, device in hall.devices.items():
            kind = registry.twin(device.driver.name)
            assert kind is not None
            twins[name] = kind(device.config)
            addresses[name] = Address(device.config.address.scheme, *await twins[name].serve("127.0.0.1", 0))
        simulated = load_hall(CONFIG, registry, secrets=simulated_secret, addresses=addresses)
        units = {
            name: Unit(device.driver, device.gap_s, device.observe_only, device.in_service)
            for name, device in simulated.devices.items()
        }
        engine = Engine(units, load_scenes(SCENES, simulated), journal, dial)
        engine.start()
        try:
            yield engine
            assert not engine.faults()
        finally:
            await engine.stop()
    finally:
        await journal.close()
        for twin in twins.values():
            await twin.close()


async def test_one_press_makes_the_healthy_hall_ready(engine: Engine, scenes: Mapping[str, Scene]) -> None:
    await until(lambda: all(device.link == "online" for device in engine.store.devices.values()), 60.0)
    for name in ("emergency", "duty"):
        press = PERSON if name == "emergency" else type(PERSON)(by=PERSON.by, stand_down=True)
        run = await engine.arbiter.activate(scenes[name], press, {})
        await until(lambda run=run: run.state == "closed", 120.0)
        assert run.verdict == "ready"
        for want in scenes[name].wants:
            entry = engine.store.entries[want.point]
            assert entry.observed is not None, want.point
            assert entry.point.kind.same(entry.observed, want.value), want.point
