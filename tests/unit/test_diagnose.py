"""The diagnostic bundle is useful, and no spelling of any secret is anywhere in it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from ecc_controld.client.__main__ import main
from ecc_controld.client.diagnose import Hider, diagnose
from ecc_controld.client.doctor import Ask
from ecc_controld.journal import Journal
from support.daemon import ROOT

MAY_BLOCK = True

MINI = ROOT / "tests" / "support" / "minihall"
CANARY = "Wt7/canary+π&4711"
SPARE = "spare-canary-0815"
PIN = "907"
NOT_KNOWN = "inline-canary-2222"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A hall with secrets where they belong, and where careless people put them."""
    shutil.copytree(MINI, tmp_path, dirs_exist_ok=True)
    secrets = tmp_path / "config" / "secrets"
    secrets.mkdir()
    for name, value in (("tv", CANARY + "\n"), ("spare", SPARE), ("pin", PIN)):
        (secrets / name).write_text(value, encoding="utf-8")
        (secrets / name).chmod(0o600)
    hall = tmp_path / "config" / "hall.yaml"
    text = hall.read_text(encoding="utf-8")
    hall.write_text(f"# the wall's word is {CANARY}\n# password: {NOT_KNOWN}\n{text}", encoding="utf-8")
    scene = tmp_path / "scenes" / "duty.yaml"
    scene.write_text(scene.read_text(encoding="utf-8") + f"# door code {PIN}, {SPARE}\n", encoding="utf-8")
    log = tmp_path / "daemon.log"
    data = CANARY.encode()
    lines = [
        json.dumps({"message": "login", "detail": CANARY}),
        json.dumps({"message": "login", "detail": CANARY}, ensure_ascii=False),
        f"sent {base64.b64encode(data).decode()} and {data.hex()} and {quote(CANARY, safe='')} and {data!r}",
        f'{{"password": "{NOT_KNOWN}", "device": "wall"}}',
        f"connect http://admin:{NOT_KNOWN}@10.20.0.7/",
        f"Authorization: Bearer {NOT_KNOWN}",
        "device lost code=link_lost device=wall",
    ]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
async def leaky() -> AsyncIterator[str]:
    """A daemon that says a secret in everything."""

    async def answer(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        body = {
            name: [],
            "name": {"zh": CANARY, "en": SPARE},
            "token": NOT_KNOWN,
            "version": "1",
            "since": "today",
        }
        return web.json_response(body, status=503 if name == "readyz" else 200)

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "http://{}:{}".format(*runner.addresses[0][:2])
    await runner.cleanup()


def spellings() -> set[str]:
    found = {NOT_KNOWN}
    for value in (CANARY, SPARE):
        data = value.encode()
        found |= {value, json.dumps(value)[1:-1], repr(data)[2:-1], quote(value), quote(value, safe="")}
        found |= {base64.b64encode(data).decode().rstrip("="), data.hex(), data.hex().upper()}
    return found


def unpacked(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:
        return {m.name.removeprefix("ecc-diagnose/"): tar.extractfile(m).read().decode() for m in tar}  # type: ignore[union-attr]


async def test_no_secret_is_in_it_and_what_helps_is(files: Path, leaky: str) -> None:
    journal = Journal.open(files / "state", stamp="live")
    ask = Ask(leaky, files / "config", files / "scenes", files / "state", dial=False)
    manifest = await diagnose(files / "d.tar.gz", ask, files / "daemon.log", ())
    await journal.close()
    assert stat.S_IMODE((files / "d.tar.gz").stat().st_mode) == 0o600
    found = unpacked(files / "d.tar.gz")
    for name, text in found.items():
        for spelling in spellings():
            assert spelling not in text, f"{spelling!r} in {name}"
    assert PIN not in found["scenes/duty.yaml"]
    assert manifest["unread_credentials"] == []
    # What an engineer needs has survived.
    assert "secret: tv\n" in found["config/hall.yaml"]
    assert "driver: pjlink" in found["config/hall.yaml"]
    assert "device lost code=link_lost device=wall" in found["log.txt"]
    assert '"since": "today"' in found["api/hall.json"]
    assert {f"api/{name}.json" for name in ("hall", "devices", "points", "scenes", "runs", "alarms")} <= set(found)
    assert {"api/readyz.txt", "api/metrics.txt"} <= set(found)
    assert json.loads(found["versions.json"])["libraries"]["aiohttp"]
    assert json.loads(found["state.json"])["stamp"] == "live"
    assert json.loads(found["state.json"])["runs"] == 0
    assert any(one["check"] == "clock" for one in json.loads(found["doctor.json"]))
    assert not any("secrets/" in name for name in found)


def test_without_a_daemon_and_with_a_broken_configuration(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (files / "config" / "hall.yaml").open("a", encoding="utf-8") as file:
        file.write("nonsense: [\n")
    (files / "config" / "secrets" / "tv").unlink()
    where = ["--config", str(files / "config"), "--scenes", str(files / "scenes"), "--state", str(files / "none")]
    target = str(files / "d.tar.gz")
    assert main(["diagnose", target, *where, "--url", "http://127.0.0.1:1", "--lang", "zh"]) == 0
    out, err = capsys.readouterr()
    assert "诊断包已写入" in out
    assert "凭据 tv 没有找到或没有权限读取" in err
    found = unpacked(files / "d.tar.gz")
    assert "nonsense" in found["config/hall.yaml"]
    assert "127.0.0.1:1" in found["api/unreachable.txt"]
    assert "log.txt" not in found
    assert main(["diagnose", target, *where, "--url", "http://127.0.0.1:1"]) == 4


def test_a_bundle_that_cannot_be_written_leaves_nothing(files: Path) -> None:
    ask = Ask("http://127.0.0.1:1", files / "config", files / "scenes", files / "none", dial=False)
    before = sorted(files.iterdir())
    with pytest.raises(Exception, match="no bundle"):
        asyncio.run(diagnose(files / "nowhere" / "d.tar.gz", ask, None, ()))
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("pin 12 is 12, 123 is not", "pin *** is ***, 123 is not"),
        ("password: hunter2", "password: ***"),
        ('"apiKey": "abc", "x": 1', '"apiKey": ***, "x": 1'),
        ("db_password = 'a b'", "db_password = ***"),
        ("密码：五五五", "密码：***"),
        ("secret: tv", "secret: tv"),
        ("secret: other", "secret: ***"),
        ("tcp://u:p@host/x", "tcp://u:***@host/x"),
        ("pinned: 3, shopping: 4", "pinned: 3, shopping: 4"),
    ],
)
def test_what_looks_like_a_secret(text: str, hidden: str) -> None:
    assert Hider(["12"], ["tv"]).hide(text) == hidden
