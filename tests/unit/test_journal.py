"""The journal: commits are durable, grouped and isolated from each other; notes are lazy; reads are true."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecc_controld.journal import (
    KINDS,
    Change,
    Clear,
    Counter,
    EventRow,
    Journal,
    JournalError,
    KeyRow,
    Put,
    RunRow,
)
from ecc_controld.journal import writer as writer_module
from ecc_controld.sdk import Text

DAY = 24 * 3600.0


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal.open(tmp_path / "state", stamp="simulated")
    yield journal
    await journal.close()


def manual(key: str, body: str | bytes | None) -> Change:
    return Change(puts=(Put("manual", key, body.encode() if isinstance(body, str) else body),))


def run_row(number: int, state: str = "open") -> RunRow:
    closed = "2026-11-25T08:31:00+08:00" if state == "closed" else None
    return RunRow(
        f"r{number:06d}", "emergency", "2026-11-25T08:30:00+08:00", closed, state, b'{"by": "\xe7\x8e\x8b"}'
    )


def seen_from_outside(state: Path, query: str) -> list[Any]:
    """What another connection to the same file sees, as a power cut would leave it at most."""
    con = sqlite3.connect(state / "journal.db")
    try:
        return con.execute(query).fetchall()
    finally:
        con.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline far above what it needs."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.01)


async def on_connection(journal: Journal, work: Callable[[sqlite3.Connection], Any]) -> Any:
    """Test hook: something done in the writer's thread, on its connection."""
    return await journal._ask(work)


@asynccontextmanager
async def slow_disk(journal: Journal) -> AsyncIterator[None]:
    """Holds the writer's thread as a disk that does not answer would."""
    held, release = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        assert release.wait(30)

    holder = asyncio.create_task(on_connection(journal, hold))
    await until(held.is_set)
    try:
        yield
    finally:
        release.set()
        await holder


async def page_limit(journal: Journal, spare: int) -> None:
    """A disk with room for so many more pages of 4 KiB."""
    pages = (await on_connection(journal, lambda con: con.execute("PRAGMA page_count").fetchone()))[0]
    await on_connection(journal, lambda con: con.execute(f"PRAGMA max_page_count = {pages + spare}").fetchone())


async def test_a_commit_is_in_the_file_when_it_returns(journal: Journal, tmp_path: Path) -> None:
    for number in range(20):
        await journal.commit(manual(f"wall.{number}", "开机"))
        rows = seen_from_outside(tmp_path / "state", f"SELECT body FROM puts WHERE key = 'wall.{number}'")
        assert [bytes(row[0]).decode() for row in rows] == ["开机"]


async def test_the_file_is_synced_at_every_commit(journal: Journal) -> None:
    assert (await on_connection(journal, lambda con: con.execute("PRAGMA journal_mode").fetchone()))[0] == "wal"
    assert (await on_connection(journal, lambda con: con.execute("PRAGMA synchronous").fetchone()))[0] == 2


async def test_what_waits_together_is_written_together(journal: Journal, tmp_path: Path) -> None:
    before = journal.transactions
    async with slow_disk(journal):
        tasks = [asyncio.create_task(journal.commit(manual(f"k{number}", "1"))) for number in range(1000)]
        await until(lambda: len(journal._writer._queue) == 1000)
    await asyncio.gather(*tasks)
    assert journal.transactions - before == 1
    assert seen_from_outside(tmp_path / "state", "SELECT count(*) FROM puts") == [(1000,)]


async def test_a_change_is_whole_and_in_order(journal: Journal) -> None:
    await journal.commit(Change(puts=(Put("scene_layer", "a", b"1"), Put("scene_layer", "b", b"1"))))
    await journal.commit(manual("a", "keep"))
    change = Change(
        clears=(Clear("scene_layer"),),
        puts=(Put("scene_layer", "c", b"2"), Put("scene_layer", "d", b"2"), Put("scene_layer", "d", None)),
    )
    await journal.commit(change)
    recalled = journal.recall()
    assert recalled.puts["scene_layer"] == {"c": b"2"}
    assert recalled.puts["manual"] == {"a": b"keep"}
    assert set(recalled.puts) == set(KINDS)


async def test_a_change_that_fails_half_way_leaves_nothing(journal: Journal) -> None:
    broken = Change(puts=(Put("manual", "wall.power", b"on"),), events=(EventRow("\ud800", "press", b""),))
    with pytest.raises(JournalError) as caught:
        await journal.commit(broken)
    assert caught.value.code == "bad_change"
    assert journal.healthy is None
    assert journal.recall().puts["manual"] == {}


