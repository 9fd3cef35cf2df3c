// What the server said, as it said it. Events change the tables; the page is drawn once per burst.
import { signal } from "../vendor/preact-signals-htm.js";
import { hear, forget as forgetClock } from "./clock.js";
import { get } from "./http.js";

const data = {
  hall: null, boot: null, run: null, scenes: [],
  devices: new Map(), points: new Map(), alarms: new Map(),
};

/** Changes after each burst of events. */
export const changed = signal(0);

/** The tables, read-only. A view that reads one is drawn again after each burst. */
export const store = {};
for (const name of Object.keys(data)) {
  Object.defineProperty(store, name, { get: () => (changed.value, data[name]) });
}
/** Changes when the server is another one: pages drop what they fetched. */
export const bootCount = signal(0);
/** Changes when a run was reported; the history page reads it. */
export const runCount = signal(0);

const BURST_MS = 40;
let pending = null;

function bump() {
  if (pending !== null) return;
  pending = setTimeout(() => {
    pending = null;
    changed.value += 1;
  }, BURST_MS);
}

function forget() {
  data.hall = data.run = null;
  data.scenes = [];
  data.devices = new Map();
  data.points = new Map();
  data.alarms = new Map();
}

async function loadScenes(boot) {
  const found = await get("/api/v1/scenes");
  if (found && data.boot === boot) {
    data.scenes = found.scenes;
    bump();
  }
}

async function loadRun(id, boot) {
  const found = await get(`/api/v1/runs/${encodeURIComponent(id)}`);
  // A run event that came meanwhile is newer than this answer.
  if (found && data.boot === boot && data.run === null) {
    data.run = found;
    bump();
  }
}

function idOf(run) {
  return run && typeof run === "object" ? run.id : run;
}

function snapshot(news) {
  const boot = news.boot ?? news.hall.boot;
  if (boot !== data.boot) {
    forgetClock();
    bootCount.value += 1;
  }
  forget();
  data.boot = boot;
  data.hall = news.hall;
  for (const device of news.devices) data.devices.set(device.id, arrived(device));
  for (const point of news.points) data.points.set(point.point, arrived(point));
  for (const alarm of news.alarms ?? []) data.alarms.set(alarm.id, alarm);
  data.run = news.run ?? null;
  data.scenes = news.scenes ?? [];
  hear(news.hall.time, news.hall.timezone);
  if (!news.scenes) loadScenes(boot);
  if (!data.run && idOf(news.hall.run)) loadRun(idOf(news.hall.run), boot);
}

/** An age is true when it arrives; remember when that was. */
export function arrived(thing) {
  return { ...thing, arrivedAt: performance.now() };
}

function later(a, b) {
  return Date.parse(a.opened) >= Date.parse(b.opened);
}

const takes = {
  snapshot,
  point: (news) => data.points.set(news.point, arrived(news)),
  device: (news) => data.devices.set(news.id, arrived(news)),
  hall: (news) => {
    data.hall = news;
    if (news.time) hear(news.time, news.timezone);
  },
  run: (news) => {
    // The last word of a superseded run may come after the first of the one that took its place.
    if (!data.run || data.run.id === news.id || later(news, data.run)) data.run = news;
    runCount.value += 1;
  },
  alarm: (news) => (news.cleared ? data.alarms.delete(news.id) : data.alarms.set(news.id, news)),
  beat: (news) => hear(news.time, data.hall?.timezone),
};

export const EVENTS = Object.keys(takes);

/** Take one event of `/api/v1/events`. */
export function take(type, news) {
  takes[type](news);
  if (type !== "beat") bump();
}

/** The scene that holds the hall against lower ones, or null. */
export function heldScene() {
  const { hall, scenes } = store;
  if (!hall?.holds) return null;
  const name = typeof hall.holds === "object" ? hall.holds.scene : hall.scene;
  return scenes.find((scene) => scene.name === name) ?? { name, mode: hall.mode, title: null, priority: Infinity };
}
