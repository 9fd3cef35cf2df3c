// The server's time, as known from its beats, in the hall's time zone. The browser's own clock is never shown.
import { signal } from "../vendor/preact-signals-htm.js";

const JUMP_MS = 2000;
const KEPT_BEATS = 10;

let offsets = [];
let zone = null;          // IANA name, when the hall tells it
let offsetMinutes = null; // else the offset that the server's own times carry

/** Changes once a second while the page lives; what shows an age or a clock reads it. */
export const second = signal(0);
export const minute = signal(0);

/** Take a server time. The smallest delay is the best estimate; a jump of the clock starts anew. */
export function hear(text, timezone) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return;
  const offset = at - performance.now();
  const best = offsets.length ? Math.max(...offsets) : offset;
  offsets = Math.abs(offset - best) > JUMP_MS ? [offset] : [...offsets.slice(1 - KEPT_BEATS), offset];
  const tail = /([+-])(\d\d):(\d\d)$/.exec(text);
  offsetMinutes = tail ? (tail[1] === "-" ? -1 : 1) * (Number(tail[2]) * 60 + Number(tail[3])) : 0;
  if (timezone && timezone !== zone && known(timezone)) zone = timezone;
  second.value += 1;
}

export function forget() {
  offsets = [];
}

function known(timezone) {
  try { new Intl.DateTimeFormat("en", { timeZone: timezone }); return true; } catch { return false; }
}

/** Server time now, milliseconds since 1970; null before the first beat. */
export function serverNow() {
  return offsets.length ? Math.max(...offsets) + performance.now() : null;
}

/** Server time now as RFC 3339 with milliseconds. */
export function serverStamp() {
  return new Date(serverNow()).toISOString();
}

function parts(at) {
  if (zone) {
    const found = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    }).formatToParts(new Date(at));
    return Object.fromEntries(found.map((part) => [part.type, part.value]));
  }
  const [date, time] = new Date(at + (offsetMinutes ?? 0) * 60000).toISOString().split("T");
  const [year, month, day] = date.split("-");
  const [hour, min, sec] = time.slice(0, 8).split(":");
  return { year, month, day, hour, minute: min, second: sec };
}

export function hallHour() {
  const at = serverNow();
  return at === null ? new Date().getHours() : Number(parts(at).hour);
}

export function hhmm(at) {
  const p = parts(at);
  return `${p.hour}:${p.minute}`;
}

export function hhmmss(at) {
  const p = parts(at);
  return `${p.hour}:${p.minute}:${p.second}`;
}

export function ymd(at) {
  const p = parts(at);
  return `${p.year}-${p.month}-${p.day}`;
}

setInterval(() => {
  second.value += 1;
  const at = serverNow() ?? Date.now();
  minute.value = Math.floor(at / 60000);
}, 1000);
