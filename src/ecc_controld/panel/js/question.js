// "End the emergency?": asked when a scene that holds the hall would give way to a lower one, or is ended by its key.
// Never for emergency.
import { html, useEffect, useRef } from "../vendor/preact-signals-htm.js";
import { modeName } from "./held.js";
import { say, t } from "./i18n.js";
import { link } from "./live.js";
import { press, question, standDown } from "./press.js";

function outcome(scene, held) {
  if (scene) return t("endText", { scene: say(scene.title) });
  const key = `endText_${held.stand_down ?? "restore"}`;
  return t(key);
}

function Asked({ scene, held }) {
  const box = useRef(null);
  useEffect(() => box.current.showModal(), []);
  const mode = modeName(held);
  const close = () => (question.value = null);
  return html`<dialog ref=${box} onCancel=${close} aria-labelledby="ask" data-test="question">
    <h1 id="ask">${t("endTitle", { mode })}</h1>
    <p>${outcome(scene, held)}</p>
    <div class="answers">
      <button type="button" class="act" data-test="answer-no" onClick=${close}>${t("endNo")}</button>
      <button type="button" class="act strong" data-test="answer-yes" onClick=${() => (scene ? press(scene, true) : standDown())}>
        ${t("endYes", { mode })}</button>
    </div>
  </dialog>`;
}

export function Question() {
  const asked = question.value;
  // Without a connection there is nothing to answer.
  return asked && link.value === "live" ? html`<${Asked} key=${asked.scene?.name ?? ""} ...${asked} />` : null;
}
