// A switch: while it goes, one row a device; once it is judged, the verdict and the scorecard above the rows.
import { html, useEffect, useState } from "../vendor/preact-signals-htm.js";
import { second, serverNow } from "./clock.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";
import { link, lostAt } from "./live.js";
import { byDevice, elapsed, figures, isFine, notFine, tally } from "./progress.js";
import { store } from "./store.js";
import { Verdict } from "./verdict.js";
import { age, deviceName, evidence, outcome, pointName, reason, same, sceneName, seconds, value } from "./words.js";

const LOOKS = {
  waiting: ["wait", "muted"], sent: ["send", "muted"], acked: ["spin", "muted"], doubt: ["warn", "warn"],
  confirmed: ["check", "ok"], blind: ["check", "muted"], late: ["wait", "warn"], aside: ["aside", "muted"], failed: ["cross", "fault"],
};
const LEGEND = ["waiting", "sent", "acked", "doubt", "confirmed", "blind", "aside", "failed"];
const TICK_MS = 100;

/** The running figure, ten times a second while a run is open; frozen when the page is stale. */
function Elapsed({ run }) {
  const [, tick] = useState(0);
  const moves = run.state === "open" && link.value === "live";
  useEffect(() => {
    if (!moves) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), TICK_MS);
    return () => clearInterval(timer);
  }, [moves]);
  const silence = link.value === "live" ? 0 : performance.now() - lostAt.value;
  const took = elapsed(run, serverNow() === null ? null : serverNow() - silence);
  const over = took > run.objective_s;
  return html`<div class="took"><span class=${`big ${over ? "warn" : ""}`} data-test="elapsed">${seconds(took)}
      <small>${t("seconds")}</small></span>
    <span class=${over ? "warn" : "muted"}>${over && html`<${Icon} name="warn" />`}
      ${over ? `${t("over")} · ` : ""}${t("objective", { s: Math.round(run.objective_s) })}</span></div>`;
}

function Figures({ run }) {
  const found = figures(run);
  return html`<div class="figures" data-test="figures">${Object.keys(found).map((name) => {
    // What is seldom is shown only where it is.
    if (["doubt", "blind", "aside"].includes(name) && !found[name]) return null;
    const [icon, kind] = LOOKS[name];
    const loud = ["failed", "doubt"].includes(name) && found[name] > 0;
    return html`<span key=${name} class=${loud ? kind : "muted"} data-figure=${name}>
      <${Icon} name=${icon} kind=${loud || (name === "confirmed" && found.confirmed) ? kind : "muted"} />${t(name)} <b>${found[name]}</b></span>`;
  })}${found.doubt > 0 && html`<p class="muted" data-test="doubt-why">${t("doubt")}${t("colon")}${t("h_doubt")}</p>`}</div>`;
}

function Bar({ row }) {
  const part = (n) => (100 * n) / row.total;
  return html`<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="well" width="100" height="10" />
    <rect class="done" width=${part(row.confirmed)} height="10" />
    <rect class="way" x=${part(row.confirmed)} width=${part(row.unproved)} height="10" />
    <rect class="bad" x=${100 - part(row.failed)} width=${part(row.failed)} height="10" /></svg>`;
}

function state(row) {
  if (["failed", "aside", "blind"].includes(row.phase)) return outcome(row.worstCard.outcome);
  if (row.phase === "confirmed") return row.already ? outcome("already") : evidence(row.evidence);
  if (row.phase === "waiting") {
    const device = store.devices.get(row.device);
    return t(device && device.link !== "online" ? "waitingLink" : "waiting");
  }
  return t(row.phase);
}

function Row({ row }) {
  const [icon, kind] = LOOKS[row.phase];
  const loud = kind === "muted" || kind === "ok" ? "" : kind;
  const why = row.phase === "failed" || row.phase === "aside" ? reason(row.worstCard) : "";
  return html`<div class="row" data-test="row" data-device=${row.device} data-phase=${row.phase}>
    <${Icon} name=${icon} kind=${kind} />
    <span class="name">${deviceName(row.device)}</span>
    <${Bar} row=${row} />
    <span class="parts muted"><span>${t("sentOf", { n: row.commanded })}</span>
      <span>${t("confirmedOf", { n: row.confirmed, total: row.total })}</span></span>
    <span class=${`word ${loud}`}>${state(row)}</span>
    <span class="time muted">${row.elapsed === null ? "" : `${seconds(row.elapsed)} ${t("seconds")}`}</span>
    ${why && html`<span class="why muted">${why}</span>`}</div>`;
}

