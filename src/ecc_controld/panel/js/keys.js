// The mode keys. Built from the scenes that the server has; what needs holding is held, 1.5 s.
import { html, signal, useEffect, useRef, useState } from "../vendor/preact-signals-htm.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isLive, link } from "./live.js";
import { press, presses, question } from "./press.js";
import { heldScene, store } from "./store.js";

const MODES = ["duty", "warning", "conference", "emergency"];
const HOLD_MS = 1500;
const SLIP_PX = 48;
const SAID_MS = 6000;

/** The hold that was let go too early: {scene, key} or null; said for some seconds. */
const undone = signal(null);
let silence = null;

function sayUndone(said) {
  clearTimeout(silence);
  undone.value = said;
  if (said) silence = setTimeout(() => (undone.value = null), SAID_MS);
}

/** The scenes that get a key: those of a mode that people enter, in a fixed order; emergency; what is set by hand. */
export function keyScenes() {
  const found = [...store.scenes].sort((a, b) => MODES.indexOf(a.mode) - MODES.indexOf(b.mode) || a.name.localeCompare(b.name));
  const entered = found.filter((scene) => scene.layer !== "manual" && MODES.includes(scene.mode));
  return {
    modes: entered.filter((scene) => scene.mode !== "emergency"),
    emergency: entered.filter((scene) => scene.mode === "emergency"),
    manual: found.filter((scene) => scene.layer === "manual"),
  };
}

function decide(scene) {
  const held = heldScene();
  // A manual scene has no mode: whatever holds the hall goes on holding it.
  const leaves = held && scene.layer !== "manual" && held.name !== scene.name && scene.priority < held.priority;
  // Emergency never meets a second question, whatever holds the hall.
  if (leaves && scene.mode !== "emergency" && isLive()) question.value = { scene, held };
  else press(scene);
}

function caption(scene, holding) {
  const waits = presses.value[scene.name];
  const s = HOLD_MS / 1000;
  if (waits) return html`<${Icon} name="spin" kind="turns" />${t(waits.phase)}`;
  if (link.value !== "live") return html`<${Icon} name="lock" />${t("locked")}`;
  if (holding) return t("holding");
  const current = store.hall?.scene === scene.name;
  if (scene.confirm === "hold") return t(current ? "currentHold" : "hold", { s });
  return t(current ? "currentTap" : "tap");
}

/** Holding with finger or keyboard; slipping off, a second finger, losing focus or the connection cancels. */
function useHold(done, undo) {
  const [holding, setHolding] = useState(false);
  const held = useRef(null);
  const cancel = () => {
    if (held.current) clearTimeout(held.current.timer);
    held.current = null;
    setHolding(false);
  };
  /** Let go before the time: said, because a key that does nothing looks like a key that did it. */
  const release = (key) => {
    if (held.current && isLive()) undo(key);
    cancel();
  };
  const begin = (by, place) => {
    if (held.current) return release("cancelled");
    if (!isLive()) return;
    undo(null);
    const timer = setTimeout(() => {
      const still = held.current && document.visibilityState === "visible" && isLive();
      cancel();
      if (still) done();
    }, HOLD_MS);
    held.current = { by, place, timer };
    setHolding(true);
  };
  useEffect(() => {
    addEventListener("blur", cancel);
    document.addEventListener("visibilitychange", cancel);
    return () => {
      removeEventListener("blur", cancel);
      document.removeEventListener("visibilitychange", cancel);
      cancel();
    };
  }, []);
  const live = link.value === "live";
  useEffect(() => {
    if (!live) cancel();
  }, [live]);
  const slipped = (event, place) =>
    Math.hypot(Math.max(place.left - event.clientX, 0, event.clientX - place.right),
      Math.max(place.top - event.clientY, 0, event.clientY - place.bottom)) > SLIP_PX;
  const handlers = {
    onPointerDown: (event) => {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture?.(event.pointerId);
      begin(event.pointerId, event.currentTarget.getBoundingClientRect());
    },
    onPointerMove: (event) => {
      if (held.current?.by === event.pointerId && slipped(event, held.current.place)) release("slipped");
    },
    onPointerUp: () => release("tooShort"),
    onPointerCancel: cancel,
    onLostPointerCapture: cancel,
    onContextMenu: (event) => event.preventDefault(),
    onKeyDown: (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) begin("keyboard");
    },
    onKeyUp: () => release("tooShort"),
    onBlur: cancel,
  };
  return [holding, handlers];
}

function shape(scene, more = "") {
  const on = store.hall?.scene === scene.name ? "on" : "";
  const em = scene.mode === "emergency" ? "em" : "";
  const off = link.value === "live" ? "" : "locked";
  const waits = presses.value[scene.name] ? "waits" : "";
  return ["key", on, em, off, waits, more].filter(Boolean).join(" ");
}

function HoldKey({ scene }) {
  const [holding, handlers] = useHold(() => decide(scene), (key) => sayUndone(key && { scene, key }));
  return html`<button type="button" class=${shape(scene, holding ? "hold holding" : "hold")} ...${handlers}
    data-test=${`key-${scene.name}`} data-locked=${link.value !== "live"} aria-disabled=${link.value !== "live"}
    aria-pressed=${store.hall?.scene === scene.name}>
    <i class="fill" aria-hidden="true"></i>
    <span class="label">${scene.mode === "emergency" && html`<${Icon} name="siren" />`}<span>${say(scene.title)}</span></span>
    <small>${caption(scene, holding)}</small></button>`;
}

function TapKey({ scene }) {
  return html`<button type="button" class=${shape(scene)} onClick=${() => isLive() && decide(scene)}
    data-test=${`key-${scene.name}`} data-locked=${link.value !== "live"} aria-disabled=${link.value !== "live"}
    aria-pressed=${store.hall?.scene === scene.name}>
    <span class="label"><span>${say(scene.title)}</span></span><small>${caption(scene, false)}</small></button>`;
}

function Key({ scene }) {
  return scene.confirm === "hold" ? html`<${HoldKey} scene=${scene} />` : html`<${TapKey} scene=${scene} />`;
}

function Group({ scenes, name, label }) {
  if (scenes.length === 0) return null;
  return html`<div class=${name} role="group" aria-label=${label} data-test=${`keys-${name}`} data-many=${scenes.length > 6}>
    ${scenes.map((scene) => html`<${Key} key=${scene.name} scene=${scene} />`)}</div>`;
}

/** Says in words what a hold that was too short has done: nothing. Always there, so that it is spoken. */
function Undone() {
  const said = undone.value;
  const text = said && t(said.key, { scene: say(said.scene.title), s: HOLD_MS / 1000 });
  return html`<p class="undone warn" role="status" aria-live="polite" data-test="undone">
    ${said && html`<${Icon} name="warn" /><span>${text}</span>`}</p>`;
}

export function Keys() {
  const { modes, emergency } = keyScenes();
  return html`<div class="keys"><${Group} name="modes" label=${t("modeKeys")} scenes=${modes} />
      <${Group} name="emergency" label=${t("emergencyKeys")} scenes=${emergency} /></div>
    <${Undone} />`;
}

/** Scenes that are set by hand and have no mode (clear the wall), apart from the modes. */
export function ManualKeys() {
  const { manual } = keyScenes();
  if (manual.length === 0) return null;
  return html`<section class="card byhand"><h2>${t("manualKeys")}</h2>
    <${Group} name="manual" label=${t("manualKeys")} scenes=${manual} /></section>`;
}
