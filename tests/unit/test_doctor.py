"""Each line of the doctor: fine when it is fine, and the very thing named when it is not."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecc_controld.client.__main__ import main
from ecc_controld.client.doctor import Finding, hall, machine
from ecc_controld.journal import Journal, schema
from ecc_controld.sdk import Address
from support.daemon import ROOT

MINI = ROOT / "tests" / "support" / "minihall"
LONG = """\
-----BEGIN CERTIFICATE-----
MIIBBzCBrgIBATAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARoYWxsMCAXDTIwMDEw
MTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDARoYWxsMFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEThojwKXJF8YafZpYSfKdvJhgOj4OOzhM2RJj
jAMAraJmPNYglIX2gy//frv8+4k5IAibuNKKzVHj1rx/Wu6qIDAKBggqhkjOPQQD
AgNIADBFAiEAnKJEdsdDWd4G5V0c059cuewwWGNV0+YfAPygqaHirhICIFuzmVAW
pmf6ADMcPJHgWVD4k8tTHdSkc0e/BRvVrIps
-----END CERTIFICATE-----
"""
OF_2020 = """\
-----BEGIN CERTIFICATE-----
MIIBBDCBrAIBATAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARoYWxsMB4XDTIwMDEw
MTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEaGFsbDBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABFlLKO5xDWG3dYgMs/P3hRBSzF6OkBa9uI9nUpqJ
v2HPrYcvje4bM/GVKkZ9iblxEwuCLlG4D/gUc5Mp6STWv+YwCgYIKoZIzj0EAwID
RwAwRAIgE8fH7Z6utf4pqapvrOc2dW1La8L+Fc2E8vLOUGw1czcCIA+C6Qo+unTc
iqoSVdNK1jACZ+X23v/F+P73rIx6IiDH
-----END CERTIFICATE-----
"""


def at(year: int, month: int = 1, day: int = 1) -> Callable[[], float]:
    return lambda: datetime(year, month, day, 12, tzinfo=UTC).timestamp()


def seen(found: list[Finding] | Finding) -> list[tuple[str, str]]:
    """Checks and states; each sentence is there in both languages, and each trouble says what to do."""
    findings = [found] if isinstance(found, Finding) else found
    for one in findings:
        assert one.text.zh
        assert one.text.en
        assert one.status != "fail" or one.do is not None
    return [(one.check, one.status) for one in findings]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    shutil.copytree(MINI, tmp_path, dirs_exist_ok=True)
    secrets = tmp_path / "config" / "secrets"
    secrets.mkdir()
    (secrets / "tv").write_text("x")
    (secrets / "tv").chmod(0o600)
    return tmp_path


# -- the machine ---------------------------------------------------------------------------------------------


def test_the_clock() -> None:
    assert seen(machine.clock(lambda: (True, 0.01), at(2027))) == [("clock", "ok"), ("ntp", "ok")]
    assert seen(machine.clock(lambda: (False, 16.0), at(2027))) == [("clock", "ok"), ("ntp", "warn")]
    assert seen(machine.clock(lambda: (True, 0.0), at(1970))) == [("clock", "fail")]

    def denied() -> tuple[bool, float]:
        raise OSError(1, "not permitted")

    assert seen(machine.clock(denied, at(2027))) == [("clock", "ok"), ("ntp", "warn")]


def test_the_kernel_says_whether_its_clock_is_kept() -> None:
    synchronised, error_s = machine.kernel_clock()
    assert isinstance(synchronised, bool)
    assert 0 <= error_s < 1000


@pytest.mark.parametrize(
    ("free_mb", "inodes", "status"), [(40, 9, "fail"), (60, 9, "warn"), (900, 9, "ok"), (900, 0, "fail")]
)
def test_the_disk(tmp_path: Path, free_mb: int, inodes: int, status: str) -> None:
    def look(place: Path) -> Any:
        assert place == tmp_path  # the nearest folder that exists
        return SimpleNamespace(f_bavail=free_mb * 256, f_frsize=4096, f_files=100, f_favail=inodes)

    assert seen(machine.disk(tmp_path / "not" / "yet", look)) == [("disk", status)]


def test_fonts_where_fc_list_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert seen(machine.fonts([tmp_path])) == [("fonts", "warn")]
    (tmp_path / "wqy-microhei.ttc").touch()
    found = machine.fonts([tmp_path])
    assert seen(found) == [("fonts", "ok")]
    assert "wqy-microhei.ttc" in found.text.zh


@pytest.mark.parametrize(
    ("text", "moment", "status"),
    [
        (LONG, at(2030), "ok"),
        (LONG, at(2119, 12, 15), "warn"),
        (LONG, at(2120, 1, 2), "fail"),
        (LONG, at(2019), "fail"),
        (OF_2020, at(2020, 6), "ok"),
        (OF_2020, at(2021, 1, 1), "fail"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", at(2030), "fail"),
        ("nothing", at(2030), "fail"),
        ("", at(2030), "fail"),
    ],
)
def test_certificates(tmp_path: Path, text: str, moment: Callable[[], float], status: str) -> None:
    (tmp_path / "hall.pem").write_text(text)
    found = machine.certificates([tmp_path / "hall.pem"], moment)
    assert seen(found) == [("certificate", status)]
    assert "hall.pem" in found[0].text.zh


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    assert seen(machine.certificates([tmp_path / "none.pem"])) == [("certificate", "fail")]


# -- the hall ------------------------------------------------------------------------------------------------


def test_the_configuration(files: Path) -> None:
    known, found = hall.files(files / "config", files / "scenes")
    assert seen(found)[0] == ("config", "ok")
    assert known.credentials == ("tv",)
    assert "5" in found[0].text.zh
    (files / "scenes" / "bad.yaml").write_text("scene: x\n", encoding="utf-8")
    known, found = hall.files(files / "config", files / "scenes")
    assert seen(found) == [("config", "fail")]
    assert known.hall is None
    assert "bad.yaml:" in found[0].text.en


def test_credentials(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, tv = files / "config", files / "config" / "secrets" / "tv"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert seen(hall.credentials(["tv"], config)) == [("credentials", "ok")]
    tv.chmod(0o640)
    (loose,) = hall.credentials(["tv"], config)
    assert (loose.status, loose.do and loose.do.en) == ("fail", f"chmod 0600 {tv}")
    tv.chmod(0o600)
    tv.write_text(" \n")
    assert "empty" in hall.credentials(["tv"], config)[0].text.en
    assert seen(hall.credentials(["tv", "wall"], config)) == [("credentials", "fail")] * 2
    given = files / "given"
    given.mkdir()
    (given / "wall").write_text("y")  # the service manager's own rights are not ours to judge
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    assert seen(hall.credentials(["wall"], config)) == [("credentials", "ok")]


def test_the_state_directory(files: Path) -> None:
    state = files / "state"
    assert seen(hall.state(state)) == [("state", "ok")]
    assert seen(hall.state(files / "config")) == [("state", "fail")]

    async def begin() -> None:
        await Journal.open(state, stamp="simulated").close()

    asyncio.run(begin())
    assert seen(hall.state(state)) == [("state", "ok"), ("journal", "ok")]
    assert "模拟" in hall.state(state)[0].text.zh
    state.chmod(0o755)
    (state / "journal.damaged-20260101T000000Z").touch()
    assert seen(hall.state(state)) == [("state", "ok"), ("state", "warn"), ("journal", "ok"), ("journal", "warn")]
    con = sqlite3.connect(state / "journal.db")
    con.execute(f"PRAGMA user_version = {schema.SCHEMA + 1}")
    con.close()
    assert ("journal", "fail") in seen(hall.state(state))
    (state / "journal.db").write_bytes(os.urandom(9000))
    assert ("journal", "fail") in seen(hall.state(state))


def test_serial_ports(tmp_path: Path) -> None:
    def with_port(host: str) -> Any:
        device = SimpleNamespace(config=SimpleNamespace(address=Address("serial", host, 0)))
        return SimpleNamespace(devices={"lights": device})

    assert seen(hall.serial(SimpleNamespace(devices={}))) == [("serial", "ok")]  # type: ignore[arg-type]
    assert seen(hall.serial(with_port("/dev/null"))) == [("serial", "ok")]
    (gone,) = hall.serial(with_port(str(tmp_path / "ttyUSB9")))
    assert (gone.status, "lights" in gone.text.zh) == ("fail", True)


def test_a_serial_port_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = SimpleNamespace(config=SimpleNamespace(address=Address("serial", "/dev/null", 0)))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (denied,) = hall.serial(SimpleNamespace(devices={"lights": device}))  # type: ignore[arg-type]
    assert denied.do is not None
    assert "dialout" in denied.do.zh


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_the_port_is_free_or_taken_by_a_stranger(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecc_controld.client.http.ANSWER_S", 0.3)
    finding, running = await hall.port(f"http://127.0.0.1:{taken}")
    assert (finding.status, running) == ("fail", None)
    assert str(taken) in finding.text.zh
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        free = gone.getsockname()[1]
    finding, running = await hall.port(f"http://127.0.0.1:{free}")
    assert (finding.status, running) == ("warn", None)
    assert "空闲" in finding.text.zh


async def test_devices_are_dialled_where_no_daemon_runs(taken: int) -> None:
    def device(scheme: str, port: int, **more: Any) -> Any:
        address = Address(scheme, "127.0.0.1", port)
        return SimpleNamespace(config=SimpleNamespace(address=address), in_service=True, **more)

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        number = closed.getsockname()[1]
        fine = SimpleNamespace(devices={"a": device("tcp", taken), "b": device("udp", 9)})
        assert seen(await hall.reachable(fine)) == [("devices", "ok")]  # type: ignore[arg-type]
        fine.devices["c"] = device("tcp", number)
        found = await hall.reachable(fine)  # type: ignore[arg-type]
    assert seen(found) == [("device", "warn"), ("devices", "warn")]
    assert found[0].text.zh.startswith("c（")
    assert "2 of 3" in found[1].text.en


def test_what_the_running_daemon_says_of_its_devices() -> None:
    rows = [
        {"id": "a", "link": "online", "address": "tcp://a"},
        {
            "id": "b",
            "link": "offline",
            "address": "tcp://b",
            "reason": "x",
            "reason_text": {"zh": "拔了", "en": "out"},
        },
        {"id": "c", "link": "offline", "address": "tcp://c", "in_service": False},
    ]
    found = hall.linked(rows)
    assert seen(found) == [("device", "warn"), ("devices", "warn")]
    assert found[0].do is not None
    assert found[0].do.zh == "拔了"
    assert "1 of 2" in found[1].text.en
    many = [{"id": str(n), "link": "offline", "address": "tcp://x"} for n in range(20)]
    assert len(hall.linked(many)) == hall.SHOWN + 2


# -- the command ---------------------------------------------------------------------------------------------


def test_the_command_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(files / "config"), "--scenes", str(files / "scenes"), "--state", str(files / "s")]
    base = ["doctor", *where, "--url", "http://127.0.0.1:1", "--no-dial"]
    assert main([*base, "--lang", "zh"]) == 0
    out = capsys.readouterr().out
    assert "✓ 配置和场景无误：5 台设备" in out
    assert "→" in out  # nothing listens there, and that is said
    (files / "config" / "secrets" / "tv").unlink()
    assert main([*base, "--lang", "en"]) == 1
    out = capsys.readouterr().out
    assert "✗ credential tv: No such file" in out
    assert "mode 0600" in out
    assert main([*base, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    bad = [one for one in answer["findings"] if one["status"] == "fail"]
    assert [one["check"] for one in bad] == ["credentials"]
    assert set(bad[0]["text"]) == {"zh", "en"}


def test_a_simulated_hall_needs_no_credentials(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "config" / "secrets" / "tv").unlink()
    (files / "s").mkdir(mode=0o700)
    (files / "s" / "stamp").write_text("simulated\n")
    where = ["--config", str(files / "config"), "--scenes", str(files / "scenes"), "--state", str(files / "s")]
    assert main(["doctor", *where, "--url", "http://127.0.0.1:1"]) == 0
    capsys.readouterr()
