"""Log lines: structured, without secrets, and never in the way of the event loop.

`setup()` once at start; anywhere else `structlog.get_logger("keeper")` and then
`log.warning("device lost", code="link_lost", device="wall")`. Messages are short constant English sentences;
`code` is the stable name that people search for, made of the message where none is given. Lines are JSON for
machines, short and coloured on a terminal; under systemd they go to journald with a field for every value.
"""

from __future__ import annotations

import atexit
import base64
import json
import logging
import math
import os
import re
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import quote, quote_plus

import structlog

from .logwriter import JOURNAL, FdSink, JournalSink, LineWriter, Sink, is_journal

Event = MutableMapping[str, Any]
Form = Literal["terminal", "json", "journal"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
COLOURS = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "1;31"}
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
RENAMED = {"run": "RUN_ID"}
"""Fields whose name in the journal is another one."""
HIDDEN = "***"
SECRET_WORD = re.compile(
    r"(secret|password|passphrase|token|pin|cookie|credential)s?|passwd|pwd|psk|authorization|community|apikey"
)
SECRET_PAIRS = frozenset({("api", "key"), ("private", "key"), ("auth", "key"), ("priv", "key"), ("session", "id")})
MAX_TEXT = 8192  # characters of one value
MAX_ITEMS = 100
MAX_DEPTH = 6
# Line breaks, terminal escapes and bidirectional overrides that a device may have sent us.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Redactor:
    """Replaces known secret values, in the spellings that they take on their way into a line."""

    def __init__(self) -> None:
        self._whole: frozenset[str] = frozenset()
        self._parts: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str | bytes) -> None:
        """Learn a secret. One of fewer than four characters is hidden only where it stands alone."""
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        if not text:
            return
        self._whole |= {text}
        if len(text) >= 4:
            self._parts |= _spellings(text)
            longest_first = sorted(self._parts, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(part) for part in longest_first))

    def hide(self, text: str) -> str:
        """The text without any known secret."""
        if text in self._whole:
            return HIDDEN
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _spellings(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogateescape")
    escaped = {
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        repr(data)[2:-1],
    }
    quoted = {quote(data), quote(data, safe=""), quote_plus(data)}
    coded = {base64.b64encode(data).decode(), base64.b64encode(data).decode().rstrip("=")}
    hexed = {data.hex(), data.hex().upper(), data.hex(" "), data.hex(" ").upper()}
    return {text, *escaped, *quoted, *coded, *hexed}


_redactor = Redactor()


def redact(value: str | bytes) -> None:
    """Register a secret value; from now on it appears in no line. For the whole process, for good."""
    _redactor.add(value)


def _names_secret(key: str) -> bool:
    words = re.findall(r"[a-z]+|[0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", key).lower())
    return any(SECRET_WORD.fullmatch(word) for word in words) or not SECRET_PAIRS.isdisjoint(pairwise(words))


def _plain(value: object, depth: int = 0) -> Any:
    """JSON's own types only, bounded, secrets hidden; never raises, whatever the value does."""
    try:
        return _converted(value, depth)
    except Exception as error:
        return f"<{type(value).__name__}: {type(error).__name__} in its text>"


