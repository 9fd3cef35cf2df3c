"""`eccctl backup` and `eccctl restore`: a hall's memory and files in one checksummed archive.

A backup is taken from a running daemon: SQLite's own backup over a connection that only reads. Secrets are never
in it. A restore needs the daemon to be stopped (it takes the daemon's lock) and keeps what was there before.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from ecc_controld import __version__
from ecc_controld.journal import JournalOpenError, Locked, Stamp, WrongStamp, db, home, schema
from ecc_controld.sdk.errors import EccError
from ecc_controld.sdk.text import Text

FORMAT = 1
MANIFEST = "manifest.json"
JOURNAL = f"state/{db.FILE}"
MAX_MANIFEST = 1 << 20
MAX_BYTES = 16 << 30
"""What an archive may unpack to."""
FAILED, INVALID, REFUSED = 3, 2, 4


class Unsound(Exception):
    """Internal: why an archive is not a backup of ours."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh, en)


class Trouble(EccError):
    """Nothing was done; `exit_code` of eccctl and one sentence in both languages."""

    def __init__(self, exit_code: int, text: Text) -> None:
        super().__init__(text.en)
        self.exit_code = exit_code
        self.text = text


@dataclass(frozen=True)
class Backup:
    """A written or checked archive."""

    path: Path
    manifest: Mapping[str, Any]


# -- backup --------------------------------------------------------------------------------------------------


def backup(target: Path, state: Path, config: Path, scenes: Path) -> Backup:
    """Write an archive; into a folder under a name of its own. Raises Trouble; an existing file is not touched."""
    stamp = read_stamp(state)
    if target.is_dir():
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = target / f"ecc-{stamp}-{moment}.tar.gz"
    if target.exists():
        raise Trouble(REFUSED, Text(f"{target} 已存在，未覆盖", f"{target} exists and was not overwritten"))
    try:
        with tempfile.TemporaryDirectory(prefix=".ecc-backup-", dir=target.parent) as work:
            return _pack(target, Path(work), stamp, state, {"config": config, "scenes": scenes})
    except (OSError, sqlite3.Error) as error:
        raise Trouble(
            FAILED,
            Text(f"备份失败：{error}；请检查磁盘空间和权限", f"no backup: {error}; check space and rights"),
        ) from error


def read_stamp(state: Path) -> Stamp:
    """simulated or live; raises Trouble for a folder that is no state directory."""
    try:
        found = (state / home.STAMP).read_text(encoding="ascii", errors="replace")[:64].strip()
    except FileNotFoundError:
        found = ""
    except OSError as error:
        raise Trouble(FAILED, Text(f"无法读取 {state}：{error}", f"cannot read {state}: {error}")) from error
    if found not in home.WORDS:
        raise Trouble(
            INVALID,
            Text(
                f"{state} 不是状态目录；用 --state 指定", f"{state} is not a state directory; name it with --state"
            ),
        )
    return cast(Stamp, found)


