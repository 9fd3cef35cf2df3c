"""backup and restore: consistent beside a writing daemon, checked to the last byte, refused rather than guessed."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecc_controld.client.__main__ import main
from ecc_controld.client.backup import JOURNAL, Trouble, backup, prune, restore
from ecc_controld.journal import Change, Journal, Put, Stamp, schema

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from ecc_controld.journal import Change, Journal, Put

async def main():
    journal = Journal.open(Path(sys.argv[1]), stamp="live")
    print("open", flush=True)
    number = 0
    while True:  # both values of a change are the same, or a copy is torn
        number += 1
        body = str(number).encode() * 500
        await journal.commit(Change(puts=(Put("manual", "a", body), Put("manual", "b", body))))

asyncio.run(main())
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("config", "scenes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.yaml").write_text(f"{name}: 大厅\n", encoding="utf-8")
    secrets = tmp_path / "config" / "secrets"
    secrets.mkdir()
    (secrets / "wall").write_text("CANARY-4711")
    return tmp_path


def fill(state: Path, value: str, stamp: Stamp = "live") -> None:
    async def work() -> None:
        journal = Journal.open(state, stamp=stamp)
        await journal.commit(Change(puts=(Put("manual", "x", value.encode()),)))
        await journal.close()

    asyncio.run(work())


def value(state: Path, stamp: Stamp = "live") -> str:
    async def work() -> str:
        journal = Journal.open(state, stamp=stamp)
        try:
            return journal.recall().puts["manual"]["x"].decode()
        finally:
            await journal.close()

    return asyncio.run(work())


def save(files: Path, target: Path | None = None) -> Path:
    return backup(target or files / "b.tar.gz", files / "state", files / "config", files / "scenes").path


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def repack(source: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The same archive with something changed."""
    contents = members(source)
    change(contents)
    target = source.with_name("changed.tar.gz")
    with tarfile.open(target, "w:gz") as tar:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return target


def remanifest(contents: dict[str, bytes], **more: Any) -> None:
    contents["manifest.json"] = json.dumps(json.loads(contents["manifest.json"]) | more).encode()


