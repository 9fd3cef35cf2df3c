// Devices: how each is connected, why not, what it is, when it last spoke. What is wrong comes first.
import { html, useEffect } from "../vendor/preact-signals-htm.js";
import { second } from "./clock.js";
import { get } from "./http.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isLive } from "./live.js";
import { arrived, changed, store } from "./store.js";
import { age, linkLook, reason } from "./words.js";

// Ages change without an event; they are asked for again while somebody looks.
const REFRESH_MS = 3000;

async function refresh() {
  if (!isLive()) return;
  const boot = store.boot;
  const found = await get("/api/v1/devices");
  if (!found || store.boot !== boot || !isLive()) return;
  for (const device of found.devices) store.devices.set(device.id, arrived(device));
  changed.value += 1;
}

function identity(device) {
  const known = device.identity;
  if (!known) return "";
  if (typeof known !== "object") return String(known);
  return [known.model, known.firmware, known.serial].filter(Boolean).join(" · ");
}

function lastExchange(device) {
  second.value;
  if (typeof device.last_exchange_age_s !== "number") return t("never");
  const s = device.last_exchange_age_s + (performance.now() - device.arrivedAt) / 1000;
  return t("ago", { age: age(s) });
}

function Device({ device }) {
  const look = linkLook(device);
  const bad = look.kind !== "ok";
  return html`<div class="device" data-test="device" data-device=${device.id} data-link=${device.link}>
    <${Icon} name=${look.icon} kind=${bad ? look.kind : "muted"} />
    <div class="who"><b>${say(device.name) || device.id}</b><small class="muted">${device.id}</small></div>
    <div class="how"><span class=${bad ? look.kind : ""}>${look.word}</span>
      ${reason(device) && html`<p class="muted">${reason(device)}</p>`}</div>
    <div class="what"><span>${identity(device) || "—"}</span><small class="muted">${[device.driver, device.address].filter(Boolean).join(" · ")}</small></div>
    <div class="when"><small class="muted">${t("lastExchange")}</small><span>${lastExchange(device)}</span></div></div>`;
}

export function DevicesPage() {
  useEffect(() => {
    refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const all = [...store.devices.values()];
  const rank = (device) => (device.in_service === false ? 2 : device.link === "online" ? 1 : 0);
  const sorted = all.sort((a, b) => rank(a) - rank(b));
  const service = all.filter((device) => device.in_service !== false);
  const online = service.filter((device) => device.link === "online").length;
  return html`<section class="card grows page" data-test="devices">
    <div class="head"><h1>${t("devices")}</h1><b class="figure">${t("allOnline", { n: online, total: service.length })}</b></div>
    <div class="scroll" tabindex="0">
      ${all.length === 0 && html`<p class="muted">${t("noDevices")}</p>`}
      ${sorted.map((device) => html`<${Device} key=${device.id} device=${device} />`)}</div></section>`;
}
