// Values, times and outcomes as people read them.
import { hhmm, hhmmss, serverNow, ymd } from "./clock.js";
import { has, say, t } from "./i18n.js";
import { store } from "./store.js";

/** Who pressed: the programs of the hall have names, people have their own. */
export function who(by) {
  return has(`by_${by}`) ? t(`by_${by}`) : by;
}

/** A value with its unit; a true minus, as in the trade. */
export function value(raw, point) {
  if (raw === null || raw === undefined) return t("unknown");
  if (typeof raw === "boolean") return t(raw ? "on" : "off");
  if (typeof raw === "number") {
    const figure = String(Math.round(raw * 100) / 100).replace("-", "−");
    return point?.unit ? `${figure} ${point.unit}` : figure;
  }
  return String(raw);
}

/** Whether a person would read two values as one. What is unknown equals nothing. */
export function same(a, b, point) {
  return a !== null && a !== undefined && b !== null && b !== undefined && value(a, point) === value(b, point);
}

export function seconds(s, digits = 1) {
  return s === null || s === undefined ? "" : s.toFixed(digits);
}

export function age(s) {
  if (s < 60) return t("sSeconds", { n: Math.max(0, Math.floor(s)) });
  if (s < 3600) return t("sMinutes", { n: Math.floor(s / 60) });
  if (s < 172800) return t("sHours", { n: Math.floor(s / 3600) });
  return t("sDays", { n: Math.floor(s / 86400) });
}

/** The day of a moment: "today · 2026-11-25", "yesterday · ..." or the date alone. */
export function day(text) {
  const at = Date.parse(text);
  const now = serverNow() ?? at;
  const date = ymd(at);
  if (date === ymd(now)) return `${t("today")} · ${date}`;
  return date === ymd(now - 86400000) ? `${t("yesterdayTitle")} · ${date}` : date;
}

/** "18:00", "yesterday 18:00" or "2026-11-03 18:00". */
export function moment(text, withSeconds = false) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  const time = withSeconds ? hhmmss(at) : hhmm(at);
  const now = serverNow() ?? at;
  if (ymd(at) === ymd(now)) return time;
  if (ymd(at) === ymd(now - 86400000)) return `${t("yesterday")} ${time}`;
  return `${ymd(at)} ${time}`;
}

export function deviceName(id) {
  return say(store.devices.get(id)?.name) || id;
}

/** Device and point, without saying the device twice. */
export function pointName(id) {
  const point = store.points.get(id);
  const device = deviceName(point?.device ?? id.split(".")[0]);
  const title = say(point?.title) || id.slice(id.indexOf(".") + 1);
  return title.startsWith(device) ? title : `${device} · ${title}`;
}

export function sceneName(name) {
  return say(store.scenes.find((scene) => scene.name === name)?.title) || name || "";
}

/** Who pressed: a program by its word, anybody else as the server names them. */
export function client(by) {
  return has(`by_${by}`) ? t(`by_${by}`) : by ?? "";
}

export function outcome(word) {
  return word ? (has(`o_${word}`) ? t(`o_${word}`) : word) : t("o_open");
}

export function evidence(word) {
  return has(`e_${word}`) ? t(`e_${word}`) : word ?? "";
}

/** Why, in a sentence. In a hall that is only observed the header has said it for all. */
export function reason(item) {
  if (item.reason === "observe_only" && store.hall?.observe_only) return "";
  return say(item.reason_text) || item.reason || "";
}

export function verdictLook(verdict) {
  return {
    ready: { icon: "check", kind: "ok" },
    degraded: { icon: "warn", kind: "warn" },
    failed: { icon: "cross", kind: "fault" },
    superseded: { icon: "aside", kind: "muted" },
  }[verdict] ?? { icon: "spin", kind: "muted" };
}

export function linkLook(device) {
  if (device.in_service === false) return { icon: "aside", kind: "muted", word: t("outOfService") };
  const icon = { online: "link", offline: "unlink", refused: "cross" }[device.link] ?? "spin";
  const kind = { online: "ok", offline: "fault", refused: "fault" }[device.link] ?? "warn";
  return { icon, kind, word: has(`l_${device.link}`) ? t(`l_${device.link}`) : device.link };
}
