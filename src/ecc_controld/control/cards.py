"""Runs as JSON: the card of the API, and the row of the journal, which is the card and a little more."""

from __future__ import annotations

import json
from datetime import UTC, tzinfo
from typing import Any

from ecc_controld.hall.wish import Evidence, Layer, Outcome, State
from ecc_controld.journal import RunRow
from ecc_controld.link.reasons import sentence

from .run import Card, Deed, Run, Verdict
from .stamp import from_rfc3339, rfc3339


def card_json(card: Card, now: float | None) -> dict[str, Any]:
    """One point of a run. `now` (monotonic) gives `age_s`, the age of `got`."""
    text = sentence(card.reason)
    age = None if now is None or card.got_at is None else round(max(0.0, now - card.got_at), 3)
    return {
        "point": card.point,
        "device": card.device,
        "criticality": card.criticality,
        "want": card.want,
        "got": card.got,
        "age_s": age,
        "state": str(card.state),
        "outcome": None if card.outcome is None else str(card.outcome),
        "evidence": card.evidence.word,
        "reason": card.reason or None,
        "reason_text": None if text is None else text.as_dict(),
        "detail": card.detail or None,
        "elapsed_s": None if card.elapsed_s is None else round(card.elapsed_s, 3),
        "used_else": None,
    }


def run_json(run: Run, now: float | None, zone: tzinfo = UTC, *, all_points: bool = True) -> dict[str, Any]:
    """The card of a run; without `all_points` only the points that are not fine."""
    elapsed = run.elapsed_s
    if elapsed is None and now is not None:
        elapsed = now - run.began
    cards = [card for card in run.cards.values() if all_points or not card.fine]
    return {
        "id": run.id,
        "url": f"/api/v1/runs/{run.id}",
        "scene": run.scene,
        "params": run.params,
        "by": run.by,
        "key": run.key,
        "trigger": run.trigger,
        "drill": run.drill,
        "opened": rfc3339(run.opened, zone),
        "closed": None if run.closed is None else rfc3339(run.closed, zone),
        "state": run.state,
        "verdict": None if run.verdict is None else str(run.verdict),
        "superseded_by": run.superseded_by,
        "resumed": run.resumed,
        "objective_s": run.objective_s,
        "deadline_s": run.deadline_s,
        "elapsed_s": None if elapsed is None else round(elapsed, 3),
        "counts": run.counts(),
        "points": [card_json(card, now) for card in cards],
        "actions": [
            {"device": deed.device, "action": deed.action, "state": deed.state, "reason": deed.reason or None}
            for deed in run.deeds
        ],
    }


def run_row(run: Run) -> RunRow:
    """The journal's row of a run."""
    card = run_json(run, None)
    more = {
        "digest": run.digest,
        "layer": run.layer.word,
        "numbers": {point.point: point.number for point in run.cards.values()},
    }
    body = json.dumps({"card": card, "more": more}, ensure_ascii=False).encode()
    return RunRow(run.id, run.scene, card["opened"], card["closed"], run.state, body)


def stored_card(row: RunRow) -> dict[str, Any]:
    """The API's card of a run that is only in the journal."""
    card: dict[str, Any] = json.loads(row.body)["card"]
    return card


def load_run(row: RunRow, *, now: float, wall: float) -> Run:
    """An open run from the journal, to be judged as resumed. Actions still due become `unknown`, for ever."""
    body = json.loads(row.body)
    card, more = body["card"], body["more"]
    opened = from_rfc3339(card["opened"])
    layer = Layer[more["layer"].upper()]
    run = Run(
        id=card["id"],
        scene=card["scene"],
        params=card["params"],
        by=card["by"],
        trigger=card["trigger"],
        opened=opened,
        began=now - max(0.0, wall - opened),
        objective_s=card["objective_s"],
        deadline_s=card["deadline_s"],
        digest=more["digest"],
        layer=layer,
        key=card["key"],
        drill=card["drill"],
        resumed=True,
    )
    for point in card["points"]:
        run.cards[point["point"]] = Card(
            point["point"],
            point["device"],
            point["criticality"],
            point["want"],
            more["numbers"][point["point"]],
            layer,
            got=point["got"],
            outcome=None if point["outcome"] is None else Outcome(point["outcome"]),
            evidence=Evidence[point["evidence"].upper()],
            reason=point["reason"] or "",
            state=State(point["state"]),
            elapsed_s=point["elapsed_s"],
        )
    for deed in card["actions"]:
        known = deed["state"] in ("acknowledged", "failed")
        run.deeds.append(Deed(deed["device"], deed["action"], deed["state"] if known else "unknown"))
    run.verdict = None if card["verdict"] is None else Verdict(card["verdict"])
    return run
