"""`eccctl diagnose`: everything an engineer asks for, in one archive, without a single secret.

Three nets: values of all credentials that can be read are hidden in every spelling that the log knows; whatever
follows a word such as `password` is hidden whoever wrote it there; passwords inside URLs are hidden.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import sqlite3
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from ecc_controld import __version__
from ecc_controld.log import HIDDEN, Redactor
from ecc_controld.sdk.text import Text

from .backup import FAILED, REFUSED, Trouble, read_only
from .doctor import Ask, examine, hall
from .http import Api, BadUrl, Refusal, Unreachable

ANSWERS = ("hall", "devices", "points", "scenes", "alarms")
PLAIN = ("readyz", "metrics")
PLAIN_S = aiohttp.ClientTimeout(total=15)
RUNS = "50"
LOG_TAIL = 2 << 20
MAX_FILE = 4 << 20
LIBRARIES = ("aiohttp", "PyYAML", "structlog", "pydantic", "rich", "prometheus-client")
WORD = r"(?:secret|password|passphrase|passwd|pwd|psk|token|pin|cookie|credential|authorization|community|api_?key|private_?key|口令|密码)s?"
NAMED = re.compile(rf"(?i)((?<![a-z]){WORD}[\"']?\s*[:=：]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;}}\]#][^,;}}\]\n]*)")
IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", re.IGNORECASE)
BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
NAME_OF_ONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Hider:
    """Hides secrets in whole texts."""

    def __init__(self, values: Iterable[str], names: Iterable[str]) -> None:
        self._redactor = Redactor()
        self._names = frozenset(names)
        short: list[str] = []
        for value in values:
            self._redactor.add(value)
            if 0 < len(value) < 4:
                short.append(re.escape(value))
        self._short = re.compile(rf"(?<!\w)(?:{'|'.join(short)})(?!\w)") if short else None

    def hide(self, text: str) -> str:
        """The text without what is or looks like a secret; `secret: NAME` keeps the name of a credential."""
        text = self._redactor.hide(text)
        if self._short is not None:
            text = self._short.sub(HIDDEN, text)
        text = NAMED.sub(self._named, text)
        return BEARER.sub(rf"\1 {HIDDEN}", IN_URL.sub(rf"\1{HIDDEN}@", text))

    def _named(self, found: re.Match[str]) -> str:
        value = found[2].strip().strip("\"'")
        return found[0] if value in self._names or value == "null" else found[1] + HIDDEN


async def diagnose(target: Path, ask: Ask, log: Path | None, places: Iterable[Path]) -> dict[str, Any]:
    """Write the bundle; returns its manifest. Raises Trouble; an existing file is not touched."""
    names = _named_credentials(ask)
    values, unread = _credentials(names, ask.config, places)
    hider = Hider(values, names)
    try:
        contents = {"versions.json": _json(_versions())}
        contents |= _files("config", ask.config) | _files("scenes", ask.scenes)
        contents["doctor.json"] = _json([one.as_dict() for one in await examine(ask)])
        contents |= await _api(ask.url)
        contents["state.json"] = _json(_state(ask.state))
        if log is not None:
            contents["log.txt"] = _tail(log)
        return _write(target, {name: hider.hide(text) for name, text in contents.items()}, unread)
    except FileExistsError as error:
        raise Trouble(
            REFUSED, Text(f"{target} 已存在，未覆盖", f"{target} exists and was not overwritten")
        ) from error
    except OSError as error:
        raise Trouble(FAILED, Text(f"诊断包未写成：{error}", f"no bundle: {error}")) from error


def _named_credentials(ask: Ask) -> tuple[str, ...]:
    found, _ = hall.files(ask.config, ask.scenes)
    if found.hall is not None:
        return found.credentials
    texts = _files("config", ask.config).values()  # invalid, and just then somebody needs the bundle
    found_names = (match[1].strip("\"'") for text in texts for match in re.finditer(r"\bsecret:\s*(\S+)", text))
    return tuple(dict.fromkeys(name for name in found_names if NAME_OF_ONE.fullmatch(name)))


def _credentials(names: Iterable[str], config: Path, more: Iterable[Path]) -> tuple[set[str], list[str]]:
    """All values that can be read, named or not, and the names whose value cannot."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [config / "secrets", *more, *([Path(given)] if given else [])]
    known: dict[str, str] = {}
    unread: set[str] = set()
    for folder in folders:
        try:
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        except OSError:
            continue
        for path in paths:
            try:
                known[path.name] = path.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError:
                unread.add(path.name)
    unread |= {name for name in names if name not in known}
    values = {part for text in known.values() for part in (text, text.strip(), *text.splitlines()) if part.strip()}
    return values, sorted(unread - known.keys())


def _versions() -> dict[str, Any]:
    return {
        "ecc_controld": __version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _files(name: str, folder: Path) -> dict[str, str]:
    """YAML files as text; only YAML, so that `secrets/` and whatever else lies there stays where it is."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[f"{name}/{path.name}"] = path.read_bytes()[:MAX_FILE].decode("utf-8", "backslashreplace")
        except OSError as error:
            found[f"{name}/{path.name}"] = f"# {error}\n"
    return found


async def _api(url: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        async with Api(url) as api:
            for name in ANSWERS:
                found[f"api/{name}.json"] = await _answer(api, name)
            found["api/runs.json"] = await _answer(api, "runs", limit=RUNS)
            async with aiohttp.ClientSession(timeout=PLAIN_S) as http:
                for name in PLAIN:
                    async with http.get(api.base.join(URL(f"/{name}"))) as answer:
                        found[f"api/{name}.txt"] = await answer.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        found["api/broken_off.txt"] = f"{type(error).__name__}: {error}\n"
    except (Unreachable, BadUrl) as error:
        found["api/unreachable.txt"] = f"{error.text.zh}\n{error.text.en}\n"
    return found


async def _answer(api: Api, name: str, **query: str) -> str:
    try:
        return (await api.get(name, **query)).raw.decode("utf-8", "replace")
    except Refusal as refusal:
        return refusal.raw.decode("utf-8", "replace")


def _state(path: Path) -> dict[str, Any]:
    """What the state directory holds, without what stands in it."""
    found: dict[str, Any] = {"stamp": hall.stamp_of(path), "files": {}}
    try:
        for one in sorted(path.iterdir()):
            about = one.stat()
            found["files"][one.name] = {"size": about.st_size, "mode": f"{about.st_mode & 0o7777:04o}"}
        con = read_only(path / "journal.db")
        try:
            found["schema"] = con.execute("PRAGMA user_version").fetchone()[0]
            for table in ("puts", "runs", "events"):
                found[table] = con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        finally:
            con.close()
    except (OSError, sqlite3.Error) as error:
        found["error"] = str(error)
    return found


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - LOG_TAIL))
        return file.read(LOG_TAIL).decode("utf-8", "backslashreplace")


def _json(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, indent=1)


def _write(target: Path, contents: Mapping[str, str], unread: list[str]) -> dict[str, Any]:
    data = {name: text.encode("utf-8", "backslashreplace") for name, text in contents.items()}
    manifest: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": __version__,
        "unread_credentials": unread,
        "files": {name: hashlib.sha256(body).hexdigest() for name, body in data.items()},
    }
    data["manifest.json"] = _json(manifest).encode()
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as tar:
            for name, body in data.items():
                entry = tarfile.TarInfo(f"ecc-diagnose/{name}")
                entry.size, entry.mode, entry.mtime = len(body), 0o600, int(time.time())
                tar.addfile(entry, io.BytesIO(body))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return manifest
