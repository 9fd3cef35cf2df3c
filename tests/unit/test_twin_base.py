"""The base of all twins: a tiny line protocol over real TCP and UDP sockets, and every fault kind."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from ecc_controld.sdk import FAULTS, Address, DeviceConfig, NoOptions, Peer, TcpTwin, Text, Twin, UdpTwin, Value
from support.linebox import LineTwin, config


class Box:
    """`SET n` -> `OK n` or `NO`; `GET` -> `VAL n`; `DUO` -> two messages. Power-on value 0."""

    motion_s: ClassVar[float] = 0.0

    def power_on(self) -> None:
        self.value = "0"

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        verb, _, rest = frame.decode().partition(" ")
        if verb == "GET":
            return [f"VAL {self.value}\n".encode()]
        if verb == "DUO":
            return [b"one\n", b"two\n"]
        if self.rejecting:
            return [b"NO\n"]
        if not self.ignoring:
            self.later(self.motion_s, lambda: self.poke("value", rest)) if self.motion_s else self._become(rest)
        return [f"OK {rest}\n".encode()]

    def _become(self, value: str) -> None:
        self.value = value

    def poke(self, point: str, value: Value) -> None:
        if point != "value":
            raise KeyError(point)
        self._become(str(value))
        self.push(f"PUSH {value}\n".encode())


class LineTcp(Box, TcpTwin):
    def greet(self, peer: Peer) -> bytes:
        return b"HELLO\n"

    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        peer.buffer += data
        *lines, rest = bytes(peer.buffer).split(b"\n")
        peer.buffer[:] = rest
        return lines


class LoneTcp(LineTcp):
    single_session = True


class LineUdp(Box, UdpTwin):
    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        return [data.rstrip(b"\n")]


class Moving(LineTcp):
    motion_s = 30.0


@asynccontextmanager
async def running(kind: type[Twin]) -> AsyncIterator[Any]:
    twin = kind(DeviceConfig("box", Text("盒", "box"), Address("tcp", "127.0.0.1", 1), NoOptions()))
    await twin.serve("127.0.0.1", 0)
    yield twin
    await twin.close()


class TcpClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def tell(self, line: str) -> None:
        self.writer.write(line.encode() + b"\n")

    async def hear(self, limit: float = 5.0) -> str:
        async with asyncio.timeout(limit):
            return (await self.reader.readuntil(b"\n")).decode("latin-1").rstrip("\n")

    async def ask(self, line: str) -> str:
        await self.tell(line)
        return await self.hear()

    async def end(self) -> bytes:
        """What comes until the twin closes the session."""
        async with asyncio.timeout(5):
            return await self.reader.read()


@asynccontextmanager
async def tcp(twin: Any) -> AsyncIterator[TcpClient]:
    reader, writer = await asyncio.open_connection(*twin._at)
    client = TcpClient(reader, writer)
    yield client
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass


class UdpClient(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.refused = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.put_nowait(data.decode("latin-1").rstrip("\n"))

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, ConnectionRefusedError)
        self.refused.set()

    async def tell(self, line: str) -> None:
        self.transport.sendto(line.encode() + b"\n")

    async def hear(self, limit: float = 5.0) -> str:
        async with asyncio.timeout(limit):
            return await self.heard.get()

    async def ask(self, line: str) -> str:
        await self.tell(line)
        return await self.hear()


@asynccontextmanager
async def udp(twin: Any) -> AsyncIterator[UdpClient]:
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(UdpClient, remote_addr=twin._at)
    client.transport = transport
    yield client
    transport.close()
    await asyncio.sleep(0)


@asynccontextmanager
async def talk(kind: type[Twin]) -> AsyncIterator[tuple[Any, Any]]:
    """A twin and a client whose greeting is heard."""
    async with running(kind) as twin, (tcp if issubclass(kind, TcpTwin) else udp)(twin) as client:
        if issubclass(kind, TcpTwin):
            assert await client.hear() == "HELLO"
        yield twin, client


async def until(true: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)


both = pytest.mark.parametrize("kind", [LineTcp, LineUdp])


@both
async def test_healthy(kind: type[Twin]) -> None:
    async with talk(kind) as (twin, client):
        assert await client.ask("SET 5") == "OK 5"
        assert await client.ask("GET") == "VAL 5"
        twin.poke("value", 9)
        assert await client.hear() == "PUSH 9"
        said = [(entry.who, entry.data) for entry in twin.log][-5:]
        assert said == [
            ("daemon", b"SET 5\n"),
            ("twin", b"OK 5\n"),
            ("daemon", b"GET\n"),
            ("twin", b"VAL 5\n"),
            ("twin", b"PUSH 9\n"),
        ]
        times = [entry.t for entry in twin.log]
        assert times == sorted(times)


@both
async def test_an_unknown_fault_names_the_valid_ones(kind: type[Twin]) -> None:
    async with running(kind) as twin:
        with pytest.raises(ValueError, match="refuse, silent") as caught:
            await twin.fault("explode")
        assert all(known in str(caught.value) for known in FAULTS)
        assert not twin.faults


async def test_refuse_tcp_ends_sessions_refuses_new_ones_and_keeps_the_port() -> None:
    async with talk(LineTcp) as (twin, client):
        at = twin._at
        await twin.fault("refuse")
        assert await client.end() == b""
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*at)
        with socket.socket() as thief, pytest.raises(OSError, match="in use"):
            thief.bind(at)
        await twin.fault("refuse")  # again: nothing new
        await twin.heal()
        assert twin._at == at
        async with tcp(twin) as second:
            assert await second.hear() == "HELLO"


@pytest.mark.parametrize("fault", ["refuse", "reset"])
async def test_udp_port_is_closed_and_kept(fault: str) -> None:
    async with talk(LineUdp) as (twin, client):
        at = twin._at
        await client.ask("GET")
        await twin.fault(fault)
        assert list(twin.faults) == [fault]
        await client.tell("SET 5")
        async with asyncio.timeout(5):
            await client.refused.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief, pytest.raises(OSError, match="in use"):
            thief.bind(at)
        await twin.heal()
        assert twin._at == at
        assert await client.ask("GET") == "VAL 0"


async def test_a_session_accepted_as_it_goes_deaf_is_not_let_in() -> None:
    async with running(LineTcp) as twin:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, twin._at)  # in the backlog, perhaps not accepted yet
        await twin.fault("refuse")
        with sock:
            try:
                async with asyncio.timeout(5):
                    assert await loop.sock_recv(sock, 100) == b""
            except ConnectionResetError:
                pass
        assert not twin.peers


@both
async def test_silent_keeps_the_session_and_does_nothing(kind: type[Twin]) -> None:
    async with talk(kind) as (twin, client):
        await client.ask("GET")
        await twin.fault("silent")
        await client.tell("SET 5")
        await until(lambda: twin.log[-1].data == b"SET 5\n")
        twin.push(b"PUSH 1\n")
        assert twin.value == "0"
        await twin.heal()
        assert await client.ask("GET") == "VAL 0"


@both
@pytest.mark.parametrize("fault", ["slow", "late"])
async def test_slow_and_late_execute_at_once_and_answer_afterwards(kind: type[Twin], fault: str) -> None:
    async with talk(kind) as (twin, client):
        await client.ask("GET")
        await twin.fault(fault, ms=150)
        await client.tell("SET 5")
        await until(lambda: twin.value == "5")
        assert [message for _, message in next(iter(twin.peers)).outbox] == [b"OK 5\n"], "held back"
        assert await client.hear() == "OK 5"


async def test_nothing_overtakes_what_is_held_back() -> None:
    async with talk(LineTcp) as (twin, client):
        await twin.fault("slow", ms=200)
        await client.tell("SET 1")
        await until(lambda: twin.value == "1")
        await twin.fault("slow", ms=1)
        await client.tell("SET 2")
        await until(lambda: twin.value == "2")
        await twin.heal()
        await client.tell("SET 3")
        assert [await client.hear() for _ in range(3)] == ["OK 1", "OK 2", "OK 3"]


async def test_reset_tcp_is_an_rst_and_executes_nothing() -> None:
    async with talk(LineTcp) as (twin, client):
        await twin.fault("reset")
        await client.tell("SET 5")
        with pytest.raises(ConnectionResetError):
            await client.hear()
        assert twin.value == "0"
        async with tcp(twin) as second:  # new sessions are let in, until they command something
            assert await second.hear() == "HELLO"


async def pieces(client: TcpClient, size: int) -> list[bytes]:
    got: list[bytes] = []
    async with asyncio.timeout(5):
        while sum(map(len, got)) < size:
            got.append(await client.reader.read(4096))
    return got


async def test_split_sends_one_byte_at_a_time() -> None:
    async with talk(LineTcp) as (twin, client):
        await client.tell("DUO")
        assert await pieces(client, 8) == [b"one\ntwo\n"], "without the fault it comes in one piece"
        await twin.fault("split")
        await client.tell("DUO")
        got = await pieces(client, 8)
        assert b"".join(got) == b"one\ntwo\n"
        assert len(got) > 3
        assert [entry.data for entry in twin.log][-2:] == [b"one\n", b"two\n"]


async def test_merge_glues_the_answers_of_several_commands() -> None:
    async with talk(LineTcp) as (twin, client):
        await twin.fault("merge")
        await client.tell("SET 1")
        await until(lambda: twin.value == "1")
        await client.tell("GET")
        got = await pieces(client, 11)
        assert got == [b"OK 1\nVAL 1\n"]
        assert twin.log[-1].data == b"OK 1\nVAL 1\n"


@pytest.mark.parametrize("fault", ["split", "merge"])
async def test_datagrams_are_never_cut_or_glued(fault: str) -> None:
    async with talk(LineUdp) as (twin, client):
        await twin.fault(fault)
        await client.tell("DUO")
        assert [await client.hear(), await client.hear()] == ["one", "two"]


async def test_garbage_is_noise_of_the_same_length() -> None:
    async with talk(LineUdp) as (twin, client):
        await twin.fault("garbage")
        answers = {await client.ask("GET") for _ in range(4)}
        assert "VAL 0" not in answers
        assert len(answers) == 4
        assert all(len(entry.data) == 6 for entry in twin.log if entry.who == "twin")


@both
async def test_reject_and_ignore(kind: type[Twin]) -> None:
    async with talk(kind) as (twin, client):
        await twin.fault("reject")
        assert await client.ask("SET 5") == "NO"
        await twin.heal()
        await twin.fault("ignore")
        assert await client.ask("SET 5") == "OK 5"
        assert await client.ask("GET") == "VAL 0"
        await twin.heal()
        assert await client.ask("SET 5") == "OK 5"
        assert await client.ask("GET") == "VAL 5"


async def test_reboot_drops_sessions_and_falls_to_power_on_values_once() -> None:
    async with talk(LineTcp) as (twin, client):
        await client.ask("SET 5")
        await twin.fault("reboot")
        assert await client.end() == b""
        assert not twin.faults
        async with tcp(twin) as second:
            assert await second.hear() == "HELLO"
            assert await second.ask("GET") == "VAL 0"


async def test_reboot_forgets_motions() -> None:
    async with talk(Moving) as (twin, client):
        assert await client.ask("SET 5") == "OK 5"
        assert len(twin._tasks) == 1
        await twin.fault("reboot")
        await until(lambda: not twin._tasks)
        assert twin.value == "0"


async def test_single_session_turns_others_away_until_the_first_leaves() -> None:
    async with talk(LoneTcp) as (twin, client):
        async with tcp(twin) as second:
            assert await second.end() == b""
        assert await client.ask("GET") == "VAL 0"
        client.writer.close()
        await until(lambda: not twin.peers)
        async with tcp(twin) as third:
            assert await third.hear() == "HELLO"


async def test_a_busy_udp_client_is_never_forgotten() -> None:
    async with talk(LineUdp) as (twin, client):
        await client.ask("GET")
        mine = next(iter(twin.peers))
        for _ in range(3):
            for _ in range(40):
                async with udp(twin) as passer_by:
                    await passer_by.ask("GET")
            await client.ask("GET")
        assert mine in twin.peers
        assert len(twin.peers) <= 64


async def test_close_leaves_nothing_behind() -> None:
    async with running(Moving) as twin, tcp(twin) as client:
        await client.hear()
        await client.ask("SET 5")
        await twin.fault("slow", ms=30_000)
        await client.tell("GET")
        await until(lambda: len(twin._tasks) == 2)
        at = twin._at
        await twin.close()
        assert not twin._tasks
        assert not twin.peers
        assert await client.end() == b""
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(at)


async def test_a_twin_that_was_never_served_can_be_closed() -> None:
    for kind in (LineTcp, LineUdp):
        twin = kind(DeviceConfig("box", Text("盒", "box"), Address("tcp", "127.0.0.1", 1), NoOptions()))
        await twin.close()


async def test_a_client_that_is_being_let_in_while_the_twin_goes_deaf_is_not_leaked() -> None:
    lost: list[str] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda found: lost.append(str(found.exc_value))
    try:
        for turns in range(40):
            twin = LineTwin(config("x"))
            place = await twin.serve("127.0.0.1", 0)
            with socket.socket() as client:
                client.setblocking(False)
                client.connect_ex(place)
                for _ in range(turns % 4):
                    await asyncio.sleep(0)
                await twin.close()
        await asyncio.sleep(0)
        gc.collect()
    finally:
        sys.unraisablehook = hook
    assert lost == []
