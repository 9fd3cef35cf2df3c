"""Where credentials come from. Each one that is read is hidden in every log line from then on."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from ecc_controld.sdk import ConfigError, Text

from .log import redact
from .twins import simulated_secret

UNIT_PREFIX = "ecc_"
"""`LoadCredential=ecc:/etc/ecc-controld/secrets` makes the file `wall` there the credential `ecc_wall`."""

Secrets = Callable[[str], str | None]
"""The value of a credential, None where there is none; raises ConfigError for one that is there and cannot be used."""


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
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            why = Text(
                f"权限为 {mode:04o}，须为 0600（chmod 600）",
                f"its mode is {mode:04o}, it must be 0600 (chmod 600)",
            )
            raise _unusable(path, why)
        return _read(path)

    return secret


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _barred(path, error) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _barred(path, error) from error
    except UnicodeDecodeError:
        raise _unusable(path, Text("不是 UTF-8 文本", "is not UTF-8 text")) from None


def _barred(path: Path, error: OSError) -> ConfigError:
    return _unusable(path, Text(f"无法读取（{error.strerror}）", f"cannot be read ({error.strerror})"))


def _unusable(path: Path, why: Text) -> ConfigError:
    return ConfigError(Text(f"{path}：{why.zh}", f"{path}: {why.en}"))
