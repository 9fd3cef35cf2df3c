// History: the runs as a list, and one run's whole card.
import { html, useEffect, useRef, useState } from "../vendor/preact-signals-htm.js";
import { get } from "./http.js";
import { has, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { link } from "./live.js";
import { elapsed, phase } from "./progress.js";
import { Rows, Scorecard } from "./runcard.js";
import { bootCount, runCount, store } from "./store.js";
import { Verdict } from "./verdict.js";
import { client, day, deviceName, evidence, moment, outcome, pointName, same, sceneName, seconds, value, verdictLook } from "./words.js";

const LIMIT = 50;
const AGAIN_MS = 2000;

/** What `path` answers: undefined while unknown, null if it is not there. Asked again when `version` changes. */
function useFetched(path, version) {
  const [found, setFound] = useState({ path: null, data: undefined });
  useEffect(() => {
    let alive = true;
    let timer = null;
    const load = async () => {
      const data = await get(path);
      if (!alive) return;
      if (data === null) timer = setTimeout(load, AGAIN_MS);
      else setFound({ path, data: data ?? null });
    };
    load();
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [path, version]);
  return found.path === path ? found.data : undefined;
}

function Took({ run }) {
  const took = elapsed(run, null);
  const over = took > run.objective_s;
  return html`<span class="time" data-test="took" data-over=${over}><span class=${over ? "warn" : ""}>
    ${over && html`<${Icon} name="warn" />`}${seconds(took)} ${t("seconds")}</span>
    <span class="muted"> / ${Math.round(run.objective_s)} ${t("seconds")}</span>
    ${over && html`<small class="warn">${t("over")}</small>`}</span>`;
}

function Entry({ run }) {
  const look = verdictLook(run.verdict);
  const word = has(`v_${run.verdict ?? "open"}`) ? t(`v_${run.verdict ?? "open"}`) : run.verdict;
  return html`<a class="entry" href=${`#/runs/${encodeURIComponent(run.id)}`} data-test="entry" data-run=${run.id}>
    <${Icon} name=${look.icon} kind=${look.kind} />
    <span class="when">${moment(run.opened, true)}</span>
    <b>${sceneName(run.scene)} ${run.drill && html`<span class="tag sim">${t("drill")}</span>`}</b>
    <span class=${look.kind === "ok" ? "" : look.kind}>${word}</span>
    <${Took} run=${run} />
    <span class="muted who">${client(run.by)}</span></a>`;
}

/** All runs that were ever fetched here, newest first, and a way to the older ones. */
function useRuns() {
  const known = useRef(new Map());
  const [end, setEnd] = useState(null);
  const found = useFetched(`/api/v1/runs?limit=${LIMIT}`, `${runCount.value}/${bootCount.value}/${link.value}`);
  for (const run of found?.runs ?? []) known.current.set(run.id, run);
  const runs = [...known.current.values()].sort((a, b) => Date.parse(b.opened) - Date.parse(a.opened));
  const more = end === null ? Boolean(found?.next) : !end.last;
  const older = async () => {
    const page = await get(`/api/v1/runs?limit=${LIMIT}&before=${encodeURIComponent(end?.next ?? found.next)}`);
    if (!page) return;
    for (const run of page.runs) known.current.set(run.id, run);
    setEnd({ next: page.next, last: !page.next });
  };
  return { found, runs, more, older };
}

function List() {
  const { found, runs, more, older } = useRuns();
  const days = new Map();
  for (const run of runs) days.set(day(run.opened), [...(days.get(day(run.opened)) ?? []), run]);
  return html`<section class="card grows page" data-test="runs">
    <div class="head"><h1>${t("runs")}</h1></div>
    <div class="scroll" tabindex="0">
      ${found === undefined && runs.length === 0 && html`<p class="muted">${t("loading")}</p>`}
      ${found && runs.length === 0 && html`<p class="muted">${t("noRuns")}</p>`}
      ${[...days].map(([title, ofDay]) => html`<section key=${title} data-test="day"><h3>${title}</h3>
        ${ofDay.map((run) => html`<${Entry} key=${run.id} run=${run} />`)}</section>`)}
      ${more && html`<button type="button" class="act" data-test="older" onClick=${older}>${t("older")}</button>`}</div></section>`;
}

function PointLine({ card }) {
  const point = store.points.get(card.point);
  const kind = { failed: "fault", late: "warn", doubt: "warn" }[phase(card)] ?? "";
  const equal = same(card.want, card.got, point);
  return html`<div class="line"><span>${pointName(card.point)}</span><span>${value(card.want, point)}</span>
    <span class=${equal ? "" : kind}>${value(card.got, point)}</span><span class=${kind}>${outcome(card.outcome)}</span>
    <span class="muted">${evidence(card.evidence)}</span>
    <span class="time">${typeof card.elapsed_s === "number" ? `${seconds(card.elapsed_s)} ${t("seconds")}` : ""}</span></div>`;
}

function Detail({ id }) {
  const version = `${runCount.value}/${bootCount.value}/${link.value}`;
  const fetched = useFetched(`/api/v1/runs/${encodeURIComponent(id)}`, version);
  // The run in progress is already here, and fresher.
  const run = store.run?.id === id ? store.run : fetched;
  return html`<section class="card grows page" data-test="run-page">
    <div class="head"><a class="act" href="#/runs" data-test="back"><${Icon} name="back" />${t("back")}</a>
      ${run && html`<h1>${sceneName(run.scene)}</h1><span class="sp"></span><span class="muted">${moment(run.opened, true)} · ${client(run.by)}
        ${run.resumed ? ` · ${t("resumed")}` : ""}</span>
        <span class="figure">${t("took")} <${Took} run=${run} /></span>`}</div>
    ${run === undefined && html`<p class="muted">${t("loading")}</p>`}
    ${run === null && html`<p class="muted">${t("notFound")}</p>`}
    ${run && html`<${Verdict} run=${run} /><div class="scroll" tabindex="0">
      <${Scorecard} run=${run} /><h3>${t("allDevices")}</h3><${Rows} run=${run} />
      ${run.actions?.length > 0 && html`<h3>${t("actions")}</h3>${run.actions.map((deed) => html`<div class="line">
        <span>${deviceName(deed.device)} · ${deed.action}</span><span>${has(`a_${deed.state}`) ? t(`a_${deed.state}`) : deed.state}</span></div>`)}`}
      <h3>${t("allPoints")}</h3>${run.points.map((card) => html`<${PointLine} key=${card.point} card=${card} />`)}</div>`}
  </section>`;
}

export function RunsPage({ id }) {
  return id ? html`<${Detail} key=${id} id=${id} />` : html`<${List} />`;
}
