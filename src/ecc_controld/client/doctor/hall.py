"""The hall's files: configuration, credentials, state, serial ports; and the daemon's port and the devices."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sqlite3
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from yarl import URL

from ecc_controld.journal import db, home, schema
from ecc_controld.registry import Registry
from ecc_controld.sdk import Address
from ecc_controld.sdk.text import Text
from ecc_controld.settings import Hall, check, load_hall
from ecc_controld.yamlfile import FilesInvalid

from ..http import Api, BadUrl, Refusal, Unreachable
from .finding import Finding, fail, ok, warn

DIAL_S = 2.0
DIALS_AT_ONCE = 16
SHOWN = 8


@dataclass(frozen=True)
class Files:
    """What the configuration says: the hall (None: invalid) and the names of all credentials."""

    hall: Hall | None
    credentials: tuple[str, ...]


def files(config: Path, scenes: Path) -> tuple[Files, list[Finding]]:
    """Check configuration and scenes, and learn which credentials they name."""
    found = check(config, scenes)
    if found:
        first = found[0]
        text = Text(
            f"配置有 {len(found)} 处错误，首处 {first.file}:{first.line}：{first.message.zh}",
            f"{len(found)} errors, the first at {first.file}:{first.line}: {first.message.en}",
        )
        return Files(None, ()), [fail("config", text, Text("运行 eccctl check 查看全部", "run eccctl check"))]
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return "named"

    try:
        hall = load_hall(config, Registry.load(), secrets=note)
    except FilesInvalid as invalid:  # changed between the two looks
        text = Text(str(invalid.problems[0].message.zh), str(invalid.problems[0].message.en))
        return Files(None, ()), [fail("config", text, Text("运行 eccctl check 查看全部", "run eccctl check"))]
    text = Text(
        f"配置和场景无误：{len(hall.devices)} 台设备（{config}）",
        f"configuration and scenes are valid: {len(hall.devices)} devices ({config})",
    )
    return Files(hall, tuple(dict.fromkeys(names))), [Finding("config", "ok", text), _zone(hall)]


def _zone(hall: Hall) -> Finding:
    now = datetime.now(UTC)
    here, there = now.astimezone(), now.astimezone(ZoneInfo(hall.timezone))
    if here.utcoffset() == there.utcoffset():
        return ok("timezone", f"时区 {hall.timezone}", f"time zone {hall.timezone}")
    return warn(
        "timezone",
        Text(
            f"系统时区（{here:%z}）与大厅时区 {hall.timezone} 不同，系统日志的时刻会不一致",
            f"the system's zone ({here:%z}) is not the hall's {hall.timezone}: times in system logs differ",
        ),
        Text(f"timedatectl set-timezone {hall.timezone}", f"timedatectl set-timezone {hall.timezone}"),
    )


def credentials(names: Iterable[str], config: Path) -> list[Finding]:
    """Every credential that the configuration names: there, not empty, and nobody else's to read."""
    found = []
    places = [Path(given) for given in (os.environ.get("CREDENTIALS_DIRECTORY"),) if given]
    for name in names:
        path = next((place / name for place in places if (place / name).is_file()), config / "secrets" / name)
        finding = _credential(name, path, private=path.parent not in places)
        if finding is not None:
            found.append(finding)
    if not found:
        count = len(tuple(names))
        return [ok("credentials", f"{count} 个凭据齐全", f"all {count} credentials are there")]
    return found


def _credential(name: str, path: Path, *, private: bool) -> Finding | None:
    put = Text(
        f"写入 {path}，权限 0600，归服务用户所有", f"put it into {path}, mode 0600, owned by the service's user"
    )
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        return fail(
            "credentials",
            Text(f"凭据 {name} 读不到：{error.strerror}", f"credential {name}: {error.strerror}"),
            put,
        )
    if private and stat.S_IMODE(mode) & 0o077:
        text = Text(
            f"凭据 {path} 的权限是 {stat.S_IMODE(mode):04o}",
            f"credential {path} has mode {stat.S_IMODE(mode):04o}",
        )
        return fail("credentials", text, Text(f"chmod 0600 {path}", f"chmod 0600 {path}"))
    return (
        None
        if content.strip()
        else fail("credentials", Text(f"凭据 {name} 为空", f"credential {name} is empty"), put)
    )


