"""`--observe-only` and `observe_only:` against the real protocols' twins: what they heard is looked at, byte by byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from support.daemon import ROOT, Daemon, running

MINI = ROOT / "tests" / "support" / "minihall"
DEVICES = ("tv1", "tv2", "matrix", "dsp", "cam1")


def is_write(device: str, data: bytes) -> bool:
    """Whether a message to a device is one that changes it, by the published protocols alone."""
    if device.startswith("tv"):  # PJLink: `%1POWR 1` sets, `%1POWR ?` asks
        lines = [line for line in data.split(b"\r") if line.strip()]
        return any(b"%" in line and not line.rstrip().endswith(b"?") for line in lines)
    if device == "matrix":  # Videohub: a block with a body sets, a bare header asks
        block = data.split(b"\n\n")[0].split(b"\n")
        return len([line for line in block if line]) > 1
    if device == "dsp":  # Q-SYS: JSON-RPC methods
        calls = [json.loads(part) for part in data.split(b"\0") if part.strip()]
        return any(".Set" in call["method"] or "Snapshot" in call["method"] for call in calls)
    return data[:2] == b"\x01\x00" and data[8:10] == b"\x81\x01"  # VISCA over IP: a command, not an inquiry


async def writes(daemon: Daemon, device: str) -> list[str]:
    log = await daemon.twin("GET", f"/twins/{device}/log")
    said = [bytes.fromhex(entry["hex"]) for entry in log["log"] if entry["from"] == "daemon"]
    assert said, f"{device} was never spoken to"
    return [repr(data) for data in said if is_write(device, data)]


async def press_everything(daemon: Daemon) -> dict[str, Any]:
    await daemon.online()
    await daemon.apply("emergency")
    await daemon.ask("PUT", "/points/matrix.out.1?wait=5", {"value": 4})
    await daemon.ask("POST", "/points/cam1.drive/hold", {"value": "left"})
    return await daemon.apply("duty", stand_down=True)


async def test_a_hall_that_is_only_observed_hears_no_command(tmp_path: Path) -> None:
    async with running(
        tmp_path, "--simulate", "--observe-only", config=MINI / "config", scenes=MINI / "scenes"
    ) as daemon:
        card = await press_everything(daemon)
        assert {(p["outcome"], p["reason"]) for p in card["points"]} == {("out_of_service", "observe_only")}
        assert "只观察" in card["points"][0]["reason_text"]["zh"]
        hall = await daemon.get("/hall")
        assert (hall["observe_only"], hall["simulated"]) == (True, True)
        devices = (await daemon.get("/devices"))["devices"]
        assert {one["observe_only"] for one in devices} == {True}
        got = {one["point"]: one["got"] for one in (await daemon.get("/points"))["points"]}
        assert got["matrix.out.1"] is not None  # it is read all the same
        assert {device: await writes(daemon, device) for device in DEVICES} == {device: [] for device in DEVICES}


async def test_one_device_that_is_only_observed(tmp_path: Path) -> None:
    shutil.copytree(MINI / "config", tmp_path / "config")
    file = tmp_path / "config" / "hall.yaml"
    text = file.read_text(encoding="utf-8").replace("  dsp:\n", "  dsp:\n    observe_only: true\n")
    file.write_text(text, encoding="utf-8")
    async with running(tmp_path / "s", config=tmp_path / "config", scenes=MINI / "scenes") as daemon:
        card = await press_everything(daemon)
        aside = {p["device"] for p in card["points"] if p["reason"] == "observe_only"}
        assert aside == {"dsp"}
        assert not (await daemon.get("/hall"))["observe_only"]
        devices = (await daemon.get("/devices"))["devices"]
        assert {one["id"] for one in devices if one["observe_only"]} == {"dsp"}
        heard = {device: await writes(daemon, device) for device in DEVICES}
        assert heard.pop("dsp") == []
        # The same eyes see the commands to every other device, so they would have seen one here.
        assert all(heard.values()), heard


async def test_the_dsp_is_written_when_it_may_be(tmp_path: Path) -> None:
    async with running(tmp_path, config=MINI / "config", scenes=MINI / "scenes") as daemon:
        await press_everything(daemon)
        assert await writes(daemon, "dsp")


async def test_a_movement_is_refused(tmp_path: Path) -> None:
    async with running(
        tmp_path, "--simulate", "--observe-only", config=MINI / "config", scenes=MINI / "scenes"
    ) as daemon:
        await daemon.online()
        status, problem = await daemon.ask("POST", "/points/cam1.drive/hold", {"value": "left"})
        assert (status, problem["code"]) == (409, "observe_only"), problem
        assert await writes(daemon, "cam1") == []
