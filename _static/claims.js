// A filter above the lists of claims: by words, and by verdict.  Without it all of them are shown.
(function () {
  "use strict";

  // Whether a claim with this text and verdict is asked for: by all words, and by the verdict.
  function wanted(text, verdict, query, only) {
    const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const said = text.toLowerCase();
    return (only === "" || only === verdict) && words.every((word) => said.includes(word));
  }

  function start(page) {
    const lists = [...page.querySelectorAll("ul.bp-claims")];
    if (lists.length === 0) return;
    const claims = lists.flatMap((list) => [...list.children]);
    const verdictOf = (claim) => claim.querySelector(".bp-verdict").textContent;
    const verdicts = [...new Set(claims.map(verdictOf))];

    const form = page.createElement("form");
    form.className = "bp-claims-filter";
    form.innerHTML =
      '<label>Words <input type="search" autocomplete="off"></label>' +
      '<label>Verdict <select><option value="">any</option></select></label>' +
      '<output aria-live="polite"></output>';
    const [input, select, output] = ["input", "select", "output"].map((tag) => form.querySelector(tag));
    verdicts.forEach((verdict) => select.add(new Option(verdict, verdict)));

    function apply() {
      let count = 0;
      claims.forEach((claim) => {
        claim.hidden = !wanted(claim.textContent, verdictOf(claim), input.value, select.value);
        count += claim.hidden ? 0 : 1;
      });
      output.textContent = `${count} of ${claims.length} statements`;
    }

    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    // Above the first list's own section.
    (lists[0].closest("section") ?? lists[0]).before(form);
    apply();
  }

  if (typeof module === "object") module.exports = { wanted };
  else start(document);
})();
