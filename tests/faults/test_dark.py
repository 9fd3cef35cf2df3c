"""Devices that are away, come and go, let in somebody else, are somebody else, or answer the wrong question."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from ecc_controld.control import book
from ecc_controld.control import engine as engine_module
from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Life, Wish
from ecc_controld.link import backoff
from ecc_controld.sdk import Peer
from ecc_drivers.videohub.driver import VideohubOptions
from faults.devices import KINDS, LINE, PJLINK, QSYS, VIDEOHUB, Kind
from faults.hall import Hall, before, scene_of
from support.linebox import LineTwin
from support.rig import until

LONG_S = 120.0
"""A deadline that nothing here comes near."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dial again sooner than a real hall does; the order of events is the same."""
    monkeypatch.setattr(backoff, "FLAT_S", 0.5)
    monkeypatch.setattr(backoff, "FIRST_S", 0.1)
    monkeypatch.setattr(backoff, "MOST_S", 1.0)
    monkeypatch.setattr(book, "UNREACHABLE_S", 1.5)


def outcomes(run: Any, device: str) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each point of a device."""
    return {
        c.point.removeprefix(f"{device}."): (str(c.outcome), c.reason)
        for c in run.cards.values()
        if c.device == device
    }


def all_away(kind: Kind, reason: str) -> dict[str, tuple[str, str]]:
    """What a run says of a device that cannot be spoken to."""
    return {
        point: ("blocked", "prerequisite") if before(kind, point) else ("offline", reason) for point in kind.wishes
    }


@pytest.mark.parametrize("seed", range(1, 21) if os.environ.get("ECC_SOAK") else [1])
@pytest.mark.usefixtures("eager")
async def test_a_hall_that_is_all_dark_converges_as_devices_appear(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DIALS_AT_ONCE", 4)
    dice = random.Random(seed)
    kinds = list(KINDS.values())
    devices = {f"d{n}": kinds[n % len(kinds)] for n in range(20)}
    async with Hall(tmp_path, devices) as hall:
        for twin in hall.twins.values():
            await twin.fault("refuse")
        await hall.start()
        run = await hall.press(scene_of(devices, deadline_s=LONG_S, ready_within_s=LONG_S))
        await until(lambda: run.state == "assessed")
        for name, kind in devices.items():
            assert outcomes(run, name) == all_away(kind, "refused_connection")
            assert hall.engine.store.devices[name].reason == "refused_connection"
        assert 1 <= hall.most_dialling <= 4
        order = list(devices)
        dice.shuffle(order)
        for name in order:
            away = [t for t, one in hall.dials if one == name]
            assert all(b - a >= backoff.FLAT_S * (1 - backoff.JITTER) for a, b in pairwise(away))
            await hall.twins[name].heal()
            await until(lambda name=name: hall.engine.store.devices[name].link == "online")
        await until(lambda: run.state == "closed", 30.0)
        assert run.verdict == "ready", run.counts()
        assert all(hall.true(name) for name in devices)


class HangsUp(LineTwin):
    """Says who it is, and hangs up at whatever else it is asked while `flaps`."""

    flaps = True

    def answer(self, peer: Peer, frame: bytes) -> Iterable[bytes]:
        if self.flaps and frame != b"GET model":
            self.peers.discard(peer)
            peer.close()
            return []
        return super().answer(peer, frame)


def made(kind: Kind, twin: Any, name: str = "") -> Kind:
    """The same kind with another twin."""
    return Kind(name or kind.name, kind.driver, twin, kind.config, kind.wishes, kind.begin, kind.real, kind.mark)


async def test_a_device_that_flaps_is_left_alone_for_longer_and_is_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It comes back far more often than a device takes to count as unreachable.
    monkeypatch.setattr(backoff, "MOST_S", 1.0)
    devices = {"x": made(LINE, HangsUp), "y": QSYS}
    with structlog.testing.capture_logs() as said:
        async with Hall(tmp_path, devices) as hall:
            await hall.start()
            run = await hall.press(scene_of(devices, deadline_s=LONG_S, ready_within_s=LONG_S))
            await until(lambda: run.state == "assessed", 20.0)
            assert outcomes(run, "x") == all_away(LINE, "closed_by_device")
            assert all(card.fine for card in run.cards.values() if card.device == "y")
            dials = [t for t, one in hall.dials if one == "x"]
            least = [min(backoff.FIRST_S * 2.0**n, backoff.MOST_S) * (1 - backoff.JITTER) for n in range(1, 9)]
            gaps = [b - a for a, b in pairwise(dials)]
            assert len(gaps) >= 3
            assert all(gap >= low for gap, low in zip(gaps, least, strict=False))
            hall.twins["x"].flaps = False
            await until(lambda: hall.true("x"), 15.0)
            await until(lambda: run.state == "closed")
            assert run.verdict == "ready"
    lost = [line for line in said if line["event"] == "device lost" and line["device"] == "x"]
    assert len(lost) <= len(dials)


@pytest.mark.usefixtures("eager")
async def test_a_display_that_somebody_else_holds_is_taken_over_when_it_is_free(tmp_path: Path) -> None:
    devices = {"x": PJLINK, "y": LINE}
    async with Hall(tmp_path, devices) as hall:
        address = hall.addresses["x"]
        reader, writer = await asyncio.open_connection(address.host, address.port)
        assert await reader.readuntil(b"\r") == b"PJLINK 0\r"
        await hall.start()
        run = await hall.press(scene_of(devices, deadline_s=LONG_S, ready_within_s=LONG_S))
        await until(lambda: run.state == "assessed")
        assert outcomes(run, "x") == all_away(PJLINK, "session_taken")
        assert all(card.fine for card in run.cards.values() if card.device == "y")
        writer.close()
        await writer.wait_closed()
        await until(lambda: run.state == "closed")
        assert run.verdict == "ready"
        assert hall.true("x")


class Stranger(LineTwin):
    """Another model at the same address."""

    def power_on(self) -> None:
        super().power_on()
        self.state["model"] = "stranger"


def _bigger(config: Any) -> Any:
    return VIDEOHUB.twin(
        type(config)(config.id, config.name, config.address, VideohubOptions(inputs=12, outputs=12))
    )


@pytest.mark.parametrize("other", [made(LINE, Stranger), made(VIDEOHUB, _bigger)], ids=["linebox", "videohub"])
async def test_another_model_is_refused_and_not_dialled_again(tmp_path: Path, other: Kind) -> None:
    devices = {"x": other, "y": PJLINK}
    async with Hall(tmp_path, devices) as hall:
        await hall.start()
        run = await hall.press(scene_of(devices, deadline_s=LONG_S, ready_within_s=LONG_S))
        # Refused is an outcome at once: it does not wait until the device counts as unreachable.
        await until(lambda: run.state == "assessed")
        assert outcomes(run, "x") == all_away(other, "wrong_model")
        assert all(card.fine for card in run.cards.values() if card.device == "y")
        assert hall.engine.store.devices["x"].link == "refused"
        beside = hall.engine.keepers["y"].book
        for _ in range(3):
            poll = beside.observe_at
            await until(lambda poll=poll: beside.observe_at > poll)
        assert [one for _, one in hall.dials].count("x") == 1
        assert backoff.Backoff(random.Random(1)).after_refusal() >= 0.8 * backoff.REFUSED_S
        # Somebody puts the right one there and says so.
        await hall.twins["x"].close()
        kind = {"linebox": LINE, "videohub": VIDEOHUB}[other.name]
        hall.kinds["x"], hall.twins["x"] = kind, kind.twin(kind.config("x"))
        await hall.twins["x"].serve(hall.addresses["x"].host, hall.addresses["x"].port)
        for point in kind.wishes:
            hall.retry("x", point)
        await until(lambda: hall.true("x"))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
async def test_silence_on_an_open_socket_is_noticed_by_one_unanswered_question(tmp_path: Path, kind: Kind) -> None:
    async with Hall(tmp_path, {"x": kind}) as hall:
        await hall.start()
        await hall.online()
        await hall.twins["x"].fault("silent")
        asked = len(hall.sent["x"])
        await until(lambda: hall.engine.store.devices["x"].link != "online")
        assert hall.engine.store.devices["x"].reason == "no_answer"
        # The first question without an answer ended the session: no second poll began.
        questions = {data for _, data in hall.sent["x"][asked:]}
        assert len(questions) <= (2 if "udp" in kind.driver.schemes else 1), questions


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_silence_is_found_within_three_polls(kind: Kind) -> None:
    real = kind.driver.__bases__[0]
    assert real.poll_s + real.answer_s <= 3 * real.poll_s
    assert real.poll_s + real.answer_s <= 5.0


def lag(twin: Any) -> Any:
    """From now on the twin answers each question with its answer to the one before; returns how to end that."""
    answer, last = twin.answer, []

    def behind(peer: Peer, frame: bytes) -> list[bytes]:
        said, last[:] = list(last), list(answer(peer, frame))
        return said

    twin.answer = behind
    return lambda: setattr(twin, "answer", answer)


ONE_AT_A_TIME = [kind for kind in KINDS.values() if not kind.driver.pipelines and "tcp" in kind.driver.schemes]
"""With the others several questions may be open, and an answer carries a number or a name: a late one finds its
own question, and what it proves is true.
"""


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
async def test_the_answer_to_the_question_before_is_never_believed(tmp_path: Path, kind: Kind) -> None:
    devices = {"x": kind, "y": LINE if kind is not LINE else QSYS}
    async with Hall(tmp_path, devices) as hall:
        await hall.start()
        await hall.online()
        twin = hall.twins["x"]
        mend = lag(twin)
        proved: list[str] = []
        false: list[str] = []

        def watch(entry: Entry, wish: Wish, life: Life) -> None:
            if entry.device == "x" and life.outcome in ("ok", "already", "late") and life.as_wanted:
                proved.append(entry.local)
                if kind.real(twin, entry.local) != wish.value:
                    false.append(entry.local)

        hall.engine.store.on_life.append(watch)
        run = await hall.press(scene_of(devices, deadline_s=LONG_S, ready_within_s=LONG_S))
        await until(lambda: run.state != "open", 30.0)
        assert not false
        if kind in ONE_AT_A_TIME:
            assert not proved
            _is_offline(outcomes(run, "x"), kind)
        assert all(card.fine for card in run.cards.values() if card.device == "y")
        mend()
        await until(lambda: hall.true("x"), 20.0)
        assert not false


def _is_offline(found: dict[str, tuple[str, str]], kind: Kind) -> None:
    for point, (outcome, reason) in found.items():
        if before(kind, point):
            assert (outcome, reason) == ("blocked", "prerequisite")
        else:
            assert outcome == "offline"
            assert reason in {"no_answer", "mismatched_answer", "protocol_error"}, (point, reason)
