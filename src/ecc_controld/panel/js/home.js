// Home: the mode and its lamp, the keys, the switch in progress or its scorecard, what is not as wanted.
import { html } from "../vendor/preact-signals-htm.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { Keys } from "./keys.js";
import { notice } from "./press.js";
import { tally } from "./progress.js";
import { RunCard } from "./runcard.js";
import { store } from "./store.js";
import { client, deviceName, linkLook, moment, pointName, reason, sceneName, value } from "./words.js";

function Mode() {
  const { hall } = store;
  const wanted = [...store.points.values()].filter(isWanted);
  const right = wanted.filter((point) => point.as_wanted).length;
  const full = wanted.length > 0 && right === wanted.length;
  const lamp = wanted.length === 0 ? "none" : full ? "full" : "part";
  return html`<section class="card modecard">
    <h2>${t("modeNow")}</h2>
    <div class="mode">
      <svg class=${`lamp ${lamp}`} viewBox="0 0 20 20" aria-hidden="true" data-test="lamp" data-lamp=${lamp}>
        <circle cx="10" cy="10" r="7" /></svg>
      <strong data-test="mode">${hall?.scene ? say(hall.title) || sceneName(hall.scene) : t("noMode")}</strong>
      <span class="muted about">
        ${hall?.since && hall.scene && html`<span>${t("since", { at: moment(hall.since) })}</span>`}
        ${hall?.by && hall.scene && html`<span>${t("by", { who: client(hall.by) })}</span>`}
        <span class=${lamp === "part" ? "warn" : ""} data-test="inplace">${lamp === "part" && html`<${Icon} name="warn" />`}
          ${wanted.length ? t("inPlace", { n: right, total: wanted.length }) : t("nothingWanted")}</span>
      </span>
    </div>
    <${Keys} /><${Notice} />
  </section>`;
}

function Notice() {
  const said = notice.value;
  if (!said) return null;
  return html`<div class="notice" role="alert" data-test="notice"><${Icon} name="warn" />
    <div><b>${said.title()}</b><p>${said.text()}</p><small>${said.more()}</small></div>
    <button type="button" class="act" onClick=${() => (notice.value = null)}>${t("understood")}</button></div>`;
}

function Links() {
  const devices = [...store.devices.values()].filter((device) => device.in_service !== false);
  const online = devices.filter((device) => device.link === "online").length;
  const all = online === devices.length;
  return html`<a class="card links" href="#/devices" data-test="links">
    <${Icon} name=${all ? "link" : "unlink"} kind=${all ? "" : "fault"} />
    <span>${t("links")}</span>
    <b class=${all ? "" : "fault"}>${t("allOnline", { n: online, total: devices.length })}</b></a>`;
}

function isWanted(point) {
  return point.want !== null && point.want !== undefined;
}

/** Devices that are away, then points that are not as wanted and strive no more, then alarms that neither tells. */
function unwanted() {
  const away = [...store.devices.values()].filter((device) => device.link !== "online" && device.in_service !== false);
  const ids = new Set(away.map((device) => device.id));
  const open = store.run && store.run.state === "open";
  const off = [...store.points.values()].filter((point) => isWanted(point) && point.as_wanted === false);
  const points = off.filter((point) => !ids.has(point.device) && !(open && !point.outcome));
  const waiting = tally(off, (point) => point.device);
  const told = new Set(points.map((point) => point.point));
  const alarms = [...store.alarms.values()].filter((alarm) => !told.has(alarm.point) && !ids.has(alarm.device));
  return { away, waiting, points, alarms };
}

function Away({ device, waiting }) {
  const look = linkLook(device);
  return html`<li><${Icon} name=${look.icon} kind=${look.kind} />
    <div><b>${deviceName(device.id)}</b> <span class=${look.kind}>${look.word}</span>
      <p class="muted">${[reason(device), waiting ? t("pointsWait", { n: waiting }) : ""].filter(Boolean).join(" · ")}</p></div></li>`;
}

function Off({ point }) {
  return html`<li><${Icon} name="warn" kind="warn" />
    <div><b>${pointName(point.point)}</b>
      <p><span class="muted">${t("want")}</span> ${value(point.want, point)} <span class="muted">· ${t("got")}</span>${" "}
        <span class="warn">${value(point.got, point)}</span></p>
      ${reason(point) && html`<p class="muted">${reason(point)}</p>`}</div></li>`;
}

/** What to say when the list is empty: nothing is wrong, or nothing can be wrong yet. */
function quiet() {
  if (store.run?.state === "open") return { icon: "spin", kind: "muted", key: "striving" };
  if (![...store.points.values()].some(isWanted)) return { icon: "wait", kind: "muted", key: "nothingWanted" };
  return { icon: "check", kind: "ok", key: "allAsWanted" };
}

function NotAsWanted() {
  const { away, waiting, points, alarms } = unwanted();
  const n = away.length + points.length + alarms.length;
  const idle = quiet();
  const online = [...store.devices.values()].filter((device) => device.link === "online").length;
  return html`<section class="card grows" data-test="unwanted">
    <div class="head"><h2>${t("notAsWanted")}</h2>${n > 0 && html`<b class="figure">${n}</b>`}</div>
    <div class="scroll" tabindex="0"><ul>
      ${away.map((device) => html`<${Away} key=${`d/${device.id}`} device=${device} waiting=${waiting.get(device.id)} />`)}
      ${points.map((point) => html`<${Off} key=${`p/${point.point}`} point=${point} />`)}
      ${alarms.map((alarm) => html`<li key=${`a/${alarm.id}`}><${Icon} name="warn" kind="warn" />
        <div><b>${say(alarm.text)}</b><p class="muted">${t("since", { at: moment(alarm.since) })}</p></div></li>`)}
      ${n === 0 && html`<li><${Icon} name=${idle.icon} kind=${idle.kind} />
        <div class="muted">${t(idle.key)}</div></li>`}
      ${n > 0 && html`<li><${Icon} name="link" kind="muted" /><div class="muted">${t("devicesFine", { n: online })}</div></li>`}
    </ul></div></section>`;
}

export function HomePage() {
  return html`<div class="left"><${Mode} /><${RunCard} run=${store.run} /></div>
    <div class="right"><${Links} /><${NotAsWanted} /></div>`;
}
