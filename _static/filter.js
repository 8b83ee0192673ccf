// Gives every table of class bp-filter a field: rows that lack one of the words typed are hidden.
// Without JavaScript there is the table, and nothing is missing from it.
(function () {
  "use strict";

  const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function equip(table, number) {
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    // Cells are joined with spaces, or the last word of one would run into the first of the next.
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());

    const form = document.createElement("div");
    form.className = "bp-filter-form";
    const label = document.createElement("label");
    label.textContent = "Show rows with ";
    label.htmlFor = `bp-filter-${number}`;
    const field = document.createElement("input");
    field.type = "search";
    field.id = label.htmlFor;
    field.autocomplete = "off";
    field.spellcheck = false;
    const count = document.createElement("span");
    count.setAttribute("role", "status");

    function filter() {
      const wanted = words(field.value);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !wanted.every((word) => texts[i].includes(word));
        shown += !row.hidden;
      });
      count.textContent = wanted.length ? ` ${shown} of ${rows.length}` : "";
    }

    field.addEventListener("input", filter);
    form.append(label, field, count);
    // A wide table scrolls in a frame; the field does not scroll with it.
    const frame = table.closest(".bp-frame") || table;
    frame.before(form);
  }

  document.querySelectorAll("table.bp-filter").forEach(equip);
})();
