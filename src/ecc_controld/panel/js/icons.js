// Single-stroke icons. Always beside text, so hidden from screen readers.
import { html } from "../vendor/preact-signals-htm.js";

const PATHS = {
  home: "M4 11 12 4l8 7v9H4z M10 20v-6h4v6",
  device: "M4 5h16v10H4z M8 19h8 M12 15v4",
  list: "M5 6h14 M5 12h14 M5 18h9",
  check: "m4 12 5 6L20 6",
  cross: "M6 6l12 12 M18 6 6 18",
  warn: "M12 4 2.5 20h19z M12 10v5 M12 17.5v.5",
  wait: "M12 3a9 9 0 1 0 .01 0 M12 7v5l3 2",
  send: "M4 12h14 M13 6l6 6-6 6",
  spin: "M12 4a8 8 0 1 1-8 8",
  aside: "M5 5v14 M10 12h10 M16 8l4 4-4 4",
  lock: "M6 11h12v9H6z M8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  link: "M3 12h5 M16 12h5 M8 8v8 M16 8v8 M8 12h8",
  unlink: "M3 12h5 M16 12h5 M8 8v8 M16 8v8 M11 5l2 14",
  moon: "M19 14.5A8 8 0 0 1 9.5 5a8 8 0 1 0 9.5 9.5z",
  sun: "M12 8a4 4 0 1 0 .01 0 M12 2.5v2 M12 19.5v2 M2.5 12h2 M19.5 12h2 M5.3 5.3l1.4 1.4 M17.3 17.3l1.4 1.4 M5.3 18.7l1.4-1.4 M17.3 6.7l1.4-1.4",
  globe: "M12 3a9 9 0 1 0 .01 0 M3 12h18 M12 3c-5 5-5 13 0 18 M12 3c5 5 5 13 0 18",
  flask: "M9 3h6 M10 3v6l-5 10a1.5 1.5 0 0 0 1.4 2h11.2A1.5 1.5 0 0 0 19 19l-5-10V3",
  back: "M19 12H5 M11 6l-6 6 6 6",
  exit: "M14 4h5v16h-5 M4 12h10 M10 8l4 4-4 4",
  siren: "M6 20v-7a6 6 0 0 1 12 0v7 M4 20h16 M12 3V1.5 M4.5 6 3.4 5 M19.5 6l1.1-1 M12 13v3",
};

export function Icon({ name, kind = "" }) {
  return html`<svg class=${`ic ${kind}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}
