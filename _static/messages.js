// Finds the entry of a pasted message: by the words it shares with each, rare words counting more.
// A message carries numbers, shapes and names that differ from program to program, so a search for
// all of its words finds nothing.
(() => {
  

  // What of a pasted text is the message: the lines that name an exception or a warning, and what
  // follows them, without the program's own lines in between.  All of it where no line does.
  const NAMED = /(?:^|\s)(?:\w+\.)*\w*(?:Error|Warning|Exception)\b/;
  const PROGRAM = /^\s*(?:Traceback|File ".*", line|[~^]+\s*$)/;

  function message(text) {
    const lines = text.split("\n");
    const first = lines.findIndex((line) => NAMED.test(line) && !/^\s+/.test(line));
    if (first < 0) return text;
    const kept = [];
    let inside = false;
    for (const line of lines.slice(first)) {
      if (NAMED.test(line) && !/^\s+/.test(line)) inside = true;
      else if (PROGRAM.test(line)) inside = false;
      if (inside) kept.push(line);
    }
    return kept.join("\n");
  }

  // The kind of exception or warning a message begins with, without its module.
  const kind = (text) => text.match(/(\w*(?:Error|Warning|Exception))\b\s*:/)?.[1];

  // The operation whose output was written to, if it is named: one of many, so it decides between
  // equals only.
  const WRITTEN = /(?:, which is output \d+ of (\w+?)(?:Backward\d*)?,)? is at version/i;

  const operation = (text) => {
    const found = text.match(WRITTEN);
    return found && (found[1] ?? "");
  };

  // The words of a text, without numbers, quotes and addresses; what an operator is called stays.
  function words(text) {
    return text
      .replace(WRITTEN, " is at version")
      .toLowerCase()
      .replace(/0x[0-9a-f]+/g, " ")
      .replace(/'[^']*'|"[^"]*"/g, (quoted) => quoted.replace(/[^a-z_ ]/g, " "))
      .match(/[a-z_]{2,}(?:\.[a-z_]+)*/g) ?? [];
  }

  // How much each word tells: those that stand in many messages tell little.
  function weigh(entries) {
    const found = new Map();
    for (const entry of entries) {
      for (const word of new Set(words(entry.message))) {
        found.set(word, (found.get(word) ?? 0) + 1);
      }
    }
    return (word) => Math.log(1 + entries.length / (found.get(word) ?? entries.length * 2));
  }

  // Entries that share enough with what was pasted, the best first.
  function search(text, entries, most = 5) {
    const weight = weigh(entries);
    const total = (set) => [...set].reduce((sum, word) => sum + weight(word), 0);
    const said = message(text);
    const pasted = new Set(words(said));
    if (pasted.size === 0) return [];
    const written = operation(said);
    return entries
      .map((entry) => {
        const own = new Set(words(entry.message));
        const shared = new Set([...own].filter((word) => pasted.has(word)));
        // A pasted traceback holds much that is no message; a part of a message lacks much of it.
        const whole = Math.min(total(own), total(pasted));
        const score = whole ? total(shared) / whole : 0;
        const other = kind(said) && kind(entry.message) && kind(said) !== kind(entry.message);
        const same = written !== null && written === operation(entry.message);
        return { entry, shared: shared.size, score: score * (other ? 0.7 : 1) * (same ? 1.01 : 1) };
      })
      .filter(({ shared, score }) => score >= 0.5 && shared >= Math.min(2, pasted.size))
      .sort((a, b) => b.score * Math.sqrt(b.shared) - a.score * Math.sqrt(a.shared))
      .slice(0, most)
      .map(({ entry }) => entry);
  }

  // The list on the page of the index: what matches comes first, the rest is hidden.
  function onIndex(box) {
    const list = document.querySelector(".bp-messages");
    const items = [...list.children];
    const entries = items.map((item) => ({ message: item.querySelector("code").textContent, item }));
    const field = box.querySelector("textarea");
    const said = box.querySelector(".bp-found");
    field.addEventListener("input", () => {
      const asked = field.value.trim() !== "";
      const found = asked ? search(field.value, entries).map((entry) => entry.item) : [];
      const shown = found.length ? [...found, ...items.filter((i) => !found.includes(i))] : items;
      shown.forEach((item) => {
        item.hidden = found.length > 0 && !found.includes(item);
        list.append(item);
      });
      if (!asked) said.textContent = "";
      else if (found.length === 0) said.textContent = "No message of the book has enough of these words; all are listed below.";
      else said.textContent = found.length === 1 ? "One message matches." : `${found.length} messages match, the best first.`;
    });
    box.hidden = false;
  }

  // The book's own search wants every word to match; above its results stands what matches best.
  function onResults(place) {
    const asked = new URLSearchParams(window.location.search).get("q") ?? "";
    if (words(asked).length < 3) return;
    const found = search(asked, window.bpMessages ?? [], 3);
    if (found.length === 0) return;
    const box = document.createElement("div");
    box.className = "bp-from-index";
    const title = document.createElement("p");
    title.textContent = "From the error index:";
    const list = document.createElement("ul");
    for (const { title: name, message, address } of found) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = address;
      link.textContent = name;
      const code = document.createElement("code");
      code.textContent = message;
      item.append(link, code);
      list.append(item);
    }
    box.append(title, list);
    place.before(box);
  }

  if (typeof module === "object") {
    module.exports = { words, search };
    return;
  }
  const box = document.querySelector(".bp-message-search");
  if (box) onIndex(box);
  const results = document.getElementById("search-results");
  if (results) onResults(results);
})();
