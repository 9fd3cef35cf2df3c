"""`ecc-twins` as a real process: its control API, its faults, and its end together with its parent."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecc_controld.sdk import FAULTS, Address
from ecc_controld.twins import simulated_secret
from ecc_controld.twins.child import TwinsError, TwinsProcess, parse_address, twins_at

TESTS = Path(__file__).parents[1]
PROGRAM = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(TESTS)!r}); "
           "from support.twins_by_hand import main; sys.exit(main())")  # fmt: skip
HERE = Path("plain")


@asynccontextmanager
async def twins() -> AsyncIterator[tuple[TwinsProcess, aiohttp.ClientSession]]:
    process = await TwinsProcess.start(HERE, program=PROGRAM)
    try:
        async with aiohttp.ClientSession(process.control_url) as http:
            yield process, http
    finally:
        await process.stop()


async def call(http: aiohttp.ClientSession, method: str, path: str, **how: Any) -> tuple[int, Any]:
    async with http.request(method, path, **how) as answer:
        body = await answer.json(content_type=None)
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
            assert body["status"] == answer.status
            assert body["title"]
            assert body["detail"]
        return answer.status, body


async def ask(address: Address, line: str) -> str:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(line.encode() + b"\n")
        async with asyncio.timeout(5):
            return (await reader.readline()).decode().rstrip()
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A child that nobody has waited for yet has ended all the same.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


async def until(true: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def test_secrets_in_simulation() -> None:
    assert simulated_secret("wall") == "simulated-wall"


async def test_the_list_of_twins_and_real_sockets() -> None:
    async with twins() as (process, http):
        status, body = await call(http, "GET", "/twins")
        assert status == 200
        assert [(row["device"], row["driver"], row["faults"]) for row in body["twins"]] == [
            ("box", "linebox", []),
            ("echo", "echo", []),
        ]
        assert {row["device"]: row["address"] for row in body["twins"]} == {
            device: str(address) for device, address in process.addresses.items()
        }
        assert process.addresses["box"].scheme == "tcp"
        assert process.addresses["echo"].scheme == "udp"
        assert await ask(process.addresses["box"], "GET a") == "VAL a 0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((process.addresses["echo"].host, process.addresses["echo"].port))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"\x81\x09\xff")
            async with asyncio.timeout(5):
                assert await loop.sock_recv(sock, 100) == b"\x81\x09\xff"


async def test_poke_and_log() -> None:
    async with twins() as (process, http):
        status, row = await call(http, "POST", "/twins/box/poke", json={"point": "a", "value": "41"})
        assert (status, row["device"]) == (200, "box")
        assert await ask(process.addresses["box"], "GET a") == "VAL a 41"
        await call(http, "POST", "/twins/box/poke", json={"point": "box.mute", "value": "on"})
        assert await ask(process.addresses["box"], "GET mute") == "VAL mute 1"
        status, body = await call(http, "GET", "/twins/box/log")
        assert status == 200
        assert [(entry["from"], entry["text"], entry["hex"]) for entry in body["log"]] == [
            ("daemon", "GET a\n", b"GET a\n".hex()),
            ("twin", "VAL a 41\n", b"VAL a 41\n".hex()),
            ("daemon", "GET mute\n", b"GET mute\n".hex()),
            ("twin", "VAL mute 1\n", b"VAL mute 1\n".hex()),
        ]
        assert [entry["t"] for entry in body["log"]] == sorted(entry["t"] for entry in body["log"])


async def test_bytes_that_are_no_text_are_escaped_and_exact_in_hex() -> None:
    async with twins() as (process, http):
        echo = process.addresses["echo"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"\x81\xff" + "大".encode(), (echo.host, echo.port))
            log: list[Any] = []
            async with asyncio.timeout(5):
                while len(log) < 2:
                    log = (await call(http, "GET", "/twins/echo/log"))[1]["log"]
        assert log[0]["text"] == "\\x81\\xff大"
        assert log[0]["hex"] == "81ffe5a4a7"


async def test_faults_are_shown_work_and_heal() -> None:
    async with twins() as (process, http):
        box = process.addresses["box"]
        _, row = await call(http, "POST", "/twins/box/fault", json={"kind": "reject"})
        assert row["faults"] == ["reject"]
        assert await ask(box, "SET a 5") == "NO a refused"
        await call(http, "DELETE", "/twins/box/fault")
        assert (await call(http, "GET", "/twins"))[1]["twins"][0]["faults"] == []
        assert await ask(box, "SET a 5") == "OK a 5"
        await call(http, "POST", "/twins/box/fault", json={"kind": "refuse"})
        with pytest.raises(ConnectionRefusedError):
            await ask(box, "GET a")
        _, row = await call(http, "DELETE", "/twins/box/fault")
        assert row["address"] == str(box)
        assert await ask(box, "GET a") == "VAL a 5"
        _, row = await call(http, "POST", "/twins/box/fault", json={"kind": "reboot"})
        assert row["faults"] == []
        assert await ask(box, "GET a") == "VAL a 0"
        status, row = await call(http, "POST", "/twins/box/fault", json={"kind": "slow", "ms": 20})
        assert (status, row["faults"]) == (200, ["slow"])
        assert await ask(box, "GET a") == "VAL a 0"


async def test_every_fault_starts_and_heals_on_every_wire() -> None:
    async with twins() as (_, http):
        for device, kind in itertools.product(("box", "echo"), FAULTS):
            status, row = await call(http, "POST", f"/twins/{device}/fault", json={"kind": kind})
            assert (status, row["faults"]) == (200, [] if kind == "reboot" else [kind])
            status, row = await call(http, "DELETE", f"/twins/{device}/fault")
            assert (status, row["faults"]) == (200, [])


WRONG: list[tuple[str, str, Any, int, str, tuple[str | None, str | None]]] = [
    # method, path, body, status, code, (a valid word, the nearest one)
        ("POST", "/twins/bux/fault", {"kind": "slow"}, 404, "unknown_device", ("box", "box")),
        ("GET", "/twins/nobody/log", None, 404, "unknown_device", ("echo", None)),
        ("DELETE", "/twins/nobody/fault", None, 404, "unknown_device", ("echo", None)),
        ("POST", "/twins/box/fault", b"{", 400, "bad_json", ("kind", None)),
        ("POST", "/twins/box/poke", b"\xff\xfe", 400, "bad_json", ("point", None)),
        ("POST", "/twins/box/poke", b"[" * 60_000, 400, "bad_json", ("point", None)),
        ("POST", "/twins/box/poke", [1], 400, "bad_json", ("value", None)),
        ("POST", "/twins/box/fault", {"kind": "silnt"}, 422, "unknown_fault", ("garbage", "silent")),
        ("POST", "/twins/box/fault", {"kind": ["slow"]}, 422, "unknown_fault", ("slow", "slow")),
        ("POST", "/twins/box/fault", {}, 422, "missing_key", ("ms", None)),
        ("POST", "/twins/box/fault", {"kind": "slow", "sm": 3}, 422, "unknown_key", ("ms", None)),
        ("POST", "/twins/box/fault", {"kind": "slow", "ms": -3}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/fault", {"kind": "slow", "ms": "3"}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/fault", {"kind": "slow", "ms": True}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/fault", {"kind": "slow", "ms": float("nan")}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/fault", {"kind": "silent", "ms": 3}, 422, "bad_value", ("slow", None)),
        ("POST", "/twins/echo/poke", {"point": "knib", "value": 1}, 422, "unknown_point", (None, None)),
        ("POST", "/twins/box/poke", {"point": 7, "value": 1}, 422, "unknown_point", ("mute", None)),
        ("POST", "/twins/box/poke", {"point": "preset", "value": "dity"}, 422, "bad_value", ("duty", "duty")),
        ("POST", "/twins/box/poke", {"point": "a", "value": 10_000}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/poke", {"point": "a", "value": None}, 422, "bad_value", (None, None)),
        ("POST", "/twins/box/poke", {"point": "a"}, 422, "missing_key", ("value", None)),
        ("POST", "/twins/echo/poke", {"point": "knob", "value": "x"}, 422, "bad_value", (None, None)),
        ("GET", "/twins/box/fault", None, 405, "wrong_method", ("DELETE", None)),
        ("GET", "/elsewhere", None, 404, "unknown_path", ("/twins", None)),
        ("POST", "/twins/box/poke", b"x" * 70_000, 413, "too_large", (None, None)),
]  # fmt: skip


async def test_errors_are_problem_documents_that_name_what_is_valid() -> None:
    async with twins() as (_, http):
        for method, path, body, status, code, (valid, nearest) in WRONG:
            how = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
            got, problem = await call(http, method, path, **how)
            case = (method, path, str(body)[:80], problem)
            assert (got, problem["code"]) == (status, code), case
            assert valid is None or valid in problem["valid"], case
            assert problem.get("nearest") == nearest, case
        assert (await call(http, "GET", "/twins"))[1]["twins"][0]["faults"] == []


async def spawn(*options: str, stdin: int = asyncio.subprocess.DEVNULL) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *options, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return process, (await process.stdout.readline()).decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_line_when_ready_and_a_clean_end(number: signal.Signals) -> None:
    process, line = await spawn("--ports", "free")
    url = line.split()[2]
    assert line == f"ecc-twins ready {url} (2 twins)\n"
    assert url.startswith("http://127.0.0.1:")
    assert set(await twins_at(url)) == {"box", "echo"}
    process.send_signal(number)
    async with asyncio.timeout(10):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_the_control_address_can_be_chosen_but_only_on_this_machine() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, line = await spawn("--control", f"127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port} " in line
    process.terminate()
    await process.communicate()
    for wrong in ("0.0.0.0:80", "10.0.0.1:8000", "127.0.0.1", "127.0.0.1:99999"):
        process, _ = await spawn("--control", wrong)
        _, err = await process.communicate()
        assert process.returncode == 2
        assert wrong in err.decode()


PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen({command}, stdin={stdin}, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["--parent-pid", "--until-stdin-closes"])
async def test_it_ends_with_its_parent_even_by_kill_9(way: str) -> None:
    command = f"[*{list(PROGRAM)!r}, {way!r}" + (", str(os.getpid())]" if way == "--parent-pid" else "]")
    stdin = "subprocess.DEVNULL" if way == "--parent-pid" else "subprocess.PIPE"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT.format(command=command, stdin=stdin), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        child = int(await parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    await parent.wait()
    await until(lambda: gone(child))


DAEMON = """
import asyncio
from pathlib import Path
from ecc_controld.twins.child import TwinsProcess