export function Rows({ run }) {
  return html`<div class="rows">${byDevice(run).map((row) => html`<${Row} key=${row.device} row=${row} />`)}</div>`;
}

/** A card as its point stands now, where the wish is still the card's: one screen says one value of one point. */
function live(card) {
  const point = store.points.get(card.point);
  if (!point || card.outcome === "superseded" || !same(point.want, card.want, point)) return card;
  const since = (performance.now() - (point.arrivedAt ?? performance.now())) / 1000;
  return { ...card, got: point.got, age_s: typeof point.age_s === "number" ? point.age_s + since : null };
}

function Miss({ card, kind, icon, now }) {
  if (now) second.value;
  const point = store.points.get(card.point);
  const shown = now ? live(card) : card;
  // An age tells something only while it grows.
  const old = now && typeof shown.age_s === "number" && shown.got !== null ? ` (${t("ago", { age: age(shown.age_s) })})` : "";
  const equal = same(shown.want, shown.got, point);
  return html`<li data-test="miss" data-point=${card.point}><${Icon} name=${icon} kind=${kind} />
    <div><b>${pointName(card.point)}</b> ${card.criticality === "must" && html`<span class="tag must">${t("must")}</span>`}
      <p><span class="muted">${t("want")}</span> ${value(shown.want, point)} <span class="muted">· ${t("got")}</span>${" "}
        <span class=${equal ? "" : kind} data-test="got">${value(shown.got, point)}</span><span class="muted">${old}</span></p>
      ${reason(card) && html`<p class="muted">${reason(card)}</p>`}</div>
    <div class="result"><b class=${kind}>${outcome(card.outcome)}</b><p class="muted">${evidence(card.evidence)}</p></div></li>`;
}

function Tally({ title, found, word }) {
  if (found.size === 0) return null;
  return html`<p class="tally"><span class="muted">${title}</span>
    ${[...found].map(([name, n]) => html`<span key=${name} class="count" data-count=${name}>${word(name)} <b>${n}</b></span>`)}</p>`;
}

/** The scorecard; with `now` the values are those of the hall now, else those of the record. */
export function Scorecard({ run, now = false }) {
  const bad = notFine(run);
  return html`<div class="score" data-test="scorecard">
    <${Tally} title=${t("counts")} found=${tally(run.points, (card) => card.outcome ?? "open")} word=${(name) => (name === "open" ? t("o_open") : outcome(name))} />
    <${Tally} title=${t("evidence")} found=${tally(run.points.filter(isFine), (card) => card.evidence)} word=${evidence} />
    ${bad.length > 0 && html`<h3>${t("notFine")}</h3><ul>${bad.map((card) => html`<${Miss} key=${card.point} card=${card}
      icon=${LOOKS[card.phase][0]} kind=${LOOKS[card.phase][1]} now=${now} />`)}</ul>`}
  </div>`;
}

export function RunCard({ run }) {
  if (!run) {
    return html`<section class="card grows runcard"><div class="head"><h2>${t("noSwitch")}</h2></div><${Verdict} run=${null} />
      <ul class="scroll legend" tabindex="0">${LEGEND.map((name) => html`<li key=${name}>
        <${Icon} name=${LOOKS[name][0]} kind="muted" /><div><b>${t(name)}</b> <span class="muted">${t(`h_${name}`)}</span></div></li>`)}</ul>
      </section>`;
  }
  const judged = Boolean(run.verdict);
  return html`<section class="card grows runcard" data-test="run" data-state=${run.state}>
    <div class="head"><h2>${t(judged ? "lastSwitch" : "switching", { scene: sceneName(run.scene) })}
      ${run.drill && html` <span class="tag sim">${t("drill")}</span>`}</h2><${Elapsed} run=${run} /></div>
    <${Verdict} run=${run} now />
    ${!judged && html`<${Figures} run=${run} />`}
    <div class="scroll" tabindex="0">
      ${judged && html`<${Scorecard} run=${run} now /><h3>${t("allDevices")}</h3>`}
      <${Rows} run=${run} /></div></section>`;
}
