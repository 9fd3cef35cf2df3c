"""The sample hall over its real protocols and sockets: the promise of the README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.daemon import Daemon, running


def bad(card: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in card["points"] if p["outcome"] not in ("ok", "already", "unverifiable")]


async def _wanted(daemon: Daemon) -> dict[str, Any]:
    points = (await daemon.get("/points"))["points"]
    return {p["point"]: p["got"] for p in points if p["access"] == "readwrite" and p["want"] is not None}


async def test_every_mode_becomes_ready_and_a_round_leaves_no_difference(tmp_path: Path) -> None:
    async with running(tmp_path / "state") as daemon:
        await daemon.online()
        names = {scene["name"] for scene in (await daemon.get("/scenes"))["scenes"]}
        assert {"duty", "warning", "emergency", "conference"} <= names
        assert (await daemon.get("/hall"))["simulated"] is True
        duty = await daemon.apply("duty")
        assert (duty["verdict"], bad(duty)) == ("ready", [])
        before = await _wanted(daemon)
        emergency = await daemon.apply("emergency")
        assert (emergency["verdict"], bad(emergency)) == ("ready", [])
        changed = [p for p in emergency["points"] if p["outcome"] == "ok"]
        assert len(changed) >= 20
        assert {p["evidence"] for p in changed} <= {"read_back", "measured"}
        for point in changed:
            assert point["got"] is not None
        status, refused = await daemon.ask("POST", "/scenes/duty/activate", {})
        assert (status, refused["held_by"]["scene"]) == (409, "emergency")
        back = await daemon.apply("duty", stand_down=True)
        assert (back["verdict"], bad(back)) == ("ready", [])
        assert await _wanted(daemon) == before
        for scene in ("warning", "conference"):
            card = await daemon.apply(scene)
            assert (card["verdict"], bad(card)) == ("ready", []), scene