def stamp_of(path: Path) -> str:
    """simulated, live, or whatever else the stamp of a state directory says; empty for none."""
    try:
        return (path / home.STAMP).read_text(encoding="ascii", errors="replace")[:64].strip()
    except OSError:
        return ""


def state(path: Path) -> list[Finding]:
    """The state directory: whose, of which hall, its journal's health."""
    try:
        if not path.exists():
            return [ok("state", f"状态目录 {path} 尚未建立，首次启动时建立", f"{path} is made at the first start")]
        mode = stat.S_IMODE(path.stat().st_mode)
        stamp = (path / home.STAMP).read_text(encoding="ascii", errors="replace")[:64].strip()
    except FileNotFoundError:
        stamp, mode = "", 0o700
    except OSError as error:
        text = Text(f"没有权限查看 {path}：{error.strerror}", f"no right to look into {path}: {error.strerror}")
        return [
            warn(
                "state", text, Text("以 root 或服务用户运行 eccctl doctor", "run it as root or the service's user")
            )
        ]
    if stamp not in home.WORDS:
        text = Text(f"{path} 不是状态目录", f"{path} is no state directory")
        return [fail("state", text, Text("用 --state 指定正确的目录", "name the right one with --state"))]
    kind = home.WORDS[stamp]
    found = [ok("state", f"状态目录 {path}（{kind.zh}大厅）", f"{path} ({kind.en} hall)")]
    if mode & 0o077:
        text = Text(f"{path} 的权限是 {mode:04o}", f"{path} has mode {mode:04o}")
        found.append(warn("state", text, Text(f"chmod 0700 {path}", f"chmod 0700 {path}")))
    found.append(_journal(path / db.FILE))
    damaged = sorted(path.glob("journal.damaged-*"))
    if damaged:
        text = Text(
            f"曾有损坏的日志库被移开：{damaged[-1].name}", f"a damaged journal was moved aside: {damaged[-1].name}"
        )
        do = Text("检查磁盘；不再需要时删除该文件", "check the disk; delete it when it is not needed any more")
        found.append(warn("journal", text, do))
    return found


def _journal(path: Path) -> Finding:
    if not path.exists():
        return ok("journal", "尚无日志库", "no journal yet")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        ) as con:
            number = schema.version(con)
            sound = con.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error as error:
        text = Text(f"日志库无法读取：{error}", f"the journal cannot be read: {error}")
        return fail(
            "journal", text, Text("检查权限；可用 eccctl restore 恢复备份", "check its rights, or eccctl restore")
        )
    if number > schema.SCHEMA:
        text = Text(f"日志库格式 {number} 比程序新", f"the journal's schema {number} is newer than the program")
        return fail(
            "journal", text, Text("升级程序，或恢复升级前的副本", "update the program, or put the older copy back")
        )
    if not sound:
        text = Text("日志库已损坏", "the journal is damaged")
        return fail(
            "journal", text, Text("重新启动，或用 eccctl restore 恢复备份", "restart, or eccctl restore a backup")
        )
    return ok("journal", f"日志库完好（格式 {number}）", f"the journal is sound (schema {number})")


def serial(hall: Hall) -> list[Finding]:
    """Serial ports that devices name: there, and ours to open."""
    found = []
    ports = {d.config.address.host: n for n, d in hall.devices.items() if d.config.address.scheme == "serial"}
    for port, device in ports.items():
        if not os.path.exists(port):
            text = Text(f"{device} 的串口 {port} 不存在", f"the serial port {port} of {device} is not there")
            found.append(
                fail(
                    "serial",
                    text,
                    Text("插上串口适配器，检查 udev 规则", "plug in the adapter, check the udev rule"),
                )
            )
        elif not os.access(port, os.R_OK | os.W_OK):
            text = Text(f"没有权限打开串口 {port}", f"no right to open {port}")
            found.append(
                fail(
                    "serial",
                    text,
                    Text("把服务用户加入 dialout 组", "add the service's user to the group dialout"),
                )
            )
    if not found and ports:
        found = [ok("serial", f"{len(ports)} 个串口可用", f"{len(ports)} serial ports can be opened")]
    return found or [ok("serial", "没有串口设备", "no device on a serial port")]


@dataclass(frozen=True)
class Running:
    """A daemon that answered: its devices as it sees them."""

    simulated: bool
    devices: Sequence[Mapping[str, Any]]


