// On a wall that shows the panel for years (?kiosk): the page moves by a few pixels now and then, so that no edge
// burns into the screen. Too little to be noticed, too slow to disturb a finger.
const EVERY_MS = 90_000;
const PLACES = [[0, 0], [2, 0], [2, 2], [0, 2], [-2, 2], [-2, 0], [-2, -2], [0, -2], [2, -2]];

if (new URLSearchParams(location.search).has("kiosk")) {
  const move = () => {
    const [x, y] = PLACES[Math.floor(Date.now() / EVERY_MS) % PLACES.length];
    const app = document.getElementById("app");
    app.style.position = "relative";
    app.style.left = `${x}px`;
    app.style.top = `${y}px`;
  };
  move();
  setInterval(move, EVERY_MS);
}
