// Gives every table of class bp-filter a field, and the lists of claims one with a choice of
// verdicts: what lacks one of the words typed is hidden.  Without JavaScript nothing is missing.
(() => {
  

  // For each text, whether it has every word that was typed.
  function matching(texts, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return texts.map((text) => words.every((word) => text.toLowerCase().includes(word)));
  }

  function labelled(words, field) {
    const label = document.createElement("label");
    label.append(`${words} `, field);
    return label;
  }

  // A form that hides items by their texts and, where they are of several kinds, by these.
  function form(items, texts, words, kinds = []) {
    const made = document.createElement("form");
    const field = document.createElement("input");
    const choice = document.createElement("select");
    const count = document.createElement("span");
    made.className = "bp-filter-form";
    field.type = "search";
    field.autocomplete = "off";
    field.spellcheck = false;
    count.setAttribute("role", "status");
    made.append(labelled(words, field));
    if (kinds.length > 0) {
      choice.add(new Option("any", ""));
      for (const kind of new Set(kinds)) choice.add(new Option(kind, kind));
      made.append(labelled("Verdict", choice));
    }
    made.append(count);

    made.addEventListener("input", () => {
      const has = matching(texts, field.value);
      const shown = items.filter((item, i) => {
        item.hidden = !has[i] || (choice.value !== "" && kinds[i] !== choice.value);
        return !item.hidden;
      });
      const asked = field.value.trim() || choice.value;
      count.textContent = asked ? `${shown.length} of ${items.length}` : "";
    });
    made.addEventListener("submit", (event) => event.preventDefault());
    return made;
  }

  function equip(table) {
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    // Joined with spaces, or the last word of a cell would run into the first of the next.
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" "));
    // A wide table scrolls in a frame; the field does not scroll with it.
    (table.closest(".bp-frame") ?? table).before(form(rows, texts, "Show rows with"));
  }

  function equipClaims(lists) {
    if (lists.length === 0) return;
    const claims = lists.flatMap((list) => [...list.children]);
    const kinds = claims.map((claim) => claim.querySelector(".bp-verdict").textContent);
    const texts = claims.map((claim) => claim.textContent);
    const made = form(claims, texts, "Show statements with", kinds);
    made.classList.add("bp-filter-stays");
    // Above the first list's own section.
    (lists[0].closest("section") ?? lists[0]).before(made);
  }

  if (typeof module === "object") {
    module.exports = { matching };
  } else {
    document.querySelectorAll("table.bp-filter").forEach(equip);
    equipClaims([...document.querySelectorAll("ul.bp-claims")]);
  }
})();
