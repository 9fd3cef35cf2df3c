// What this screen remembers: language and theme. A browser that forbids storage only forgets.
import { signal, computed, effect } from "../vendor/preact-signals-htm.js";
import { hallHour, minute } from "./clock.js";

function read(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function write(key, value) {
  try { localStorage.setItem(key, value); } catch { /* remembered until the page is closed */ }
}

export const lang = signal(read("ecc.lang") === "en" ? "en" : "zh");
const themeByHand = signal(["day", "night"].includes(read("ecc.theme")) ? read("ecc.theme") : null);

/** By hand where it was ever set; else by the hall's clock, 07:00 to 19:00 is day. */
export const theme = computed(() => {
  if (themeByHand.value) return themeByHand.value;
  minute.value;
  const hour = hallHour();
  return hour >= 7 && hour < 19 ? "day" : "night";
});

export function toggleLang() {
  lang.value = lang.value === "zh" ? "en" : "zh";
  write("ecc.lang", lang.value);
}

export function toggleTheme() {
  themeByHand.value = theme.value === "day" ? "night" : "day";
  write("ecc.theme", themeByHand.value);
}

effect(() => {
  document.documentElement.lang = lang.value === "en" ? "en" : "zh-CN";
});
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
