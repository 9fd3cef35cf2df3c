"""A process killed in mid-stream: every commit that returned is in the file, and order is kept."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ecc_controld.journal import Journal, Recalled

WORKERS = 8
KILLS = 12

# Each worker counts on from what it finds, and says a number only after its commit returned.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from ecc_controld.journal import Change, Counter, EventRow, Journal, Put

async def main():
    journal = Journal.open(Path(sys.argv[1]), stamp="live")
    puts = journal.recall().puts["manual"]

    async def work(name):
        number = int(puts.get(name, b"0"))
        while True:
            number += 1
            body = str(number).encode()
            journal.note(Change(puts=(Put("life", name, body),)))
            event = EventRow("2026-11-25T00:00:00Z", name, body)
            put, counter = Put("manual", name, body), Counter(name, number)
            await journal.commit(Change(puts=(put,), events=(event,), counters=(counter,)))
            os.write(1, f"{name} {number}\\n".encode())

    await asyncio.gather(*(work(f"w{number}") for number in range(int(sys.argv[2]))))

asyncio.run(main())
"""


def write_until_killed(state: Path, lines: int) -> dict[str, int]:
    """Run the writer, kill it after so many lines; the last number that each worker had said."""
    said: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(state), str(WORKERS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(lines):
            assert process.stdout.readline(), process.stderr.read().decode()
        process.kill()
        rest = process.stdout.read()
    for line in rest.splitlines():
        name, number = line.decode().split()
        said[name] = int(number)
    return said


async def look(state: Path) -> tuple[Recalled, dict[str, list[int]], Path | None]:
    journal = Journal.open(state, stamp="live")
    history: dict[str, list[int]] = {}
    for _, event in await journal.events(limit=1_000_000):
        history.setdefault(event.kind, []).append(int(event.body))
    recalled, quarantined = journal.recall(), journal.quarantined
    await journal.close()
    return recalled, history, quarantined


@pytest.mark.parametrize("seed", [20261125])
def test_no_kill_loses_a_commit_that_returned(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    total = 0
    for _ in range(KILLS):
        said = write_until_killed(tmp_path, chance.randint(1, 400))
        recalled, history, quarantined = asyncio.run(look(tmp_path))
        assert quarantined is None
        for name, number in said.items():
            kept = int(recalled.puts["manual"][name])
            assert kept >= number, "a commit that returned is gone"
            assert recalled.counters[name] == kept, "a change was torn"
            assert int(recalled.puts["life"][name]) in (kept, kept + 1), "a note overtook or lost its commit"
        for name, numbers in history.items():
            assert numbers == list(range(1, int(recalled.puts["manual"][name]) + 1)), "history has a hole"
        total = sum(len(numbers) for numbers in history.values())
    assert total > KILLS
