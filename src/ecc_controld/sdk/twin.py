"""Twins: emulators of devices on real sockets, with faults that any device can be told to have.

A twin behaves as its model does (warm-up, motion times, single session, pushes) and never imports its driver's
codec: a shared codec would hide the codec's errors. A subclass speaks the protocol; the base owns sockets,
the log and the faults.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .driver import DeviceConfig
from .point import Value

FAULTS = (
    "refuse",
    "silent",
    "slow",
    "late",
    "reset",
    "split",
    "merge",
    "garbage",
    "reject",
    "ignore",
    "reboot",
)
"""Every fault kind. `refuse` existing sessions closed, new ones refused (UDP: port closed); `silent` sessions
stay, no answer; `slow` answers after `ms`; `late` answers after the daemon's time-out (executed all the same;
`ms` may say when);
`reset` RST at each command; `split` one byte at a time; `merge` answers held for 50 ms and glued together;
`garbage` noise instead of answers; `reject` the protocol's own error; `ignore` acknowledged, nothing happens;
`reboot` sessions drop, state falls to power-on values (at once, once; it is not a lasting fault)."""

LATE_S = 6.0
SLOW_MS = 500
MERGE_S = 0.05
LOG_LIMIT = 20_000


@dataclass(frozen=True)
class LogEntry:
    """One thing said: `t` monotonic seconds, `who` is `daemon` or `twin`."""

    t: float
    who: str
    data: bytes


@dataclass(eq=False)
class Peer:
    """One client of a twin: a TCP connection or a UDP source address. `memory` is the protocol's own."""

    send: Callable[[bytes], None]
    host: str
    close: Callable[[], None]
    reset: Callable[[], None]
    memory: dict[str, Any] = field(default_factory=dict)
    buffer: bytearray = field(default_factory=bytearray)
    outbox: deque[tuple[float, bytes]] = field(default_factory=deque)
    """What a fault holds back: when it is due (loop time), and the message. Nothing overtakes it."""


