"""sd_notify and socket activation, each against a stand-in for the service manager."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from ecc_controld.service.activation import take_socket
from ecc_controld.service.notify import Notifier, take_notifier, take_watchdog
from support.manager import ManagerEnd


def test_every_message_arrives_on_both_kinds_of_address(any_manager: ManagerEnd) -> None:
    environ = {"NOTIFY_SOCKET": any_manager.address, "HOME": "/"}
    notifier = take_notifier(environ)
    assert environ == {"HOME": "/"}, "a child must not speak in our name"
    notifier.ready()
    notifier.status("应急 Emergency\nsecond line")
    notifier.watchdog()
    notifier.reloading()
    notifier.stopping()
    said = any_manager.read()
    assert said[0] == {"READY": "1"}
    assert said[1] == {"STATUS": "应急 Emergency second line"}
    assert said[2] == {"WATCHDOG": "1"}
    assert said[3]["RELOADING"] == "1"
    assert int(said[3]["MONOTONIC_USEC"]) > 0
    assert said[4] == {"STOPPING": "1"}
    notifier.close()
    notifier.ready()
    assert len(any_manager.read()) == 5


def test_without_a_manager_nothing_happens() -> None:
    notifier = take_notifier({})
    assert not notifier.active
    notifier.ready()
    notifier.close()


def test_a_manager_that_is_gone_or_does_not_read_stops_nobody(manager: ManagerEnd) -> None:
    notifier = Notifier(manager.address)
    for _ in range(100_000):  # far more than the socket holds: the sender must not block
        notifier.status("x" * 400)
    assert 0 < len(manager.read()) < 100_000
    notifier.ready()
    assert manager.read()[-1] == {"READY": "1"}
    manager.close()
    notifier.watchdog()
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(environ: dict[str, str], seconds: float | None) -> None:
    assert take_watchdog(environ) == seconds
    assert environ == {}


def test_variables_of_another_process_pass_no_socket() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"}
    assert take_socket(environ) is None
    assert environ == {}


TAKE = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from ecc_controld.service.activation import BadSocket, take_socket
try:
    found = take_socket(os.environ)
except BadSocket as error:
    print("bad:", error.text.en, error.text.zh)
else:
    print(found.getsockname()[1], os.get_inheritable(found.fileno()), found.getblocking(), sorted(
        name for name in os.environ if name.startswith("LISTEN")))
"""


def passed(found: socket.socket, count: int = 1) -> str:
    """What a child says about a socket that it gets as descriptor 3."""

    def place() -> None:
        os.dup2(found.fileno(), 3)
        if count == 2:
            os.dup2(found.fileno(), 4)

    done = subprocess.run(
        [sys.executable, "-c", TAKE],
        env={**os.environ, "LISTEN_FDS": str(count)},
        pass_fds=(3, 4),
        preexec_fn=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_a_listening_socket_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        assert passed(found) == f"{found.getsockname()[1]} False False []"


def test_what_is_no_listening_loopback_socket_is_refused_with_a_sentence() -> None:
    with socket.socket() as idle:
        assert "ListenStream=" in passed(idle)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert "ListenStream=" in passed(datagrams)
    with socket.create_server(("0.0.0.0", 0)) as open_to_all:
        assert "loopback" in passed(open_to_all)
    with socket.create_server(("127.0.0.1", 0)) as found:
        assert "2 sockets" in passed(found, 2)
