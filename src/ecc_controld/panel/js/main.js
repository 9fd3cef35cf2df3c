// Composition: the frame, the page that the address names, the event stream.
import { html, render } from "../vendor/preact-signals-htm.js";
import { Frame } from "./frame.js";
import { start } from "./live.js";
import "./kiosk.js";
import "./settings.js";

render(html`<${Frame} />`, document.getElementById("app"));
start();