class Twin(ABC):
    """Base of all twins. Subclass `TcpTwin` or `UdpTwin`, not this.

    The protocol side: `greet(peer)`, `frames(peer, data)`, `answer(peer, frame)`, `power_on()`, `set_point`.
    While the fault `reject` is active `self.rejecting` is true, and `answer` must refuse commands with the
    protocol's own error; while `self.ignoring` is true it must acknowledge commands and change nothing.
    Queries are answered truly in both cases.
    """

    stream: ClassVar[bool] = True
    """Bytes flow: messages can be cut and glued. False for datagrams."""
    deafening: ClassVar[frozenset[str]] = frozenset({"refuse"})
    """The faults during which nobody is let in."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.log: deque[LogEntry] = deque(maxlen=LOG_LIMIT)
        self.faults: dict[str, dict[str, Any]] = {}
        self.peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._noise = random.Random(config.id)
        self.power_on()

    # -- what a model defines ----------------------------------------------------------------------------

    @abstractmethod
    def power_on(self) -> None:
        """Set every state to what the model has after power-on. Also called from the constructor."""

    def greet(self, peer: Peer) -> bytes:
        """What the device says when somebody connects."""
        return b""

    @abstractmethod
    def frames(self, peer: Peer, data: bytes) -> Iterable[bytes]:
        """Cut received bytes into commands; `peer.buffer` keeps the rest."""

    @abstractmethod
    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        """Act on one command and return the messages that go back to this peer."""

    @abstractmethod
    def poke(self, point: str, value: Value) -> None:
        """Change a point (local name, canonical value) by hand, as somebody at the device would; push it.

        Raises KeyError for an unknown point, ValueError for a value it cannot have.
        """

    # -- what a model may use ----------------------------------------------------------------------------

    @property
    def rejecting(self) -> bool:
        """Fault `reject` is active."""
        return "reject" in self.faults

    @property
    def ignoring(self) -> bool:
        """Fault `ignore` is active."""
        return "ignore" in self.faults

    def push(self, data: bytes, *, but: Peer | None = None) -> None:
        """Tell every connected peer (except `but`) something unasked."""
        for peer in list(self.peers):
            if peer is not but:
                self.say(peer, data)

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        """Run `what` after a motion or warm-up time; forgotten when the twin reboots or closes."""

        async def wait() -> None:
            await asyncio.sleep(delay_s)
            what()

        self._spawn(wait())

    def say(self, peer: Peer, data: bytes) -> None:
        """Send a message to a peer, through the active faults."""
        if not data or "silent" in self.faults or peer not in self.peers:
            return
        if "garbage" in self.faults:
            data = bytes(self._noise.randrange(256) for _ in range(len(data)))
        delay_s = self._delay_s()
        if delay_s or peer.outbox or ("split" in self.faults and self.stream):
            peer.outbox.append((asyncio.get_running_loop().time() + delay_s, data))
            if len(peer.outbox) == 1:
                self._spawn(self._empty(peer))
        else:
            self._out(peer, data)

    # -- control -----------------------------------------------------------------------------------------

    @abstractmethod
    async def serve(self, host: str, port: int) -> tuple[str, int]:
        """Start to answer; port 0 takes a free one. Returns the address."""

    async def close(self) -> None:
        """Stop: no peer, no task, no socket left."""
        self._drop_peers()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def fault(self, kind: str, **how: Any) -> None:
        """Start a fault kind (see FAULTS); `reboot` happens at once. Raises ValueError for an unknown one."""
        if kind not in FAULTS:
            raise ValueError(f"unknown fault {kind!r}; valid: {', '.join(FAULTS)}")
        if kind == "reboot":
            await self._reboot()
            return
        self.faults[kind] = how
        if kind in self.deafening:
            self._drop_peers()
            await self._deafen()

    async def heal(self) -> None:
        """End all faults."""
        deaf = any(kind in self.deafening for kind in self.faults)
        self.faults.clear()
        if deaf:
            await self._hear_again()

    # -- inside ------------------------------------------------------------------------------------------

    async def _reboot(self) -> None:
        self._drop_peers()
        for task in list(self._tasks):
            task.cancel()
        self.power_on()

    def _drop_peers(self) -> None:
        for peer in list(self.peers):
            self.peers.discard(peer)
            peer.close()

    @abstractmethod
    async def _deafen(self) -> None:
        """Refuse new sessions."""

    @abstractmethod
    async def _hear_again(self) -> None:
        """Accept sessions again at the same address."""

    def _received(self, peer: Peer, data: bytes) -> None:
        self._note("daemon", data)
        if "reset" in self.faults:
            self.peers.discard(peer)
            peer.reset()
            return
        if "silent" in self.faults:
            return
        for frame in self.frames(peer, data):
            for message in self.answer(peer, frame):
                self.say(peer, message)

    def _out(self, peer: Peer, data: bytes) -> None:
        if peer in self.peers:
            self._note("twin", data)
            peer.send(data)

    def _delay_s(self) -> float:
        """How long the active faults hold a message back, in s."""
        if "late" in self.faults:
            return float(self.faults["late"].get("ms", LATE_S * 1000)) / 1000
        if "slow" in self.faults:
            return float(self.faults["slow"].get("ms", SLOW_MS)) / 1000
        return MERGE_S if "merge" in self.faults else 0.0

    async def _empty(self, peer: Peer) -> None:
        """Send what is held back, in order, until there is nothing left. The head stays until it is sent."""
        while peer.outbox and peer in self.peers:
            await asyncio.sleep(peer.outbox[0][0] - asyncio.get_running_loop().time())
            count = len(peer.outbox) if "merge" in self.faults and self.stream else 1
            data = b"".join(message for _, message in list(peer.outbox)[:count])
            if "split" in self.faults and self.stream:
                await self._trickle(peer, data)
            else:
                self._out(peer, data)
            for _ in range(count):
                peer.outbox.popleft()

    async def _trickle(self, peer: Peer, data: bytes) -> None:
        """One byte a turn of the loop: written in one turn they would mostly arrive in one piece."""
        self._note("twin", data)
        for n in range(len(data)):
            if peer not in self.peers:
                return
            peer.send(data[n : n + 1])
            await asyncio.sleep(0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, who: str, data: bytes) -> None:
        self.log.append(LogEntry(asyncio.get_running_loop().time(), who, data))


class TcpTwin(Twin):
    """A twin that listens on TCP. `single_session`: further clients are refused while one is connected."""

    scheme: ClassVar[str] = "tcp"
    single_session: ClassVar[bool] = False
    _server: asyncio.Server | None = None
    _place: socket.socket | None = None

    async def serve(self, host: str, port: int) -> tuple[str, int]:
        self._at = (host, port)
        return await self._listen(_bound(self._at))

    async def close(self) -> None:
        await self._deafen()
        await super().close()
        if self._place is not None:
            self._place.close()
            self._place = None

    @property
    def hears(self) -> bool:
        """Whether clients are let in now."""
        return self._server is not None

    async def _listen(self, sock: socket.socket) -> tuple[str, int]:
        self._at = _name(sock)
        self._server = await asyncio.get_running_loop().create_server(lambda: _TcpPeer(self), sock=sock)
        return self._at

    async def _deafen(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            # Whoever is just being let in must find the server open (CPython 3.11 leaks the connection otherwise);
            # so first nobody else is let in, then those have their turn, then it closes.
            for sock in server.sockets:
                asyncio.get_running_loop().remove_reader(sock.fileno())
            await asyncio.sleep(0)
            server.close()
            # Bound but not listening: clients are refused, and the kernel gives the port to nobody else.
            self._place = _bound(self._at)

    async def _hear_again(self) -> None:
        if self._place is not None:
            sock, self._place = self._place, None
            await self._listen(sock)


class _TcpPeer(asyncio.Protocol):
    def __init__(self, twin: TcpTwin) -> None:
        self._twin = twin
        self._peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def reset() -> None:
            # Linger with time 0 makes the kernel send RST instead of FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

        if not self._twin.hears:  # accepted just before it went deaf
            transport.abort()
            return
        if self._twin.single_session and self._twin.peers:
            transport.close()
            return
        host = str(transport.get_extra_info("peername")[0])
        self._peer = Peer(send=transport.write, host=host, close=transport.close, reset=reset)
        self._twin.peers.add(self._peer)
        self._twin.say(self._peer, self._twin.greet(self._peer))

    def data_received(self, data: bytes) -> None:
        if self._peer is not None:
            self._twin._received(self._peer, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            self._twin.peers.discard(self._peer)


class UdpTwin(Twin):
    """A twin on UDP: each source address is a peer, each datagram goes to `frames` whole.

    `split` does not exist for datagrams and `merge` only holds them back; `reset` and `refuse` leave the port
    closed, so that the kernel answers with "port unreachable".
    """

    scheme: ClassVar[str] = "udp"
    stream: ClassVar[bool] = False
    deafening: ClassVar[frozenset[str]] = frozenset({"refuse", "reset"})
    _transport: asyncio.DatagramTransport | None = None
    _place: socket.socket | None = None

    def __init__(self, config: DeviceConfig) -> None:
        self._by_address: dict[Any, Peer] = {}
        super().__init__(config)

    async def serve(self, host: str, port: int) -> tuple[str, int]:
        self._transport = await self._bind(host, port)
        self._at = _name(self._transport.get_extra_info("socket"))
        return self._at

    async def close(self) -> None:
        await self._deafen()
        await super().close()
        if self._place is not None:
            self._place.close()
            self._place = None

    async def _bind(self, host: str, port: int) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _UdpPeer(self), local_addr=(host, port)
        )
        return transport

    async def _deafen(self) -> None:
        if self._transport is not None:
            # The same kernel socket lives on through a second descriptor: the port stays ours. Connected to
            # itself it takes datagrams from nobody else, so that the kernel answers "port unreachable".
            place: socket.socket = self._transport.get_extra_info("socket").dup()
            place.connect(self._at)
            self._place = place
            self._transport.abort()
            self._transport = None

    async def _hear_again(self) -> None:
        if self._place is not None:
            self._place.close()
            self._place = None
            self._transport = await self._bind(*self._at)

    def _drop_peers(self) -> None:
        super()._drop_peers()
        self._by_address = {}

    def _from(self, address: Any) -> Peer:
        peer = self._by_address.pop(address, None)
        if peer is not None:
            self._by_address[address] = peer  # the longest unheard is the first to be forgotten
        else:

            def send(data: bytes) -> None:
                if self._transport is not None:
                    self._transport.sendto(data, address)

            peer = Peer(send=send, host=str(address[0]), close=lambda: None, reset=lambda: None)
            self._by_address[address] = peer
            self.peers.add(peer)
            if len(self._by_address) > 64:  # an old source port of a client that came back
                self.peers.discard(self._by_address.pop(next(iter(self._by_address))))
        return peer


class _UdpPeer(asyncio.DatagramProtocol):
    def __init__(self, twin: UdpTwin) -> None:
        self._twin = twin

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._twin._received(self._twin._from(addr), data)

    def error_received(self, exc: Exception) -> None:
        """A client went away: nothing to do for a device."""


def _bound(at: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in at[0] else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old sessions may linger in TIME_WAIT
        sock.setblocking(False)
        sock.bind(at)
    except OSError:
        sock.close()
        raise
    return sock


def _name(sock: socket.socket) -> tuple[str, int]:
    host, port, *_ = sock.getsockname()
    return str(host), int(port)