def _pack(target: Path, work: Path, stamp: Stamp, state: Path, folders: Mapping[str, Path]) -> Backup:
    copy = work / db.FILE
    number = copy_journal(state / db.FILE, copy)
    members = {JOURNAL: copy}
    for name, folder in folders.items():
        members |= {f"{name}/{path.name}": path for path in sorted(folder.glob("*.yaml"))}
    contents = {name: path for name, path in members.items() if path.is_file()}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "program": __version__,
        "schema": number,
        "stamp": stamp,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {},
    }
    part = work / "archive"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        with tarfile.open(fileobj=out, mode="w:gz" if target.name.endswith("gz") else "w") as tar:
            for name, path in contents.items():
                if name == JOURNAL:
                    manifest["files"][name] = {"size": path.stat().st_size, "sha256": digest(path)}
                    _add(tar, name, path)
                else:  # read once: a file that is saved meanwhile must not disagree with its checksum
                    data = path.read_bytes()
                    manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                    _add(tar, name, data)
            _add(tar, MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        out.flush()
        os.fsync(out.fileno())
    os.link(part, target)  # unlike a rename, never over a file that came meanwhile
    home.sync_directory(target.parent)
    return Backup(target, manifest)


def copy_journal(source: Path, target: Path) -> int:
    """A whole, checked copy of a journal that may be in use; returns its schema number."""
    with contextlib.closing(read_only(source)) as con, contextlib.closing(sqlite3.connect(target)) as copy:
        con.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        if copy.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the journal is damaged; restart the daemon, which moves it aside")
        number = schema.version(copy)
    target.chmod(0o600)
    return number


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, whatever is asked of it."""
    con = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
    con.execute("PRAGMA query_only = ON")
    return con


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = 0o600, int(time.time())
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    else:
        entry.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(entry, file)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prune(folder: Path, stamp: str, keep: int) -> list[Path]:
    """Delete all but the newest `keep` archives that `backup` named itself; returns what went."""
    ours = sorted(folder.glob(f"ecc-{stamp}-*.tar.gz"), reverse=True)
    for path in ours[keep:]:
        path.unlink()
    return ours[keep:]


# -- restore -------------------------------------------------------------------------------------------------


def restore(source: Path, state: Path, files: Path | None) -> tuple[Backup, Path | None]:
    """Put an archive's journal into a state directory; returns it and where the old journal went.

    `files`: a folder that does not exist yet, for the archive's config/ and scenes/. Raises Trouble; then the
    state directory is as it was.
    """
    if files is not None and files.exists():
        raise Trouble(REFUSED, Text(f"{files} 已存在，未覆盖", f"{files} exists and was not overwritten"))
    near = _existing(state.absolute())
    try:
        with tempfile.TemporaryDirectory(prefix=".ecc-restore-", dir=near) as work:
            manifest = _unpack(source, Path(work))
            _refuse_newer(source, manifest)
            _check_journal(source, Path(work) / JOURNAL)
            aside = _replace(state, manifest["stamp"], Path(work) / JOURNAL)
            if files is not None:
                _put_files(Path(work), files)
    except JournalOpenError as error:
        code = REFUSED if isinstance(error, (Locked, WrongStamp)) else FAILED
        raise Trouble(code, error.text) from error
    except OSError as error:
        raise Trouble(FAILED, Text(f"恢复失败：{error}", f"not restored: {error}")) from error
    return Backup(source, manifest), aside


def _existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _unpack(source: Path, work: Path) -> dict[str, Any]:
    """Every member checked against the manifest; raises Trouble for anything that does not fit."""
    try:
        with tarfile.open(source) as tar:
            members = {member.name: member for member in _bounded(tar)}
            entry = members.pop(MANIFEST, None)
            if entry is None or entry.size > MAX_MANIFEST:
                raise Unsound("没有清单", "it has no manifest")
            manifest = _manifest(json.loads(_read(tar, entry)))
            if set(members) != set(manifest["files"]):
                raise Unsound("文件与清单不符", "its files are not those of its manifest")
            for name, member in members.items():
                path = work / name
                path.parent.mkdir(exist_ok=True)
                with path.open("wb") as out:
                    _copy(tar, member, out.write)
                if digest(path) != manifest["files"][name]["sha256"]:
                    raise Unsound(f"{name} 的校验和不符", f"{name} does not have its checksum")
    except FileNotFoundError as error:
        raise Trouble(INVALID, Text(f"没有文件 {source}", f"there is no file {source}")) from error
    except Unsound as error:
        raise _not_sound(source, error.text) from error
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise _not_sound(source, Text(str(error), str(error))) from error
    return manifest


def _not_sound(source: Path, why: Text) -> Trouble:
    return Trouble(
        INVALID, Text(f"{source} 不是完好的备份：{why.zh}", f"{source} is not a sound backup: {why.en}")
    )


def _bounded(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    for member in tar:
        folder, _, name = member.name.rpartition("/")
        total += member.size
        plain = name and not name.startswith(".") and "\\" not in name and "\0" not in name
        if not member.isreg() or not plain or folder not in ("", "state", "config", "scenes"):
            raise Unsound(f"不应有的成员 {member.name!r}", f"unexpected member {member.name!r}")
        if total > MAX_BYTES:
            raise Unsound("过大", "it is too large")
        yield member


def _manifest(found: Any) -> dict[str, Any]:
    if found["format"] != FORMAT:
        raise Unsound(f"格式 {found['format']!r} 未知", f"its format {found['format']!r} is not known")
    if found["stamp"] not in home.WORDS or not isinstance(found["schema"], int) or JOURNAL not in found["files"]:
        raise Unsound("清单不完整", "its manifest is incomplete")
    return cast(dict[str, Any], found)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    parts: list[bytes] = []
    _copy(tar, member, parts.append)
    return b"".join(parts)


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, put: Callable[[bytes], object]) -> None:
    file = tar.extractfile(member)
    assert file is not None
    while chunk := file.read(1 << 20):
        put(chunk)


def _refuse_newer(source: Path, manifest: Mapping[str, Any]) -> None:
    if manifest["schema"] > schema.SCHEMA:
        raise Trouble(
            REFUSED,
            Text(
                f"{source} 由更新的版本 {manifest['program']} 写成；请先升级程序",
                f"{source} was written by the newer version {manifest['program']}; update the program first",
            ),
        )


def _check_journal(source: Path, path: Path) -> None:
    try:
        with contextlib.closing(read_only(path)) as con:
            sound = con.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error:
        sound = False
    if not sound:
        raise Trouble(INVALID, Text(f"{source} 中的日志库已损坏", f"the journal in {source} is damaged"))


def _replace(state: Path, stamp: Stamp, new: Path) -> Path | None:
    """Under the daemon's own lock: the old journal is kept, the new one is there whole or not at all."""
    owner = _existing(state.absolute()).stat()
    held = home.Home.take(state, stamp)
    try:
        journal = held.path / db.FILE
        aside = None
        if journal.exists():
            aside = home.free_name(held.path, "before-restore")
            aside.mkdir(mode=0o700)
            os.link(journal, aside / db.FILE)
        ready = held.path / "journal.restored.new"
        ready.unlink(missing_ok=True)
        new.rename(ready)
        ready.chmod(0o600)
        for suffix in ("-wal", "-shm"):  # a log without its file would be played into the new one
            side = journal.with_name(db.FILE + suffix)
            if side.exists() and aside is not None:
                side.rename(aside / side.name)
            else:
                side.unlink(missing_ok=True)
        fd = os.open(ready, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        ready.rename(journal)
        home.sync_directory(held.path)
        if os.geteuid() == 0:  # root restores, but the daemon's user must be able to open it
            _give(held.path, owner.st_uid, owner.st_gid)
        return aside
    finally:
        held.release()


def _give(path: Path, user: int, group: int) -> None:
    os.chown(path, user, group)
    for below in path.rglob("*"):
        os.chown(below, user, group, follow_symlinks=False)


def _put_files(work: Path, files: Path) -> None:
    for name in ("config", "scenes"):
        folder = files / name
        folder.mkdir(parents=True)
        for path in sorted((work / name).glob("*")) if (work / name).is_dir() else ():
            (folder / path.name).write_bytes(path.read_bytes())
