// Runs before the first paint, so that nobody in the dark is flashed with white. What it sets, src/data/prefs.ts keeps up to date.
(function () {
  var prefs = {};
  try {
    prefs = JSON.parse(localStorage.getItem("tandem.prefs") || "{}").state || {};
  } catch {
    // Then the system's theme it is.
  }
  var isDark = prefs.theme === "dark" || (prefs.theme !== "light" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  document.documentElement.dataset.density = prefs.density === "compact" ? "compact" : "comfortable";
})();
