"""The verbs of eccctl that work on this machine's files: doctor, diagnose, backup, restore."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text as Styled

from ecc_controld import places
from ecc_controld.sdk.text import Text

from .screen import console
from .tables import clean
from .words import Lang, pick

if TYPE_CHECKING:
    from .doctor import Ask

VERBS = ("doctor", "diagnose", "backup", "restore")
MARKS = {"ok": ("✓", "green"), "warn": ("!", "bold yellow"), "fail": ("✗", "bold red")}


def run(args: argparse.Namespace, url: str, lang: Lang, *, as_json: bool) -> int:
    """Run one of VERBS; returns the exit code."""
    from .backup import Trouble

    verb: Callable[..., int] = {
        "doctor": _doctor,
        "diagnose": _diagnose,
        "backup": _backup,
        "restore": _restore,
    }[args.verb]
    try:
        return verb(args, url, lang, as_json)
    except Trouble as trouble:
        print(f"eccctl: {pick(trouble.text, lang)}", file=sys.stderr)
        return trouble.exit_code


def add(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """The parsers of VERBS."""
    doctor = verb("doctor", "检查本机、配置、端口和设备 / look over machine, files, ports and devices")
    _add_folders(doctor)
    doctor.add_argument(
        "--certificate", type=Path, action="append", metavar="FILE", help="检查证书 / also look at it"
    )
    doctor.add_argument("--no-dial", action="store_true", help="不连接设备 / do not dial devices")
    diagnose = verb("diagnose", "诊断包（不含密码）/ bundle for the engineer, without secrets")
    diagnose.add_argument("file", type=Path, metavar="FILE", help="如 ecc-diagnose.tar.gz")
    diagnose.add_argument("--log", type=Path, metavar="FILE", help="附上日志末尾 / add the end of a log file")
    diagnose.add_argument(
        "--secrets", type=Path, action="append", metavar="DIR", help="其他凭据目录 / more places of credentials"
    )
    _add_folders(diagnose)
    backup = verb(
        "backup", "备份状态、配置和场景；守护进程可在运行 / archive of state and files; the daemon may run"
    )
    backup.add_argument("file", type=Path, metavar="FILE|DIR")
    backup.add_argument(
        "--keep", type=_one_or_more, metavar="N", help="目录中只保留最新 N 份 / keep only the newest N in DIR"
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


def _ask(args: argparse.Namespace, url: str, *, dial: bool, certificates: Sequence[Path] = ()) -> Ask:
    from .doctor import Ask

    return Ask(url, args.config, args.scenes, args.state, certificates, dial)


def _doctor(args: argparse.Namespace, url: str, lang: Lang, as_json: bool) -> int:
    from .doctor import examine

    given = args.certificate or sorted((places.ETC / "tls").glob("*.pem"))
    found = asyncio.run(examine(_ask(args, url, dial=not args.no_dial, certificates=given)))
    bad = sum(1 for one in found if one.status == "fail")
    if as_json:
        _print({"ok": not bad, "findings": [one.as_dict() for one in found]})
        return 1 if bad else 0
    screen = console()
    for one in found:
        mark, style = MARKS[one.status]
        screen.print(Styled.assemble((mark, style), " ", clean(pick(one.text, lang))), soft_wrap=True)
        if one.do is not None and one.status != "ok":
            screen.print(Styled(f"    → {clean(pick(one.do, lang))}"), soft_wrap=True)
    look = sum(1 for one in found if one.status == "warn")
    screen.print(
        pick(
            Text(f"{bad} 项有问题，{look} 项需留意", f"{bad} wrong, {look} to look at")
            if bad or look
            else Text("一切正常", "all is well"),
            lang,
        )
    )
    return 1 if bad else 0


def _diagnose(args: argparse.Namespace, url: str, lang: Lang, as_json: bool) -> int:
    from .diagnose import diagnose

    made = asyncio.run(diagnose(args.file, _ask(args, url, dial=False), args.log, args.secrets or ()))
    if as_json:
        _print({"file": str(args.file), "manifest": made})
        return 0
    print(
        pick(
            Text(
                f"诊断包已写入 {args.file}（{len(made['files'])} 个文件，已去除密码；发送前可自行查看）",
                f"written to {args.file} ({len(made['files'])} files, without secrets; look into it before you send it)",
            ),
            lang,
        )
    )
    for name in made["unread_credentials"]:
        print(
            pick(
                Text(
                    f"凭据 {name} 没有找到或没有权限读取，无法在诊断包中查找它的值；如确有此凭据，请以 root 运行",
                    f"credential {name} was not found or may not be read: its value was not searched for. If there is one, run this as root",
                ),
                lang,
            ),
            file=sys.stderr,
        )
    return 0


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


def _one_or_more(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text[:9]) >= 1:
        raise argparse.ArgumentTypeError("应为 1 或更大的整数 / expected a whole number from 1")
    return int(text)
