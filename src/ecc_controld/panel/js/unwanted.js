// What is not as wanted or not confirmed: points, counted as the hall counts them, grouped by what to do about them.
import { html } from "../vendor/preact-signals-htm.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isAside, phase, standing, tally } from "./progress.js";
import { store } from "./store.js";
import { deviceName, linkLook, moment, pointName, reason, same, value } from "./words.js";

/** Wanted points that are not proved, by group. Each is in one group: together they are the figure of the card. */
function groups() {
  const away = [...store.devices.values()].filter((device) => device.link !== "online" && device.in_service !== false);
  const ids = new Set(away.map((device) => device.id));
  const found = { away, lost: [], wrong: [], aside: [], same: [], doubt: [], striving: [] };
  for (const point of store.points.values()) {
    if (point.want === null || point.want === undefined || point.as_wanted !== false) continue;
    found[groupOf(point, ids)].push(point);
  }
  return found;
}

function groupOf(point, away) {
  if (isAside(point)) return same(point.want, point.got, point) ? "same" : "aside";
  if (away.has(point.device)) return "lost";
  if (point.outcome) return "wrong";
  return phase(point) === "doubt" ? "doubt" : "striving";
}

/** Standing alarms that nothing else in the list tells. */
function alarms({ away, wrong, aside }) {
  const points = new Set([...wrong, ...aside].map((point) => point.point));
  const devices = new Set(away.map((device) => device.id));
  return [...store.alarms.values()].filter((alarm) => !points.has(alarm.point) && !devices.has(alarm.device));
}

function Away({ device, lost }) {
  const look = linkLook(device);
  return html`<li><${Icon} name=${look.icon} kind=${look.kind} />
    <div><b>${deviceName(device.id)}</b> <span class=${look.kind}>${look.word}</span>
      <p class="muted">${[reason(device), lost ? t("pointsLost", { n: lost }) : ""].filter(Boolean).join(" · ")}</p></div></li>`;
}

function Off({ point, kind }) {
  const equal = same(point.want, point.got, point);
  return html`<li data-test="off" data-point=${point.point}><${Icon} name=${kind === "warn" ? "warn" : "aside"} kind=${kind} />
    <div><b>${pointName(point.point)}</b>
      <p><span class="muted">${t("want")}</span> ${value(point.want, point)} <span class="muted">· ${t("got")}</span>${" "}
        <span class=${equal ? "" : kind} data-test="got">${value(point.got, point)}</span></p>
      ${reason(point) && html`<p class="muted">${reason(point)}</p>`}</div></li>`;
}

function Sum({ icon, text, name }) {
  return html`<li data-test=${`sum-${name}`}><${Icon} name=${icon} kind="muted" /><div class="muted">${text}</div></li>`;
}

/** What to say when the list is empty: nothing is wrong, or nothing can be wrong yet. */
function Quiet() {
  const none = standing().wanted === 0;
  return html`<li><${Icon} name=${none ? "wait" : "check"} kind=${none ? "muted" : "ok"} />
    <div class="muted">${t(none ? "nothingWanted" : "allAsWanted")}</div></li>`;
}

export function NotAsWanted() {
  const found = groups();
  const { away, lost, wrong, aside, doubt, striving } = found;
  const { missing } = standing();
  const waiting = tally(lost, (point) => point.device);
  const others = alarms(found);
  const empty = missing === 0 && away.length + others.length === 0;
  return html`<section class="card grows unwanted" data-test="unwanted">
    <div class="head"><h2>${t("notAsWanted")}</h2>${missing > 0 && html`<b class="figure" data-test="missing">${t("points", { n: missing })}</b>`}</div>
    <div class="scroll" tabindex="0"><ul>
      ${away.map((device) => html`<${Away} key=${`d/${device.id}`} device=${device} lost=${waiting.get(device.id)} />`)}
      ${wrong.map((point) => html`<${Off} key=${`p/${point.point}`} point=${point} kind="warn" />`)}
      ${others.map((alarm) => html`<li key=${`a/${alarm.id}`}><${Icon} name="warn" kind="warn" />
        <div><b>${say(alarm.text)}</b><p class="muted">${t("since", { at: moment(alarm.since) })}</p></div></li>`)}
      ${doubt.length > 0 && html`<${Sum} key="doubt" name="doubt" icon="warn" text=${t("sumDoubt", { n: doubt.length })} />`}
      ${striving.length > 0 && html`<${Sum} key="striving" name="striving" icon="spin" text=${t("sumStriving", { n: striving.length })} />`}
      ${found.same.length > 0 && html`<${Sum} key="same" name="same" icon="check" text=${t("sumSame", { n: found.same.length })} />`}
      ${aside.map((point) => html`<${Off} key=${`p/${point.point}`} point=${point} kind="muted" />`)}
      ${empty && html`<${Quiet} />`}
    </ul></div></section>`;
}
