"""The drivers and twins that are installed, found through entry points. A bad one is named and left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .sdk import Driver, Twin

DRIVERS = "ecc_controld.drivers"
TWINS = "ecc_controld.twins"


@dataclass(frozen=True)
class Fault:
    """Why an installed driver or twin cannot be used."""

    group: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.group}: {self.name}: {self.reason}"


class Registry:
    """Driver and twin classes by name."""

    def __init__(
        self,
        drivers: Mapping[str, type[Driver]],
        twins: Mapping[str, type[Twin]] | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        self._drivers = dict(drivers)
        self._twins = dict(twins or {})
        self.faults = tuple(faults)

    @classmethod
    def load(cls) -> Registry:
        """Everything installed; never raises for a bad one (see `faults`)."""
        return cls.of(entry_points(group=DRIVERS), entry_points(group=TWINS))

    @classmethod
    def of(cls, drivers: Iterable[EntryPoint], twins: Iterable[EntryPoint]) -> Registry:
        """The registry of given entry points."""
        faults: list[Fault] = []
        found_drivers = {
            name: thing
            for name, thing in _loaded(DRIVERS, drivers, faults)
            if _usable(DRIVERS, name, thing, faults)
        }
        found_twins = {
            name: thing for name, thing in _loaded(TWINS, twins, faults) if _usable(TWINS, name, thing, faults)
        }
        return cls(found_drivers, found_twins, faults)

    def driver(self, name: str) -> type[Driver] | None:
        """The driver class of a name."""
        return self._drivers.get(name)

    def twin(self, name: str) -> type[Twin] | None:
        """The twin of a driver."""
        return self._twins.get(name)

    def names(self) -> tuple[str, ...]:
        """The names of all usable drivers, sorted."""
        return tuple(sorted(self._drivers))

    def fault(self, name: str) -> Fault | None:
        """Why the driver of this name is not usable, if one is installed."""
        return next((fault for fault in self.faults if (fault.group, fault.name) == (DRIVERS, name)), None)


def _loaded(group: str, found: Iterable[EntryPoint], faults: list[Fault]) -> list[tuple[str, Any]]:
    by_name: dict[str, list[EntryPoint]] = {}
    for point in found:
        # One distribution can be seen twice on the path; only different targets are in doubt.
        if all(point.value != other.value for other in by_name.setdefault(point.name, [])):
            by_name[point.name].append(point)
    things = []
    for name, points in sorted(by_name.items()):
        if len(points) > 1:
            targets = ", ".join(sorted(point.value for point in points))
            faults.append(Fault(group, name, f"installed more than once: {targets}; uninstall all but one"))
            continue
        try:
            things.append((name, points[0].load()))
        except Exception as error:  # whatever a foreign module does when imported is its own fault
            faults.append(Fault(group, name, f"cannot be imported: {type(error).__name__}: {error}"))
    return things


def _usable(group: str, name: str, thing: Any, faults: list[Fault]) -> bool:
    base: type[Any] = Driver if group == DRIVERS else Twin
    reason = None
    if not isinstance(thing, type) or not issubclass(thing, base):
        reason = f"is not a {base.__name__}"
    elif abstract := sorted(getattr(thing, "__abstractmethods__", ())):
        reason = f"lacks {', '.join(abstract)}"
    elif group == DRIVERS:
        reason = _wrong_facts(name, thing)
    if reason is not None:
        faults.append(Fault(group, name, reason))
    return reason is None


def _wrong_facts(name: str, driver: Any) -> str | None:
    """What is wrong with the class facts of a driver."""
    if getattr(driver, "name", None) != name:
        return f"its name is {getattr(driver, 'name', None)!r}, the entry point says {name!r}"
    port = getattr(driver, "port", None)
    if not isinstance(port, int) or not 0 <= port <= 65535:
        return f"its port is {port!r}, expected a number up to 65535"
    if not driver.schemes or not all(isinstance(one, str) for one in driver.schemes):
        return "it names no schemes"
    if not is_dataclass(driver.Options):
        return "its Options is not a dataclass"
    if not isinstance(driver.window, int) or driver.window < 1:
        return f"its window is {driver.window!r}, expected 1 or more"
    for fact in ("answer_s", "poll_s"):
        if not getattr(driver, fact) > 0:
            return f"its {fact} is {getattr(driver, fact)!r}, expected seconds above 0"
    return None if driver.gap_s >= 0 else f"its gap_s is {driver.gap_s!r}"
