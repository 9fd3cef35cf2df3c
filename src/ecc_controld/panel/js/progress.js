// A run as people follow it: commanded and confirmed apart, point by point and device by device. No drawing here.
import { store } from "./store.js";

const FINE = new Set(["ok", "already", "unverifiable"]);
const ASIDE = new Set(["skipped", "out_of_service", "overridden", "superseded"]);
const UNDER_WAY = ["sent", "acked", "doubt"];
const WEIGHT = { must: 0, should: 1, may: 2 };

/**
 * Where a run's point is: waiting, sent, acked, doubt, confirmed, blind, late, aside or failed. Blind is fine as far
 * as this device can tell (acknowledged, no read-back), and never called confirmed.
 */
export function phase(card) {
  if (card.outcome) {
    if (card.outcome === "unverifiable") return "blind";
    if (FINE.has(card.outcome)) return "confirmed";
    if (card.outcome === "late") return "late";
    return ASIDE.has(card.outcome) ? "aside" : "failed";
  }
  // A run that goes on after a restart still carries the states from before it; the point knows better.
  const point = store.points.get(card.point);
  const state = point && !point.outcome && point.want === card.want ? point.state : card.state ?? point?.state;
  if (UNDER_WAY.includes(state)) return state;
  // Proved once and not read since a restart: as doubtful as a command without an answer.
  if (state === "held") return "doubt";
  if (state) return "waiting";
  if (card.evidence === "acknowledged") return "acked";
  return card.evidence === "commanded" ? "sent" : "waiting";
}

export function isFine(card) {
  return FINE.has(card.outcome);
}

export function isAside(card) {
  return ASIDE.has(card.outcome);
}

function byWeight(a, b) {
  return (WEIGHT[a.criticality] ?? 1) - (WEIGHT[b.criticality] ?? 1);
}

/** The points that a person must look at: judged, and not fine. */
export function notFine(run) {
  const order = { failed: 0, late: 1, aside: 2 };
  return run.points
    .filter((card) => card.outcome && !isFine(card))
    .map((card) => ({ ...card, phase: phase(card) }))
    .sort((a, b) => order[a.phase] - order[b.phase] || byWeight(a, b));
}

export function tally(items, key) {
  const found = new Map();
  for (const item of items) {
    const name = key(item);
    if (name) found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

/** The figures of a switch, one a phase; what came late is confirmed all the same. Together they are all points. */
export function figures(run) {
  const found = { waiting: 0, sent: 0, acked: 0, doubt: 0, confirmed: 0, blind: 0, aside: 0, failed: 0 };
  for (const card of run.points) {
    const now = phase(card);
    found[now === "late" ? "confirmed" : now] += 1;
  }
  return found;
}

const RANK = { failed: 0, doubt: 1, acked: 2, sent: 2, waiting: 3, late: 4, aside: 5, blind: 6, confirmed: 7 };
const PROOF = ["none", "commanded", "acknowledged", "read_back", "measured"];
const WRONG = ["failed", "doubt", "away", "late"];

/** What is wrong with a row, worst first; rows that only strive or are done keep their place. */
function wrong(row) {
  const away = row.phase === "waiting" && store.devices.get(row.device)?.link !== "online";
  const found = WRONG.indexOf(away ? "away" : row.phase);
  return found < 0 ? WRONG.length : found;
}

/** One row a device, with its worst phase. Must first, then should, may; there what is wrong first; then as given. */
export function byDevice(run) {
  const rows = new Map();
  for (const card of run.points) {
    if (!rows.has(card.device)) rows.set(card.device, { device: card.device, cards: [] });
    rows.get(card.device).cards.push(card);
  }
  return [...rows.values()].map(summary).sort((a, b) => byWeight(a, b) || wrong(a) - wrong(b));
}

function summary({ device, cards }) {
  const phases = cards.map(phase);
  const worst = [...phases].sort((a, b) => RANK[a] - RANK[b])[0];
  const fine = cards.filter(isFine);
  const times = cards.map((card) => card.elapsed_s).filter((s) => typeof s === "number");
  return {
    device,
    cards,
    criticality: [...cards].sort(byWeight)[0].criticality,
    phase: worst,
    total: cards.length,
    confirmed: phases.filter((now) => now === "confirmed" || now === "late").length,
    unproved: phases.filter((now) => UNDER_WAY.includes(now) || now === "blind").length,
    // Whatever was ever handed over to the device, confirmed or not.
    commanded: cards.filter((card) => card.outcome !== "already" && (
      ["sent", "acked"].includes(phase(card)) || card.evidence !== "none")).length,
    failed: phases.filter((now) => now === "failed").length,
    worstCard: cards[phases.indexOf(worst)],
    // What a row may claim is the weakest proof among its points.
    evidence: PROOF[Math.min(...fine.map((card) => Math.max(0, PROOF.indexOf(card.evidence))), 4)],
    already: fine.length === cards.length && fine.every((card) => card.outcome === "already"),
    elapsed: times.length ? Math.max(...times) : null,
  };
}

/** Seconds that a run has taken so far by the server's clock `now` (ms); once judged, until its last outcome. */
export function elapsed(run, now) {
  if (run.state === "open" && now !== null) return Math.max(0, (now - Date.parse(run.opened)) / 1000);
  const times = run.points.map((card) => card.elapsed_s).filter((s) => typeof s === "number");
  const judged = run.state !== "open" && run.verdict !== "superseded";
  return judged && times.length ? Math.max(...times) : run.elapsed_s ?? (times.length ? Math.max(...times) : 0);
}

/** How the hall stands by the server's own count, which every figure of the page agrees with. */
export function standing() {
  const { hall } = store;
  const points = [...store.points.values()].filter((point) => point.want !== null && point.want !== undefined);
  const wanted = hall?.wanted ?? points.length;
  const right = hall?.as_wanted ?? points.filter((point) => point.as_wanted).length;
  return { wanted, right, missing: Math.max(0, wanted - right) };
}
