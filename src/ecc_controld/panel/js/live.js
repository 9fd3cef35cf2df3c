// The event stream and its watchdog. A stopped daemon gives no error event, and one 503 closes an EventSource for
// ever: so silence is judged here, and the source is made anew after every trouble, at a flat second.
import { signal } from "../vendor/preact-signals-htm.js";
import { EVENTS, store, take } from "./store.js";

const SILENCE_MS = 2700;
const RETRY_MS = 1000;
const CHECK_MS = 200;

/** "connecting" until the first snapshot, then "live" or "stale". */
export const link = signal("connecting");
/** When the stream fell silent (performance.now()), for the age that is shown. */
export const lostAt = signal(0);

let source = null;
let heardAt = 0;
let triedAt = -Infinity;

/** Whether what is shown is true now. Judged by the clock, not by the last check. */
export function isLive() {
  return link.value === "live" && performance.now() - heardAt < SILENCE_MS;
}

function heard(type, event) {
  let data;
  try {
    data = JSON.parse(event.data);
  } catch {
    return trouble();
  }
  // Deltas mean nothing before the snapshot that they follow.
  if (link.value !== "live" && type !== "snapshot") return;
  // A beat of another daemon on an old stream: begin again with its snapshot.
  if (type === "beat" && data.boot && store.boot && data.boot !== store.boot) return trouble();
  heardAt = performance.now();
  take(type, data);
  link.value = "live";
}

function trouble() {
  source?.close();
  source = null;
  if (link.value === "live") {
    lostAt.value = heardAt;
    link.value = "stale";
  }
}

function open() {
  triedAt = performance.now();
  const mine = new EventSource("/api/v1/events");
  source = mine;
  for (const type of EVENTS) mine.addEventListener(type, (event) => source === mine && heard(type, event));
  mine.onerror = () => source === mine && trouble();
}

function check() {
  const now = performance.now();
  if (link.value === "live" && now - heardAt >= SILENCE_MS) trouble();
  // A connection that was accepted but says nothing is given up like a silent one.
  if (source && link.value !== "live" && now - triedAt >= SILENCE_MS) trouble();
  if (!source && now - triedAt >= RETRY_MS) open();
}

export function start() {
  open();
  setInterval(check, CHECK_MS);
  document.addEventListener("visibilitychange", check);
  addEventListener("online", check);
}
