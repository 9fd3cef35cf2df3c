"""What Prometheus scrapes from the real daemon, and the rules and the dashboard that are made of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.daemon import ROOT, Daemon, running

FILES = ROOT / "docs" / "operators" / "monitoring"
HALL = ROOT / "tests" / "support" / "minihall"
PROMTOOL = shutil.which("promtool") or str(Path(sys.executable).parent / "promtool")
OURS = re.compile(r"\b((?:ecc|process)_[a-z0-9_]+|up)\b")


def promtool(*args: str, text: str | None = None) -> str:
    done = subprocess.run(
        [PROMTOOL, *args], cwd=FILES, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_are_clean_and_the_rules_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("check", "rules", "alerts.yaml")
    promtool("check", "config", "prometheus.yaml")
    promtool("test", "rules", "alerts-test.yaml")


def test_every_alert_tells_people_what_is_and_what_to_do() -> None:
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    for rule in rules:
        said = rule["annotations"]
        assert re.search(r"[\u4e00-\u9fff].* / .*[a-z]", said["summary"]), rule["alert"]
        assert said["action"]
        assert rule["labels"]["severity"] in ("warning", "critical")


@pytest_asyncio.fixture
async def scrape(tmp_path: Path) -> tuple[str, str, Daemon]:
    """/metrics before and after a switch, a lost device and a refusal."""
    async with (
        running(tmp_path / "state", config=HALL / "config", scenes=HALL / "scenes") as daemon,
        aiohttp.ClientSession() as client,
    ):

        async def metrics() -> str:
            async with client.get(f"{daemon.url}/metrics") as answer:
                assert answer.status == 200
                return await answer.text()

        await daemon.online()
        before = await metrics()
        await daemon.apply("duty")
        await daemon.twin("POST", "/twins/tv1/fault", {"kind": "silent"})
        await daemon.until("/devices", lambda d: any(one["link"] == "offline" for one in d["devices"]))
        return before, await metrics(), daemon


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def one(found: dict[str, dict[tuple[tuple[str, str], ...], float]], name: str, **labels: str) -> float:
    return found[name].get(tuple(sorted(labels.items())), -1.0)


async def test_metrics_tell_what_happened(scrape: tuple[str, str, Daemon]) -> None:
    promtool("check", "metrics", text=scrape[1])
    before, after = samples(scrape[0]), samples(scrape[1])
    assert one(before, "ecc_devices", link="online") == 5
    assert one(after, "ecc_devices", link="online") == 4
    assert one(before, "ecc_hall_mode", mode="none", scene="none") == 1
    assert one(after, "ecc_hall_mode", mode="duty", scene="duty") == 1
    assert one(before, "ecc_runs_total", scene="duty", verdict="ready") == 0, "begins with nought"
    assert one(after, "ecc_runs_total", scene="duty", verdict="ready") == 1
    assert one(after, "ecc_run_seconds_total", scene="duty") > 0
    assert "ecc_device_away" not in before
    ((away, value),) = after["ecc_device_away"].items()
    assert (dict(away)["device"], dict(away)["driver"], value) == ("tv1", "pjlink", 1)
    for driver in ("pjlink", "videohub", "qsys", "visca"):
        assert one(after, "ecc_exchanges_total", driver=driver) > 0
        assert one(after, "ecc_answer_wait_seconds_total", driver=driver) > 0
    assert one(after, "ecc_exchanges_total", driver="pjlink") > one(before, "ecc_exchanges_total", driver="pjlink")
    assert one(before, "ecc_link_losses_total", driver="pjlink") == 0
    assert one(after, "ecc_link_losses_total", driver="pjlink") == 1
    assert one(after, "ecc_silences_total", driver="pjlink") >= 1
    assert one(after, "ecc_standing_still", what="keepers") == 0
    assert one(after, "process_resident_memory_bytes") > 1e6


async def test_rules_and_dashboard_ask_only_for_what_is_there(scrape: tuple[str, str, Daemon]) -> None:
    text = scrape[1]
    known = {
        *samples(text),
        *re.findall(r"^# TYPE (\S+)", text, re.MULTILINE),
        "up",
    }
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    board = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for expr in asked for name in OURS.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expr))}
    assert len(names) > 15
    assert names <= known, names - known


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
