"""What goes wrong around the daemon: a sentence, a code, and where it runs already the hall still switches."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecc_controld.client.__main__ import main
from ecc_controld.journal import schema
from support.daemon import ROOT, Daemon, command, running

MINI = ROOT / "tests" / "support" / "minihall"
HALL = {"config": MINI / "config", "scenes": MINI / "scenes"}
F_SETPIPE_SZ = 1031

# The tables as the first version made them: files like this one are in the field.
SCHEMA_1 = """
CREATE TABLE puts (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE runs (id TEXT PRIMARY KEY, scene TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT,
    state TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX runs_not_closed ON runs (id) WHERE state != 'closed';
CREATE TABLE keys (key TEXT PRIMARY KEY, run TEXT NOT NULL, digest TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_at ON keys (at);
PRAGMA user_version = 1;
"""


def start(state: Path, *more: str, config: Path = MINI / "config") -> subprocess.CompletedProcess[str]:
    """A start that must fail."""
    args = ("--config", str(config), "--scenes", str(MINI / "scenes"), "--state", str(state))
    done = subprocess.run(
        command("run", *args, "--listen", "127.0.0.1:0", *more),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert "Traceback" not in done.stderr
    return done


def user_version(path: Path) -> int:
    con = sqlite3.connect(path)
    try:
        return int(con.execute("PRAGMA user_version").fetchone()[0])
    finally:
        con.close()


async def switches(daemon: Daemon) -> None:
    await daemon.online()
    card = await daemon.apply("emergency")
    assert card["verdict"] == "ready", card


async def ready(daemon: Daemon) -> tuple[int, str | None]:
    """What /readyz says."""
    async with aiohttp.ClientSession() as http, http.get(f"{daemon.url}/readyz") as answer:
        return answer.status, (await answer.json(content_type=None)).get("code")


# -- starts that are refused ---------------------------------------------------------------------------------


def test_a_state_directory_without_rights() -> None:
    done = start(Path("/sys/ecc-controld"), "--simulate")  # nobody may make anything there, not even root
    assert done.returncode == 12
    assert "没有权限读写 /sys/ecc-controld" in done.stderr
    assert "No right to read and write" in done.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The files of a live start, whose only credential is `tv`."""
    shutil.copytree(MINI / "config", tmp_path / "config")
    return tmp_path / "config"


def test_a_missing_credential_is_named_with_its_place(config: Path, tmp_path: Path) -> None:
    done = start(tmp_path / "s", config=config)
    assert done.returncode == 2
    assert "hall.yaml:" in done.stderr
    assert "secrets/tv" in done.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [(b"word", 0o644, "must be 0600"), (b"\xff\xfe", 0o600, "is not UTF-8"), (None, 0o600, "secrets/tv")],
)
def test_a_credential_that_cannot_be_used(
    config: Path, tmp_path: Path, content: bytes | None, mode: int, sentence: str
) -> None:
    secret = config / "secrets" / "tv"
    secret.parent.mkdir()
    if content is None:
        secret.mkdir()
    else:
        secret.write_bytes(content)
        secret.chmod(mode)
    done = start(tmp_path / "s", config=config)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "word" not in done.stderr.replace("password", "")


def test_a_credential_that_may_not_be_read(config: Path, tmp_path: Path) -> None:
    loop = config / "secrets"
    loop.symlink_to(loop)  # no one can look into it, whoever they are
    done = start(tmp_path / "s", config=config)
    assert done.returncode == 2
    assert "tv" in done.stderr


def test_an_old_program_on_a_new_journal(tmp_path: Path) -> None:
    state = tmp_path / "s"
    state.mkdir()
    (state / "stamp").write_text("simulated\n")
    con = sqlite3.connect(state / "journal.db")
    con.executescript(SCHEMA_1)
    con.execute(f"PRAGMA user_version = {schema.SCHEMA + 1}")
    con.execute("INSERT INTO puts VALUES ('manual', 'x', x'01', 0)")
    con.commit()
    con.close()
    done = start(state, "--simulate")
    assert done.returncode == 13
    assert "由更新的版本写成" in done.stderr
    assert "newer version" in done.stderr
    assert user_version(state / "journal.db") == schema.SCHEMA + 1
    assert not list(state.glob("journal.*-*")), "neither moved aside nor copied"
    con = sqlite3.connect(state / "journal.db")
    assert con.execute("SELECT key FROM puts").fetchall() == [("x",)]
    con.close()


async def test_a_new_program_on_an_old_journal_keeps_a_copy(tmp_path: Path) -> None:
    state = tmp_path / "s"
    state.mkdir()
    (state / "stamp").write_text("simulated\n")
    con = sqlite3.connect(state / "journal.db")
    con.executescript(SCHEMA_1)
    con.close()
    async with running(state, **HALL) as daemon:
        await switches(daemon)
    (copy,) = state.glob("journal.schema-1-*")
    assert user_version(copy) == 1
    assert user_version(state / "journal.db") == schema.SCHEMA


async def test_a_simulated_halls_state_is_not_a_live_halls(config: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "s", **HALL):
        pass
    (config / "secrets").mkdir()
    (config / "secrets" / "tv").write_text("x")
    (config / "secrets" / "tv").chmod(0o600)
    done = start(tmp_path / "s", config=config)
    assert done.returncode == 11
    assert "模拟大厅" in done.stderr
    assert "simulated hall" in done.stderr


# -- a hall that runs already --------------------------------------------------------------------------------


async def test_a_second_daemon_and_a_restore_are_refused_and_the_hall_switches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "s"
    async with running(state, **HALL) as daemon:
        await daemon.online()
        done = await asyncio.to_thread(start, state, "--simulate")
        assert done.returncode == 14
        assert str(daemon.process.pid) in done.stderr
        where = ["--state", str(state), "--config", str(MINI / "config"), "--scenes", str(MINI / "scenes")]
        archive = str(tmp_path / "b.tar.gz")
        assert await asyncio.to_thread(main, ["backup", archive, *where]) == 0
        assert await asyncio.to_thread(main, ["restore", archive, "--state", str(state)]) == 4
        assert str(daemon.process.pid) in capsys.readouterr().err
        await switches(daemon)


async def test_a_backup_of_the_running_hall_brings_its_scene_back(tmp_path: Path) -> None:
    state, archive = tmp_path / "s", str(tmp_path / "b.tar.gz")
    where = ["--config", str(MINI / "config"), "--scenes", str(MINI / "scenes")]
    async with running(state, **HALL) as daemon:
        await switches(daemon)
        assert await asyncio.to_thread(main, ["backup", archive, "--state", str(state), *where]) == 0
        await daemon.apply("duty", stand_down=True)
    assert main(["restore", archive, "--state", str(state)]) == 0
    async with running(state, **HALL) as daemon:
        await daemon.online()
        hall = await daemon.until("/hall", lambda hall: hall["as_wanted"] == hall["wanted"])
        assert hall["scene"] == "emergency"


async def test_a_disk_that_takes_nothing_more(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: every write to the journal fails, as on a full or dying one."""
    async with running(tmp_path / "s", **HALL) as daemon:
        await daemon.online()
        pid = daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
        status, problem = await daemon.ask("POST", "/scenes/duty/activate", {})
        assert (status, problem["code"]) == (503, "io_error")
        assert "磁盘" in problem["detail_zh"]
        assert (await daemon.get("/hall"))["scene"] is None
        assert await ready(daemon) == (503, "io_error")
        status, answer = await daemon.ask("POST", "/scenes/emergency/activate", {})
        assert status == 202
        card = await daemon.until(f"/runs/{answer['run']['id']}", lambda run: run["state"] != "open")
        assert card["verdict"] == "ready", card
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        assert (await daemon.apply("duty", stand_down=True))["verdict"] == "ready"
        assert (await ready(daemon))[0] == 200


@pytest.fixture
def stopped_reader() -> Iterator[int]:
    """The end of a pipe that is full, and whose reader has stopped."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 4096):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


async def test_a_reader_of_the_log_that_stops(tmp_path: Path, stopped_reader: int) -> None:
    more: dict[str, Any] = {**HALL, "stderr": stopped_reader}
    async with running(tmp_path / "s", "--simulate", "--log-level", "debug", **more) as daemon:
        await switches(daemon)
        assert (await daemon.apply("duty", stand_down=True))["verdict"] == "ready"
        daemon.process.terminate()
        async with asyncio.timeout(15):  # its last words have no listener, and it does not wait for one
            assert await daemon.process.wait() == 0