async def main():
    twins = await TwinsProcess.start(Path("plain"), program={program})
    print(twins.pid, flush=True)
    await twins.ended()

asyncio.run(main())
"""


async def test_the_daemons_child_ends_with_it_even_by_kill_9() -> None:
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON.format(program=PROGRAM), stdout=asyncio.subprocess.PIPE
    )
    assert daemon.stdout is not None
    async with asyncio.timeout(20):
        child = int(await daemon.stdout.readline())
    assert not gone(child)
    daemon.kill()
    await daemon.wait()
    await until(lambda: gone(child))


async def test_a_parent_that_has_ended_before_is_noticed() -> None:
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await other.wait()
    process, _ = await spawn("--parent-pid", str(other.pid))
    async with asyncio.timeout(10):
        await process.communicate()
    assert process.returncode == 0


async def test_standard_input_that_is_nothing_is_at_its_end() -> None:
    process, _ = await spawn("--until-stdin-closes")
    async with asyncio.timeout(10):
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_the_daemon_notices_the_death_of_its_twins() -> None:
    process = await TwinsProcess.start(HERE, program=PROGRAM)
    watch = asyncio.create_task(process.ended())
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        assert await watch == "ecc-twins ended with code -9"
    await process.stop()


async def test_stop_ends_the_child() -> None:
    process = await TwinsProcess.start(HERE, program=PROGRAM)
    assert not gone(process.pid)
    await process.stop()
    assert gone(process.pid)
    await process.stop()


async def test_a_child_that_fails_to_start_says_why() -> None:
    with pytest.raises(TwinsError, match=r"(?s)before it was ready .* code 2.*hall.yaml:3:1: 坏了"):
        await TwinsProcess.start(Path("broken"), program=PROGRAM)


MUTE = """
import os, signal, sys, time
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("thinking", os.getpid(), file=sys.stderr, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_child_that_is_never_ready_is_killed(stubborn: bool) -> None:
    program = (sys.executable, "-c", MUTE.format(stubborn=stubborn))
    async with asyncio.timeout(30):
        with pytest.raises(TwinsError, match=r"(?s)not ready within 2 s.*thinking") as caught:
            await TwinsProcess.start(HERE, program=program, ready_s=2.0, stop_s=0.2)
    assert gone(int(str(caught.value).split()[-1]))


async def test_nobody_at_the_url() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(TwinsError, match="no twins at"):
            await twins_at(url)


def test_addresses() -> None:
    assert parse_address("tcp://127.0.0.1:4352") == Address("tcp", "127.0.0.1", 4352)
    assert parse_address("udp://[::1]:52381") == Address("udp", "::1", 52381)
    for wrong in ("127.0.0.1:80", "tcp://127.0.0.1", "", "tcp://h:99999"):
        with pytest.raises(ValueError):
            parse_address(wrong)


CONFIG = """
schema: 1
hall: {name: {zh: 县应急指挥大厅, en: County hall}, timezone: Asia/Shanghai}
networks: [10.20.0.0/16]
devices:
  wall: {driver: pjlink, name: 主显示屏, group: display, address: "tcp://10.20.1.30:4352", secret: wall}
  matrix: {driver: videohub, name: 矩阵, group: matrix, address: "tcp://10.20.1.20:9990"}
  cam1: {driver: visca, name: 摄像机, group: camera, address: "udp://10.20.3.21:52381", presets: {overview: 1}}
"""


async def test_the_twins_of_a_configured_hall(tmp_path: Path) -> None:
    (tmp_path / "hall.yaml").write_text(CONFIG, encoding="utf-8")
    process = await TwinsProcess.start(tmp_path)
    try:
        assert {name: address.scheme for name, address in process.addresses.items()} == {
            "wall": "tcp",
            "matrix": "tcp",
            "cam1": "udp",
        }
        wall = process.addresses["wall"]
        reader, writer = await asyncio.open_connection(wall.host, wall.port)
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r")).startswith(b"PJLINK 1 "), "a configured secret is asked for"
        writer.close()
        await writer.wait_closed()
        async with aiohttp.ClientSession(process.control_url) as http:
            status, problem = await call(http, "POST", "/twins/wall/poke", json={"point": "powr", "value": True})
            assert (status, problem["nearest"]) == (422, "power")
            status, _ = await call(http, "POST", "/twins/cam1/poke", json={"point": "power", "value": "off"})
            assert status == 200
    finally:
        await process.stop()


async def test_an_invalid_configuration_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "hall.yaml").write_text(CONFIG.replace("visca", "visa"), encoding="utf-8")
    with pytest.raises(TwinsError, match=r"(?s)code 2.*hall\.yaml:8:18: .*visa"):
        await TwinsProcess.start(tmp_path)
