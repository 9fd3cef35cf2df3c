"""The durable memory of the hall: one SQLite file, one connection, one writer thread."""

from .errors import (
    JournalError,
    JournalOpenError,
    Locked,
    MigrationFailed,
    NewerSchema,
    NoRights,
    OpenDiskFull,
    StateNotADirectory,
    WrongStamp,
)
from .home import Stamp
from .journal import Journal
from .rows import KEY_LIFE_S, KINDS, Change, Clear, Counter, EventRow, KeyRow, Put, Recalled, RunRow

__all__ = [
    "KEY_LIFE_S",
    "KINDS",
    "Change",
    "Clear",
    "Counter",
    "EventRow",
    "Journal",
    "JournalError",
    "JournalOpenError",
    "KeyRow",
    "Locked",
    "MigrationFailed",
    "NewerSchema",
    "NoRights",
    "OpenDiskFull",
    "Put",
    "Recalled",
    "RunRow",
    "Stamp",
    "StateNotADirectory",
    "WrongStamp",
]
