// The mode keys. Built from the scenes that the server has; what needs holding is held, 1.5 s.
import { html, useEffect, useRef, useState } from "../vendor/preact-signals-htm.js";
import { say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isLive, link } from "./live.js";
import { press, presses, question } from "./press.js";
import { heldScene, store } from "./store.js";

const MODES = ["duty", "warning", "conference", "emergency"];
const HOLD_MS = 1500;
const SLIP_PX = 48;

/** The scenes that get a key: one of a mode that people enter, in a fixed order, emergency last. */
export function keyScenes() {
  return store.scenes
    .filter((scene) => scene.layer !== "manual" && MODES.includes(scene.mode))
    .sort((a, b) => MODES.indexOf(a.mode) - MODES.indexOf(b.mode) || a.name.localeCompare(b.name));
}

function decide(scene) {
  const held = heldScene();
  const leaves = held && held.name !== scene.name && scene.priority < held.priority;
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
function useHold(done) {
  const [holding, setHolding] = useState(false);
  const held = useRef(null);
  const cancel = () => {
    if (held.current) clearTimeout(held.current.timer);
    held.current = null;
    setHolding(false);
  };
  const begin = (by, place) => {
    if (held.current) return cancel();
    if (!isLive()) return;
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
      if (held.current?.by === event.pointerId && slipped(event, held.current.place)) cancel();
    },
    onPointerUp: cancel,
    onPointerCancel: cancel,
    onLostPointerCapture: cancel,
    onContextMenu: (event) => event.preventDefault(),
    onKeyDown: (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) begin("keyboard");
    },
    onKeyUp: cancel,
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
  const [holding, handlers] = useHold(() => decide(scene));
  return html`<button type="button" class=${shape(scene, holding ? "hold holding" : "hold")} ...${handlers}
    data-test=${`key-${scene.name}`} data-locked=${link.value !== "live"} aria-disabled=${link.value !== "live"}
    aria-pressed=${store.hall?.scene === scene.name}>
    <i class="fill" aria-hidden="true"></i>
    <span class="label">${scene.mode === "emergency" && html`<${Icon} name="siren" />`}${say(scene.title)}</span>
    <small>${caption(scene, holding)}</small></button>`;
}

function TapKey({ scene }) {
  return html`<button type="button" class=${shape(scene)} onClick=${() => isLive() && decide(scene)}
    data-test=${`key-${scene.name}`} data-locked=${link.value !== "live"} aria-disabled=${link.value !== "live"}
    aria-pressed=${store.hall?.scene === scene.name}>
    <span class="label">${say(scene.title)}</span><small>${caption(scene, false)}</small></button>`;
}

export function Keys() {
  const scenes = keyScenes();
  return html`<div class="keys" role="group" aria-label=${t("modeKeys")} data-count=${Math.min(scenes.length, 4)}>
    ${scenes.map((scene) => scene.confirm === "hold"
    ? html`<${HoldKey} key=${scene.name} scene=${scene} />`
    : html`<${TapKey} key=${scene.name} scene=${scene} />`)}</div>`;
}
