"""The operator's tools beside the real daemon."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from ecc_controld.client.__main__ import main
from support.daemon import ROOT, running

MINI = ROOT / "tests" / "support" / "minihall"


async def test_doctor_and_diagnose_know_the_running_hall(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, bundle = tmp_path / "s", tmp_path / "d.tar.gz"
    where = ["--config", str(MINI / "config"), "--scenes", str(MINI / "scenes"), "--state", str(state)]
    async with running(state, config=MINI / "config", scenes=MINI / "scenes") as daemon:
        await daemon.online()
        await daemon.apply("emergency")
        assert await asyncio.to_thread(main, ["--url", daemon.url, "--json", "doctor", *where]) == 0
        found = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
        assert found["port"]["status"] == "ok"
        assert "模拟" in found["port"]["text"]["zh"]
        assert found["devices"] == {
            "check": "devices",
            "status": "ok",
            "text": {"zh": "5/5 台设备可达", "en": "5 of 5 devices can be reached"},
            "do": None,
        }
        assert "credentials" not in found
        assert await asyncio.to_thread(main, ["--url", daemon.url, "diagnose", str(bundle), *where]) == 0
        with tarfile.open(bundle) as tar:
            texts = {m.name.partition("/")[2]: tar.extractfile(m).read().decode() for m in tar}  # type: ignore[union-attr]
        assert json.loads(texts["api/hall.json"])["scene"] == "emergency"
        assert json.loads(texts["api/runs.json"])["runs"][0]["verdict"] == "ready"
        assert len(json.loads(texts["api/devices.json"])["devices"]) == 5
        assert json.loads(texts["api/readyz.txt"]) == {"status": "ok"}
        assert "# TYPE" in texts["api/metrics.txt"]
        assert json.loads(texts["state.json"])["stamp"] == "simulated"
        await daemon.twin("POST", "/twins/cam1/fault", {"kind": "refuse"})
        await daemon.until("/devices", lambda d: any(one["link"] == "offline" for one in d["devices"]))
        assert await asyncio.to_thread(main, ["--url", daemon.url, "--lang", "zh", "doctor", *where]) == 0
        out = capsys.readouterr().out
        assert "! cam1（" in out
        assert "4/5 台设备可达" in out
