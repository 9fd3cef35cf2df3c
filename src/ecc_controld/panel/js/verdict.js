// The verdict of a run in one sentence. It is counted from the card, so that it can claim nothing that the card does not.
import { html } from "../vendor/preact-signals-htm.js";
import { has, t } from "./i18n.js";
import { Icon } from "./icons.js";
import { isAside, isFine, notFine, standing, tally } from "./progress.js";
import { outcome, verdictLook } from "./words.js";

/** What became of the must points: set aside, late, not fine, or in place (of which some cannot be read back). */
function musts(run) {
  const must = run.points.filter((card) => card.criticality === "must");
  const count = (test) => must.filter(test).length;
  const aside = count(isAside);
  const late = count((card) => card.outcome === "late");
  const fine = count(isFine);
  // Only observing is no outcome of its own, but not what people call out of service.
  const kinds = tally(must.filter(isAside), (card) => (card.reason === "observe_only" ? t("observed") : outcome(card.outcome)));
  const what = [...kinds].map(([word, n]) => `${word} ${n}`).join(t("comma"));
  return {
    what, total: must.length, aside, late, bad: must.length - fine - aside - late, blind: count((card) => card.outcome === "unverifiable"),
  };
}

function aside(must) {
  return t("mustAside", { n: must.aside, total: must.total, what: must.what });
}

function ofMusts(must) {
  if (must.total === 0) return "";
  if (must.bad) return t("mustBad", { n: must.bad, total: must.total });
  if (must.aside) return aside(must);
  if (must.late) return t("mustLate", { n: must.late });
  return t(must.blind ? "mustBlind" : "mustFine", { n: must.blind });
}

/** The sentence of a verdict, from the counts of the card. */
export function sentence(run) {
  const total = run.points.length;
  const bad = notFine(run).length;
  const must = musts(run);
  if (run.verdict === "superseded") return t("s_superseded");
  if (run.verdict === "failed" && run.points.every((card) => !card.outcome)) return t("s_nothing");
  if (run.verdict === "ready" && bad === 0) {
    const blind = run.points.filter((card) => card.outcome === "unverifiable").length;
    return [t("s_ready", { total }), blind ? t("s_blind", { n: blind }) : ""].filter(Boolean).join(t("comma"));
  }
  // A ready run may leave out what only "may" be.
  const rest = run.verdict === "ready" ? t("s_may", { bad, total }) : t("s_rest", { bad, total });
  const parts = [ofMusts(must)];
  if (must.bad && must.aside) parts.push(aside(must));
  return [...parts, rest].filter(Boolean).join(t("semicolon"));
}

/** The verdict, spoken by screen readers when it changes. With `now` it also says how the hall stands since then. */
export function Verdict({ run, now = false }) {
  const name = run?.verdict;
  const { wanted, right, missing } = standing();
  const since = now && run?.state === "closed" && name === "ready" && missing > 0;
  const look = since ? { icon: "check", kind: "muted" } : verdictLook(name);
  return html`<div class="verdict" aria-live="polite" data-test="verdict" data-verdict=${name ?? ""}>
    ${name && html`<${Icon} name=${look.icon} kind=${look.kind} />
      <strong class=${look.kind}>${has(`v_${name}`) ? t(`v_${name}`) : name}</strong>
      <span>${sentence(run)}${run.state === "assessed" ? ` · ${t("improving")}` : ""}</span>
      ${since && html`<span class="warn" data-test="since"><${Icon} name="warn" />${t("sinceThen", { n: right, total: wanted })}</span>`}`}</div>`;
}
