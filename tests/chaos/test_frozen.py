"""A daemon that was frozen (SIGSTOP, a stalled machine): what was pressed meanwhile is not carried out later."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import aiohttp

from chaos.world import SOAK, WANTS, commands_in, daemon_at, press, settled, twins_running
from ecc_controld.control.stamp import rfc3339

FROZEN_S = 20.0 if SOAK else 7.0
STALE_S = 5.0


async def test_presses_made_while_frozen_do_nothing_once_they_are_old(tmp_path: Path) -> None:
    async with twins_running() as twins, daemon_at(tmp_path / "state", twins) as daemon:
        await daemon.online()
        assert (await press(daemon, "duty", "before"))[0] == 202
        await settled(daemon, WANTS["duty"])
        before = await twins.mark()
        daemon.process.send_signal(signal.SIGSTOP)
        stopped = time.time()
        stamp = {"Pressed-At": rfc3339(stopped)}
        # A connection that lay idle may be closed unread when the daemon wakes after 15 s; a new one is answered.
        idle = asyncio.create_task(press(daemon, "emergency", "idle", wall=stopped))
        new_line = {**stamp, "Connection": "close"}
        old = [
            asyncio.create_task(daemon.ask("POST", "/scenes/emergency/activate", {}, **new_line)),
            asyncio.create_task(daemon.ask("PUT", "/points/matrix.out.9", {"value": "9"}, **new_line)),
            asyncio.create_task(daemon.ask("POST", "/devices/dsp/actions/chime", {}, **new_line)),
            asyncio.create_task(daemon.ask("POST", "/stand-down", {"scene": "emergency"}, **new_line)),
        ]
        while time.time() < stopped + FROZEN_S:  # the time itself is what the test is about
            await asyncio.sleep(0.05)
        fresh = {"Pressed-At": rfc3339(time.time())}
        new = asyncio.create_task(daemon.ask("PUT", "/points/matrix.out.8", {"value": "21"}, **fresh))
        daemon.process.send_signal(signal.SIGCONT)

        answers = await asyncio.gather(*old)
        with contextlib.suppress(aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            answers.append(await idle)
        for status, problem in answers:
            assert (status, problem["code"]) == (410, "stale_press"), problem
        assert (await new)[0] == 202, "a press of just now counts"
        await settled(daemon, {**WANTS["duty"], "matrix.out.8": "21"})
        await twins.polled_since(await twins.mark())
        told = await twins.commands(before)
        assert told.pop("matrix") == ["VIDEO OUTPUT ROUTING:\n7 20"]
        assert not any(told.values()), told
        assert (await daemon.get("/hall"))["scene"] == "duty"
        assert [run["key"] for run in (await daemon.get("/runs"))["runs"]] == ["before"]
        alarms = {alarm["code"] for alarm in (await daemon.get("/alarms"))["alarms"]}
        assert "loop_lag" not in alarms, "a frozen process is not a stalled loop"

        # The same key, pressed again by a person who looks at the page: now it counts.
        assert (await press(daemon, "emergency", "idle", wall=time.time()))[0] == 202
        await settled(daemon, WANTS["emergency"])


def test_commands_are_told_from_questions() -> None:
    """The oracle of these tests itself: what counts as a command in the twins' logs."""

    def said(device: str, text: str, who: str = "daemon") -> list[str]:
        return commands_in(device, {"from": who, "text": text, "hex": text.encode("latin-1").hex()})

    digest = "0123456789abcdef0123456789abcdef"
    assert said("tv1", f"{digest}%1POWR 1\r") == ["%1POWR 1"]
    assert said("tv1", "%1POWR ?\r") == []
    assert said("tv1", "%1POWR 1\r", "twin") == []
    assert said("matrix", "VIDEO OUTPUT ROUTING:\n0 2\n\n") == ["VIDEO OUTPUT ROUTING:\n0 2"]
    assert said("matrix", "VIDEO OUTPUT ROUTING:\n\n") == []
    get, put = '{"method":"Control.Get","params":[]}\0', '{"method":"Control.Set","params":{"Name":"A"}}\0'
    assert len(said("dsp", put + get + put)) == 2
    assert said("dsp", get) == []
    head = "\x01\x00\x00\x06\x00\x00\x00\x01"
    assert said("cam1", head + "\x81\x01\x04\x3f\x02\x01\xff") == ["8101043f0201ff"]
    assert said("cam1", "\x01\x10" + head[2:] + "\x81\x09\x04\x00\xff") == []
    assert said("cam1", head + "\x81\x01\x00\x01\xff") == []
