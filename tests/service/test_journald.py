"""Lines with fields to journald in its native protocol, against a stand-in for its socket."""

from __future__ import annotations

import array
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from ecc_controld import log as log_module
from ecc_controld.log import Log, redact, setup
from ecc_controld.logwriter import is_journal
from support.daemon import ROOT, running


class Journald:
    """Reads entries as journald does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def entry(self) -> dict[str, str]:
        """The next entry."""
        data, rights, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for level, kind, value in rights:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            (fd,) = array.array("i", value)
            size = os.fstat(fd).st_size
            data = os.pread(fd, size, 0)
            with pytest.raises(OSError, match="Operation not permitted"):
                os.ftruncate(fd, 0)
            os.close(fd)
        return parsed(data)

    def close(self) -> None:
        self.socket.close()


def parsed(data: bytes) -> dict[str, str]:
    """systemd's journal export fields: `KEY=value`, or `KEY`, length and bytes."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        found[key.decode()] = value.decode()
        data = rest
    return found


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journald]:
    found = Journald(tmp_path / "socket")
    monkeypatch.setattr(log_module, "JOURNAL", found.path)
    monkeypatch.setattr(log_module, "_redactor", log_module.Redactor())
    yield found
    found.close()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Log]]:
    """Set the log up on a file that JOURNAL_STREAM names."""
    logs = []
    stream = (tmp_path / "stderr").open("wb")

    def begin(level: str = "info", *, named: bool = True) -> Log:
        seen = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}" if named else "1:1")
        logs.append(setup(level, fd=stream.fileno()))
        return logs[-1]

    yield begin
    for one in logs:
        one.close()
    stream.close()
    structlog.reset_defaults()


def test_every_value_is_a_field(journald: Journald, start: Callable[..., Log], tmp_path: Path) -> None:
    start()
    logger = structlog.get_logger("keeper")
    logger.warning("device lost", code="link_lost", device="大屏", run="r1", age=1.5, why={"a": [1]}, **{"x-y": 1})
    assert journald.entry() == {
        "MESSAGE": 'keeper: device lost device=大屏 run=r1 age=1.5 why={"a": [1]} x-y=1',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "ecc-controld",
        "ECC_CODE": "link_lost",
        "ECC_LOGGER": "keeper",
        "ECC_DEVICE": "大屏",
        "ECC_RUN_ID": "r1",
        "ECC_AGE": "1.5",
        "ECC_WHY": '{"a": [1]}',
        "ECC_X_Y": "1",
    }
    assert (tmp_path / "stderr").read_bytes() == b"", "nothing is told twice"


@pytest.mark.parametrize(
    ("method", "priority"), [("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")]
)
def test_priorities_are_those_of_syslog(
    journald: Journald, start: Callable[..., Log], method: str, priority: str
) -> None:
    start()
    getattr(structlog.get_logger(), method)("x")
    assert journald.entry()["PRIORITY"] == priority


def test_a_value_cannot_forge_a_field_and_a_traceback_is_whole(
    journald: Journald, start: Callable[..., Log]
) -> None:
    start()
    structlog.get_logger().info("x", text="a\nPRIORITY=0\n", MESSAGE="no", code_="c")
    entry = journald.entry()
    assert entry["PRIORITY"] == "6"
    assert entry["ECC_TEXT"] == "a\nPRIORITY=0\n"
    assert entry["ECC_MESSAGE"] == "no"
    assert "\n" not in entry["MESSAGE"]
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger().exception("fell")
    entry = journald.entry()
    assert entry["ECC_EXCEPTION"].splitlines()[-1] == "ValueError: boom"
    assert entry["MESSAGE"].endswith("ValueError: boom")


def test_secrets_are_hidden_in_every_field(journald: Journald, start: Callable[..., Log]) -> None:
    start()
    redact("geheim-42")
    structlog.get_logger().info("login geheim-42", device="x", text="pw=geheim-42", password="other")
    assert "geheim-42" not in str(journald.entry())
    structlog.get_logger().info("again", password="other")
    assert "other" not in str(journald.entry())


