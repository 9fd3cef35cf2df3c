// What is on every page: the hall's name, SIMULATED, the connection, the clock, the way to the pages.
import { html } from "../vendor/preact-signals-htm.js";
import { hhmm, hhmmss, second, serverNow } from "./clock.js";
import { DevicesPage } from "./devices.js";
import { HomePage } from "./home.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { link, lostAt } from "./live.js";
import { Question } from "./question.js";
import { RunsPage } from "./runs.js";
import { route } from "./route.js";
import { lang, theme, toggleLang, toggleTheme } from "./settings.js";
import { store } from "./store.js";
import { age } from "./words.js";

const PAGES = { home: HomePage, devices: DevicesPage, runs: RunsPage };
const NAV = [["home", "home", "#/"], ["devices", "device", "#/devices"], ["runs", "list", "#/runs"]];

function Lamp() {
  second.value;
  const state = link.value;
  const text = state === "stale" ? `${t("stale")} · ${age((performance.now() - lostAt.value) / 1000)}` : t(state);
  const icon = { live: "link", stale: "unlink", connecting: "spin" }[state];
  return html`<span class=${`tag link ${state}`} role="status" data-test="link" data-state=${state}>
    <${Icon} name=${icon} />${text}</span>`;
}

function Clock() {
  second.value;
  const now = serverNow();
  return html`<span class="clock" data-test="clock">${now === null ? "--:--" : hhmm(now)}</span>`;
}

function Simulated() {
  return html`<span class="tag sim" data-test="simulated"><${Icon} name="flask" />
    <span>${t("simulated")} <b>${t("simulatedOther")}</b></span></span>`;
}

function Header() {
  const { hall, run } = store;
  const drill = run?.drill && run.state !== "closed";
  return html`<header>
    <b class="hall" data-test="hall">${say(hall?.name)}</b>
    ${hall?.simulated && html`<${Simulated} />`}
    ${hall?.observe_only && html`<span class="tag sim" data-test="observe-only"><${Icon} name="warn" />${t("observeOnly")}</span>`}
    ${drill && html`<span class="tag sim"><${Icon} name="flask" />${t("drill")}</span>`}
    <span class="sp"></span>
    <${Lamp} /><${Clock} />
  </header>`;
}

function Nav() {
  const night = theme.value === "night";
  return html`<nav>
    ${NAV.map(([page, icon, href]) => html`<a key=${page} href=${href} data-test=${`nav-${page}`}
      class=${route.value.page === page ? "on" : ""} aria-current=${route.value.page === page ? "page" : undefined}>
      <${Icon} name=${icon} /><span>${t(page)}</span></a>`)}
    <span class="sp"></span>
    <button type="button" data-test="lang" onClick=${toggleLang} aria-label=${t("toEnglishLabel")}>
      <${Icon} name="globe" /><span>${t("toEnglish")}</span></button>
    <button type="button" data-test="theme" onClick=${toggleTheme}>
      <${Icon} name=${night ? "sun" : "moon"} /><span>${t(night ? "toDay" : "toNight")}</span></button>
  </nav>`;
}

function Banner() {
  if (link.value === "live") return null;
  const known = link.value === "stale" && serverNow() !== null;
  const at = known ? hhmmss(serverNow() - (performance.now() - lostAt.value)) : "";
  return html`<div class="banner" role="alert" data-test="banner"><${Icon} name="lock" />
    <span><b>${t(link.value)}</b> ${known ? t("staleSince", { at }) : t("connectingLong")}</span></div>`;
}

export function Frame() {
  lang.value;
  const Page = PAGES[route.value.page];
  return html`<div class=${`frame ${link.value}`}>
    <${Header} /><${Nav} />
    <main><${Banner} /><div class=${`view ${route.value.page}`}><${Page} id=${route.value.id} /></div></main>
    <${Question} />
  </div>`;
}
