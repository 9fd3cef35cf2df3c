"""What a device once proved is not claimed of it while it is lost, and people are told; drift is an alarm."""

from __future__ import annotations

from pathlib import Path

from ecc_controld.hall.store import Entry
from ecc_controld.journal import Change
from support.linebox import LineBox
from support.rig import Rig, scene, until

DUTY = scene("duty", {"x.a": 1, "x.lamp": 3, "y.a": 2}, must=("x.a",))
DEVICES = {"x": LineBox, "y": LineBox}


def told(entry: Entry) -> tuple[bool, object, str, str]:
    life = entry.life
    assert life is not None
    return life.as_wanted, life.told, life.told_evidence.word, life.reason


def alarms(rig: Rig) -> dict[str, str]:
    return {alarm.id: alarm.code for alarm in rig.engine.store.alarms.values()}


async def test_nothing_is_claimed_of_a_lost_device_until_it_is_read_again(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        run = await rig.switch("duty")
        entry, blind, other = rig.entry("x.a"), rig.entry("x.lamp"), rig.entry("y.a")
        assert told(entry) == (True, "ok", "read_back", "")
        before = rig.twins["x"].writes()
        await rig.twins["x"].fault("refuse")
        await until(lambda: not entry.life.as_wanted, 15)
        assert told(entry) == (False, "offline", "commanded", "refused_connection")
        assert told(blind)[:2] == (False, "offline")
        assert told(other) == (True, "ok", "read_back", "")
        assert alarms(rig) == {"away:x": "device_away"}
        assert "设备在网上但拒绝连接" in rig.engine.store.alarms["away:x"].text.zh
        assert run.verdict == "ready", "it was so when it was judged"
        await rig.twins["x"].heal()
        await until(lambda: entry.life.as_wanted and blind.life.as_wanted, 30)
        assert told(entry) == (True, "ok", "read_back", "")
        assert told(blind)[1] == "unverifiable"
        assert alarms(rig) == {}
        written = rig.twins["x"].writes()[len(before) :]
        assert written == ["SET lamp 3"], "only what cannot be read is sent once more"


async def test_a_start_claims_nothing_before_it_has_read(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        await rig.journal.commit(Change())  # what was noted lazily is written before it
        await rig.stop()
        await rig.twins["x"].fault("refuse")
        seen = []
        await rig.start()
        entry = rig.entry("x.a")
        seen.append(told(entry))
        assert seen[0][:2] == (False, None)
        await until(lambda: rig.entry("y.a").life.as_wanted)
        await until(lambda: told(entry)[1] == "offline", 15)
        assert alarms(rig) == {"away:x": "device_away"}
        await rig.twins["x"].heal()
        await until(lambda: entry.life.as_wanted, 30)


async def test_a_lost_device_that_comes_back_otherwise_is_no_longer_as_it_was(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        entry = rig.entry("x.a")
        rig.twins["x"].poke("a", 9)
        await until(lambda: entry.life.drifted)
        await rig.twins["x"].fault("refuse")
        await until(lambda: entry.life.away, 15)
        assert told(entry)[1] == "offline"
        await rig.twins["x"].heal()
        await until(lambda: not entry.life.away, 30)
        assert told(entry) == (False, "not_settled", "read_back", "drift"), "it had drifted before, and still has"


async def test_drift_is_an_alarm_while_it_lasts(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        await rig.switch("duty")
        rig.twins["x"].poke("a", 9)
        await until(lambda: alarms(rig) == {"drift:x.a": "drift"})
        alarm = rig.engine.store.alarms["drift:x.a"]
        assert (alarm.device, alarm.point) == ("x", "x.a")
        assert "期望 1，实际 9" in alarm.text.zh
        assert "want 1, got 9" in alarm.text.en
        rig.twins["x"].poke("a", 1)
        await until(lambda: alarms(rig) == {})


async def test_a_new_wish_ends_the_alarm_of_the_old_one(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY, scene("calm", {"y.a": 2})]) as rig:
        await rig.online()
        await rig.switch("duty")
        rig.twins["x"].poke("a", 9)
        await until(lambda: alarms(rig) != {})
        await rig.switch("calm")  # wants nothing of x.a: nobody minds its value any more
        assert alarms(rig) == {}


async def test_the_same_key_again_tries_again_what_was_given_up(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        await rig.twins["x"].fault("reject")
        run = await rig.press("duty")
        await until(lambda: run.cards["x.a"].outcome == "rejected" and run.cards["y.a"].outcome == "ok")
        await rig.twins["x"].heal()
        fine = rig.twins["y"].writes()
        again = await rig.press("duty")
        assert again is run, "one story"
        await until(lambda: run.verdict == "ready")
        assert rig.twins["y"].writes() == fine, "what was true is left alone"


async def test_the_same_key_again_does_not_touch_what_a_person_set_aside(tmp_path: Path) -> None:
    async with Rig(tmp_path, DEVICES, [DUTY]) as rig:
        await rig.online()
        await rig.twins["x"].fault("reject")
        await rig.twins["y"].fault("ignore")
        run = await rig.press("duty")
        await until(lambda: run.cards["x.a"].outcome == "rejected")
        rig.engine.skip(rig.entry("x.a"))
        await rig.twins["x"].heal()
        before = rig.twins["x"].writes()
        assert await rig.press("duty") is run
        await until(lambda: rig.twins["x"].writes() != before)  # the lamp is tried again
        assert rig.entry("x.a").life.told == "skipped"
        assert not [line for line in rig.twins["x"].writes()[len(before) :] if line.startswith("SET a ")]
