"""Log lines: no secrets, no waiting, nothing lost in silence."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import structlog

from ecc_controld import log as log_module
from ecc_controld.log import Log, redact, setup

SECRET = 'Kanton"\\秘密 +/7'  # every character that an encoding might change


class Reader:
    """The far end of the log: a pipe that is read when the test says so."""

    def __init__(self) -> None:
        self.source, self.fd = os.pipe()
        self._buffer = b""
        self._open = True

    def line(self) -> str:
        """The next line, waited for with a deadline."""
        deadline = time.monotonic() + 20
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.source], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "no line came"
            self._buffer += os.read(self.source, 65536)
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def json(self) -> dict[str, Any]:
        """The next line as JSON."""
        found = json.loads(self.line())
        assert isinstance(found, dict)
        return found

    def rest(self) -> list[str]:
        """All that was written, once no writer is left."""
        self.hang_up()
        while data := os.read(self.source, 65536):
            self._buffer += data
        return self._buffer.decode().splitlines()

    def hang_up(self) -> None:
        """Close the writers' end."""
        if self._open:
            os.close(self.fd)
            self._open = False

    def close(self) -> None:
        """Close both ends."""
        self.hang_up()
        os.close(self.source)


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log_module, "_redactor", log_module.Redactor())
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(reader: Reader) -> Iterator[Log]:
    log = setup("debug", fd=reader.fd)
    yield log
    log.close()


