// Home: the mode and its lamp, the keys, the switch in progress or its scorecard, what is not as wanted.
import { html } from "../vendor/preact-signals-htm.js";
import { Held } from "./held.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { Keys, ManualKeys } from "./keys.js";
import { notice } from "./press.js";
import { standing } from "./progress.js";
import { RunCard } from "./runcard.js";
import { store } from "./store.js";
import { NotAsWanted } from "./unwanted.js";
import { client, moment, sceneName } from "./words.js";

function Mode() {
  const { hall } = store;
  const { wanted, right, missing } = standing();
  const lamp = wanted === 0 ? "none" : missing === 0 ? "full" : "part";
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
          ${wanted ? t("inPlace", { n: right, total: wanted }) : t("nothingWanted")}</span>
      </span>
    </div>
    <${Keys} /><${Held} /><${Notice} />
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

export function HomePage() {
  return html`<div class="left"><${Mode} /><${RunCard} run=${store.run} /></div>
    <div class="right"><${Links} /><${ManualKeys} /><${NotAsWanted} /></div>`;
}
