"""Where credentials come from. Each one that is read is hidden in every log line from then on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from .log import redact
from .twins import simulated_secret

UNIT_PREFIX = "ecc_"
"""`LoadCredential=ecc:/etc/ecc-controld/secrets` makes the file `wall` there the credential `ecc_wall`."""

Secrets = Callable[[str], str | None]


def credentials(config: Path, *, simulated: bool) -> Secrets:
    """The value of a credential by name, or None; in simulation every one has a value."""
    find = simulated_secret if simulated else _live(config)

    def secret(name: str) -> str | None:
        value = find(name)
        if value is not None:
            redact(value)
        return value

    return secret


def _live(config: Path) -> Secrets:
    """Credentials of the service manager, else files of mode 0600 in `secrets/` beside the configuration."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    manager, own = Path(given) if given else None, config / "secrets"

    def secret(name: str) -> str | None:
        if manager is not None:
            for path in (manager / name, manager / f"{UNIT_PREFIX}{name}"):
                if _is_file(path):
                    return _read(path)
        path = own / name
        if not _is_file(path):
            return None
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            _say(path, "权限应为 0600 / must have mode 0600")
            return None
        return _read(path)

    return secret


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        _say(path, f"无法读取 / cannot be read: {error.strerror}")
        return False


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        _say(path, f"无法读取 / cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        _say(path, "不是 UTF-8 文本 / is not UTF-8 text")
    return None


def _say(path: Path, what: str) -> None:
    print(f"{path}: {what}", file=sys.stderr)