def test_a_very_long_entry_goes_by_descriptor(journald: Journald, start: Callable[..., Log]) -> None:
    start()
    values = {f"field{n}": "长" * 2700 for n in range(60)}
    structlog.get_logger().info("long", **values)
    entry = journald.entry()
    assert sum(key.startswith("ECC_FIELD") for key in entry) == 60
    structlog.get_logger().info("short again")
    assert journald.entry()["MESSAGE"] == "short again"


def test_another_stream_gets_json_lines(start: Callable[..., Log], tmp_path: Path) -> None:
    log = start(named=False)
    structlog.get_logger().info("plain", device="x")
    log.close()
    assert b'"message": "plain"' in (tmp_path / "stderr").read_bytes()


def test_only_the_journals_own_stream_is_taken_for_it(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        seen = os.fstat(file.fileno())
        assert is_journal(file.fileno(), f"{seen.st_dev}:{seen.st_ino}")
        for wrong in (None, "", "x", f"{seen.st_dev}:{seen.st_ino + 1}", f"{seen.st_ino}"):
            assert not is_journal(file.fileno(), wrong)
    assert not is_journal(9999, f"{seen.st_dev}:{seen.st_ino}")


def test_a_journal_that_is_gone_costs_lines_and_nothing_else(
    journald: Journald, start: Callable[..., Log]
) -> None:
    log = start()
    journald.close()
    os.unlink(journald.path)
    structlog.get_logger().info("lost")
    log.close(5)
    assert log.dropped == 1
    assert sys.stderr is not None


async def test_levels_change_at_run_time_by_signal(tmp_path: Path) -> None:
    hall = {"config": ROOT / "tests/support/minihall/config", "scenes": ROOT / "tests/support/minihall/scenes"}
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        async with running(tmp_path / "state", **hall, stderr=stderr.fileno()) as daemon:
            await daemon.online()
            for number, level in ((signal.SIGUSR1, "debug"), (signal.SIGUSR1, "debug"), (signal.SIGUSR2, "info")):
                before = said(log).count("log level changed")
                daemon.process.send_signal(number)
                await daemon.until("/hall", lambda _, n=before: said(log).count("log level changed") > n)
                assert f'"now": "{level}"' in said(log).splitlines()[-1]


async def test_one_line_when_a_device_is_lost_and_one_when_it_is_back(tmp_path: Path) -> None:
    hall = {"config": ROOT / "tests/support/minihall/config", "scenes": ROOT / "tests/support/minihall/scenes"}
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        async with running(tmp_path / "state", **hall, stderr=stderr.fileno()) as daemon:
            await daemon.online()
            begun = len(about(log, "tv1"))
            await daemon.twin("POST", "/twins/tv1/fault", {"kind": "silent"})
            await daemon.until("/devices", lambda d: link(d, "tv1") != "online")
            await daemon.twin("POST", "/twins/tv1/fault", {"kind": "refuse"})
            await daemon.until("/devices", lambda d: reason(d, "tv1") in ("refused_connection", "reset"), 60)
            await daemon.twin("DELETE", "/twins/tv1/fault")
            await daemon.until("/devices", lambda d: link(d, "tv1") == "online", 60)
            await daemon.until("/hall", lambda _: len(about(log, "tv1")) >= begun + 2)
            words = ["device lost" in line for line in about(log, "tv1")[begun:]]
            assert words == [True, False], about(log, "tv1")


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8")


def about(log: Path, device: str) -> list[str]:
    return [line for line in said(log).splitlines() if f'"device": "{device}"' in line]


def link(devices: dict[str, list[dict[str, str]]], name: str) -> str:
    return next(one["link"] for one in devices["devices"] if one["id"] == name)


def reason(devices: dict[str, list[dict[str, str]]], name: str) -> str:
    return next(one["reason"] for one in devices["devices"] if one["id"] == name)
