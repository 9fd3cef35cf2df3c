export { h, render, Fragment } from "preact";
export { useState, useEffect, useRef, useLayoutEffect } from "preact/hooks";
export { signal, computed, effect, batch, untracked } from "@preact/signals";
import { h } from "preact";
import htm from "htm";
export const html = htm.bind(h);
