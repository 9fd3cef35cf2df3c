"""The command `ecc-controld`."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import ipaddress
import sys
from pathlib import Path

from . import __version__, places


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (README.md lists them)."""
    args = _parser().parse_args(argv)
    if args.verb == "check":
        return _check(args)
    if args.verb == "schema":
        return _schema(args)
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    from .app import EXIT_INVALID, CannotStart, Options, run
    from .log import setup
    from .yamlfile import FilesInvalid

    host, port = args.listen
    options = Options(
        args.config, args.scenes, args.state, host, port, args.simulate, args.twins, args.observe_only
    )
    setup(level=args.log_level)
    faulthandler.enable()  # the watchdog's SIGABRT leaves the stacks of all threads in the log
    try:
        asyncio.run(run(options))
    except FilesInvalid as invalid:
        for problem in invalid.problems:
            print(problem, file=sys.stderr)
        return EXIT_INVALID
    except CannotStart as error:
        print(f"{error.text.zh}\n{error.text.en}", file=sys.stderr)
        return error.exit_code
    return 0


def _check(args: argparse.Namespace) -> int:
    from .settings import check
    from .yamlfile import Problems

    warnings = Problems()
    found = check(args.config, args.scenes, warnings=warnings)
    for problem in found:
        print(problem, file=sys.stderr)
    for warning in warnings.all():
        print(warning.as_warning())
    if found:
        print(f"{len(found)} 处错误 / errors", file=sys.stderr)
        return 2
    print(f"{args.config}、{args.scenes} 无误 / no errors")
    return 0


def _schema(args: argparse.Namespace) -> int:
    """A JSON Schema on standard output."""
    import json

    from .registry import Registry
    from .scene.schema import scene_schema
    from .settings import load_hall
    from .settings.schema import config_schema
    from .yamlfile import FilesInvalid

    registry = Registry.load()
    if args.of == "config":
        schema = config_schema(registry)
    else:
        try:
            hall = None if args.config is None else load_hall(args.config, registry, secrets=lambda _: "schema")
        except FilesInvalid as invalid:
            for problem in invalid.problems:
                print(problem, file=sys.stderr)
            return 2
        schema = scene_schema(hall)
    print(json.dumps(schema, ensure_ascii=False, indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ecc-controld", description="应急指挥大厅控制程序 / control daemon of an emergency command hall"
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="运行 / run the daemon in the foreground")
    _add_folders(run)
    run.add_argument(
        "--state", type=Path, default=places.state(), help="状态目录 / where wishes and runs are kept"
    )
    run.add_argument("--listen", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    run.add_argument(
        "--observe-only", action="store_true", help="只观察，不发送任何控制命令 / read every device, write to none"
    )
    hall = run.add_mutually_exclusive_group()
    hall.add_argument("--simulate", action="store_true", help="使用模拟设备 / with twins of all devices")
    hall.add_argument("--twins", metavar="HOST:PORT", help="使用已运行的模拟设备 / twins that already run")
    schema = verbs.add_parser("schema", help="编辑器用的 JSON Schema / a JSON Schema for editors")
    schema.add_argument("of", choices=("scene", "config"), help="哪种文件 / of which files")
    schema.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        help="场景还补全该大厅的设备和点位 / scenes: complete this hall's names too",
    )
    check = verbs.add_parser("check", help="检查配置和场景 / check configuration and scenes")
    _add_folders(check)
    return parser


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=places.folder("config"), metavar="DIR")
    parser.add_argument("--scenes", type=Path, default=places.folder("scenes"), metavar="DIR")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not colon or not port.isascii() or not port.isdigit() or not int(port) < 65536:
        raise argparse.ArgumentTypeError("应为 主机:端口 / expected HOST:PORT, for example 127.0.0.1:8080")
    if host != "localhost":
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise argparse.ArgumentTypeError(
                "尚无账户，只能监听本机地址 / no account exists yet: only loopback addresses may be listened on"
            )
    return ("127.0.0.1" if host == "localhost" else host), int(port)


if __name__ == "__main__":
    sys.exit(main())
