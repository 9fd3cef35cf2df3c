() => {
  const rgb = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return { r: found[0], g: found[1], b: found[2], a: found.length > 3 ? found[3] : 1 };
  };
  const light = ({ r, g, b }) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const visible = (node) => {
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    return style.visibility !== "hidden" && style.display !== "none" && box.width > 0 && box.height > 0;
  };
  const name = (node) => `${node.tagName}.${node.getAttribute("class") ?? ""} "${node.textContent.trim().slice(0, 30)}"`;
  const faults = [];
  let measured = 0;
  for (const node of document.querySelectorAll("#app *")) {
    if (!visible(node)) continue;
    const style = getComputedStyle(node);
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (own) {
      measured += 1;
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const got = ratio(rgb(style.color), behind(node));
      if (got < (large ? 3 : 4.5)) faults.push(`contrast ${got.toFixed(2)} of ${name(node)}`);
      const label = node.closest("small, nav, .tag, .key, h3, .parts, .time, .why, .count, .word");
      if (size < (label ? 16 : 18)) faults.push(`${size}px of ${name(node)}`);
      const sideways = style.overflowX !== "visible" && node.scrollWidth > node.clientWidth + 1;
      if (sideways) faults.push(`cut off: ${name(node)}`);
      const box = node.getBoundingClientRect();
      if (box.right > innerWidth + 1 || box.left < -1) faults.push(`off the screen: ${name(node)}`);
    }
    if (node.matches("svg.ic, svg.lamp") && ratio(rgb(style.stroke), behind(node)) < 3) faults.push(`icon ${name(node)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");

  // Targets: what is scrolled out of its box cannot be touched.
  const clipped = (node) => {
    let { left, top, right, bottom } = node.getBoundingClientRect();
    for (let one = node.parentElement; one; one = one.parentElement) {
      if (getComputedStyle(one).overflowY === "visible") continue;
      const box = one.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
    }
    return right > left && bottom > top ? { left, top, right, bottom } : null;
  };
  const open = document.querySelector("dialog[open]");
  const targets = [...(open ?? document).querySelectorAll("button, a[href]")].filter(visible)
    .map((node) => ({ node, box: node.getBoundingClientRect(), seen: clipped(node) })).filter((one) => one.seen);
  for (const { node, box } of targets) {
    if (box.width < 63.5 || box.height < 63.5) faults.push(`target ${box.width}x${box.height}: ${name(node)}`);
  }
  for (const [n, a] of targets.entries()) {
    for (const b of targets.slice(n + 1)) {
      const x = Math.max(a.seen.left - b.seen.right, b.seen.left - a.seen.right);
      const y = Math.max(a.seen.top - b.seen.bottom, b.seen.top - a.seen.bottom);
      if (Math.max(x, y) < 11.5) faults.push(`gap ${Math.max(x, y)}: ${name(a.node)} and ${name(b.node)}`);
    }
  }

  // Texts of one card must not lie over each other.
  const leaves = [...document.querySelectorAll(".view *, header *")].filter((node) => visible(node)
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  const boxes = leaves.map((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return { node, lines: [...range.getClientRects()], seen: clipped(node) };
  }).filter((one) => one.seen);
  // Nor be cut off sideways by the box that they are in.
  for (const { node, lines } of boxes) {
    for (let one = node.parentElement; one; one = one.parentElement) {
      if (getComputedStyle(one).overflowX === "visible") continue;
      const box = one.getBoundingClientRect();
      if (lines.some((line) => line.left < box.left - 1 || line.right > box.right + 1)) faults.push(`cut off: ${name(node)}`);
      break;
    }
  }
  for (const [n, a] of boxes.entries()) {
    for (const b of boxes.slice(n + 1)) {
      if (a.node.contains(b.node) || b.node.contains(a.node)) continue;
      const over = a.lines.some((p) => b.lines.some((q) =>
        Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4));
      const inView = a.seen.bottom - a.seen.top > 4 && b.seen.bottom - b.seen.top > 4;
      if (over && inView) faults.push(`overlap: ${name(a.node)} and ${name(b.node)}`);
    }
  }
  return { faults, measured, targets: targets.length };
}
