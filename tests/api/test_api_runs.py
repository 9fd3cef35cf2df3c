"""Runs: paging, old runs from the journal, runs that a restart interrupted."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ecc_controld.journal import JournalError
from support.apihall import Served
from support.rig import until


async def seven(hall: Served) -> list[str]:
    """Seven closed runs, newest first."""
    ids = []
    for n in range(7):
        answer = await hall.press("duty" if n % 2 else "conference", wait=5)
        ids.insert(0, answer.json["run"]["id"])
    return ids


async def test_pages_are_newest_first_and_lose_none(hall: Served) -> None:
    ids = await seven(hall)
    whole = await hall.get("runs")
    assert ([run["id"] for run in whole["runs"]], whole["next"]) == (ids, None)
    for restart in (False, True):
        if restart:
            await hall.restart()
        seen: list[str] = []
        page = await hall.get("runs?limit=3")
        while True:
            assert len(page["runs"]) <= 3
            seen += [run["id"] for run in page["runs"]]
            if page["next"] is None:
                break
            page = await hall.get(f"runs?limit=3&before={page['next']}")
        assert seen == ids
    assert [run["id"] for run in (await hall.get(f"runs?before={ids[4]}&limit=1"))["runs"]] == [ids[5]]
    assert (await hall.get("runs?before=a"))["runs"] == []
    assert (await hall.get(f"runs?before={ids[-1]}"))["runs"] == []


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many", "1.5", "", "99999999999999999999", "٣"])
async def test_a_bad_limit_is_422(hall: Served, limit: str) -> None:
    answer = await hall.ask("GET", f"runs?limit={limit}")
    assert (answer.status, answer.json["code"]) == (422, "bad_query")


@pytest.mark.parametrize(
    ("path", "valid", "nearest"),
    [
        ("runs?limt=3", ["before", "key", "limit"], "limit"),
        ("hall?x=1", [], None),
        ("points?device=x&devce=y", ["device"], "device"),
        ("runs?limit=3&limit=4", None, None),
    ],
)
async def test_a_query_that_would_not_be_obeyed_is_422(
    hall: Served, path: str, valid: list[str] | None, nearest: str | None
) -> None:
    answer = await hall.ask("GET", path)
    assert (answer.status, answer.json["code"]) == (422, "bad_query")
    assert (answer.json.get("valid"), answer.json.get("nearest")) == (valid, nearest)


@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "'; drop table runs; --", "x" * 4000, "%FF"])
async def test_odd_queries_are_only_text(hall: Served, text: str) -> None:
    run = (await hall.press("duty", wait=5)).json["run"]["id"]
    for query in ("before", "key"):
        assert (await hall.ask("GET", f"runs?{query}={text}")).status == 200
    assert (await hall.ask("GET", f"runs/{text}")).status == 404
    assert [one["id"] for one in (await hall.get("runs"))["runs"]] == [run]


async def test_an_old_run_is_the_same_after_a_restart(hall: Served) -> None:
    await hall.rig.twins["y"].fault("reject")
    run = (await hall.press("conference", wait=5, key="k", drill=True)).json["run"]["id"]
    await hall.card(run, lambda card: card["actions"][0]["state"] == "acknowledged")
    await hall.rig.twins["y"].heal()
    for point in ("y.a", "y.b"):
        await hall.ask("POST", f"runs/{run}/points/{point}/skip", {})
    before = await hall.card(run, lambda card: card["state"] == "closed")
    await hall.restart()
    after = await hall.get(f"runs/{run}")
    for card in (before, after):
        for point in card["points"]:
            assert point.pop("age_s") is None or card is before
    assert after == before
    assert after["verdict"] == "degraded"
    assert (after["drill"], after["key"], after["resumed"]) == (True, "k", False)
    for name in ("opened", "closed"):
        assert datetime.fromisoformat(after[name]).utcoffset() == timedelta(hours=8)
    assert after["actions"][0]["state"] == "acknowledged"


async def test_a_run_that_a_restart_interrupts_goes_on_and_says_so(hall: Served) -> None:
    await hall.rig.twins["y"].fault("silent")
    run = (await hall.press("conference", key="k")).json["run"]["id"]
    await hall.card(run, lambda card: card["counts"].get("ok") == 1)
    await hall.restart()
    card = await hall.get(f"runs/{run}")
    assert (card["resumed"], card["verdict"]) == (True, None)
    assert card["actions"][0]["state"] in ("acknowledged", "unknown")
    await hall.rig.twins["y"].heal()
    card = await hall.card(run, lambda card: card["state"] == "closed")
    assert (card["verdict"], card["resumed"]) == ("ready", True)
    assert hall.writes().count("SET ping 1") == 1
    assert (await hall.get("hall"))["verdict"] == "ready"
    assert (await hall.press("conference", key="k")).json["run"]["id"] == run


async def test_a_closed_runs_verdict_is_the_halls_after_a_restart(hall: Served) -> None:
    run = (await hall.press("duty", wait=5)).json["run"]["id"]
    await hall.restart()
    now = await hall.get("hall")
    assert (now["run"], now["verdict"], now["scene"]) == (run, "ready", "duty")
    await hall.rig.twins["y"].fault("silent")
    await hall.press("conference")
    assert (await hall.get("hall"))["verdict"] is None


async def test_a_journal_that_cannot_be_read_is_503(hall: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise JournalError("io_error", "secret detail")

    run = (await hall.press("duty", wait=5)).json["run"]["id"]
    for name in ("run", "runs", "run_by_key"):
        monkeypatch.setattr(hall.rig.journal, name, broken)
    for path in ("runs", "runs?key=k", "runs/r1", "runs?limit=2"):
        answer = await hall.ask("GET", path)
        assert (answer.status, answer.json["code"]) == (503, "io_error")
        assert "secret" not in answer.text
    assert (await hall.get(f"runs/{run}"))["verdict"] == "ready"


async def test_a_runs_row_never_goes_to_the_disk_before_its_press(hall: Served) -> None:
    notes: list[object] = []
    note = hall.rig.journal.note
    commits = 0
    commit = hall.rig.journal.commit

    async def counted(change: object) -> None:
        nonlocal commits
        await commit(change)  # type: ignore[arg-type]
        commits += 1

    def seen(change: object) -> None:
        notes.append((commits, bool(change.runs)))  # type: ignore[attr-defined]
        note(change)  # type: ignore[arg-type]

    hall.rig.journal.note = seen  # type: ignore[method-assign, assignment]
    hall.rig.journal.commit = counted  # type: ignore[method-assign, assignment]
    await hall.press("duty", wait=5)
    await until(lambda: (1, True) in notes)
    assert (0, True) not in notes
