"""`eccctl`: the daemon's verbs on a command line."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ecc_controld import __version__, places

from . import local, verbs
from .http import Api, BadUrl, Refusal, Unreachable
from .screen import console
from .words import Lang, pick

URL = "http://127.0.0.1:8080"
NEGATIVE = re.compile(r"-\.?\d")
INTERRUPTED = 130
EXITS = """\
退出码 / exit codes:
  0 到位 ready    1 部分到位 degraded    2 用法或文件错误 usage or invalid file
  3 未到位 failed   4 被拒绝或已被取代 refused or superseded   5 连不上守护进程 daemon not reachable"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    # A leading blank keeps argparse from reading a negative value as an option.
    args = _parser().parse_args([f" {word}" if NEGATIVE.match(word) else word for word in given])
    lang: Lang = getattr(args, "lang", None) or language(os.environ)
    as_json: bool = getattr(args, "json", False)
    if args.verb == "check":
        return check(args.config, args.scenes, lang, as_json=as_json)
    if args.verb in local.VERBS:
        return local.run(
            args, getattr(args, "url", None) or os.environ.get("ECCCTL_URL") or URL, lang, as_json=as_json
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show Chinese shows what it can
    url = getattr(args, "url", None) or os.environ.get("ECCCTL_URL") or URL
    try:
        return asyncio.run(_run(args, url, lang, as_json=as_json))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read us has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return verbs.READY


async def _run(args: argparse.Namespace, url: str, lang: Lang, *, as_json: bool) -> int:
    try:
        async with Api(url) as api:
            return await _verb(args, verbs.Desk(api, console(), lang, as_json))
    except BadUrl as error:
        _complain(pick(error.text, lang))
        return verbs.USAGE
    except Unreachable as error:
        _complain(pick(error.text, lang))
        return verbs.UNREACHABLE
    except Refusal as refusal:
        if as_json:
            verbs.raw(refusal.raw)
        _complain(verbs.refusal_text(refusal, lang))
        return verbs.refusal_code(refusal)


async def _verb(args: argparse.Namespace, desk: verbs.Desk) -> int:
    match args.verb:
        case "status":
            return await verbs.status(desk)
        case "devices" | "scenes":
            return await verbs.listing(desk, args.verb)
        case "points":
            return await verbs.listing(desk, "points", device=args.device)
        case "runs" | "history":
            return await verbs.listing(desk, "runs", limit=None if args.limit is None else str(args.limit))
        case "plan":
            return await verbs.plan(desk, args.scene, args.param)
        case "apply":
            return await verbs.apply(
                desk, args.scene, args.param, wait=args.wait, stand_down=args.stand_down, drill=args.drill
            )
        case "stand-down":
            return await verbs.stand_down(desk, wait=args.wait)
        case "set":
            return await verbs.set_point(desk, args.point, args.value, wait=args.wait)
        case "release":
            return await verbs.release(desk, args.point)
        case _:
            return await verbs.run(desk, args.run)


def check(config: Path, scenes: Path, lang: Lang, *, as_json: bool) -> int:
    """Check the files without a daemon."""
    # The loaders and all drivers are needed by this verb alone; the others start quickly without them.
    from ecc_controld.settings import check as check_files
    from ecc_controld.yamlfile import Problems

    warnings = Problems()
    found = check_files(config, scenes, warnings=warnings)
    if as_json:
        print(json.dumps(verbs.problems_json(found, warnings.all()), ensure_ascii=False))
        return verbs.USAGE if found else verbs.READY
    for problem in found:
        text = pick(problem.message, lang)
        nearest = f" → {problem.nearest}" if problem.nearest and problem.nearest not in text else ""
        print(f"{problem.file}:{problem.line}:{problem.column}: {text}{nearest}")
    for warning in warnings.all():
        print(f"{warning.file}:{warning.line}:{warning.column}: warning: {pick(warning.message, lang)}")
    if lang == "zh":
        print(f"{len(found)} 处错误" if found else "配置和场景无误")
    else:
        print(
            f"{len(found)} error{'s' if len(found) > 1 else ''}" if found else "configuration and scenes are valid"
        )
    return verbs.USAGE if found else verbs.READY


def language(environment: os._Environ[str] | dict[str, str]) -> Lang:
    """Chinese, unless the locale says English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if text := environment.get(name):
            return "en" if text.lower().startswith("en") else "zh"
    return "zh"


def _complain(text: str) -> None:
    print(f"eccctl: {text}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(verbs.USAGE, f"{self.prog}: 用法错误 / usage: {message}\n")


def _parser() -> argparse.ArgumentParser:
    common = _common()
    parser = _Parser(
        "eccctl",
        description="应急指挥大厅命令行 / command line of the hall",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=__version__)
    found = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> _Parser:
        return found.add_parser(name, help=text, description=text, parents=[common])

    verb("status", "大厅现状 / the hall now")
    verb("devices", "设备与连接 / devices and links")
    points = verb("points", "点位：期望与实际 / points: wanted and observed")
    points.add_argument("--device", metavar="D", help="只看一台设备 / of one device")
    verb("scenes", "场景 / scenes")
    planning = verb("plan", "场景会改变什么，不发送 / what a scene would change; sends nothing")
    planning.add_argument("scene")
    _add_param(planning)
    _add_apply(verb("apply", "启用场景 / press a scene"))
    _add_wait(verb("stand-down", "结束保持的场景 / end the scene that holds the hall"))
    setting = verb("set", "手动设定点位 / want a value by hand")
    setting.add_argument("point")
    setting.add_argument("value", type=str.strip)
    _add_wait(setting)
    verb("release", "撤回手动设定 / take a manual wish back").add_argument("point")
    for name in ("runs", "history"):
        listing = verb(name, "历次切换 / past runs")
        listing.add_argument("--limit", type=int, metavar="N", help="最多几条 / at most so many")
    verb("run", "一次切换的成绩单 / one run's card").add_argument("run", metavar="ID")
    checking = verb("check", "不连守护程序，检查配置和场景 / check the files without a daemon")
    checking.add_argument("--config", type=Path, default=places.folder("config"), metavar="DIR")
    checking.add_argument("--scenes", type=Path, default=places.folder("scenes"), metavar="DIR")
    local.add(verb)
    return parser


def _common() -> _Parser:
    """What may stand before the verb as well as behind it."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--url", metavar="URL", help=f"守护进程地址 / the daemon (ECCCTL_URL, {URL})")
    common.add_argument("--lang", choices=("zh", "en"), help="语言 / language")
    common.add_argument("--json", action="store_true", help="输出接口原始 JSON / the API's own JSON")
    return common


def _add_param(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        type=_param,
        metavar="NAME=VALUE",
        help="场景参数，列表则每项写一次 / a parameter of the scene; again for each item of a list",
    )


def _param(text: str) -> tuple[str, str]:
    name, equals, value = text.strip().partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"应为 名称=值 / expected NAME=VALUE: {text.strip()!r}")
    return name, value


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scene")
    _add_param(parser)
    _add_wait(parser)
    parser.add_argument("--stand-down", action="store_true", help="同时结束保持的场景 / end what holds the hall")
    parser.add_argument("--drill", action="store_true", help="演练 / mark it as a drill")


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        nargs="?",
        type=_seconds,
        const=verbs.WAIT_LIMIT_S,
        metavar="S",
        help="等到有结论，最多 S 秒 / wait for the verdict, at most S seconds",
    )


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= verbs.WAIT_LIMIT_S:
        raise argparse.ArgumentTypeError(f"0 … {verbs.WAIT_LIMIT_S:g} 秒 / seconds: {text.strip()!r}")
    return found


if __name__ == "__main__":
    sys.exit(main())