def test_there_and_back_on_another_machine(files: Path) -> None:
    fill(files / "state", "emergency")
    archive = save(files)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    contents = members(archive)
    manifest = json.loads(contents.pop("manifest.json"))
    assert set(contents) == {JOURNAL, "config/config.yaml", "scenes/scenes.yaml"}
    assert manifest["stamp"] == "live"
    assert manifest["schema"] == schema.SCHEMA
    assert contents[JOURNAL][18:20] == b"\x01\x01", "one file that needs no log beside it"
    for name, data in contents.items():
        assert manifest["files"][name] == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        assert b"CANARY" not in data
    done, aside = restore(archive, files / "new" / "state", files / "etc")
    assert (done.manifest["stamp"], aside) == ("live", None)
    assert value(files / "new" / "state") == "emergency"
    assert (files / "etc" / "config" / "config.yaml").read_text(encoding="utf-8") == "config: 大厅\n"
    assert (files / "etc" / "scenes" / "scenes.yaml").exists()
    assert stat.S_IMODE((files / "new" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((files / "new" / "state" / "journal.db").stat().st_mode) == 0o600
    left = [path.name for path in files.rglob(".ecc-*")]
    assert left == []


def test_the_old_state_is_kept_aside(files: Path) -> None:
    fill(files / "state", "then")
    archive = save(files)
    fill(files / "state", "now")
    _, aside = restore(archive, files / "state", None)
    assert aside is not None
    assert value(files / "state") == "then"
    with sqlite3.connect(aside / "journal.db") as con:
        assert con.execute("SELECT body FROM puts WHERE key = 'x'").fetchone() == (b"now",)
    con.close()


def test_a_log_that_was_not_moved_in_is_kept_with_the_old_journal_and_not_played_into_the_new(files: Path) -> None:
    fill(files / "state", "then")
    archive = save(files)
    script = WRITE_FOR_EVER.replace("while True", "while number < 20").replace(
        "asyncio.run(main())", "import os\nasyncio.run(main())"
    )
    script = script.replace("asyncio.run(main())", "asyncio.run(main()); os._exit(0)")
    subprocess.run([sys.executable, "-c", script, str(files / "state")], check=True, capture_output=True)
    assert (files / "state" / "journal.db-wal").stat().st_size > 0  # it died without moving its log in
    _, aside = restore(archive, files / "state", None)
    assert aside is not None
    assert value(files / "state") == "then"
    con = sqlite3.connect(aside / "journal.db")
    assert con.execute("SELECT body FROM puts WHERE key = 'a'").fetchone()[0][:2] == b"20"
    con.close()


def test_consistent_while_a_daemon_writes_and_the_daemon_goes_on(files: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(files / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        seen = set()
        for number in range(8):
            archive = save(files, files / f"{number}.tar")
            (files / "copy.db").write_bytes(members(archive)[JOURNAL])
            con = sqlite3.connect(files / "copy.db")
            found = dict(con.execute("SELECT key, body FROM puts").fetchall())
            con.close()
            assert found.get("a") == found.get("b")
            seen.add(found.get("a"))
        assert writer.poll() is None, writer.stderr and writer.stderr.read()
        with pytest.raises(Trouble) as refused:
            restore(archive, files / "state", None)
        assert refused.value.exit_code == 4
        assert str(writer.pid) in refused.value.text.zh
        assert writer.poll() is None
        writer.kill()
    assert len(seen) > 1, "the daemon was held up by the backups"


@pytest.mark.parametrize(("first", "second"), [("live", "simulated"), ("simulated", "live")])
def test_the_state_of_another_kind_of_hall_is_refused(files: Path, first: Stamp, second: Stamp) -> None:
    fill(files / "state", "a", first)
    archive = save(files)
    fill(files / "other", "b", second)
    with pytest.raises(Trouble) as refused:
        restore(archive, files / "other", None)
    assert refused.value.exit_code == 4
    assert value(files / "other", second) == "b"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.update({JOURNAL: c[JOURNAL][:-1] + b"\xff"}), "checksum"),
        (lambda c: c.pop("config/config.yaml"), "manifest"),
        (lambda c: c.update({"config/more.yaml": b""}), "manifest"),
        (lambda c: c.update({"config/../../evil.yaml": b""}), "evil"),
        (lambda c: c.update({"/etc/evil": b""}), "evil"),
        (lambda c: c.pop("manifest.json"), "manifest"),
        (lambda c: c.update({"manifest.json": b"[]"}), "sound"),
        (lambda c: remanifest(c, format=2), "format"),
        (lambda c: remanifest(c, stamp="none"), "incomplete"),
    ],
)
def test_an_archive_that_is_not_whole_changes_nothing(
    files: Path, change: Callable[[dict[str, bytes]], object], word: str
) -> None:
    fill(files / "state", "here")
    archive = repack(save(files), change)
    with pytest.raises(Trouble) as refused:
        restore(archive, files / "state", files / "etc")
    assert refused.value.exit_code == 2
    assert word in refused.value.text.en
    assert value(files / "state") == "here"
    assert not (files / "etc").exists()
    assert not list((files / "state").glob("before-restore*"))


def test_a_link_in_an_archive_is_refused(files: Path) -> None:
    fill(files / "state", "here")
    archive = save(files)
    contents = members(archive)
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            if name == JOURNAL:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(entry)
                continue
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(Trouble) as refused:
        restore(archive, files / "state", None)
    assert refused.value.exit_code == 2


def test_a_newer_programs_backup_is_refused(files: Path) -> None:
    fill(files / "state", "here")
    archive = repack(save(files), lambda c: remanifest(c, schema=schema.SCHEMA + 1, program="9.0"))
    with pytest.raises(Trouble) as refused:
        restore(archive, files / "state", None)
    assert refused.value.exit_code == 4
    assert "9.0" in refused.value.text.zh
    assert value(files / "state") == "here"


def test_random_bytes_and_cut_archives_are_no_backups(files: Path) -> None:
    fill(files / "state", "here")
    whole = save(files).read_bytes()
    broken = files / "broken.tar.gz"
    for data in (b"", b"x" * 5000, whole[: len(whole) // 2], whole[:-40]):
        broken.write_bytes(data)
        with pytest.raises(Trouble) as refused:
            restore(broken, files / "state", None)
        assert refused.value.exit_code == 2
    assert value(files / "state") == "here"


def test_a_damaged_journal_is_not_backed_up(files: Path) -> None:
    fill(files / "state", "here")
    path = files / "state" / "journal.db"
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 2] = os.urandom(4096)
    path.write_bytes(data)
    with pytest.raises(Trouble):
        save(files)
    assert [path.name for path in files.iterdir() if path.name.startswith((".ecc", "b."))] == []


def test_a_folder_gets_names_of_its_own_and_keeps_the_newest(files: Path) -> None:
    fill(files / "state", "here")
    folder = files / "backups"
    folder.mkdir()
    for old in ("20200101T000000Z", "20210101T000000Z"):
        (folder / f"ecc-live-{old}.tar.gz").write_bytes(b"")
    (folder / "ecc-simulated-20190101T000000Z.tar.gz").write_bytes(b"")
    (folder / "mine.tar.gz").write_bytes(b"")
    made = save(files, folder)
    assert made.parent == folder
    assert [path.name for path in prune(folder, "live", 2)] == ["ecc-live-20200101T000000Z.tar.gz"]
    assert made.exists()
    assert len(list(folder.iterdir())) == 4


def test_root_leaves_the_state_to_the_daemons_user(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(files / "state", "here")
    archive = save(files)
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group, **_: given.update({Path(path).name: (user, group)}))
    before = (files / "state").stat()
    restore(archive, files / "state", None)
    assert {"state", "journal.db", "stamp", "journal.lock"} <= set(given)
    assert set(given.values()) == {(before.st_uid, before.st_gid)}


def test_the_command_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(files / "state", "here")
    where = ["--state", str(files / "state")]
    more = ["--config", str(files / "config"), "--scenes", str(files / "scenes")]
    archive = str(files / "b.tar.gz")
    assert main(["backup", archive, *where, *more, "--lang", "zh"]) == 0
    assert "已备份到" in capsys.readouterr().out
    assert main(["backup", archive, *where, *more, "--lang", "en"]) == 4
    assert "not overwritten" in capsys.readouterr().err
    assert main(["restore", archive, *where, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["manifest"]["stamp"] == "live"
    assert answer["aside"].startswith(str(files / "state"))
    assert main(["backup", str(files / "c.tar.gz"), "--state", str(files), *more]) == 2
    assert "--state" in capsys.readouterr().err
    assert main(["restore", str(files / "none"), *where]) == 2
