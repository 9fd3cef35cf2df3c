// A press: one POST at most, with a key and the server's time. Its fate is asked for, never assumed.
import { signal, effect } from "../vendor/preact-signals-htm.js";
import { serverStamp } from "./clock.js";
import { get } from "./http.js";
import { say, t } from "./i18n.js";
import { isLive } from "./live.js";
import { bootCount, changed, store } from "./store.js";
import { client } from "./words.js";

const EXPIRES_MS = 5000;
// A press that has not arrived by then is refused as too old, even if the server's time was known a little wrong.
const LOST_MS = 6000;
const ASK_EVERY_MS = 1000;
const ASK_UNTIL_MS = 30000;

/** Presses without an answer: scene name -> {key, phase: "sending" | "asking"}. */
export const presses = signal({});
/** What must be said about the last press: {bad, title(), text(), more()} or null; functions, for both languages. */
export const notice = signal(null);
/** The press that waits for "end the emergency?": {scene, held} or null. */
export const question = signal(null);

function randomKey() {
  // randomUUID() exists only over TLS or on loopback.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function mark(scene, press) {
  const { [scene]: _, ...rest } = presses.value;
  presses.value = press ? { ...rest, [scene]: press } : rest;
}

/** Press a scene. Does nothing while the page is not live or while this key's last press has no answer. */
export async function press(scene, standDown = false) {
  if (!isLive() || presses.value[scene.name]) return;
  const key = randomKey();
  const began = performance.now();
  notice.value = null;
  question.value = null;
  mark(scene.name, { key, phase: "sending" });
  const answer = await send(scene, key, standDown);
  if (answer) {
    if (!answer.ok) notice.value = await problem(answer);
  } else {
    mark(scene.name, { key, phase: "asking" });
    await ask(scene, key, began);
  }
  mark(scene.name, null);
}

async function send(scene, key, standDown) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), EXPIRES_MS);
  try {
    return await fetch(`/api/v1/scenes/${encodeURIComponent(scene.name)}/activate`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json", "ECC-Client": "panel", "Idempotency-Key": key, "Pressed-At": serverStamp(),
      },
      body: JSON.stringify({ params: {}, stand_down: standDown, drill: false }),
      signal: stop.signal,
    });
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** The answer was lost: did the press arrive? Until it expires it still may, so "no" counts only after that. */
async function ask(scene, key, began) {
  for (;;) {
    const age = performance.now() - began;
    const found = store.run?.key === key || (await get(`/api/v1/runs?key=${key}`));
    if (found === true || found?.runs?.length) return;
    const none = found === undefined || (found !== null && !found.runs?.length);
    if (none && age >= LOST_MS) {
      notice.value = words("lostNot", "lostNotText", scene);
      return;
    }
    if (age > ASK_UNTIL_MS) {
      notice.value = words("lostUnknown", "lostUnknownText", scene);
      return;
    }
    await new Promise((done) => setTimeout(done, ASK_EVERY_MS));
  }
}

function words(title, text, scene) {
  return { title: () => t(title), text: () => t(text, { scene: say(scene.title) }), more: () => "" };
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
effect(() => {
  if (bootCount.value) {
    question.value = null;
    notice.value = null;
  }
});
