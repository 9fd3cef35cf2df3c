// The page is named by the part of the address after "#/".
import { signal } from "../vendor/preact-signals-htm.js";

function read() {
  const [page, id] = location.hash.replace(/^#\//, "").split("/");
  return { page: ["devices", "runs"].includes(page) ? page : "home", id: id ? decodeURIComponent(id) : null };
}

export const route = signal(read());
addEventListener("hashchange", () => {
  route.value = read();
});
