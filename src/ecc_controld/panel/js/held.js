// A mode that holds the hall, and the key that ends it (asks first, then stands down). Under the mode keys: it appears
// while a finger is still on one of them, and must not push them away.
import { html } from "../vendor/preact-signals-htm.js";
import { has, say, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isLive, link } from "./live.js";
import { STAND_DOWN, presses, question } from "./press.js";
import { heldScene } from "./store.js";

/** How people name the mode of a scene inside a sentence ("the emergency"), or on a key ("emergency"). */
export function modeName(scene, kind = "m") {
  return has(`${kind}_${scene.mode}`) ? t(`${kind}_${scene.mode}`) : say(scene.title) || scene.name;
}

export function Held() {
  const held = heldScene();
  if (!held) return null;
  const waits = presses.value[STAND_DOWN];
  const off = link.value !== "live";
  const ask = () => isLive() && !waits && (question.value = { scene: null, held });
  return html`<div class="held" data-test="held"><${Icon} name="lock" /><span>${t("holds")}</span>
    <button type="button" class=${`act end ${off ? "locked" : ""}`} data-test="end" data-locked=${off} aria-disabled=${off} onClick=${ask}>
      ${waits ? html`<${Icon} name="spin" kind="turns" />${t(waits.phase)}` : html`<${Icon} name=${off ? "lock" : "exit"} />${t("endKey", { mode: modeName(held, "k") })}`}
    </button></div>`;
}