async def port(url: str) -> tuple[Finding, Running | None]:
    """Who answers at the daemon's URL; None where it is not a daemon of ours."""
    try:
        async with Api(url) as api:
            found = (await api.get("hall")).data
            devices = (await api.get("devices")).data["devices"]
    except BadUrl as error:
        return fail("port", error.text, Text("改正 --url", "correct --url")), None
    except (Unreachable, Refusal):
        return _free(URL(url)), None
    kind = Text("模拟", "simulated") if found.get("simulated") else Text("真实设备", "live")
    text = Text(
        f"守护进程 {found.get('version')} 在 {url} 运行（{kind.zh}）",
        f"daemon {found.get('version')} at {url} ({kind.en})",
    )
    return Finding("port", "ok", text), Running(bool(found.get("simulated")), devices)


def _free(url: URL) -> Finding:
    host, number = url.host or "127.0.0.1", url.port or 80
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, number))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return fail(
                "port",
                Text(f"端口 {number} 被其他程序占用", f"port {number} is held by another program"),
                Text(f"ss -ltnp 'sport = :{number}' 查看是谁", f"ss -ltnp 'sport = :{number}' says by which"),
            )
        text = Text(f"守护进程未应答：{url}", f"no daemon answers at {url}")
        return warn("port", text, Text("systemctl status ecc-controld", "systemctl status ecc-controld"))
    text = Text(f"守护进程未运行，端口 {number} 空闲", f"the daemon does not run; port {number} is free")
    return warn("port", text, Text("systemctl start ecc-controld", "systemctl start ecc-controld"))


def linked(devices: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The devices as the running daemon sees them; nobody else needs to dial."""
    rows = [row for row in devices if row.get("in_service", True)]
    absent = [row for row in rows if row.get("link") != "online"]
    found = []
    for row in absent[:SHOWN]:
        why = row.get("reason_text") or {}
        reason = row.get("reason") or row.get("link")
        text = Text(f"{row['id']}（{row['address']}）不在线", f"{row['id']} ({row['address']}) is not online")
        found.append(warn("device", text, Text(why.get("zh") or str(reason), why.get("en") or str(reason))))
    return [*found, *_rest(len(absent)), _sum(len(rows) - len(absent), len(rows))]


async def reachable(hall: Hall) -> list[Finding]:
    """Dial every device once. Only for a daemon that does not run: some devices have but one session."""
    limit = asyncio.Semaphore(DIALS_AT_ONCE)
    devices = {name: d.config.address for name, d in hall.devices.items() if d.in_service}
    results = await asyncio.gather(*(_dial(address, limit) for address in devices.values()))
    bad = [(name, why) for (name, why) in zip(devices, results, strict=True) if why is not None]
    found = []
    for name, why in bad[:SHOWN]:
        text = Text(
            f"{name}（{devices[name]}）连不上：{why}", f"{name} ({devices[name]}) cannot be reached: {why}"
        )
        do = Text("检查电源、网线、地址和设备的控制功能", "check its power, cable, address and control setting")
        found.append(warn("device", text, do))
    return [*found, *_rest(len(bad)), _sum(len(devices) - len(bad), len(devices))]


def _rest(count: int) -> list[Finding]:
    if count <= SHOWN:
        return []
    text = Text(f"另有 {count - SHOWN} 台连不上", f"{count - SHOWN} more cannot be reached")
    return [warn("device", text, Text("检查交换机和网段", "check the switch and the network"))]


def _sum(fine: int, total: int) -> Finding:
    text = Text(f"{fine}/{total} 台设备可达", f"{fine} of {total} devices can be reached")
    return Finding("devices", "ok" if fine == total else "warn", text)


async def _dial(address: Address, limit: asyncio.Semaphore) -> str | None:
    """Why the address cannot be reached; None if it can, as far as can be told without speaking."""
    try:
        async with limit, asyncio.timeout(DIAL_S):
            if address.scheme == "tcp":
                _, writer = await asyncio.open_connection(address.host, address.port)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            elif address.scheme == "udp":  # has a route, and no closed port was told; more only speaking tells
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=(address.host, address.port)
                )
                transport.close()
    except TimeoutError:
        return "time-out"
    except OSError as error:
        return error.strerror or str(error)
    return None
