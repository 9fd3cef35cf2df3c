"""The journal's file: opening, migrating, moving a damaged one aside; how a Change is written and read back."""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..sdk import Text
from . import reserve, schema
from .errors import Damaged, JournalOpenError, MigrationFailed, NewerSchema, OpenDiskFull, open_error, says_damaged
from .home import free_name, sync_directory
from .rows import KEY_LIFE_S, KINDS, Change, EventRow, KeyRow, Recalled, RunRow

FILE = "journal.db"
BUSY_S = 5.0  # how long a person's own sqlite3 session may hold the write lock before we give up
RUN_COLUMNS = "id, scene, opened, closed, state, body"


@dataclass(frozen=True)
class Opened:
    """An open journal file, and where a damaged predecessor went."""

    con: sqlite3.Connection
    quarantined: Path | None


def open_file(home: Path) -> Opened:
    """Open, migrate or begin the journal in `home`, on a full disk with the reserve. Raises a JournalOpenError."""
    try:
        opened = _open_file(home)
    except OpenDiskFull:
        if not reserve.give_up(home):
            raise
        return _open_file(home)
    reserve.keep(home)
    return opened


def _open_file(home: Path) -> Opened:
    path = home / FILE
    quarantined = None
    try:
        if path.exists():
            try:
                return Opened(_open_existing(path), None)
            except Damaged:
                quarantined = _move_aside(path)
        _create(path)
        return Opened(_open_existing(path), quarantined)
    except (OSError, sqlite3.Error) as error:
        raise open_error(error, home) from error


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing file: WAL, every commit on the disk before it returns. For one thread only."""
    con = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = FULL")
        con.execute("PRAGMA journal_size_limit = 16777216")
        con.execute("PRAGMA cell_size_check = ON")
        con.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        con.close()
        raise
    return con


def _open_existing(path: Path) -> sqlite3.Connection:
    _check_length(path)
    con = None
    try:
        con = connect(path)
        _refuse_newer(con, path)
        _check_pages(con)
        if schema.version(con) < schema.SCHEMA:
            _save_copy(con, path)
            _migrate(con, path)
        _check_rows(con)
    except BaseException as error:
        if con is not None:
            con.close()
        if isinstance(error, sqlite3.Error) and says_damaged(error):
            raise Damaged(str(error)) from error
        raise
    return con


def _refuse_newer(con: sqlite3.Connection, path: Path) -> None:
    found = schema.version(con)
    if found > schema.SCHEMA:
        raise NewerSchema(
            Text(
                f"日志库 {path} 由更新的版本写成（格式 {found}，本程序为 {schema.SCHEMA}）；"
                "请升级程序，或恢复升级前的副本",
                f"The journal {path} was written by a newer version (schema {found}, this program knows"
                f" {schema.SCHEMA}); update the program, or put back the copy made before the update",
            )
        )


def _check_length(path: Path) -> None:
    """SQLite takes a stump for a new file, and does not mind a last page that is cut short; we do."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(100)
    page = int.from_bytes(header[16:18], "big") or 1
    # With a log beside it, a page may be cut short: a power cut while the log was being moved in.
    if len(header) < 100 or (size % page and page > 1 and not any(side.stat().st_size for side in _beside(path))):
        raise Damaged(f"cut off at {size} bytes")


def _check_pages(con: sqlite3.Connection) -> None:
    found = con.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok" or schema.version(con) < 0:
        raise Damaged(found)


def _check_rows(con: sqlite3.Connection) -> None:
    """SQLite keeps no checksums, and a changed byte in a wish would move hardware: ours are checked here."""
    try:
        for kind, key, body, crc in con.execute("SELECT kind, key, body, crc FROM puts"):
            if checksum(kind, key, body) != crc:
                raise Damaged(f"{kind} {key}")
        for *run, crc in con.execute(f"SELECT {RUN_COLUMNS}, crc FROM runs WHERE state != 'closed'"):
            if checksum(*run) != crc:
                raise Damaged(f"run {run[0]}")
        for table in ("keys", "events", "counters"):
            con.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
    except (sqlite3.OperationalError, TypeError, AttributeError) as error:  # no such table; not even text
        raise Damaged(str(error)) from error


def checksum(*columns: str | bytes | None) -> int:
    """CRC-32 of the columns of a row."""
    crc = 0
    for column in columns:
        data = column.encode() if isinstance(column, str) else b"\xff" if column is None else column
        crc = zlib.crc32(data, zlib.crc32(len(data).to_bytes(8, "big"), crc))
    return crc


def _save_copy(con: sqlite3.Connection, path: Path) -> None:
    """A whole copy beside the file, `journal.schema-<n>-<time>`, before anything in it is changed."""
    final = free_name(path.parent, f"journal.schema-{schema.version(con)}")
    new = path.with_name("journal.copy.new")
    _empty(new)
    target = sqlite3.connect(new)
    try:
        con.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    finally:
        target.close()
    _sync_file(new)
    new.rename(final)
    sync_directory(path.parent)