async def test_a_bad_change_harms_only_itself(journal: Journal) -> None:
    async with slow_disk(journal):
        tasks = [
            asyncio.create_task(journal.commit(manual(key, "1"))) for key in ("a", "lone \ud800 surrogate", "b")
        ]
        tasks.append(asyncio.create_task(journal.commit(Change(counters=(Counter("wish", 2**63),)))))
        await until(lambda: len(journal._writer._queue) == 4)
        journal.note(manual("c", "1"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == [None, "bad_change", None, "bad_change"]
    assert set(journal.recall().puts["manual"]) == {"a", "b", "c"}
    assert journal.failed_notes == 0


async def test_a_full_disk_is_said_and_overcome(journal: Journal) -> None:
    await page_limit(journal, 2)
    with pytest.raises(JournalError) as caught:
        await journal.commit(manual("big", b"x" * 1_000_000))
    assert caught.value.code == "disk_full"
    assert isinstance(caught.value.text, Text)
    assert "磁盘" in caught.value.text.zh
    assert journal.healthy is not None
    assert journal.healthy.code == "disk_full"

    await journal.commit(Change())
    assert journal.healthy is not None, "a commit of nothing proves nothing"

    await page_limit(journal, 10_000)
    await journal.commit(manual("big", b"x" * 1_000_000))
    assert journal.healthy is None
    assert len(journal.recall().puts["manual"]["big"]) == 1_000_000


async def test_on_a_nearly_full_disk_small_commits_still_fit(journal: Journal) -> None:
    await page_limit(journal, 2)
    async with slow_disk(journal):
        journal.note(manual("big note", b"x" * 1_000_000))
        big = asyncio.create_task(journal.commit(manual("big", b"x" * 1_000_000)))
        small = asyncio.create_task(journal.commit(manual("small", "1")))
        await until(lambda: len(journal._writer._queue) == 3)
    with pytest.raises(JournalError, match="disk_full"):
        await big
    await small
    assert set(journal.recall().puts["manual"]) == {"small"}
    assert journal.failed_notes == 1


async def test_a_journal_that_was_moved_away_is_not_written_in_secret(journal: Journal, tmp_path: Path) -> None:
    file, away = tmp_path / "state" / "journal.db", tmp_path / "state" / "elsewhere"
    first = await on_connection(journal, lambda con: con)
    await journal.commit(manual("a", "1"))
    file.rename(away)
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            await journal.commit(manual("b", "1"))
        assert caught.value.code == "io_error"
    assert journal.healthy is not None
    with pytest.raises(JournalError, match="io_error"):
        await journal.run("r1")
    away.rename(file)
    await journal.commit(manual("c", "1"))
    assert await on_connection(journal, lambda con: con) is not first, "fresh handles after a failed disk"
    assert journal.healthy is None
    assert set(journal.recall().puts["manual"]) == {"a", "c"}


async def test_a_failed_disk_is_not_asked_by_everyone_who_waits(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[None] = []
    attempt = journal._writer._attempt
    monkeypatch.setattr(journal._writer, "_attempt", lambda works: (attempts.append(None), attempt(works))[1])
    async with slow_disk(journal):
        tasks = [asyncio.create_task(journal.commit(manual(str(number), "1"))) for number in range(100)]
        await until(lambda: len(journal._writer._queue) == 100)
        (tmp_path / "state" / "journal.db").rename(tmp_path / "away")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == ["io_error"] * 100
    assert len(attempts) == 1


async def test_another_session_that_holds_the_file_only_delays(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_connection(journal, lambda con: con.execute("PRAGMA busy_timeout = 1").fetchone())
    other = sqlite3.connect(tmp_path / "state" / "journal.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="io_error"):
            await journal.commit(manual("a", "1"))
    finally:
        other.close()
    await journal.commit(manual("b", "1"))
    assert set(journal.recall().puts["manual"]) == {"b"}


async def test_a_slow_disk_never_holds_the_loop(journal: Journal) -> None:
    async with slow_disk(journal):
        commit = asyncio.create_task(journal.commit(manual("a", "1")))
        read = asyncio.create_task(journal.runs(limit=10, before=None))
        for beat in range(1000):
            journal.note(manual("b", str(beat)))
            await asyncio.sleep(0)
        assert not commit.done()
        assert not read.done()
    await commit
    assert await read == []
    assert journal.recall().puts["manual"] == {"a": b"1", "b": b"999"}


async def test_a_waiter_that_leaves_does_not_take_its_commit_back(journal: Journal) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with slow_disk(journal):
        commit = asyncio.create_task(journal.commit(manual("a", "1")))
        await until(lambda: len(journal._writer._queue) == 1)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
    await journal.commit(manual("b", "1"))
    assert journal.recall().puts["manual"] == {"a": b"1", "b": b"1"}
    assert complaints == []


def test_a_loop_that_ended_does_not_stop_the_writer(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state", stamp="live")
    held, release = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        assert release.wait(30)

    async def leave() -> None:
        waiters = [asyncio.create_task(on_connection(journal, hold))]
        await until(held.is_set)
        waiters.append(asyncio.create_task(journal.commit(manual("a", "1"))))
        await until(lambda: len(journal._writer._queue) == 1)
        assert not any(waiter.done() for waiter in waiters)

    asyncio.run(leave())  # cancels both waiters and closes their loop
    release.set()
    assert journal.recall().puts["manual"] == {"a": b"1"}
    asyncio.run(journal.close())


async def test_a_note_is_written_by_itself(journal: Journal, tmp_path: Path) -> None:
    journal.note(manual("a", "held"))
    await until(lambda: seen_from_outside(tmp_path / "state", "SELECT key FROM puts") == [("a",)])


async def test_a_note_rides_along_and_keeps_its_place(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LINGER_S", 3600.0)
    before = journal.transactions
    journal.note(manual("a", "1"))
    journal.note(manual("b", "1"))
    await journal.commit(manual("a", "2"))
    assert journal.transactions - before == 1
    assert journal.recall().puts["manual"] == {"a": b"2", "b": b"1"}


async def test_reads_see_earlier_notes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LINGER_S", 3600.0)
    journal.note(Change(runs=(run_row(1),)))
    assert await journal.run("r000001") == run_row(1)


async def test_notes_are_written_at_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LINGER_S", 3600.0)
    journal = Journal.open(tmp_path / "state", stamp="live")
    journal.note(manual("a", "held"))
    await journal.close()
    assert [bytes(body) for (body,) in seen_from_outside(tmp_path / "state", "SELECT body FROM puts")] == [b"held"]


async def test_too_many_notes_are_dropped_and_counted(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_NOTES", 10)
    async with slow_disk(journal):
        for number in range(25):
            journal.note(manual(f"k{number}", "1"))
        commit = asyncio.create_task(journal.commit(manual("commit", "1")))  # never dropped
    await commit
    assert journal.failed_notes == 15
    assert len(journal.recall().puts["manual"]) == 11
    journal.note(manual("later", "1"))
    assert "later" in journal.recall().puts["manual"]


async def test_after_close_everything_is_refused(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state", stamp="live")
    await asyncio.gather(journal.close(), journal.close())
    await journal.close()
    with pytest.raises(JournalError) as caught:
        await journal.commit(manual("a", "1"))
    assert caught.value.code == "closed"
    with pytest.raises(JournalError):
        await journal.runs(limit=1, before=None)
    journal.note(manual("a", "1"))
    assert journal.failed_notes == 1
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [
        "journal.db",
        "journal.lock",
        "journal.reserve",
        "stamp",
    ]


async def test_commits_given_before_close_are_answered(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state", stamp="live")
    tasks = [asyncio.create_task(journal.commit(manual(str(number), "1"))) for number in range(50)]
    await asyncio.sleep(0)  # each has run as far as its queueing
    await journal.close()
    await asyncio.gather(*tasks)
    assert seen_from_outside(tmp_path / "state", "SELECT count(*) FROM puts") == [(50,)]


async def test_recall_gives_everything_back(tmp_path: Path) -> None:
    state, now = tmp_path / "state", time.time()
    first = Journal.open(state, stamp="live")
    hold = Put("hold", "hall", '{"scene": "应急模式", "by": "值班长"}'.encode())
    key = KeyRow("键-1", "r000002", "d1", now)
    await first.commit(
        Change(
            puts=(hold, Put("life", "wall.power", b"\x00\xff")),
            runs=(run_row(2), run_row(1, "closed"), run_row(3, "assessed")),
            keys=(key,),
            events=(EventRow("2026-11-25T08:30:00+08:00", "press", "应急".encode()),),
            counters=(Counter("wish", 41), Counter("run", 3)),
        )
    )
    await first.commit(Change(counters=(Counter("wish", 12),)))
    await first.close()

    second = Journal.open(state, stamp="live")
    recalled = second.recall()
    assert recalled.puts["hold"] == {"hall": hold.body}
    assert recalled.puts["life"] == {"wall.power": b"\x00\xff"}
    assert recalled.runs == (run_row(2), run_row(3, "assessed"))
    assert recalled.keys == (key,)
    assert recalled.counters == {"wish": 41, "run": 3, "boot": 2}
    assert await second.events(limit=10) == [(1, EventRow("2026-11-25T08:30:00+08:00", "press", "应急".encode()))]
    assert first.boot != second.boot
    await second.close()


async def test_runs_are_paged_newest_first(journal: Journal) -> None:
    await journal.commit(Change(runs=tuple(run_row(number, "closed") for number in range(1, 8))))
    first = await journal.runs(limit=3, before=None)
    assert [run.id for run in first] == ["r000007", "r000006", "r000005"]
    second = await journal.runs(limit=3, before=first[-1].id)
    assert [run.id for run in second] == ["r000004", "r000003", "r000002"]
    assert [run.id for run in await journal.runs(limit=3, before="r000002")] == ["r000001"]
    assert await journal.run("r999999") is None


async def test_a_run_is_written_again_under_its_id(journal: Journal) -> None:
    await journal.commit(Change(runs=(run_row(1),)))
    await journal.commit(Change(runs=(run_row(1, "closed"),)))
    assert await journal.run("r000001") == run_row(1, "closed")
    assert journal.recall().runs == ()


async def test_history_is_appended_and_paged(journal: Journal) -> None:
    rows = [EventRow("2026-11-25T00:00:00Z", "drift", str(number).encode()) for number in range(5)]
    for row in rows:
        journal.note(Change(events=(row,)))
    assert await journal.events(limit=2) == [(1, rows[0]), (2, rows[1])]
    assert await journal.events(limit=10, after=3) == [(4, rows[3]), (5, rows[4])]


async def test_keys_live_for_a_day(journal: Journal, tmp_path: Path) -> None:
    now = time.time()
    old, young = KeyRow("old", "r1", "d", now - DAY - 1), KeyRow("young", "r2", "d", now - DAY + 600)
    await journal.commit(Change(keys=(old, young)))
    assert await journal.run_by_key("young") == young
    assert await journal.run_by_key("old") is None
    assert await journal.run_by_key("never") is None
    assert journal.recall().keys == (young,)

    await journal.commit(Change(keys=(KeyRow("new", "r3", "d", now),)))
    kept = seen_from_outside(tmp_path / "state", "SELECT key FROM keys ORDER BY key")
    assert kept == [("new",), ("young",)], "each new key sweeps the old ones out"


async def test_old_keys_are_swept_out_at_open(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "state", stamp="live")
    await journal.commit(Change(keys=(KeyRow("old", "r1", "d", time.time() - DAY - 1),)))
    await journal.close()
    journal = Journal.open(tmp_path / "state", stamp="live")
    assert seen_from_outside(tmp_path / "state", "SELECT key FROM keys") == []
    await journal.close()


names = st.sampled_from(["a", "b", "墙"])
changes = st.builds(
    Change,
    puts=st.lists(st.builds(Put, st.sampled_from(KINDS), names, st.none() | st.binary(max_size=4))).map(tuple),
    clears=st.lists(st.builds(Clear, st.sampled_from(KINDS)), max_size=1).map(tuple),
    counters=st.lists(st.builds(Counter, names, st.integers(0, 9))).map(tuple),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(changes, st.sampled_from(["commit", "note", "reopen"])), max_size=12))
def test_the_journal_is_a_dictionary_that_survives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Change, str]]
) -> None:
    state = tmp_path_factory.mktemp("journal")
    puts: dict[str, dict[str, bytes]] = {kind: {} for kind in KINDS}
    counters: dict[str, int] = {"boot": 1}

    def learn(change: Change) -> None:
        for clear in change.clears:
            puts[clear.kind].clear()
        for put in change.puts:
            if put.body is None:
                puts[put.kind].pop(put.key, None)
            else:
                puts[put.kind][put.key] = put.body
        for counter in change.counters:
            counters[counter.name] = max(counter.value, counters.get(counter.name, 0))

    async def play() -> None:
        journal = Journal.open(state, stamp="simulated")
        for change, how in steps:
            learn(change)
            if how == "commit":
                await journal.commit(change)
            else:
                journal.note(change)
            if how == "reopen":
                await journal.close()
                journal = Journal.open(state, stamp="simulated")
                counters["boot"] += 1
        recalled = journal.recall()
        await journal.close()
        assert recalled.puts == puts
        assert recalled.counters == counters

    asyncio.run(play())
