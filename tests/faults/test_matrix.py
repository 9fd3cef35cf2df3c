"""Every fault kind on every driver: what a run over a misbehaving device says, and what it costs the others.

All cells run at the same time in one event loop, each with an engine, a journal and sockets of its own. What is
expected of a cell is derived from the fault, the twin and the bytes on the wire, never from what the engine said.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from ecc_controld.control.run import Card, Run
from ecc_controld.sdk import FAULTS
from faults.devices import KINDS, Kind
from faults.hall import Hall, before, scene_of
from support.rig import until

BREAKING = frozenset({"refuse", "silent", "late", "reset", "garbage"})
"""The device cannot be spoken to while the fault lasts."""
STANDING = frozenset({"reject", "ignore"})
"""The connection lives and the device does not do it: a person must retry."""
HARMLESS = frozenset({"slow", "split", "merge"})
"""Slower or cut differently, and right all the same."""
assert set(FAULTS) == BREAKING | STANDING | HARMLESS | {"reboot"}, "a new fault kind needs an expectation"

HOW: Mapping[str, dict[str, Any]] = {"slow": {"ms": 150}, "late": {"ms": 2500}}
REASONS = {
    "refuse": {"refused_connection"},
    "silent": {"no_answer"},
    "late": {"no_answer"},
    "reset": {"reset"},
    # Noise may look like no message at all, like a broken one, or like one that nobody asked for.
    "garbage": {"protocol_error", "no_answer", "mismatched_answer"},
}
DEADLINE_S = 14.0
HEALED_S = 10.0

CELLS = [(kind, fault) for kind in KINDS for fault in FAULTS]


@dataclass
class Cell:
    """What one cell came to; the tests only look at it."""

    kind: Kind
    neighbour: Kind
    fault: str
    closed_in_time: bool = False
    cards: dict[str, Card] = field(default_factory=dict)
    wrote: dict[str, bool] = field(default_factory=dict)
    real: dict[str, bool] = field(default_factory=dict)
    neighbours_log: list[Any] = field(default_factory=list)
    neighbours_links: list[str] = field(default_factory=list)
    neighbours_first: float = 0.0
    given_up: float = 0.0
    healed: bool = False
    stood: bool | None = None
    log: list[Any] = field(default_factory=list)
    task_faults: list[BaseException] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(frozen=True)
class Expected:
    """Outcome, evidence and the reason codes that are true for a point."""

    outcome: str
    evidence: str
    reasons: frozenset[str]


def expected(cell: Cell, point: str) -> Expected:
    """What is true of a point, from the fault and from whether its command was handed over."""
    kind, fault, wrote = cell.kind, cell.fault, cell.wrote[point]
    blind = point in kind.blind
    if fault in HARMLESS or fault == "reboot":
        if blind:
            return Expected("unverifiable", "acknowledged", frozenset({""}))
        return Expected("ok" if wrote else "already", "read_back", frozenset({""}))
    if fault == "ignore" and blind:
        return Expected("unverifiable", "acknowledged", frozenset({""}))
    if before(kind, point):
        return Expected("blocked", "none", frozenset({"prerequisite"}))
    if fault == "reject":
        return Expected("rejected", "commanded", frozenset({"device_refused"}))
    if fault == "ignore":
        return Expected("not_settled", "acknowledged", frozenset({"not_settled"}))
    reasons = {"refused_connection"} if fault == "reset" and "udp" in kind.driver.schemes else REASONS[fault]
    return Expected("offline", "commanded" if wrote else "none", frozenset(reasons))


async def _play(cell: Cell, state: Path) -> None:
    names = (f"{cell.kind.name}-{cell.fault}", f"{cell.fault}-{cell.neighbour.name}-beside-{cell.kind.name}")
    faulty, neighbour = names
    devices = {faulty: cell.kind, neighbour: cell.neighbour}
    async with Hall(state, devices) as hall:
        await hall.start()
        await hall.online(seconds=60)
        twin, beside = hall.twins[faulty], hall.twins[neighbour]
        told, heard = len(hall.sent[faulty]), len(beside.log)
        if cell.fault != "reboot":
            await twin.fault(cell.fault, **HOW.get(cell.fault, {}))
        links = len(hall.links)
        run = await hall.press(scene_of(devices, deadline_s=DEADLINE_S, ready_within_s=60.0))
        if cell.fault == "reboot":
            marks = [cell.kind.mark(point, value) for point, value in cell.kind.wishes.items()]
            await until(lambda: any(hall.wrote(faulty, mark, told) for mark in marks))
            await twin.fault("reboot")
        await until(lambda: run.state == "closed", DEADLINE_S + 2.0)
        cell.closed_in_time = run.elapsed_s is not None and run.elapsed_s <= DEADLINE_S + 1.0
        _note(cell, hall, run, faulty, told)
        cell.neighbours_log = list(beside.log)[heard:]
        marks = [cell.neighbour.mark(point, value) for point, value in cell.neighbour.wishes.items()]
        cell.neighbours_first = min(
            e.t for e in cell.neighbours_log if e.who == "daemon" and any(mark in e.data for mark in marks)
        )
        cell.given_up = min(
            (t for t, one, link, _ in hall.links[links:] if (one, link) == (faulty, "offline")), default=0.0
        )
        cell.neighbours_links = [link for _, device, link, _ in hall.links[links:] if device == neighbour]
        await twin.heal()
        if cell.fault in STANDING:
            cell.stood = await _stands(hall, faulty)
            for point in cell.kind.wishes:
                if cell.cards[f"{faulty}.{point}"].outcome in ("rejected", "not_settled"):
                    hall.retry(faulty, point)
        try:
            # What was ignored and cannot be read is lost: nobody can know, and "unverifiable" says so.
            lost = cell.kind.blind if cell.fault == "ignore" else frozenset()
            await until(lambda: hall.true(faulty, but=lost), HEALED_S)
            cell.healed = True
        except TimeoutError:
            pass
        cell.task_faults = hall.engine.faults()


def _note(cell: Cell, hall: Hall, run: Run, faulty: str, told: int) -> None:
    kind, twin = cell.kind, hall.twins[faulty]
    cell.cards = run.cards
    cell.wrote = {point: hall.wrote(faulty, kind.mark(point, value), told) for point, value in kind.wishes.items()}
    cell.real = {point: kind.real(twin, point) == value for point, value in kind.wishes.items()}


async def _stands(hall: Hall, faulty: str) -> bool:
    """After healing, two whole polls change nothing: no command, no better outcome."""
    kind = hall.kinds[faulty]
    at = len(hall.sent[faulty])
    lives = {point: hall.entry(faulty, point).life for point in kind.wishes}
    book = hall.engine.keepers[faulty].book
    for _ in range(2):
        poll = book.observe_at
        await until(lambda poll=poll: book.observe_at > poll and not book.observing)
    silent = not any(hall.wrote(faulty, kind.mark(point, value), at) for point, value in kind.wishes.items())
    return silent and lives == {point: hall.entry(faulty, point).life for point in kind.wishes}


async def _play_all(cells: list[Cell], root: Path) -> list[dict[str, Any]]:
    trouble: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))

    async def guarded(number: int, cell: Cell) -> None:
        try:
            await _play(cell, root / str(number))
        except Exception as error:
            cell.error = error

    await asyncio.gather(*(guarded(number, cell) for number, cell in enumerate(cells)))
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
    return trouble


@dataclass
class Matrix:
    """All cells that were asked for, and what the event loop had to complain about."""

    cells: dict[tuple[str, str], Cell]
    trouble: list[dict[str, Any]]


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Matrix:
    """Play the cells of the selected tests, all at once."""
    wanted = {item.callspec.params["cell"] for item in request.session.items if "matrix" in item.fixturenames}
    order = list(KINDS.values())
    cells = {
        (kind, fault): Cell(KINDS[kind], order[(order.index(KINDS[kind]) + 1) % len(order)], fault)
        for kind, fault in CELLS
        if (kind, fault) in wanted
    }
    with tempfile.TemporaryDirectory() as root, structlog.testing.capture_logs() as said:
        trouble = asyncio.run(_play_all(list(cells.values()), Path(root)))
    for cell in cells.values():
        name = f"{cell.kind.name}-{cell.fault}"
        cell.log = [line for line in said if line["log_level"] in ("error", "critical") and name in str(line)]
    return Matrix(cells, trouble)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def test_a_fault_has_its_true_outcome_and_harms_nobody_else(matrix: Matrix, cell: tuple[str, str]) -> None:
    found = matrix.cells[cell]
    if found.error is not None:
        raise found.error
    _the_run_tells_the_truth(found)
    _the_neighbour_did_not_wait(found)
    assert found.healed, "after healing the wishes did not become true within 10 s"
    assert found.stood in (None, True), "after healing something changed before a person retried"
    assert not found.log
    assert not found.task_faults
    assert not matrix.trouble


def _the_run_tells_the_truth(cell: Cell) -> None:
    assert cell.closed_in_time
    faulty = f"{cell.kind.name}-{cell.fault}"
    for point in cell.kind.wishes:
        card, want = cell.cards[f"{faulty}.{point}"], expected(cell, point)
        said = (str(card.outcome), card.evidence.word)
        assert said == (want.outcome, want.evidence), (point, card)
        assert card.reason in want.reasons, (point, card)
        if card.outcome in ("ok", "already", "late") and cell.fault != "reboot":
            # (a device may be called fine, rightly, and reboot a moment later: it must become so again, below)
            assert cell.real[point], f"{point} is called {card.outcome} and is not so"
        if cell.fault in STANDING and point not in cell.kind.blind:
            assert not card.fine
            assert not cell.real[point]


def _the_neighbour_did_not_wait(cell: Cell) -> None:
    """Its points are fine, its link never left, it was asked nothing before it had answered, and its first command
    left while the other still owed its answer.
    """
    faulty = f"{cell.kind.name}-{cell.fault}"
    others = [card for card in cell.cards.values() if card.device != faulty]
    assert {point.split(".", 1)[1] for point in cell.cards if not point.startswith(f"{faulty}.")} == set(
        cell.neighbour.wishes
    )
    for card in others:
        assert card.fine, card
    assert cell.neighbours_links == []
    turns = [entry.who for entry in cell.neighbours_log]
    assert "twin" in turns
    if not cell.neighbour.driver.pipelines and "tcp" in cell.neighbour.driver.schemes:
        asked = [a == b == "daemon" for a, b in pairwise(turns)]
        assert not any(asked), "a question left before the one before it was answered"
    if cell.fault in ("silent", "late"):
        assert cell.neighbours_first < cell.given_up, "it was written only when the other had timed out"
