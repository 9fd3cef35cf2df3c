"""GET /events: snapshot first, ids, resume, beats, bounded rates; a slow client costs nobody else anything."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from ecc_controld.api import schemas
from support.apihall import API, Served
from support.rig import until

MODELS = {
    "point": schemas.Point,
    "device": schemas.Device,
    "run": schemas.Run,
    "hall": schemas.Hall,
    "alarm": schemas.Alarm,
}


@dataclass(frozen=True)
class Event:
    """One event of the stream, with the time (loop) at which it was read."""

    id: str
    kind: str
    data: Any
    at: float

    @property
    def number(self) -> int:
        return int(self.id.rpartition("-")[2])


class Stream:
    """An EventSource: reads events, and checks each against its model."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.seen: list[Event] = []
        self.over = False

    async def next(self) -> Event:
        """The next event; raises EOFError at the end of the stream."""
        fields: dict[str, str] = {}
        while True:
            line = (await self.answer.content.readline()).decode()
            if not line:
                self.over = True
                raise EOFError
            if line == "\n" and "event" in fields:
                break
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        data = json.loads(fields["data"])
        model = MODELS.get(fields["event"])
        if model is not None:
            model.model_validate_json(fields["data"], strict=True)
        event = Event(fields["id"], fields["event"], data, asyncio.get_running_loop().time())
        self.seen.append(event)
        return event

    async def find(self, true: Callable[[Event], object], seconds: float = 10) -> Event:
        """The first event from now on that is as `true` says."""
        async with asyncio.timeout(seconds):
            while not true(event := await self.next()):
                pass
        return event