def _migrate(con: sqlite3.Connection, path: Path) -> None:
    try:
        schema.migrate(con)
    except sqlite3.Error as error:
        if says_damaged(error):
            raise
        refused = open_error(error, path.parent)
        if type(refused) is not JournalOpenError:
            raise refused from error
        raise MigrationFailed(
            Text(
                f"日志库 {path} 无法升级（{error}），文件保持原样；请恢复旧版程序，或移走该文件后重新开始",
                f"The journal {path} could not be brought up to date ({error}) and is as it was; put back"
                " the older program, or move the file away to begin anew",
            )
        ) from error


def _create(path: Path) -> None:
    """Make a journal under another name first, so that `journal.db` is whole or absent."""
    if _beside(path):  # a log without its file would be played into the new one
        _move_aside(path)
    new = path.with_name("journal.new")
    for old in (*_beside(new), new):
        old.unlink(missing_ok=True)
    _empty(new)
    con = connect(new)
    try:
        schema.migrate(con)
    finally:
        con.close()
    _sync_file(new)
    new.rename(path)
    sync_directory(path.parent)


def _beside(path: Path) -> list[Path]:
    names = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
    return [name for name in names if name.exists()]


def _move_aside(path: Path) -> Path:
    """Rename a damaged journal to `journal.damaged-<time>`; its log goes first, lest a new file inherit it."""
    target = free_name(path.parent, "journal.damaged")
    for side in _beside(path):
        side.rename(target.with_name(target.name + side.name.removeprefix(path.name)))
    if path.exists():
        path.rename(target)
    sync_directory(path.parent)
    return target


def _empty(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def apply(con: sqlite3.Connection, change: Change) -> None:
    """Write a change inside the transaction that the caller holds."""
    con.executemany("DELETE FROM puts WHERE kind = ?", [(clear.kind,) for clear in change.clears])
    for put in change.puts:
        if put.body is None:
            con.execute("DELETE FROM puts WHERE kind = ? AND key = ?", (put.kind, put.key))
        else:
            row = (put.kind, put.key, put.body, checksum(put.kind, put.key, put.body))
            con.execute("INSERT OR REPLACE INTO puts VALUES (?, ?, ?, ?)", row)
    for run in change.runs:
        columns = (run.id, run.scene, run.opened, run.closed, run.state, run.body)
        con.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", (*columns, checksum(*columns)))
    if change.keys:
        con.execute("DELETE FROM keys WHERE at <= ?", (time.time() - KEY_LIFE_S,))
        rows = [(key.key, key.run, key.digest, key.at) for key in change.keys]
        con.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", rows)
    events = [(event.at, event.kind, event.body) for event in change.events]
    con.executemany("INSERT INTO events (at, kind, body) VALUES (?, ?, ?)", events)
    con.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        [(counter.name, counter.value) for counter in change.counters],
    )


def begin_boot(con: sqlite3.Connection) -> None:
    """Count this start and forget old keys, inside the caller's transaction."""
    con.execute("INSERT INTO counters VALUES ('boot', 1) ON CONFLICT DO UPDATE SET value = value + 1")
    con.execute("DELETE FROM keys WHERE at <= ?", (time.time() - KEY_LIFE_S,))


def recall(con: sqlite3.Connection) -> Recalled:
    """All that a restart needs."""
    puts: dict[str, dict[str, bytes]] = {kind: {} for kind in KINDS}
    for kind, key, body in con.execute("SELECT kind, key, body FROM puts"):
        puts.setdefault(kind, {})[key] = body
    runs = con.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE state != 'closed' ORDER BY id")
    keys = con.execute(
        "SELECT key, run, digest, at FROM keys WHERE at > ? ORDER BY at", (time.time() - KEY_LIFE_S,)
    )
    return Recalled(
        puts=puts,
        runs=tuple(RunRow(*row) for row in runs),
        keys=tuple(KeyRow(*row) for row in keys),
        counters=dict(con.execute("SELECT name, value FROM counters")),
    )


def run(con: sqlite3.Connection, run_id: str) -> RunRow | None:
    """One run by its id."""
    row = con.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?", (run_id,)).fetchone()
    return RunRow(*row) if row else None


def runs(con: sqlite3.Connection, limit: int, before: str | None) -> list[RunRow]:
    """The newest `limit` runs whose id sorts before `before`, newest first."""
    where, args = ("WHERE id < ?", [before]) if before is not None else ("", [])
    rows = con.execute(f"SELECT {RUN_COLUMNS} FROM runs {where} ORDER BY id DESC LIMIT ?", (*args, max(limit, 0)))
    return [RunRow(*row) for row in rows]


def run_by_key(con: sqlite3.Connection, key: str) -> KeyRow | None:
    """An idempotency key that is younger than 24 hours."""
    limit = time.time() - KEY_LIFE_S
    row = con.execute("SELECT key, run, digest, at FROM keys WHERE key = ? AND at > ?", (key, limit)).fetchone()
    return KeyRow(*row) if row else None


def events(con: sqlite3.Connection, limit: int, after: int) -> list[tuple[int, EventRow]]:
    """History entries with their sequence numbers, oldest first, from behind number `after`."""
    rows = con.execute("SELECT seq, at, kind, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return [(seq, EventRow(at, kind, body)) for seq, at, kind, body in rows]
