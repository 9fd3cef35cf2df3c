// Reading over HTTP. Only presses write, and they live in press.js.
const TIMEOUT_MS = 4000;

/** The JSON of a GET, or null if it could not be had; `missing` (404) comes back as undefined. */
export async function get(path, timeout = TIMEOUT_MS) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  try {
    const answer = await fetch(path, { signal: stop.signal, cache: "no-store", headers: { Accept: "application/json" } });
    if (answer.status === 404) return undefined;
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
