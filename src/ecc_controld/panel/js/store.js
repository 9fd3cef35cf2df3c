// What the server said, as it said it. Events change the tables; the page is drawn once per burst.
import { signal } from "../vendor/preact-signals-htm.js";
import { hear, forget as forgetClock } from "./clock.js";
import { get } from "./http.js";

export const store = {
  hall: null, boot: null, run: null, scenes: [],
  devices: new Map(), points: new Map(), alarms: new Map(),
};

/** Changes after each burst of events; every view that shows the store reads it. */
export const changed = signal(0);
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
  store.hall = store.run = null;
  store.scenes = [];
  store.devices = new Map();
  store.points = new Map();
  store.alarms = new Map();
}

async function loadScenes(boot) {
  const found = await get("/api/v1/scenes");
  if (found && store.boot === boot) {
    store.scenes = found.scenes;
    bump();
  }
}

async function loadRun(id, boot) {
  const found = await get(`/api/v1/runs/${encodeURIComponent(id)}`);
  // A run event that came meanwhile is newer than this answer.
  if (found && store.boot === boot && store.run === null) {
    store.run = found;
    bump();
  }
}

function idOf(run) {
  return run && typeof run === "object" ? run.id : run;
}

function snapshot(data) {
  const boot = data.boot ?? data.hall.boot;
  if (boot !== store.boot) {
    forgetClock();
    bootCount.value += 1;
  }
  forget();
  store.boot = boot;
  store.hall = data.hall;
  for (const device of data.devices) store.devices.set(device.id, arrived(device));
  for (const point of data.points) store.points.set(point.point, point);
  for (const alarm of data.alarms ?? []) store.alarms.set(alarm.id, alarm);
  store.run = data.run ?? null;
  store.scenes = data.scenes ?? [];
  hear(data.hall.time, data.hall.timezone);
  if (!data.scenes) loadScenes(boot);
  if (!store.run && idOf(data.hall.run)) loadRun(idOf(data.hall.run), boot);
}

/** An age is true when it arrives; remember when that was. */
export function arrived(device) {
  return { ...device, arrivedAt: performance.now() };
}

const takes = {
  snapshot,
  point: (data) => store.points.set(data.point, data),
  device: (data) => store.devices.set(data.id, arrived(data)),
  hall: (data) => {
    store.hall = data;
    if (data.time) hear(data.time, data.timezone);
  },
  run: (data) => {
    store.run = data;
    runCount.value += 1;
  },
  alarm: (data) => (data.cleared ? store.alarms.delete(data.id) : store.alarms.set(data.id, data)),
  beat: (data) => hear(data.time, store.hall?.timezone),
};

export const EVENTS = Object.keys(takes);

/** Take one event of `/api/v1/events`. */
export function take(type, data) {
  takes[type](data);
  if (type !== "beat") bump();
}

/** The scene that holds the hall against lower ones, or null. */
export function heldScene() {
  const { hall, scenes } = store;
  if (!hall?.holds) return null;
  const name = typeof hall.holds === "object" ? hall.holds.scene : hall.scene;
  return scenes.find((scene) => scene.name === name) ?? { name, mode: hall.mode, title: null, priority: Infinity };
}
