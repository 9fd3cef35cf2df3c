"""A run whose end the journal missed: the daemon died between the last proof and the lazy note of the verdict."""

from __future__ import annotations

from pathlib import Path

from ecc_controld.control.cards import run_row
from ecc_controld.journal import Change, Journal
from support.linebox import LineBox
from support.rig import PERSON, Rig, scene, until

SCENE = scene("emergency", {"x.a": 2, "x.lamp": 3, "y.a": 4}, priority=80)


async def dies_before_the_verdict_is_noted(rig: Rig) -> str:
    """Switch, stop, and put the run's row back to what it was at the press."""
    run = await rig.press("emergency", PERSON)
    at_the_press = run_row(run)
    await rig.finished(run)
    await rig.stop()
    journal = Journal.open(rig.state, stamp="simulated")
    await journal.commit(Change(runs=(at_the_press,)))
    await journal.close()
    return run.id


async def test_a_resumed_run_is_judged_by_what_is_read_now(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [SCENE]) as rig:
        await rig.online()
        run_id = await dies_before_the_verdict_is_noted(rig)
        writes = [twin.writes() for twin in rig.twins.values()]
        await rig.twins["y"].fault("refuse")
        await rig.start()
        resumed = rig.engine.runs.get(run_id)
        assert resumed is not None
        assert resumed.resumed
        await until(lambda: resumed.cards["x.a"].outcome == "ok")
        assert resumed.state == "open", "held in the journal is no proof: y has not been read yet"
        assert resumed.cards["y.a"].outcome is None
        await rig.twins["y"].heal()
        await rig.finished(resumed)
        assert resumed.verdict == "ready"
        assert {name: card.outcome for name, card in resumed.cards.items()} == {
            "x.a": "ok",
            "y.a": "ok",
            "x.lamp": "unverifiable",
        }
        assert rig.twins["y"].writes() == writes[1], "what was right got no command"
        assert [one for one in rig.twins["x"].writes()[len(writes[0]) :] if "lamp" not in one] == []


async def test_a_resumed_run_sees_what_changed_while_nobody_looked(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"x": LineBox, "y": LineBox}, [SCENE]) as rig:
        await rig.online()
        run_id = await dies_before_the_verdict_is_noted(rig)
        rig.twins["y"].state["a"] = "9"
        await rig.start()
        resumed = rig.engine.runs.get(run_id)
        assert resumed is not None
        await rig.finished(resumed)
        assert resumed.verdict == "ready"
        assert rig.twins["y"].state["a"] == "4"