def short_log(reader: Reader, *, colours: bool = False) -> Log:
    return setup("debug", fd=reader.fd, terminal=True, colours=colours)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition of another thread, with a deadline far above what it needs."""
    changed, deadline = threading.Event(), time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        changed.wait(0.005)


def test_a_line_is_json_with_its_code(log: Log, reader: Reader) -> None:
    structlog.get_logger("keeper").warning("device lost", code="link_lost", device="大屏", age=1.5, ok=None)
    line = reader.line()
    assert "大屏" in line, "Chinese stays readable"
    found = json.loads(line)
    assert found.pop("time").count(":") == 3  # RFC 3339 with the zone
    assert found == {
        "level": "warning",
        "code": "link_lost",
        "message": "device lost",
        "logger": "keeper",
        "device": "大屏",
        "age": 1.5,
        "ok": None,
    }


def test_a_line_without_code_gets_one_of_its_message(log: Log, reader: Reader) -> None:
    structlog.get_logger().info("run opened", run="r1")
    assert reader.json()["code"] == "run_opened"


def test_fields_never_overwrite_the_head_of_a_line(log: Log, reader: Reader) -> None:
    structlog.get_logger("api").error("odd", level="none", time="never", message="mine", logger="l")
    found = reader.json()
    assert (found["level"], found["message"], found["logger"]) == ("error", "odd", "api")
    assert (found["level_"], found["time_"], found["message_"], found["logger_"]) == ("none", "never", "mine", "l")


def test_context_of_a_task_is_in_its_lines(log: Log, reader: Reader) -> None:
    structlog.contextvars.bind_contextvars(run="r7")
    structlog.get_logger().info("sent")
    assert reader.json()["run"] == "r7"


def test_any_value_makes_a_line(log: Log, reader: Reader) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    ring: list[Any] = []
    ring.append(ring)
    structlog.get_logger().info(
        "odd",
        bad=Bad(),
        ring=ring,
        nan=float("nan"),
        raw=b"\xff\x00ok",
        lone="\ud800",
        deep={1: {2: (3, {4})}},
        huge=10**400,
    )
    found = reader.json()
    assert found["bad"] == "<Bad: RuntimeError in its text>"
    assert (found["nan"], found["raw"]) == ("nan", "\\xff\x00ok")
    assert json.dumps(found["ring"]) == '[[[[["..."]]]]]'
    assert found["deep"] == {"1": {"2": [3, [4]]}}


def test_a_line_is_bounded(log: Log, reader: Reader) -> None:
    structlog.get_logger().info(
        "big", text="x" * 1_000_000, items=list(range(100_000)), tree={str(number): 1 for number in range(100_000)}
    )
    line = reader.line()
    assert len(line) < 20_000
    assert "1000000 characters" in line


def test_of_a_long_traceback_the_end_is_kept(log: Log, reader: Reader) -> None:
    try:
        raise ValueError("x" * 100_000 + " the reason")
    except ValueError:
        structlog.get_logger().exception("driver fault", code="driver_error")
    found = reader.json()
    assert found["level"] == "error"
    assert found["exception"].endswith("the reason")
    assert len(found["exception"]) < 10_000


def test_the_level_changes_at_run_time(log: Log, reader: Reader) -> None:
    logger = structlog.get_logger()
    log.set_level("warning")
    logger.info("hidden")
    logging.getLogger("aiohttp").warning("shown by a library")
    log.set_level("error")
    logging.getLogger("aiohttp").warning("hidden")
    logger.warning("hidden")
    log.set_level("debug")
    logger.debug("shown")
    assert [reader.json()["message"] for _ in range(2)] == ["shown by a library", "shown"]
    with pytest.raises(ValueError, match="loud"):
        log.set_level("loud")
    assert log.level == "debug"


def test_lines_of_libraries_take_the_same_way(log: Log, reader: Reader) -> None:
    redact("hunter2hunter2")
    logging.getLogger("asyncio").error("task of %s died", "hunter2hunter2", exc_info=ValueError("hunter2hunter2"))
    logging.getLogger("asyncio").info("chatter")
    log._library.handle(logging.LogRecord("asyncio", logging.ERROR, "", 0, "wrong %d", ("format",), None))
    found = reader.json()
    assert (found["logger"], found["code"], found["message"]) == ("asyncio", "library", "task of *** died")
    assert found["exception"].endswith("ValueError: ***")
    assert reader.json()["message"] == "wrong %d"


def test_a_short_line_for_a_terminal(reader: Reader) -> None:
    log = short_log(reader)
    structlog.get_logger("keeper").warning("device lost", code="link_lost", device="大屏", points=3, why=None)
    structlog.get_logger("runs").info("run opened")
    assert reader.line()[9:] == "WARNING  keeper: device lost [link_lost] device=大屏 points=3 why=null"
    assert reader.line()[9:] == "INFO     runs: run opened"
    log.close()


def test_colours_only_where_wanted(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    log = short_log(reader, colours=True)
    structlog.get_logger().error("bad")
    assert "\x1b[31mERROR" in reader.line()
    log.close()
    monkeypatch.setenv("NO_COLOR", "1")
    log = setup(fd=reader.fd, terminal=True)
    structlog.get_logger().error("bad")
    assert "\x1b" not in reader.line()
    log.close()


def test_a_terminal_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    master, slave = os.openpty()
    log = setup(fd=slave)
    structlog.get_logger().error("bad")
    ready, _, _ = select.select([master], [], [], 20)
    assert ready
    assert b"\x1b[31mERROR" in os.read(master, 4096)
    log.close()
    os.close(slave)
    os.close(master)


def test_what_a_device_says_cannot_forge_a_line(reader: Reader) -> None:
    log = short_log(reader)
    evil = "ok\n12:00:00 ERROR forged\x1b[2J\u202e"
    structlog.get_logger().info(evil, answer=evil, **{evil: 1})
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        structlog.get_logger().exception("after")
    first = reader.line()
    assert first.count("forged") == 3
    assert not set("\x1b\u202e") & set(first)
    assert "after" in reader.line()
    log.close()
    assert not [line for line in reader.rest() if "\x1b" in line]


class Holder:
    """An object that shows a secret in its text."""

    def __str__(self) -> str:
        return f"Holder({SECRET})"


def shown_everywhere(logger: Any) -> None:
    """Lines that carry the secret in every way that a line can."""
    data = SECRET.encode()
    encoded = base64.b64encode(data).decode()
    logger.info(f"login {SECRET}", text=SECRET, inside=f"a{SECRET}b", data=data, wrapped=b"<" + data + b">")
    logger.info("nested", tree={"a": [{"b": (SECRET, {SECRET})}]}, **{SECRET: 1}, holder=Holder())
    logger.info("coded", hex=data.hex(), spaced=data.hex(" "), base64=encoded, as_json=json.dumps({"x": SECRET}))
    logger.info("repr", text=repr(SECRET), data=repr(data), ascii=json.dumps(SECRET), code=SECRET)
    logger.info("url", address="http://u:" + log_module.quote(SECRET, safe="") + "@10.0.0.1/")
    try:
        raise ValueError(f"password {SECRET} refused")
    except ValueError:
        logger.exception("refused", cause=KeyError(SECRET))
    logging.getLogger("aiohttp").error("library %s", SECRET)
    structlog.get_logger(SECRET).info("named")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_known_secret_never_appears(reader: Reader, terminal: bool) -> None:
    redact(SECRET)
    log = setup("debug", fd=reader.fd, terminal=terminal, colours=False)
    shown_everywhere(structlog.get_logger("driver"))
    log.close()
    text = "\n".join(reader.rest())
    assert text.count("***") >= 18
    for traces in (
        "Kanton",
        "秘密",
        "\\u79d8",
        "%E7%A7%98",
        "e7a798",
        "e7 a7 98",
        base64.b64encode(SECRET.encode()).decode(),
    ):
        assert traces not in text
    if not terminal:
        for line in text.splitlines():
            json.loads(line)


def test_the_lines_above_do_show_what_is_not_registered(reader: Reader) -> None:
    log = setup("debug", fd=reader.fd)
    shown_everywhere(structlog.get_logger("driver"))
    log.close()
    text = "\n".join(reader.rest())
    assert "***" not in text
    assert text.count("Kanton") >= 13


def test_a_secret_that_would_be_cut_leaves_no_beginning(log: Log, reader: Reader) -> None:
    redact(SECRET)
    structlog.get_logger().info("big", text="x" * (log_module.MAX_TEXT - 3) + SECRET)
    assert "Kan" not in reader.line()


def test_short_secrets_do_not_eat_the_log(log: Log, reader: Reader) -> None:
    redact("7")
    redact("")
    redact("2468")
    structlog.get_logger().info("pin 7 of 17", text="7", nothing="", number=7, many=77, code4=2468)
    found = reader.json()
    assert (found["message"], found["text"], found["number"], found["many"]) == ("pin 7 of 17", "***", "***", 77)
    assert (found["code4"], found["nothing"]) == ("***", "")


class Names:
    """Keys that name a secret, and keys that only look so."""

    SECRET: ClassVar = (
        "password",
        "userPassword",
        "auth_token",
        "API-Key",
        "pin",
        "Set-Cookie",
        "snmp_community",
        "secrets",
    )
    PLAIN: ClassVar = ("key", "ping", "opinion", "tokenizer", "spin", "passed", "author", "device")


def test_keys_that_name_secrets_hide_their_values(log: Log, reader: Reader) -> None:
    structlog.get_logger().info(
        "keys",
        nested=[{name: "value" for name in Names.SECRET}],
        **{name: "value" for name in (*Names.SECRET, *Names.PLAIN)},
    )
    found = reader.json()
    assert {name: found[name] for name in Names.SECRET} == dict.fromkeys(Names.SECRET, "***")
    assert found["nested"] == [dict.fromkeys(Names.SECRET, "***")]
    assert {name: found[name] for name in Names.PLAIN} == dict.fromkeys(Names.PLAIN, "value")


async def test_a_reader_that_stops_never_blocks_the_loop(reader: Reader) -> None:
    log = setup(fd=reader.fd, capacity=100)
    logger, beats = structlog.get_logger(), 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    heart = asyncio.create_task(beat())
    for number in range(3000):  # far more than the pipe and the queue hold
        logger.info("line", number=number, text="x" * 200)
        await asyncio.sleep(0)
    heart.cancel()
    assert beats >= 3000
    assert log.dropped > 1000
    log.close(timeout=0.0)  # nor does it hold up the end

    lines = [json.loads(line) for line in await asyncio.to_thread(drain, reader, log)]
    numbers = [line["number"] for line in lines if line["code"] == "line"]
    told = sum(line["count"] for line in lines if line["code"] == "log_lines_dropped")
    assert numbers == sorted(set(numbers)), "order is kept"
    assert numbers[:100] == list(range(100))
    assert len(numbers) + log.dropped == 3000, "every line is written or counted"
    assert told == log.dropped, "and the log says so itself"


def drain(reader: Reader, log: Log) -> list[str]:
    """Read on until the log's thread has ended."""
    lines: list[bytes] = []

    def read() -> None:
        while data := os.read(reader.source, 65536):
            lines.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    log.close(timeout=20)
    reader.hang_up()
    thread.join(20)
    return b"".join(lines).decode().splitlines()


