// A press: one POST at most, with a key and the server's time. Its fate is asked for, never assumed.
import { signal, effect } from "../vendor/preact-signals-htm.js";
import { serverStamp } from "./clock.js";
import { get } from "./http.js";
import { say, t } from "./i18n.js";
import { isLive } from "./live.js";
import { bootCount, changed, heldScene, store } from "./store.js";
import { client } from "./words.js";

const EXPIRES_MS = 5000;
// A press that has not arrived by then is refused as too old, even if the server's time was known a little wrong.
const LOST_MS = 6000;
const ASK_EVERY_MS = 1000;
const ASK_UNTIL_MS = 30000;

/** The name of the press that ends what holds the hall; no scene can have it. */
export const STAND_DOWN = "/stand-down";

/** Presses without an answer: name of the scene (or STAND_DOWN) -> {key, phase: "sending" | "asking"}. */
export const presses = signal({});
/** What must be said about the last press: {bad, title(), text(), more()} or null; functions, for both languages. */
export const notice = signal(null);
/** The press that waits for "end the emergency?": {scene, held} or null; scene null: end it, go where it says. */
export const question = signal(null);

function randomKey() {
  // randomUUID() exists only over TLS or on loopback.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function mark(name, press) {
  const { [name]: _, ...rest } = presses.value;
  presses.value = press ? { ...rest, [name]: press } : rest;
}

/** Press a scene. Does nothing while the page is not live or while this key's last press has no answer. */
export function press(scene, standsDown = false) {
  return deliver({
    name: scene.name,
    label: () => say(scene.title),
    path: `/api/v1/scenes/${encodeURIComponent(scene.name)}/activate`,
    body: { params: {}, stand_down: standsDown, drill: false },
    happened: () => false,
  });
}

/** End the scene that holds the hall; what comes after it is said by the scene. */
export function standDown() {
  return deliver({
    name: STAND_DOWN,
    label: () => t("standDown"),
    path: "/api/v1/stand-down",
    body: {},
    // A stand-down may open no run: that nothing holds any more tells as well.
    happened: () => store.hall !== null && !heldScene(),
  });
}

async function deliver(deed) {
  if (!isLive() || presses.value[deed.name]) return;
  const key = randomKey();
  const began = performance.now();
  notice.value = null;
  question.value = null;
  mark(deed.name, { key, phase: "sending" });
  const answer = await send(deed, key);
  if (answer) {
    if (!answer.ok) notice.value = await problem(answer);
  } else {
    mark(deed.name, { key, phase: "asking" });
    await ask(deed, key, began);
  }
  mark(deed.name, null);
}

async function send(deed, key) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), EXPIRES_MS);
  try {
    return await fetch(deed.path, {
      method: "POST",
      headers: {
        "Content-Type": "application/json", "ECC-Client": "panel", "Idempotency-Key": key, "Pressed-At": serverStamp(),
      },
      body: JSON.stringify(deed.body),
      signal: stop.signal,
    });
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** The answer was lost: did the press arrive? Until it expires it still may, so "no" counts only after that. */
async function ask(deed, key, began) {
  for (;;) {
    const age = performance.now() - began;
    const found = store.run?.key === key || deed.happened() || (await get(`/api/v1/runs?key=${key}`));
    if (found === true || found?.runs?.length) return;
    const none = found === undefined || (found !== null && !found.runs?.length);
    if (none && age >= LOST_MS) {
      notice.value = words("lostNot", "lostNotText", deed);
      return;
    }
    if (age > ASK_UNTIL_MS) {
      notice.value = words("lostUnknown", "lostUnknownText", deed);
      return;
    }
    await new Promise((done) => setTimeout(done, ASK_EVERY_MS));
  }
}

function words(title, text, deed) {
  return { title: () => t(title), text: () => t(text, { scene: deed.label() }), more: () => "" };
}

async function problem(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch { /* not a problem document: the status must do */ }
  const known = [409, 410, 422, 503].includes(answer.status) ? `p_${answer.status}` : "p_other";
  return {
    title: () => t(known),
    text: () => say({ zh: body.detail_zh, en: body.detail || body.title || `HTTP ${answer.status}` }),
    more: () => [
      body.held_by ? t("heldBy", { who: who(body.held_by) }) : "",
      body.code ? t("code", { code: body.code }) : "",
    ].filter(Boolean).join(" · "),
  };
}

function who(heldBy) {
  if (typeof heldBy !== "object") return client(String(heldBy));
  const scene = store.scenes.find((one) => one.name === heldBy.scene);
  return [scene ? say(scene.title) : heldBy.scene, client(heldBy.by)].filter(Boolean).join(" · ");
}

// The run of a press may be reported before the press is answered: then the key is free at once.
effect(() => {
  changed.value;
  const key = store.run?.key;
  const mine = key && Object.entries(presses.peek()).find(([, one]) => one.key === key);
  if (mine) mark(mine[0], null);
});
// Somebody else ended it meanwhile: there is nothing to ask any more.
effect(() => {
  changed.value;
  if (question.peek() && !heldScene()) question.value = null;
});
effect(() => {
  if (bootCount.value) {
    question.value = null;
    notice.value = null;
  }
});
