"""The rules of tests/conftest.py: a test that passes but leaves something over, or blocks the loop, fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

HEAD = """
import asyncio, os, socket, subprocess, sys, threading, time
from pathlib import Path
import pytest
kept = []
"""

LEFT = {
    "descriptor": "def test_it():\n    kept.append(os.open('/dev/null', os.O_RDONLY))\n",
    "socket": "def test_it():\n    kept.append(socket.socket())\n",
    "thread": "def test_it():\n    threading.Thread(target=time.sleep, args=(6,), daemon=True, name='mine').start()\n",
    "child process": "def test_it():\n    kept.append(subprocess.Popen(['sleep', '6']))\n",
    "Task pending": "async def test_it():\n    kept.append(asyncio.create_task(asyncio.sleep(6), name='mine'))\n",
}

OF_A_MODULE = """
@pytest.fixture(scope='module')
def opened():
    fd = os.open('/dev/null', os.O_RDONLY)
    yield fd
    os.close(fd)

def test_it(opened):
    assert opened

def test_again(opened):
    assert opened
"""

BRIEF = """
async def test_it():
    kept.append(asyncio.create_task(asyncio.sleep(0.2)))
    thread = threading.Timer(0.2, lambda: None)
    thread.start()
"""

BLOCKS = """
from ecc_controld.journal import schema
import sqlite3

async def test_it():
    con = sqlite3.connect(':memory:')
    try:
        schema.version(con)
    finally:
        con.close()
"""


def run(folder: Path, text: str, patience_s: float = 3.0) -> tuple[int, str]:
    """Run one file of tests under the rules; exit code and output."""
    (folder / "test_case.py").write_text(HEAD + text, encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "test_case.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS), "ECC_PATIENCE_S": str(patience_s)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_over_is_named(tmp_path: Path, what: str) -> None:
    code, said = run(tmp_path, LEFT[what], patience_s=0.3)
    assert code == 1, said
    assert "left over: " in said
    assert what in said
    assert "1 passed" in said, "the test itself is fine"


def test_what_a_module_holds_is_no_leftover(tmp_path: Path) -> None:
    code, said = run(tmp_path, OF_A_MODULE)
    assert code == 0, said


def test_what_ends_by_itself_in_a_moment_is_no_leftover(tmp_path: Path) -> None:
    code, said = run(tmp_path, BRIEF)
    assert code == 0, said


def test_a_blocking_call_of_the_product_is_an_error(tmp_path: Path) -> None:
    code, said = run(tmp_path, BLOCKS)
    assert code == 1, said
    assert "BlockingError: Blocking call to sqlite3.Connection.execute" in said