def _converted(value: object, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        text = str(value)
        return value if math.isfinite(value) and _redactor.hide(text) == text else _redactor.hide(text)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _short(_redactor.hide(value))
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in list(value.items())[:MAX_ITEMS]]
        return {
            _short(_redactor.hide(key)): HIDDEN if _names_secret(key) else _plain(item, depth + 1)
            for key, item in items
        }
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [_plain(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    return _short(_redactor.hide(str(value)))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"


class _Named:
    """What structlog wraps: only a name, the lines go to the set-up of the moment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        if (log := _current) is not None:
            log.writer.put(line)

    debug = info = warning = error = critical = exception = msg


class _Library(logging.Handler):
    """Lines of libraries (asyncio, aiohttp) take the same way; from `warning` on, as they are not ours."""

    def emit(self, record: logging.LogRecord) -> None:
        if _current is None:
            return
        level = record.levelname.lower() if record.levelname.lower() in LEVELS else "warning"
        if LEVELS[level] < LEVELS[_current.level]:
            return
        try:
            message = record.getMessage()
        except Exception:  # a library's wrong format must not become our failure
            message = str(record.msg)
        event: Event = {"event": message, "code": "library"}
        if record.exc_info:
            event["exception"] = structlog.processors.format_exc_info(None, "", {"exc_info": record.exc_info})[
                "exception"
            ]
        _current.writer.put(_line(_current, record.name, level, event))


class Log:
    """The running set-up: level, counters, end."""

    def __init__(self, sink: Sink, form: Form, level: str, *, colours: bool, capacity: int) -> None:
        self.form = form
        self.colours = colours
        self._level = self._began_with = _known(level)
        self.writer = LineWriter(sink, capacity=capacity, dropped_line=self._dropped_line)
        self._library = _Library(logging.WARNING)

    @property
    def level(self) -> str:
        """Lines below this level are not written."""
        return self._level

    def set_level(self, level: str) -> None:
        """Change the level at run time. Raises ValueError for an unknown one."""
        self._level = _known(level)

    def louder(self) -> None:
        """One level more, down to debug."""
        names = list(LEVELS)
        self._tell_level(names[max(0, names.index(self._level) - 1)])

    def as_begun(self) -> None:
        """The level of the start again."""
        self._tell_level(self._began_with)

    def _tell_level(self, level: str) -> None:
        self._level = level
        self.writer.put(_line(self, "log", "warning", {"event": "log level changed", "now": level}))

    @property
    def dropped(self) -> int:
        """Lines lost because the reader was too slow or gone."""
        return self.writer.dropped

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, for at most `timeout` seconds, and detach; blocking, at the very end."""
        global _current
        atexit.unregister(self.close)
        logging.getLogger().removeHandler(self._library)
        if _current is self:
            _current = None
        self.writer.close(timeout)

    def attach(self) -> None:
        """Take all lines of this process from now on."""
        global _current
        if _current is not None:
            _current.close()
        _current = self
        atexit.register(self.close)  # whoever ends the process, the last lines are the ones that matter
        logging.getLogger().addHandler(self._library)

    def _dropped_line(self, count: int) -> bytes:
        return _line(self, "log", "warning", {"event": "log lines dropped", "count": count})


_current: Log | None = None


def setup(
    level: str = "info",
    *,
    fd: int = 2,
    terminal: bool | None = None,
    colours: bool | None = None,
    capacity: int = 4096,
) -> Log:
    """Send all log lines to a descriptor. `terminal` (short lines) and `colours` are found out where not given.

    Where the descriptor is the journal's own stream (JOURNAL_STREAM), lines go to journald with their fields.
    """
    is_terminal = os.isatty(fd) if terminal is None else terminal
    coloured = is_terminal and "NO_COLOR" not in os.environ if colours is None else colours
    journal = terminal is None and is_journal(fd, os.environ.get("JOURNAL_STREAM")) and os.path.exists(JOURNAL)
    form: Form = "journal" if journal else "terminal" if is_terminal else "json"
    sink = JournalSink(JOURNAL) if journal else FdSink(fd)
    log = Log(sink, form, level, colours=coloured, capacity=capacity)
    log.attach()
    structlog.configure(
        processors=PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda *args: _Named(str(args[0]) if args else ""),
        cache_logger_on_first_use=True,
    )
    return log


def current() -> Log | None:
    """The running set-up, if there is one."""
    return _current


def _known(level: str) -> str:
    if level not in LEVELS:
        raise ValueError(f"unknown log level {level!r}; one of {', '.join(LEVELS)}")
    return level


def _gate(_: Any, method: str, event: Event) -> Event:
    """Drop what is below the level, before any work is done for it."""
    if _current is None or LEVELS[_level_of(method)] < LEVELS[_current.level]:
        raise structlog.DropEvent
    return event


def _level_of(method: str) -> str:
    return {"exception": "error", "warn": "warning", "fatal": "critical"}.get(method, method)


def _render(logger: Any, method: str, event: Event) -> bytes:
    if _current is None:
        raise structlog.DropEvent
    return _line(_current, getattr(logger, "name", ""), _level_of(method), event)


def _line(log: Log, name: str, level: str, event: Event) -> bytes:
    fields = dict(event)
    name = _redactor.hide(name)
    message = _plain(str(fields.pop("event", "")))
    code = _plain(str(fields.pop("code", None) or _slug(message)))
    trace = _redactor.hide(str(fields.pop("exception", None) or ""))[-MAX_TEXT:]  # its end tells most
    rest = _plain({key: value for key, value in fields.items() if key != "exc_info"})
    if log.form == "journal":
        return _entry(level, message, code, name, rest, trace)
    now = datetime.now(UTC).astimezone()
    if log.form == "terminal":
        line = _short_line(log.colours, now, level, message, code, name, rest, trace)
    else:
        head = {"time": now.isoformat(timespec="milliseconds"), "level": level, "code": code, "message": message}
        if name:
            head["logger"] = name
        tail = {"exception": trace} if trace else {}
        own = {f"{key}_" if key in head else key: value for key, value in rest.items()}
        line = json.dumps(head | own | tail, ensure_ascii=False, default=str)
    return line.encode("utf-8", "backslashreplace") + b"\n"


def _entry(level: str, message: str, code: str, name: str, rest: Mapping[str, Any], trace: str) -> bytes:
    """One entry for journald: what people read, and every field for `journalctl ECC_DEVICE=wall`."""
    fields: dict[str, str] = {
        "MESSAGE": " ".join([f"{name}: {message}" if name else message, *_pairs(rest)]),
        "PRIORITY": str(PRIORITIES[level]),
        "SYSLOG_IDENTIFIER": "ecc-controld",
        "ECC_CODE": code,
    }
    if name:
        fields["ECC_LOGGER"] = name
    for key, value in rest.items():
        word = RENAMED.get(key, re.sub(r"[^A-Z0-9_]", "_", key.upper()))
        fields.setdefault(f"ECC_{word}"[:64], value if isinstance(value, str) else _json(value))
    if trace:
        fields["ECC_EXCEPTION"] = trace
        fields["MESSAGE"] += f"\n{trace}"
    return b"".join(_field(key, value) for key, value in fields.items())


def _field(key: str, value: str) -> bytes:
    """`KEY=value`, or its length first where the value has line breaks."""
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" in data:
        return key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return key.encode() + b"=" + data + b"\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _pairs(rest: Mapping[str, Any]) -> list[str]:
    return [_visible(f"{key}={value if isinstance(value, str) else _json(value)}") for key, value in rest.items()]


def _slug(message: str) -> str:
    return "_".join(re.findall(r"[a-z0-9]+", message.lower())[:6])


def _short_line(
    colours: bool,
    now: datetime,
    level: str,
    message: str,
    code: str,
    name: str,
    rest: Mapping[str, Any],
    trace: str,
) -> str:
    """`12:30:05 WARNING keeper: device lost [link_lost] device=wall`, a traceback on lines of its own."""
    word = f"{level.upper():<8}"
    if colours:
        word = f"\x1b[{COLOURS[level]}m{word}\x1b[0m"
    parts = [f"{now:%H:%M:%S}", word, _visible(f"{name}: {message}" if name else message)]
    if code != _slug(message):
        parts.append(_visible(f"[{code}]"))
    parts += _pairs(rest)
    return "\n".join([" ".join(parts), *(f"    {_visible(line)}" for line in trace.splitlines())])


def _visible(text: str) -> str:
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


# One list for good: loggers keep hold of it, and tests exchange what is in it (structlog.testing).
PROCESSORS: list[structlog.typing.Processor] = [
    _gate,
    structlog.contextvars.merge_contextvars,
    structlog.processors.format_exc_info,
    _render,
]
