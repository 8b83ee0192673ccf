// The theme a reader chose, before anything is painted: the theme's own line, which it writes into
// each page, where a strict policy for scripts would refuse it.
document.body.dataset.theme = "auto";
try {
  document.body.dataset.theme = localStorage.getItem("theme") || "auto";
} catch {
  // Storage is switched off.
}
