"""What can go wrong with the journal: one tree for opening it, one error for a commit that failed."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import ClassVar

from ..sdk import EccError, Text

COMMIT_TEXTS = {
    "disk_full": Text(
        "磁盘已满，记录无法保存；请清理磁盘空间", "The disk is full, nothing can be recorded; free some space"
    ),
    "io_error": Text(
        "磁盘读写出错，记录无法保存；请检查磁盘", "The disk failed, nothing can be recorded; check the disk"
    ),
    "bad_change": Text("记录内容无法写入日志库", "This record cannot be written to the journal"),
    "closed": Text("日志库已关闭", "The journal is closed"),
}


class JournalError(EccError):
    """A commit or a read failed. `code`: disk_full, io_error, bad_change (this change only) or closed."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.text = COMMIT_TEXTS[code]
        self.detail = detail
        super().__init__(f"{code}: {self.text.en}" + (f" ({detail})" if detail else ""))

    @property
    def of_disk(self) -> bool:
        """True where the disk is to blame, so that the hall must be told."""
        return self.code in ("disk_full", "io_error")


class JournalOpenError(EccError):
    """The journal cannot be opened; `text` says what is wrong and what to do."""

    code: ClassVar[str] = "io_error"

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class WrongStamp(JournalOpenError):
    """The state directory belongs to the other kind of hall (simulated or live)."""

    code = "wrong_stamp"


class NewerSchema(JournalOpenError):
    """A newer program wrote this journal."""

    code = "newer_schema"


class Locked(JournalOpenError):
    """Another daemon holds this state directory; `pid` is its process id, None if it could not be read."""

    code = "locked"

    def __init__(self, text: Text, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid


class NoRights(JournalOpenError):
    """The state directory or a file in it may not be read or written."""

    code = "no_rights"


class StateNotADirectory(JournalOpenError):
    """The state path, or a part of it, is a file."""

    code = "not_a_directory"


class OpenDiskFull(JournalOpenError):
    """No space to create or to migrate the journal."""

    code = "disk_full"


class MigrationFailed(JournalOpenError):
    """A migration did not run through; the file is as it was."""

    code = "migration_failed"


class Damaged(Exception):
    """Internal: this file is no journal any more; the opener moves it aside."""


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error, 0 where the Python module raised it by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def says_damaged(error: sqlite3.Error) -> bool:
    """True if SQLite found the file to be broken or not a database."""
    return primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def no_space(home: Path) -> bool:
    """True if the file system is as good as full: SQLite calls some of its writes there an I/O error."""
    try:
        found = os.statvfs(home)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 65_536


def commit_error(error: Exception, home: Path) -> JournalError:
    """Translate what a transaction raised: the disk's fault, or the fault of the change itself."""
    code = "io_error"
    if isinstance(error, sqlite3.Error):
        number = primary(error)
        if number == sqlite3.SQLITE_FULL or (number == sqlite3.SQLITE_IOERR and no_space(home)):
            code = "disk_full"
        elif number in (0, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH):
            code = "bad_change"
    elif isinstance(error, OSError):
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "io_error"
    else:  # a value that cannot be bound: a lone surrogate, an integer of more than 64 bits
        code = "bad_change"
    return JournalError(code, f"{type(error).__name__}: {error}")


def open_error(error: OSError | sqlite3.Error, home: Path) -> JournalOpenError:
    """Translate what opening raised into a sentence that names the path and what to do."""
    where = str(home)
    if isinstance(error, sqlite3.Error):
        number = primary(error)
        full = number == sqlite3.SQLITE_FULL or (number == sqlite3.SQLITE_IOERR and no_space(home))
        rights = number in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)
        no_dir = False
    else:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        rights = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        no_dir = error.errno in (errno.ENOTDIR, errno.EEXIST)
    if full:
        return OpenDiskFull(
            Text(
                f"磁盘已满，无法在 {where} 建立日志库；请清理磁盘空间",
                f"The disk is full, no journal can be made in {where}; free some space",
            )
        )
    if no_dir:
        return StateNotADirectory(
            Text(
                f"{where} 不是目录；请指定一个目录作为状态目录",
                f"{where} is not a directory; name a directory for the state",
            )
        )
    if rights:
        return NoRights(
            Text(
                f"没有权限读写 {where}（{error}）；请把该目录交给运行本程序的用户",
                f"No right to read and write {where} ({error}); give it to the user that runs this program",
            )
        )
    return JournalOpenError(
        Text(
            f"无法打开 {where} 中的日志库（{error}）；请检查磁盘",
            f"The journal in {where} cannot be opened ({error}); check the disk",
        )
    )