@asynccontextmanager
async def listening(hall: Served, last: str | None = None) -> AsyncIterator[Stream]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with hall.http.get(f"{hall.url}{API}/events", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        yield Stream(answer)


async def test_first_a_whole_snapshot(hall: Served) -> None:
    await hall.press("duty", wait=5)
    async with listening(hall) as stream:
        first = await stream.next()
    assert first.kind == "snapshot"
    assert first.data["boot"] == hall.rig.journal.boot
    assert first.id.startswith(hall.rig.journal.boot)
    schemas.Hall.model_validate_json(json.dumps(first.data["hall"]), strict=True)
    for name, model, count in (
        ("devices", schemas.Device, 2),
        ("points", schemas.Point, 17),
        ("scenes", schemas.SceneShort, 4),
        ("alarms", schemas.Alarm, 0),
    ):
        assert len(first.data[name]) == count
        for one in first.data[name]:
            model.model_validate_json(json.dumps(one), strict=True)
    run = schemas.Run.model_validate_json(json.dumps(first.data["run"]), strict=True)
    assert (run.scene, run.verdict, len(run.points)) == ("duty", "ready", 3)


async def test_the_snapshot_has_no_run_before_the_first(hall: Served) -> None:
    async with listening(hall) as stream:
        assert (await stream.next()).data["run"] is None


async def test_a_press_is_told_in_points_runs_and_hall(hall: Served) -> None:
    async with listening(hall) as stream:
        await stream.next()
        run = (await hall.press("emergency", wait=5)).json["run"]["id"]
        await stream.find(lambda e: e.kind == "run" and e.data["verdict"] == "ready")
        await stream.find(lambda e: e.kind == "hall" and e.data["verdict"] == "ready")
    last = {e.data["point"]: e.data for e in stream.seen if e.kind == "point"}
    assert {name: (p["want"], p["got"], p["outcome"]) for name, p in last.items() if p["want"]} == {
        name: (2, 2, "ok") for name in ("x.a", "x.b", "y.a")
    }
    assert {e.data["id"] for e in stream.seen if e.kind == "run"} == {run}
    hall_now = [e.data for e in stream.seen if e.kind == "hall"][-1]
    assert (hall_now["scene"], hall_now["run"], hall_now["as_wanted"]) == ("emergency", run, 3)
    numbers = [e.number for e in stream.seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_devices_and_alarms_are_told(hall: Served) -> None:
    async with listening(hall) as stream:
        await hall.rig.twins["y"].fault("refuse")
        gone = await stream.find(lambda e: e.kind == "device" and e.data["link"] == "offline")
        assert (gone.data["id"], bool(gone.data["reason_text"]["zh"])) == ("y", True)
        hall.rig.engine.acceptance._alarm(_error())
        alarm = await stream.find(lambda e: e.kind == "alarm")
        assert (alarm.data["id"], alarm.data["code"], alarm.data["cleared"]) == ("journal", "disk_full", False)
        hall.rig.engine.store.clear_alarm("journal")
        assert (await stream.find(lambda e: e.kind == "alarm")).data["cleared"]


def _error() -> Any:
    from ecc_controld.journal import JournalError

    return JournalError("disk_full")


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(hall: Served) -> None:
    async with listening(hall) as whole:
        async with listening(hall) as first:
            await first.next()
            await hall.press("duty", wait=5)
            last = await first.find(lambda e: e.kind == "point")
        await hall.press("conference", wait=5)
        async with listening(hall, last.id) as second:
            await second.find(lambda e: e.kind == "run" and e.data["scene"] == "conference" and e.data["verdict"])
        assert "snapshot" not in [e.kind for e in second.seen]
        assert [e.number for e in second.seen][:1] == [last.number + 1]
        await whole.find(lambda e: e.number == second.seen[-1].number)
    mine = [(e.number, e.kind, e.data) for e in first.seen[1:] + second.seen]
    assert [number for number, _, _ in mine] == list(range(first.seen[0].number + 1, mine[-1][0] + 1))
    told = {e.number: (e.number, e.kind, e.data) for e in whole.seen[1:]}
    assert [told[number] for number, _, _ in mine if number in told] == [one for one in mine if one[0] in told]


async def test_a_client_that_has_seen_all_waits_for_the_next(hall: Served) -> None:
    async with listening(hall) as first:
        last = await first.find(lambda e: e.kind == "beat")
    async with listening(hall, last.id) as second:
        event = await second.find(lambda e: True)
    assert (event.kind, event.number) != ("snapshot", last.number)
    assert event.number == last.number + 1


@pytest.mark.parametrize(
    "last", ["0123456789abcdef-3", "{boot}-999999", "{boot}-", "{boot}-x", "nonsense", "{boot}--1", ""]
)
async def test_a_foreign_or_impossible_id_gets_a_snapshot(hall: Served, last: str) -> None:
    await hall.press("duty", wait=5)
    await until(lambda: len(hall.context.events.ring) > 3)
    async with listening(hall, last.format(boot=hall.rig.journal.boot)) as stream:
        assert (await stream.next()).kind == "snapshot"


async def test_an_id_from_before_a_restart_gets_a_snapshot_with_the_new_boot(hall: Served) -> None:
    async with listening(hall) as stream:
        old = await stream.next()
    await hall.restart()
    async with listening(hall, old.id) as stream:
        new = await stream.next()
    assert new.kind == "snapshot"
    assert new.data["boot"] != old.data["boot"]


async def test_an_id_that_fell_off_the_ring_gets_a_snapshot(hall: Served) -> None:
    async with listening(hall) as stream:
        old = await stream.next()
    events = hall.context.events
    for n in range((events.ring.maxlen or 0) + 1):
        events._add("beat", {"n": n})
    async with listening(hall, old.id) as stream:
        assert (await stream.next()).kind == "snapshot"
    oldest = events.ring[9][0]  # not the very first: a beat may push that out meanwhile
    async with listening(hall, f"{events.boot}-{oldest - 1}") as stream:
        assert (await stream.next()).number == oldest


async def test_a_client_that_falls_off_the_ring_while_it_listens_gets_a_snapshot(hall: Served) -> None:
    events = hall.context.events
    async with listening(hall) as stream:
        await stream.next()
        for n in range((events.ring.maxlen or 0) + 5):  # all in one go: it could not read in between
            events._add("beat", {"n": n})
        again = await stream.find(lambda e: e.kind != "beat" or "n" in e.data)
        assert (again.kind, again.number) == ("snapshot", events.number)


async def test_there_is_a_beat_each_second(hall: Served) -> None:
    async with listening(hall) as stream:
        beats = [await stream.find(lambda e: e.kind == "beat") for _ in range(3)]
    times = [datetime.fromisoformat(beat.data["time"]) for beat in beats]
    for earlier, later in itertools.pairwise(times):
        assert (later - earlier).total_seconds() > 0.8
    assert {beat.data["boot"] for beat in beats} == {hall.rig.journal.boot}
    assert times[0].utcoffset() is not None


async def test_a_point_that_changes_all_the_time_is_told_at_most_ten_times_a_second(hall: Served) -> None:
    entry = hall.rig.entry("x.heat")
    loop = asyncio.get_running_loop()
    async with listening(hall) as stream:
        await stream.next()
        began = loop.time()
        n = 0
        while loop.time() < began + 0.6:
            n += 1
            hall.rig.engine.store.observe(entry, float(n % 80), began)
            await asyncio.sleep(0)
        last = float(n % 80)
        await stream.find(lambda e: e.kind == "point" and e.data["got"] == last)
    told = [e for e in stream.seen if e.kind == "point" and e.data["point"] == "x.heat"]
    seconds = loop.time() - began
    assert n > 50
    assert 2 <= len(told) <= 10 * seconds + 2
    for kind in ("point", "hall"):
        assert len([e for e in stream.seen if e.kind == kind]) <= 2 * (10 * seconds + 2)


async def test_all_clients_share_one_encoding(hall: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    encode = hall.context.events.encode

    def counted(kind: str, body: dict[str, Any], number: int) -> bytes:
        calls.append(kind)
        return encode(kind, body, number)

    monkeypatch.setattr(hall.context.events, "encode", counted)
    async with listening(hall) as a, listening(hall) as b, listening(hall) as c:
        for stream in (a, b, c):
            await stream.next()
        calls.clear()
        hall.rig.twins["x"].poke("a", 5)
        found = [await s.find(lambda e: e.kind == "point" and e.data["got"] == 5) for s in (a, b, c)]
    assert len({event.id for event in found}) == 1
    assert calls.count("point") == 1


async def test_a_client_that_never_reads_is_dropped_and_costs_others_nothing(
    hall: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecc_controld.api.stream.STUCK_S", 0.3)
    port = int(hall.url.rpartition(":")[2])
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    await loop.sock_sendall(deaf, f"GET {API}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    events = hall.context.events
    try:
        async with listening(hall) as other:
            await other.next()
            await until(lambda: events.clients == 2)
            async with asyncio.timeout(15):
                while events.clients == 2:
                    # More than all buffers on the way hold, so that a write to the deaf client must wait.
                    events._add("beat", {"fill": "x" * 50_000})
                    await other.find(lambda e: e.kind == "beat" and "fill" in e.data)
            answer = await hall.press("duty", wait=5)
            assert (answer.status, answer.json["run"]["verdict"]) == (200, "ready")
            await other.find(lambda e: e.kind == "run" and e.data["verdict"] == "ready")
            assert "snapshot" not in [e.kind for e in other.seen[1:]]
    finally:
        deaf.close()


async def test_the_streams_end_when_the_server_stops(hall: Served) -> None:
    async with listening(hall) as a, listening(hall) as b:
        for stream in (a, b):
            await stream.next()
        hall.context.events.close()
        for stream in (a, b):
            with pytest.raises(EOFError):
                await stream.find(lambda e: False)
    async with listening(hall) as late:
        with pytest.raises(EOFError):
            await late.find(lambda e: False)


async def test_a_client_that_leaves_is_forgotten(hall: Served) -> None:
    async with listening(hall) as stream:
        await stream.next()
        assert hall.context.events.clients == 1
    await until(lambda: hall.context.events.clients == 0)


async def test_a_press_that_the_disk_refused_does_not_stand_open_on_a_panel(
    hall: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecc_controld.journal import JournalError

    gate = asyncio.Event()

    async def dead(_: object) -> None:
        await gate.wait()
        raise JournalError("disk_full")

    monkeypatch.setattr(hall.rig.journal, "commit", dead)
    async with listening(hall) as stream:
        press = asyncio.create_task(hall.press("duty"))
        opened = await stream.find(lambda e: e.kind == "run")
        assert opened.data["state"] == "open"
        gate.set()
        assert (await press).status == 503
        ended = await stream.find(lambda e: e.kind == "run" and e.data["state"] == "closed")
        assert (ended.data["id"], ended.data["verdict"]) == (opened.data["id"], "failed")
        await stream.find(lambda e: e.kind == "hall" and e.data["scene"] is None)
    assert (await hall.ask("GET", f"runs/{opened.data['id']}")).status == 404
