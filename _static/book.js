// What is wider than its frame scrolls inside it, so the keyboard must reach that frame; and only
// such a frame: a page has fifty blocks of code, and most of them fit.
const frames = document.querySelectorAll(".bp-frame, .bp-figure, .highlight pre, .katex-display");

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) {
      target.setAttribute("tabindex", "0");
      target.setAttribute("role", "group");
      if (!target.hasAttribute("aria-label")) target.setAttribute("aria-label", "Scrolls sideways");
    } else {
      target.removeAttribute("tabindex");
    }
  }
});

// With its fonts a formula may be wider than without.
document.fonts.ready.then(() => {
  for (const frame of frames) sizes.observe(frame);
});
