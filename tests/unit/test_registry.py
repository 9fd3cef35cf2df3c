"""Drivers and twins through entry points: good ones are found, bad ones named."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from ecc_controld.registry import DRIVERS, Registry
from support import fakehall


class NoName(fakehall.Fake):
    name = "other"


class NoOptions(fakehall.Fake):
    Options = dict


class NoWindow(fakehall.Fake):
    window = 0


class NoPoll(fakehall.Fake):
    poll_s = 0.0


class NoSchemes(fakehall.Fake):
    schemes = frozenset()


class BadPort(fakehall.Fake):
    port = 70_000


class Unfinished(fakehall.Fake):
    name = "fake"
    write = fakehall.Driver.write


def entry(name: str, target: str) -> EntryPoint:
    return EntryPoint(name, target, DRIVERS)


def test_installed_drivers_have_twins_of_the_same_name() -> None:
    registry = Registry.load()
    assert registry.names() == ("pjlink", "qsys", "videohub", "visca")
    assert registry.faults == ()
    for name in registry.names():
        driver, twin = registry.driver(name), registry.twin(name)
        assert driver is not None
        assert twin is not None
        assert driver.name == name


def test_a_good_one_is_found_and_a_strange_name_is_none() -> None:
    registry = Registry.of([entry("fake", "support.fakehall:Fake")], [])
    assert registry.driver("fake") is fakehall.Fake
    assert registry.driver("fame") is None
    assert registry.twin("fake") is None
    assert registry.fault("fame") is None


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("fake", "support.nowhere:Fake", "cannot be imported: ModuleNotFoundError"),
        ("fake", "support.fakehall:Nothing", "cannot be imported: AttributeError"),
        ("fake", "support.fakehall:DisplayOptions", "is not a Driver"),
        ("fake", "support.fakehall:HALL", "is not a Driver"),
        ("fake", "ecc_controld.sdk:Driver", "lacks"),
        ("fake", f"{__name__}:Unfinished", "lacks write"),
        ("fake", f"{__name__}:NoName", "its name is 'other'"),
        ("fake", f"{__name__}:NoOptions", "Options is not a dataclass"),
        ("fake", f"{__name__}:NoWindow", "window is 0"),
        ("fake", f"{__name__}:NoPoll", "poll_s is 0.0"),
        ("fake", f"{__name__}:NoSchemes", "no schemes"),
        ("fake", f"{__name__}:BadPort", "port is 70000"),
    ],
)
def test_a_bad_one_is_named_and_the_others_stay(name: str, target: str, says: str) -> None:
    registry = Registry.of([entry(name, target), entry("camera", "support.fakehall:Camera")], [])
    fault = registry.fault(name)
    assert fault is not None
    assert says in fault.reason
    assert name in str(fault)
    assert registry.driver(name) is None
    assert registry.names() == ("camera",)


def test_two_different_drivers_of_one_name_are_both_left_out() -> None:
    registry = Registry.of([entry("fake", "support.fakehall:Fake"), entry("fake", "support.fakehall:Camera")], [])
    assert registry.names() == ()
    assert "more than once" in registry.faults[0].reason


def test_one_driver_seen_twice_is_one_driver() -> None:
    again = [entry("fake", "support.fakehall:Fake")] * 2
    assert Registry.of(again, []).names() == ("fake",)


def test_a_bad_twin_does_not_cost_the_driver() -> None:
    registry = Registry.of([entry("fake", "support.fakehall:Fake")], [entry("fake", "support.fakehall:Fake")])
    assert registry.names() == ("fake",)
    assert registry.twin("fake") is None
    assert "is not a Twin" in registry.faults[0].reason
