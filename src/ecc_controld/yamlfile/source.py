"""From a file to text that YAML may be read from: size, encoding, forbidden characters."""

from __future__ import annotations

import codecs
import re
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .nodes import Mark, Problems

MAX_BYTES = 1 << 20
"""A file that people write is far smaller; a bigger one is a mistake or an attack."""

_INDENT = re.compile(r"^[ ]*([\t\u00a0\u3000\u2000-\u200b]+)", re.MULTILINE)
# C0 and C1 controls, YAML's extra line breaks, marks that turn the direction of writing, surrogates, BOM.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_CJK = re.compile("[\u4e00-\u9fff]")
_SHOWN = 20
"""So many bad characters of one file are told one by one."""


@dataclass(frozen=True)
class Source:
    """The text of one file and what it is known by."""

    file: str
    text: str
    digest: str


def folder(path: Path, problems: Problems) -> list[Path]:
    """The `*.yaml` files of a folder in the order of their names; hidden files are left alone."""
    here = Mark(str(path))
    try:
        names = sorted(one for one in path.iterdir() if not one.name.startswith("."))
    except OSError as error:
        problems.add(here, f"目录无法读取（{error.strerror}）", f"the folder cannot be read ({error.strerror})")
        return []
    for one in names:
        if one.suffix.lower() == ".yml" or (one.suffix != ".yaml" and one.suffix.lower() == ".yaml"):
            problems.add(
                Mark(str(one)), "文件名须以 .yaml 结尾，请改名", "rename it: only files named *.yaml are read"
            )
    found = [one for one in names if one.suffix == ".yaml"]
    if not found and not problems:
        problems.add(here, "目录中没有 *.yaml 文件", "there is no *.yaml file in this folder")
    return found


def read(path: Path, problems: Problems) -> Source | None:
    """Read one file; None, and problems, if it is not text that may be parsed."""
    here = Mark(str(path))
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would block, a device would never end
            problems.add(here, "不是普通文件", "this is not a regular file")
            return None
        if facts.st_size > MAX_BYTES:
            _too_big(here, problems)
            return None
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problems.add(here, f"文件无法读取（{error.strerror}）", f"the file cannot be read ({error.strerror})")
        return None
    if len(data) > MAX_BYTES:
        _too_big(here, problems)
        return None
    text = decode(data, str(path), problems)
    return None if text is None else Source(str(path), text, sha256(data).hexdigest())


def decode(data: bytes, file: str, problems: Problems) -> str | None:
    """The text of a file's bytes; None, and problems that say what was found, if it may not be parsed."""
    here = Mark(file)
    for bom, name in (
        (codecs.BOM_UTF8, "UTF-8 BOM"),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if data.startswith(bom):
            zh = f"文件开头有 {name} 标记；请另存为不带 BOM 的 UTF-8"
            problems.add(here, zh, f"the file begins with a {name} mark; save it as UTF-8 without BOM")
            return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _not_utf8(data, error.start, file, problems)
        return None
    before = len(problems)
    _check_characters(text, file, problems)
    return text if len(problems) == before else None


def _too_big(here: Mark, problems: Problems) -> None:
    limit = MAX_BYTES // 1024
    problems.add(
        here,
        f"文件超过 {limit} KiB；请拆成几个文件",
        f"the file is bigger than {limit} KiB; split it into several",
    )


def _not_utf8(data: bytes, at: int, file: str, problems: Problems) -> None:
    line = data.count(b"\n", 0, at) + 1
    column = len(data[data.rfind(b"\n", 0, at) + 1 : at].decode("utf-8", "replace")) + 1
    mark = Mark(file, line, column)
    try:
        chinese = b"\0" not in data and _CJK.search(data.decode("gb18030")) is not None
    except UnicodeDecodeError:
        chinese = False
    if chinese:
        zh = "文件是 GBK/GB18030 编码；请另存为 UTF-8（或 iconv -f gb18030 -t utf-8）"
        en = "the file is encoded in GBK/GB18030; save it as UTF-8 (or: iconv -f gb18030 -t utf-8)"
    else:
        zh = f"字节 0x{data[at]:02X} 不是 UTF-8 文本；请另存为 UTF-8"
        en = f"byte 0x{data[at]:02X} is not UTF-8 text; save the file as UTF-8"
    problems.add(mark, zh, en)


def _check_characters(text: str, file: str, problems: Problems) -> None:
    for found in list(_limited(_FORBIDDEN, text)):
        name = f"U+{ord(found[0]):04X}"
        zh = f"控制字符或不可见字符 {name}；请删除"
        problems.add(_mark(text, found.start(), file), zh, f"control or invisible character {name}; delete it")
    for found in _limited(_INDENT, text):
        tab = "\t" in found[1]
        zh = "缩进中有制表符（Tab）；请用空格" if tab else "缩进中有全角或特殊空格；请用半角空格"
        en = (
            "a tab in the indentation; use spaces"
            if tab
            else "a full-width or special space in the indentation; use spaces"
        )
        problems.add(_mark(text, found.start(1), file), zh, en)


def _limited(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    found = []
    for match in pattern.finditer(text):
        found.append(match)
        if len(found) == _SHOWN:
            break
    return found


def _mark(text: str, at: int, file: str) -> Mark:
    return Mark(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
