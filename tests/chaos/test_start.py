"""Starts of the daemon on a journal that is damaged, newer, or in the middle of a migration."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chaos.world import (
    CONFIG,
    SCENES,
    SEED,
    SOAK,
    WANTS,
    Twins,
    daemon_at,
    points,
    press,
    refused_start,
    settled,
    twins_running,
)
from support.daemon import command

EXIT_NEWER = 13
KILLS = 60 if SOAK else 4
BYTES_LOST = {
    "head": (0, b"not a database at all"),
    "page": (4096, b"\xff" * 4096),
}


async def a_switched_hall(state: Path, twins: Twins) -> None:
    """Duty, and one wish by hand; the daemon has ended in order."""
    async with daemon_at(state, twins) as daemon:
        await daemon.online()
        assert (await press(daemon, "duty", "k"))[0] == 202
        assert (await daemon.ask("PUT", "/points/matrix.out.9", {"value": "33"}))[0] == 202
        await settled(daemon, {**WANTS["duty"], "matrix.out.9": "33"})


def schema(state: Path) -> int:
    with closing(sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True)) as con:
        return int(con.execute("PRAGMA user_version").fetchone()[0])


async def test_a_newer_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with twins_running() as twins:
        await a_switched_hall(state, twins)
        with closing(sqlite3.connect(state / "journal.db")) as con:
            con.execute("PRAGMA user_version = 99")
        before = (state / "journal.db").read_bytes()
        mark = await twins.mark()
        code, said = await refused_start(state, twins)
        assert code == EXIT_NEWER
        assert "请升级程序" in said
        assert "newer version (schema 99" in said
        assert "Traceback" not in said
        assert (state / "journal.db").read_bytes() == before
        assert await twins.mark() == mark, "no device was spoken to"


@pytest.mark.parametrize("damage", BYTES_LOST if SOAK else ["page"])
async def test_a_damaged_journal_is_moved_aside_and_the_hall_goes_on(tmp_path: Path, damage: str) -> None:
    state = tmp_path / "state"
    async with twins_running() as twins:
        await a_switched_hall(state, twins)
        offset, junk = BYTES_LOST[damage]
        with (state / "journal.db").open("r+b") as file:
            file.seek(offset)
            file.write(junk)
        damaged = (state / "journal.db").read_bytes()
        mark = await twins.mark()
        async with daemon_at(state, twins) as daemon:
            await daemon.online()
            (kept,) = state.glob("journal.damaged-*")
            assert kept.read_bytes() == damaged, "for whoever can save something of it"
            (alarm,) = (await daemon.get("/alarms"))["alarms"]
            assert alarm["code"] == "journal_damaged"
            assert str(kept) in alarm["text"]["zh"]
            assert str(kept) in alarm["text"]["en"]
            assert (await daemon.get("/hall"))["scene"] is None
            assert {one["want"] for one in (await points(daemon)).values()} == {None}
            assert not any((await twins.commands(mark)).values()), "without a wish nothing is sent"
            assert (await press(daemon, "emergency", "again"))[0] == 202
            await settled(daemon, WANTS["emergency"])
        async with daemon_at(state, twins) as daemon:
            assert (await daemon.get("/hall"))["scene"] == "emergency"
            assert (await daemon.get("/alarms"))["alarms"] == [], "said once"


def make_old(state: Path) -> None:
    """The journal as the first version wrote it: without history and counters."""
    with closing(sqlite3.connect(state / "journal.db")) as con:
        con.executescript("DROP TABLE events; DROP TABLE counters; PRAGMA user_version = 1;")


async def test_a_kill_in_a_migration_loses_nothing(tmp_path: Path) -> None:
    """The kill comes at a seeded moment after the migration has begun to write its copy."""
    dice = random.Random(SEED)
    state = tmp_path / "state"
    async with twins_running() as twins:
        await a_switched_hall(state, twins)
        make_old(state)
        found = {1: 0, 2: 0}
        for _ in range(KILLS):
            await killed_in_migration(
                state, twins, dice.choice((0.0, dice.uniform(0, 0.003), dice.uniform(0, 0.03)))
            )
            version = schema(state)
            found[version] += 1
            if version == 2:
                make_old(state)
        assert sum(found.values()) == KILLS
        mark = await twins.mark()
        async with daemon_at(state, twins) as daemon:
            await daemon.online()
            assert schema(state) == 2
            assert (await daemon.get("/hall"))["scene"] == "duty"
            assert (await daemon.get("/alarms"))["alarms"] == []
            await settled(daemon, {**WANTS["duty"], "matrix.out.9": "33"})
            assert not any((await twins.commands(mark)).values())
            assert len((await daemon.get("/runs?key=k"))["runs"]) == 1
            # Numbers of wishes go on behind those that are there, though the old file had no counter.
            assert (await press(daemon, "emergency", "new"))[0] == 202
            await settled(daemon, WANTS["emergency"])


async def killed_in_migration(state: Path, twins: Twins, delay: float) -> None:
    args: tuple[Any, ...] = ("run", "--config", CONFIG, "--scenes", SCENES, "--state", state)
    before = set(os.listdir(state))
    process = await asyncio.create_subprocess_exec(
        *command(*map(str, args), "--twins", twins.url, "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        while set(os.listdir(state)) <= before:
            assert process.returncode is None, process.returncode
            await asyncio.sleep(0)
    await asyncio.sleep(delay)  # the moment of the kill
    process.kill()
    await process.wait()
