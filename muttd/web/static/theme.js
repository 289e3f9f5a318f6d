// Runs before the first paint, so that a chosen theme never flashes the other one.
// Not a module for that reason: modules wait until the page is parsed.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("muttd-theme");
  } catch {
    // Storage may be forbidden; then the system's theme it is.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