def test_the_log_goes_on_when_its_reader_comes_back(reader: Reader) -> None:
    log = setup(fd=reader.fd, capacity=10)
    logger = structlog.get_logger()
    while log.dropped < 5:
        logger.info("line", text="x" * 1000)
    seen = [reader.json()["code"]]
    while seen[-1] != "log_lines_dropped":
        seen.append(reader.json()["code"])
    logger.info("again")
    while seen[-1] != "again":
        seen.append(reader.json()["code"])
    log.close()


def test_a_reader_that_is_gone_is_counted(reader: Reader) -> None:
    log = setup(fd=reader.fd)
    gone, far = os.pipe()
    os.close(gone)
    lost = setup(fd=far)  # takes over from the first
    structlog.get_logger().info("into the void")
    until(lambda: lost.dropped == 1)
    structlog.get_logger().info("again")
    until(lambda: lost.dropped == 2)
    lost.close()
    os.close(far)
    log.close()
    assert reader.rest() == []


def test_a_non_blocking_descriptor_loses_nothing(reader: Reader) -> None:
    os.set_blocking(reader.fd, False)
    log = setup(fd=reader.fd)
    for number in range(500):
        structlog.get_logger().info("line", number=number, text="x" * 1000)
    assert [reader.json()["number"] for _ in range(500)] == list(range(500))
    assert log.dropped == 0
    log.close()


