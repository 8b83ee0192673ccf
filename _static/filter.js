// Gives every table of class bp-filter a field: rows that lack one of the words typed are hidden.
// Without JavaScript there is the table, and nothing is missing from it.
(function () {
  "use strict";

  // For each row, whether its text has every word that was typed.
  function matching(texts, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return texts.map((text) => words.every((word) => text.toLowerCase().includes(word)));
  }

  function equip(table, number) {
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    // Joined with spaces, or the last word of a cell would run into the first of the next.
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" "));

    const form = document.createElement("div");
    form.className = "bp-filter-form";
    const label = document.createElement("label");
    label.textContent = "Show rows with ";
    const field = document.createElement("input");
    field.type = "search";
    field.id = label.htmlFor = `bp-filter-${number}`;
    field.autocomplete = "off";
    field.spellcheck = false;
    const count = document.createElement("span");
    count.setAttribute("role", "status");

    field.addEventListener("input", () => {
      const shown = matching(texts, field.value);
      rows.forEach((row, i) => { row.hidden = !shown[i]; });
      const number = shown.filter(Boolean).length;
      count.textContent = field.value.trim() ? ` ${number} of ${rows.length}` : "";
    });
    form.append(label, field, count);
    // A wide table scrolls in a frame; the field does not scroll with it.
    (table.closest(".bp-frame") || table).before(form);
  }

  if (typeof module === "object") module.exports = { matching };
  else document.querySelectorAll("table.bp-filter").forEach(equip);
})();
