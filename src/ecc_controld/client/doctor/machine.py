"""The machine: Python, clock, disk, fonts, certificates."""

from __future__ import annotations

import ctypes
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ecc_controld import __version__
from ecc_controld.sdk.text import Text

from .finding import Finding, fail, ok, warn

MB = 1 << 20
LITTLE, FEW = 50 * MB, 500 * MB
BUILT = 2026
"""A clock that shows an earlier year is wrong."""
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
CERTIFICATE_WARN = timedelta(days=30)
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
FONT_WORDS = ("wqy", "cjk", "sourcehansans", "noto sans sc", "uming", "ukai", "droidsansfallback")


def program() -> Finding:
    """Versions."""
    found = ".".join(map(str, sys.version_info[:3]))
    return ok(
        "program", f"ecc_controld {__version__}，Python {found}", f"ecc_controld {__version__}, Python {found}"
    )


def kernel_clock() -> tuple[bool, float]:
    """Whether the kernel's clock is synchronised, and its greatest error in s."""
    data = ctypes.create_string_buffer(256)  # struct timex, all zero: only look
    state = ctypes.CDLL(None, use_errno=True).adjtimex(data)
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state != TIME_ERROR, int.from_bytes(data.raw[24:32], sys.byteorder) / 1e6


def clock(
    ask: Callable[[], tuple[bool, float]] = kernel_clock, now: Callable[[], float] = time.time
) -> list[Finding]:
    """The year, and whether something keeps the clock right."""
    moment = datetime.fromtimestamp(now(), UTC)
    shown = moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    do = Text(
        "启用时间同步：timedatectl set-ntp true，并指定本地时间服务器",
        "enable time synchronisation: timedatectl set-ntp true, with a time server of the site",
    )
    if moment.year < BUILT:
        wrong = Text(f"系统时间明显错误：{shown}", f"the clock is plainly wrong: {shown}")
        return [fail("clock", wrong, Text("设置时间：timedatectl set-time", "set it: timedatectl set-time"))]
    found = [ok("clock", f"系统时间 {shown}", f"the clock says {shown}")]
    try:
        synchronised, error_s = ask()
    except (OSError, AttributeError) as error:
        unknown = Text(
            f"无法得知时间是否同步（{error}）", f"it is unknown whether the clock is synchronised ({error})"
        )
        return [*found, warn("ntp", unknown, do)]
    if not synchronised:
        text = Text("时间未同步，记录的时刻可能不准", "the clock is not synchronised: recorded times may be wrong")
        return [*found, warn("ntp", text, do)]
    return [
        *found,
        ok("ntp", f"时间已同步（误差至多 {error_s:.3f} s）", f"synchronised (error at most {error_s:.3f} s)"),
    ]


def disk(state: Path, look: Callable[[Path], os.statvfs_result] = os.statvfs) -> Finding:
    """Space and inodes where the journal is."""
    place = state.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = look(place)
    except OSError as error:
        return fail(
            "disk",
            Text(f"无法查看 {place} 的磁盘：{error}", f"the disk of {place} cannot be looked at: {error}"),
            Text("检查磁盘和挂载", "check the disk and how it is mounted"),
        )
    free = found.f_bavail * found.f_frsize
    text = Text(f"{place} 剩余 {free // MB} MB", f"{place}: {free // MB} MB free")
    do = Text("清理磁盘，或把状态目录移到更大的分区", "free some space, or move the state to a larger partition")
    if free < LITTLE or (found.f_files and not found.f_favail):
        return fail("disk", text, do)
    return warn("disk", text, do) if free < FEW else Finding("disk", "ok", text)


def fonts(folders: Iterable[Path] = FONT_FOLDERS) -> Finding:
    """A Chinese font; needed where the panel's browser runs."""
    listed = ""
    if shutil.which("fc-list") is not None:
        done = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, timeout=20, check=False)
        listed = done.stdout.decode("utf-8", "replace").strip().split("\n")[0]
    else:
        names = (path.name for folder in folders for path in folder.rglob("*.tt[cf]"))
        listed = next((name for name in names if any(word in name.lower() for word in FONT_WORDS)), "")
    if listed:
        return ok("fonts", f"中文字体：{listed}", f"Chinese font: {listed}")
    return warn(
        "fonts",
        Text(
            "没有中文字体；若面板浏览器在本机，文字会显示为方框",
            "no Chinese font: a panel on this machine shows boxes",
        ),
        Text(
            "apt install fonts-noto-cjk（面板不在本机则不需要）",
            "apt install fonts-noto-cjk, if the panel is here",
        ),
    )


def certificates(paths: Iterable[Path], now: Callable[[], float] = time.time) -> list[Finding]:
    """How long each certificate is valid."""
    moment = datetime.fromtimestamp(now(), UTC)
    return [_certificate(path, moment) for path in paths]


def _certificate(path: Path, now: datetime) -> Finding:
    renew = Text("更换证书后重新启动服务", "put a new certificate there and restart the service")
    try:
        begins, ends = validity(
            ssl.PEM_cert_to_DER_cert(_first(path.read_text(encoding="ascii", errors="replace")))
        )
    except (OSError, ValueError, IndexError) as error:
        return fail(
            "certificate",
            Text(f"证书 {path} 无法读取：{error}", f"certificate {path} cannot be read: {error}"),
            Text("应为 PEM 格式，运行服务的用户可读", "it must be PEM and readable by the service's user"),
        )
    until = f"{ends:%Y-%m-%d}"
    if not begins <= now < ends:
        return fail(
            "certificate",
            Text(
                f"证书 {path} 不在有效期内（至 {until}）", f"certificate {path} is not valid now (until {until})"
            ),
            renew,
        )
    text = Text(f"证书 {path} 有效至 {until}", f"certificate {path} is valid until {until}")
    return (
        warn("certificate", text, renew) if ends - now < CERTIFICATE_WARN else Finding("certificate", "ok", text)
    )


def _first(text: str) -> str:
    begin = text.index(ssl.PEM_HEADER)
    end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
    return text[begin:end] + "\n"


def validity(der: bytes) -> tuple[datetime, datetime]:
    """notBefore and notAfter of a certificate (X.509: RFC 5280 4.1). Raises ValueError or IndexError."""
    _, certificate, _ = _element(der)
    _, rest, _ = _element(certificate)
    tag, _, after = _element(rest)
    if tag == 0xA0:  # the explicit version
        _, _, after = _element(rest, after)
    for _ in range(2):  # signature algorithm, issuer
        _, _, after = _element(rest, after)
    _, times, _ = _element(rest, after)
    kind, first, behind = _element(times)
    other, second, _ = _element(times, behind)
    return _time(kind, first), _time(other, second)


def _element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """Tag, content, and where the next element begins (DER, definite lengths)."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if at + length > len(data):
        raise ValueError("cut off")
    return tag, data[at : at + length], at + length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != 0x18:
        raise ValueError("no time where the validity should be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
