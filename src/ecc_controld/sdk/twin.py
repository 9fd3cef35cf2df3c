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
stay, no answer; `slow` answers after `ms`; `late` answers after the daemon's time-out (executed all the same);
`reset` RST at each command; `split` one byte at a time; `merge` answers held for 50 ms and glued together;
`garbage` noise instead of answers; `reject` the protocol's own error; `ignore` acknowledged, nothing happens;
`reboot` sessions drop, state falls to power-on values (at once, once; it is not a lasting fault)."""

LATE_S = 6.0
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


class Twin(ABC):
    """Base of all twins. Subclass `TcpTwin` or `UdpTwin`, not this.

    The protocol side: `greet(peer)`, `frames(peer, data)`, `answer(peer, frame)`, `power_on()`, `set_point`.
    While the fault `reject` is active `self.rejecting` is true, and `answer` must refuse commands with the
    protocol's own error; while `self.ignoring` is true it must acknowledge commands and change nothing.
    Queries are answered truly in both cases.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.log: deque[LogEntry] = deque(maxlen=LOG_LIMIT)
        self.faults: dict[str, dict[str, Any]] = {}
        self.peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[Peer, bytearray] = {}
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
        if "late" in self.faults:
            self._spawn(self._send_after(LATE_S, peer, data))
        elif "slow" in self.faults:
            self._spawn(self._send_after(float(self.faults["slow"].get("ms", 500)) / 1000, peer, data))
        elif "merge" in self.faults:
            self._hold(peer, data)
        elif "split" in self.faults:
            for n in range(len(data)):
                self._out(peer, data[n : n + 1])
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
        if kind == "refuse":
            self._drop_peers()
            await self._deafen()

    async def heal(self) -> None:
        """End all faults."""
        deaf = "refuse" in self.faults
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

    def _hold(self, peer: Peer, data: bytes) -> None:
        held = self._held.get(peer)
        if held is not None:
            held += data
            return
        self._held[peer] = bytearray(data)
        self._spawn(self._release(peer))

    async def _release(self, peer: Peer) -> None:
        await asyncio.sleep(MERGE_S)
        self._out(peer, bytes(self._held.pop(peer, b"")))

    async def _send_after(self, delay_s: float, peer: Peer, data: bytes) -> None:
        await asyncio.sleep(delay_s)
        self._out(peer, data)

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

    async def serve(self, host: str, port: int) -> tuple[str, int]:
        self._server = await self._listen(host, port)
        address = self._server.sockets[0].getsockname()
        self._at = (str(address[0]), int(address[1]))
        return self._at

    async def close(self) -> None:
        await self._deafen()
        await super().close()

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(lambda: _TcpPeer(self), host, port)

    async def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _hear_again(self) -> None:
        if self._server is None:
            self._server = await self._listen(*self._at)


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

    `split` does not exist for datagrams; `reset` and `refuse` leave the port closed, so that the kernel
    answers with "port unreachable".
    """

    scheme: ClassVar[str] = "udp"
    _transport: asyncio.DatagramTransport | None = None

    def __init__(self, config: DeviceConfig) -> None:
        self._by_address: dict[Any, Peer] = {}
        super().__init__(config)

    async def serve(self, host: str, port: int) -> tuple[str, int]:
        self._transport = await self._bind(host, port)
        address = self._transport.get_extra_info("sockname")
        self._at = (str(address[0]), int(address[1]))
        return self._at

    async def close(self) -> None:
        await self._deafen()
        await super().close()

    def say(self, peer: Peer, data: bytes) -> None:
        if "split" in self.faults:
            self._out(peer, data)  # a datagram is never cut
        else:
            super().say(peer, data)

    async def fault(self, kind: str, **how: Any) -> None:
        await super().fault("refuse" if kind == "reset" else kind, **how)

    async def _bind(self, host: str, port: int) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _UdpPeer(self), local_addr=(host, port)
        )
        return transport

    async def _deafen(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _hear_again(self) -> None:
        if self._transport is None:
            self._transport = await self._bind(*self._at)

    def _drop_peers(self) -> None:
        super()._drop_peers()
        self._by_address = {}

    def _from(self, address: Any) -> Peer:
        peer = self._by_address.get(address)
        if peer is None:

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
