"""The tables of the journal, as a list of forward migrations; the schema number is how many have been done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

Migration = Callable[[sqlite3.Connection], None]

APPLICATION_ID = 0x45434344  # "ECCD", so that file(1) and a person can tell whose file it is


def _first(con: sqlite3.Connection) -> None:
    """Wishes and other values, runs, idempotency keys."""
    con.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    con.execute(
        "CREATE TABLE puts (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,"
        " PRIMARY KEY (kind, key)) WITHOUT ROWID"
    )
    con.execute(
        "CREATE TABLE runs (id TEXT PRIMARY KEY, scene TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT,"
        " state TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID"
    )
    con.execute("CREATE INDEX runs_not_closed ON runs (id) WHERE state != 'closed'")
    con.execute(
        "CREATE TABLE keys (key TEXT PRIMARY KEY, run TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL)"
        " WITHOUT ROWID"
    )
    con.execute("CREATE INDEX keys_at ON keys (at)")


def _history(con: sqlite3.Connection) -> None:
    """The append-only history, and the numbers that must go on after a restart."""
    con.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,"
        " body BLOB NOT NULL)"
    )
    con.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")


# Only ever append to this list: a file in the field may be at any number of it.
MIGRATIONS: tuple[Migration, ...] = (_first, _history)
SCHEMA = len(MIGRATIONS)


def version(con: sqlite3.Connection) -> int:
    """The schema number of an open file; 0 for an empty one."""
    return int(con.execute("PRAGMA user_version").fetchone()[0])


def migrate(con: sqlite3.Connection) -> None:
    """Bring a file up to SCHEMA, all in one transaction; on any error it stays as it was."""
    con.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version(con) : SCHEMA]:
            step(con)
        con.execute(f"PRAGMA user_version = {SCHEMA}")
        con.execute("COMMIT")
    except BaseException:
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise
