"""The verbs of eccctl that work on this machine's files: doctor, diagnose, backup, restore."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecc_controld import places
from ecc_controld.sdk.text import Text

from .words import Lang, pick

VERBS = ("backup", "restore")


def run(args: argparse.Namespace, url: str, lang: Lang, *, as_json: bool) -> int:
    """Run one of VERBS; returns the exit code."""
    from .backup import Trouble

    verb: Callable[..., int] = {"backup": _backup, "restore": _restore}[args.verb]
    try:
        return verb(args, url, lang, as_json)
    except Trouble as trouble:
        print(f"eccctl: {pick(trouble.text, lang)}", file=sys.stderr)
        return trouble.exit_code


def add(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The parsers of VERBS."""
    backup = verb(
        "backup", "备份状态、配置和场景；守护进程可在运行 / archive of state and files; the daemon may run"
    )
    backup.add_argument("file", type=Path, metavar="FILE|DIR")
    backup.add_argument(
        "--keep", type=int, metavar="N", help="目录中只保留最新 N 份 / keep only the newest N in DIR"
    )
    _add_folders(backup)
    restore = verb("restore", "恢复备份；须先停止守护进程 / put a backup back; stop the daemon first")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--state", type=Path, default=places.known_state(), metavar="DIR")
    restore.add_argument(
        "--files",
        type=Path,
        metavar="DIR",
        help="把配置和场景解到新目录 / unpack config and scenes into a new DIR",
    )


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=places.folder("config"), metavar="DIR")
    parser.add_argument("--scenes", type=Path, default=places.folder("scenes"), metavar="DIR")
    parser.add_argument("--state", type=Path, default=places.known_state(), metavar="DIR")


def _backup(args: argparse.Namespace, url: str, lang: Lang, as_json: bool) -> int:
    from .backup import backup, prune

    made = backup(args.file, args.state, args.config, args.scenes)
    gone = []
    if args.keep is not None and args.file.is_dir():
        gone = prune(args.file, made.manifest["stamp"], max(args.keep, 1))
    if as_json:
        _print({"file": str(made.path), "removed": [str(path) for path in gone], "manifest": dict(made.manifest)})
        return 0
    count, size = len(made.manifest["files"]), made.path.stat().st_size
    print(
        pick(
            Text(
                f"已备份到 {made.path}（{count} 个文件，{size} 字节；不含密码，请另行保存 secrets/）",
                f"backed up to {made.path} ({count} files, {size} bytes; without secrets: keep secrets/ elsewhere)",
            ),
            lang,
        )
    )
    return 0


def _restore(args: argparse.Namespace, url: str, lang: Lang, as_json: bool) -> int:
    from .backup import restore

    done, aside = restore(args.file, args.state, args.files)
    if as_json:
        _print(
            {
                "state": str(args.state),
                "aside": None if aside is None else str(aside),
                "manifest": dict(done.manifest),
            }
        )
        return 0
    created = done.manifest["created"]
    print(
        pick(
            Text(f"已恢复 {created} 的备份到 {args.state}", f"restored the backup of {created} to {args.state}"),
            lang,
        )
    )
    if aside is not None:
        print(pick(Text(f"原来的日志库保存在 {aside}", f"the old journal is kept in {aside}"), lang))
    return 0


def _print(body: dict[str, Any]) -> None:
    print(json.dumps(body, ensure_ascii=False))
