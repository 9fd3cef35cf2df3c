// Runs before the first paint, so that the night never flashes white. Not a module: modules come too late.
(function () {
  function read(key) {
    try { return localStorage.getItem(key); } catch (_) { return null; }
  }
  var hour = new Date().getHours();
  document.documentElement.dataset.theme = read("ecc.theme") || (hour >= 7 && hour < 19 ? "day" : "night");
  document.documentElement.lang = read("ecc.lang") === "en" ? "en" : "zh-CN";
})();
