"""The state directory: made private, locked against a second daemon, stamped simulated or live."""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..sdk import Text
from .errors import JournalOpenError, Locked, WrongStamp, open_error

Stamp = Literal["simulated", "live"]
WORDS = {"simulated": Text("模拟", "simulated"), "live": Text("真实", "live")}
STAMP = "stamp"
LOCK = "journal.lock"


class Home:
    """A locked and stamped state directory; `release` gives the lock back."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def take(cls, path: Path, stamp: Stamp) -> Home:
        """Make, lock and stamp the directory. Raises a JournalOpenError."""
        try:
            path = path.absolute()
            _make(path)
            lock = _lock(path)
            try:
                _check_stamp(path, stamp)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise open_error(error, path) from error
        return cls(path, lock)

    def release(self) -> None:
        """Give the lock back; the kernel does the same when the process dies."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    entries = os.listdir(path)
    # Never narrow a directory that is plainly somebody else's, such as /tmp given by mistake.
    if (not entries or STAMP in entries) and path.stat().st_mode & 0o077:
        path.chmod(0o700)


def _lock(path: Path) -> int:
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # who holds it is only said to help; a full disk must not keep us out
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        error = _locked(path, os.pread(fd, 32, 0))
        os.close(fd)
        raise error from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _locked(path: Path, content: bytes) -> JournalOpenError:
    digits = content.strip()
    pid = int(digits) if digits.isdigit() else None
    who = (f"（进程 {pid}）", f" (process {pid})") if pid else ("", "")
    return Locked(
        Text(
            f"另一个 ecc_controld{who[0]}正在使用状态目录 {path}；请先停止它，或换一个状态目录",
            f"Another ecc_controld{who[1]} is using the state directory {path}; stop it, or name another one",
        ),
        pid,
    )


def _check_stamp(path: Path, stamp: Stamp) -> None:
    file = path / STAMP
    try:
        found = file.read_bytes()[:64].decode("ascii", "replace").strip()
    except FileNotFoundError:
        write_whole(file, f"{stamp}\n".encode())
        return
    if found == stamp:
        return
    want, got = WORDS[stamp], WORDS.get(found)
    if got is None:
        raise WrongStamp(
            Text(
                f"无法识别状态目录的标记 {file}；请在其中写入 simulated 或 live",
                f"The stamp {file} of the state directory is not understood; write simulated or live into it",
            )
        )
    raise WrongStamp(
        Text(
            f"状态目录 {path} 属于{got.zh}大厅，不能用于{want.zh}大厅；请换一个状态目录",
            f"The state directory {path} belongs to a {got.en} hall, not to a {want.en} one; name another",
        )
    )


def write_whole(file: Path, content: bytes) -> None:
    """Write a small file so that after a power cut it is there whole or not at all; mode 0600."""
    new = file.with_name(file.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    new.rename(file)
    sync_directory(file.parent)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def free_name(path: Path, name: str) -> Path:
    """`name` with the time of day in UTC, and a number where that is taken already."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 10_000):
        candidate = path / (f"{name}-{stamp}" if number == 1 else f"{name}-{stamp}.{number}")
        if not candidate.exists():
            return candidate
    raise FileExistsError(f"{name}-{stamp}")
