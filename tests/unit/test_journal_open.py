"""Opening the journal: who may, what is refused and why, damage, migrations."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from ecc_controld.journal import (
    Change,
    Journal,
    JournalOpenError,
    Locked,
    MigrationFailed,
    NewerSchema,
    NoRights,
    OpenDiskFull,
    Put,
    RunRow,
    Stamp,
    StateNotADirectory,
    WrongStamp,
    schema,
)
from ecc_controld.journal.errors import commit_error, open_error

HOLD_LOCK = """
import sys
from pathlib import Path
from ecc_controld.journal import Journal
journal = Journal.open(Path(sys.argv[1]), stamp="live")
print("open", flush=True)
sys.stdin.read()
"""

# The tables as the first version made them, letter for letter: files like this one are in the field.
SCHEMA_1 = """
CREATE TABLE puts (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE runs (id TEXT PRIMARY KEY, scene TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT,
    state TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX runs_not_closed ON runs (id) WHERE state != 'closed';
CREATE TABLE keys (key TEXT PRIMARY KEY, run TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_at ON keys (at);
PRAGMA user_version = 1;
"""


@contextmanager
def opened(state: Path, stamp: Stamp = "live") -> Iterator[Journal]:
    journal = Journal.open(state, stamp=stamp)
    try:
        yield journal
    finally:
        asyncio.run(journal.close())


def write(state: Path, change: Change) -> None:
    with opened(state) as journal:
        asyncio.run(journal.commit(change))


def refused(state: Path, stamp: Stamp = "live") -> JournalOpenError:
    """The error of an open that must fail; its sentences name the state directory in both languages."""
    with pytest.raises(JournalOpenError) as caught:
        Journal.open(state, stamp=stamp)
    error = caught.value
    assert str(state) in error.text.zh
    assert str(state) in error.text.en
    assert str(error) == error.text.en
    return error


def wishes(count: int, size: int) -> Change:
    return Change(
        puts=tuple(Put("manual", f"cam{number}.preset", bytes([number % 256]) * size) for number in range(count))
    )


def test_a_new_state_directory_is_private(tmp_path: Path) -> None:
    state = tmp_path / "var" / "lib" / "ecc"
    with opened(state) as journal:
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        for file in state.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
        assert journal.quarantined is None
        assert journal.healthy is None


def test_an_own_directory_is_narrowed_but_never_a_foreign_one(tmp_path: Path) -> None:
    empty, foreign = tmp_path / "empty", tmp_path / "foreign"
    for path in (empty, foreign):
        path.mkdir()
        path.chmod(0o755)
    (foreign / "something").touch()
    for path, mode in ((empty, 0o700), (foreign, 0o755)):
        with opened(path):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    foreign.chmod(0o755)
    with opened(foreign):  # stamped by now, so it is ours
        assert stat.S_IMODE(foreign.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("first", "second", "word"), [("live", "simulated", "真实"), ("simulated", "live", "模拟")]
)
def test_the_state_of_the_other_hall_is_refused(tmp_path: Path, first: Stamp, second: Stamp, word: str) -> None:
    with opened(tmp_path / "s", first):
        pass
    error = refused(tmp_path / "s", second)
    assert isinstance(error, WrongStamp)
    assert error.code == "wrong_stamp"
    assert f"属于{word}大厅" in error.text.zh
    with opened(tmp_path / "s", first):  # the refused one left no lock behind
        pass


def test_a_stamp_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stamp").write_bytes(b"\xff\x00 live?")
    assert refused(tmp_path).code == "wrong_stamp"


def test_a_second_daemon_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    state = tmp_path / "s"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        error = refused(state)
        assert isinstance(error, Locked)
        assert (error.code, error.pid) == ("locked", holder.pid)
        assert str(holder.pid) in error.text.zh
        holder.kill()
    with opened(state) as journal:  # the lock died with its holder
        assert journal.recall().counters["boot"] == 2


def test_the_same_process_cannot_open_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "s"):
        assert refused(tmp_path / "s").code == "locked"
    with opened(tmp_path / "s"):
        pass


def test_no_rights(tmp_path: Path) -> None:
    state = tmp_path / "s"
    state.mkdir(mode=0o500)
    if os.geteuid() == 0:
        os.seteuid(65534)  # nobody
        try:
            error = refused(state)
        finally:
            os.seteuid(0)
    else:
        error = refused(state)
    assert isinstance(error, NoRights)
    assert error.code == "no_rights"


@pytest.mark.parametrize("below", ["", "s"])
def test_a_file_is_not_a_directory(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    error = refused(tmp_path / "file" / below)
    assert isinstance(error, StateNotADirectory)
    assert error.code == "not_a_directory"


def test_no_space_for_a_new_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny_disk(con: sqlite3.Connection) -> None:
        con.execute("PRAGMA max_page_count = 2").fetchone()

    monkeypatch.setattr(schema, "MIGRATIONS", (tiny_disk, *schema.MIGRATIONS))
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)
    error = refused(tmp_path)
    assert isinstance(error, OpenDiskFull)
    assert error.code == "disk_full"
    monkeypatch.undo()
    with opened(tmp_path) as journal:  # what was begun does not stand in the way
        assert journal.quarantined is None


@pytest.mark.parametrize(("free", "code"), [(0, "disk_full"), (1000, "io_error")])
def test_an_io_error_on_a_full_disk_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, code: str
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE  # seen on a full tmpfs
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=4096))
    assert commit_error(error, tmp_path).code == code
    assert open_error(error, tmp_path).code == code


def damaged(state: Path, content: bytes) -> None:
    """Open a journal of this content: it must be moved aside as it is, and a fresh one begun."""
    (state / "journal.db").write_bytes(content)
    with opened(state) as journal:
        assert journal.quarantined is not None
        assert journal.quarantined.name.startswith("journal.damaged-")
        assert journal.quarantined.read_bytes() == content
        assert journal.recall().puts["manual"] == {}
        assert journal.recall().counters == {"boot": 1}
        asyncio.run(journal.commit(wishes(1, 1)))
    with opened(state) as journal:
        assert journal.quarantined is None
        assert len(journal.recall().puts["manual"]) == 1


def test_random_bytes_are_moved_aside(tmp_path: Path) -> None:
    write(tmp_path, wishes(1, 1))
    damaged(tmp_path, random.Random(7).randbytes(20_000))
    damaged(tmp_path, b"x")
    assert len(list(tmp_path.glob("journal.damaged-*"))) == 2


@pytest.mark.parametrize("left", [0, 1, 100, 4096, 8192, 20_000, -4096, -1])
def test_a_truncated_file_is_moved_aside(tmp_path: Path, left: int) -> None:
    write(tmp_path, wishes(30, 2000))
    damaged(tmp_path, (tmp_path / "journal.db").read_bytes()[:left])


def test_any_flipped_page_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, wishes(12, 5000))
    whole = (tmp_path / "journal.db").read_bytes()
    assert len(whole) > 20 * 4096
    for page in range(0, len(whole), 4096):
        flipped = bytes(byte ^ 0xFF for byte in whole[page : page + 4096])
        state = tmp_path / f"flipped-{page}"
        state.mkdir()
        damaged(state, whole[:page] + flipped + whole[page + 4096 :])


def test_one_flipped_bit_in_a_wish_or_an_open_run_is_noticed(tmp_path: Path) -> None:
    run = RunRow("r1", "emergency", "2026-11-25T08:30:00+08:00", None, "open", b"RUN-BODY")
    write(tmp_path, Change(puts=(Put("manual", "wall.preset", b"WISH-BODY"),), runs=(run,)))
    whole = (tmp_path / "journal.db").read_bytes()
    for mark in (b"WISH-BODY", b"wall.preset", b"RUN-BODY", b"08:30:00+08:00"):
        at = whole.index(mark)
        damaged(tmp_path, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


def test_a_log_without_its_file_is_not_played_into_a_new_journal(tmp_path: Path) -> None:
    state = tmp_path / "s"

    async def cut_off() -> None:
        journal = Journal.open(state, stamp="live")
        await journal.commit(wishes(10, 1000))
        shutil.copytree(state, tmp_path / "cut")  # as a power cut leaves it: with its log
        await journal.close()

    asyncio.run(cut_off())
    assert (tmp_path / "cut" / "journal.db-wal").stat().st_size > 0
    shutil.copytree(tmp_path / "cut", tmp_path / "whole")
    with opened(tmp_path / "whole") as journal:
        assert len(journal.recall().puts["manual"]) == 10
    (tmp_path / "cut" / "journal.db").unlink()
    with opened(tmp_path / "cut") as journal:
        assert journal.recall().puts["manual"] == {}


def test_a_file_that_lost_its_tables_is_moved_aside(tmp_path: Path) -> None:
    write(tmp_path, wishes(1, 1))
    con = sqlite3.connect(tmp_path / "journal.db")
    con.execute("DROP TABLE puts")
    con.close()
    with opened(tmp_path) as journal:
        assert journal.quarantined is not None


def test_a_newer_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    write(tmp_path, wishes(3, 10))
    con = sqlite3.connect(tmp_path / "journal.db")
    con.execute(f"PRAGMA user_version = {schema.SCHEMA + 1}")
    con.close()
    before = (tmp_path / "journal.db").read_bytes()
    error = refused(tmp_path)
    assert isinstance(error, NewerSchema)
    assert error.code == "newer_schema"
    assert (tmp_path / "journal.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal.db",
        "journal.lock",
        "journal.reserve",
        "stamp",
    ]


def checksum(*columns: bytes) -> int:
    """Written out a second time on purpose: the rows in the field carry this number."""
    return zlib.crc32(b"".join(len(column).to_bytes(8, "big") + column for column in columns))


def schema_1_file(path: Path) -> None:
    con = sqlite3.connect(path)
    con.executescript(SCHEMA_1)
    crc = checksum(b"hold", b"hall", "应急".encode())
    con.execute("INSERT INTO puts VALUES ('hold', 'hall', ?, ?)", ("应急".encode(), crc))
    run = (b"r1", b"duty", b"t", b"\xff", b"open", b"{}")  # an absent `closed` counts as ff
    con.execute("INSERT INTO runs VALUES ('r1', 'duty', 't', NULL, 'open', ?, ?)", (b"{}", checksum(*run)))
    con.commit()
    con.close()


def test_a_journal_of_schema_1_is_brought_forward_with_a_copy(tmp_path: Path) -> None:
    schema_1_file(tmp_path / "journal.db")
    with opened(tmp_path) as journal:
        recalled = journal.recall()
        assert journal.quarantined is None
        assert recalled.puts["hold"] == {"hall": "应急".encode()}
        assert [run.id for run in recalled.runs] == ["r1"]
        asyncio.run(journal.commit(wishes(1, 1)))
    (copy,) = tmp_path.glob("journal.schema-1-*")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.read_bytes()[18] == 1, "one file that a reader may open without writing beside it"
    con = sqlite3.connect(copy)
    assert schema.version(con) == 1
    assert con.execute("SELECT kind, key FROM puts").fetchall() == [("hold", "hall")]
    con.close()
    with opened(tmp_path):  # once is enough
        assert len(list(tmp_path.glob("journal.schema-*"))) == 1
    assert not list(tmp_path.glob("*.new*"))


def test_the_copy_is_a_journal_that_the_older_program_could_use(tmp_path: Path) -> None:
    schema_1_file(tmp_path / "journal.db")
    with opened(tmp_path):
        pass
    (copy,) = tmp_path.glob("journal.schema-1-*")
    back = tmp_path / "back"
    back.mkdir()
    shutil.copy(copy, back / "journal.db")
    with opened(back) as journal:
        assert journal.recall().puts["hold"] == {"hall": "应急".encode()}


def test_a_file_of_schema_0_is_brought_forward_with_a_copy(tmp_path: Path) -> None:
    con = sqlite3.connect(tmp_path / "journal.db")
    con.executescript("CREATE TABLE t (x); DROP TABLE t;")
    con.close()
    with opened(tmp_path) as journal:
        assert journal.quarantined is None
        asyncio.run(journal.commit(wishes(1, 1)))
        assert len(journal.recall().puts["manual"]) == 1
    assert len(list(tmp_path.glob("journal.schema-0-*"))) == 1


def fail(con: sqlite3.Connection) -> None:
    con.execute("DELETE FROM puts")
    con.execute("INSERT INTO no_such_table VALUES (1)")


def fill(con: sqlite3.Connection) -> None:
    con.execute("DELETE FROM puts")
    pages = con.execute("PRAGMA page_count").fetchone()[0]
    con.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    con.execute("CREATE TABLE big (x)")
    con.execute("INSERT INTO big VALUES (zeroblob(1000000))")


@pytest.mark.parametrize(("step", "kind"), [(fail, MigrationFailed), (fill, OpenDiskFull)])
def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[sqlite3.Connection], None],
    kind: type[JournalOpenError],
) -> None:
    write(tmp_path, wishes(3, 10))
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)
    assert type(refused(tmp_path)) is kind
    monkeypatch.undo()
    with opened(tmp_path) as journal:
        assert journal.quarantined is None
        assert len(journal.recall().puts["manual"]) == 3