def test_the_queue_is_bounded_in_bytes_too(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_BYTES", 200_000)
    log = setup(fd=reader.fd, capacity=1_000_000)
    for _ in range(1000):
        structlog.get_logger().info("line", text="x" * 1000)
    assert log.dropped > 300
    log.close(timeout=0.0)
    drain(reader, log)


def test_room_that_was_read_free_is_used_again(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_BYTES", 10_000)
    log = setup(fd=reader.fd, capacity=5)
    for number in range(200):
        structlog.get_logger().info("line", number=number, text="x" * 1000)
        assert reader.json()["number"] == number
    assert log.dropped == 0
    log.close()


def test_a_second_setup_takes_over_from_the_first(reader: Reader) -> None:
    first = setup(fd=reader.fd)
    structlog.get_logger().info("one")
    second = setup(fd=reader.fd)
    structlog.get_logger().info("two")
    logging.getLogger("asyncio").error("three")
    first.close()  # harmless
    structlog.get_logger().info("four")
    second.close()
    assert [json.loads(line)["message"] for line in reader.rest()] == ["one", "two", "three", "four"]


def test_what_waits_is_written_at_close(reader: Reader) -> None:
    log = setup(fd=reader.fd)
    for number in range(30):
        structlog.get_logger().info("line", number=number)
    log.close()
    structlog.get_logger().info("after the end")
    logging.getLogger("asyncio").error("after the end")
    assert log.dropped == 0, "nobody asked the closed log"
    log.writer.put("too late")
    assert log.dropped == 1
    assert [json.loads(line)["number"] for line in reader.rest()] == list(range(30))


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise RuntimeError('boo')"])
def test_a_process_that_ends_without_close_loses_no_line(end: str) -> None:
    script = (
        "import structlog\nfrom ecc_controld.log import setup\nsetup()\n"
        f"for number in range(1000): structlog.get_logger().info('line', number=number)\n{end}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    # The interpreter's own traceback may stand between two lines, or on one with them.
    assert [int(number) for number in re.findall(r'"number": (\d+)', done.stderr)] == list(range(1000))


def test_loggers_made_before_setup_work_and_tests_can_listen(log: Log) -> None:
    logger = structlog.get_logger("early")
    logger.debug("first use")
    with structlog.testing.capture_logs() as captured:
        logger.info("seen", code="c")
    assert captured == [{"event": "seen", "code": "c", "log_level": "info"}]
