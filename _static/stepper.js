// Steps through recorded passes: shows one item of each list at a time, and points at the drawing.
// conf/press/show/stepper.py writes the lists; what is shown is what stands there.
(() => {
  

  const WAIT = 1100; // milliseconds between two steps that play by themselves

  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const joined = (words) =>
    words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join("");

  // One drawing, and the list of what happened over it.
  class View {
    constructor(root, said) {
      this.root = root;
      this.said = said;
      this.opening = said.textContent;
      this.items = [...root.querySelectorAll(".bp-steps > li")];
      // Where each phase begins, counted from 0, and how many steps it has.
      this.phases = [];
      for (const list of root.querySelectorAll(".bp-steps")) {
        this.phases.push({ start: this.items.indexOf(list.firstElementChild), length: list.children.length });
      }
      this.formulas = new Map();
      for (const item of root.querySelectorAll(".bp-rules > li")) {
        this.formulas.set(item.dataset.name, item.querySelector(".bp-formula"));
      }
      this.boxes = this.boxesByNode();
      this.distinct = [...new Set(this.boxes)].filter(Boolean);
      this.edges = new Map();
      for (const part of root.querySelectorAll("svg [data-edge]")) {
        if (!this.edges.has(part.dataset.edge)) this.edges.set(part.dataset.edge, []);
        this.edges.get(part.dataset.edge).push(part);
      }
      this.marked = new Map(); // each part of the drawing that is marked, with its classes
      this.selected = new Set(); // the boxes of a line of code
    }

    // A line of the script this is a drawing of, where the page shows it.
    lineAt(number) {
      return number ? document.getElementById(`${this.root.dataset.code}-${number}`) : null;
    }

    // The line that recorded the node of this step, and the one that started the pass it is in.
    get lines() {
      const { now } = this;
      return [this.lineAt(now?.dataset.line), this.lineAt(now?.parentElement.dataset.line)];
    }

    // What each line of code on the page recorded: steps of the forward pass.
    recordedByLine() {
      const found = new Map();
      for (const item of this.items.slice(0, this.phases[0]?.length)) {
        const line = this.lineAt(item.dataset.line);
        if (!line) continue;
        if (!found.has(line)) found.set(line, []);
        found.get(line).push(item);
      }
      return found;
    }

    select(items) {
      for (const box of this.selected) box.classList.remove("bp-selected");
      this.selected = new Set(items.map((item) => this.boxOf(item)).filter(Boolean));
      for (const box of this.selected) box.classList.add("bp-selected");
    }

    // A box stands for one node, or where the drawing is folded for all from one to another.
    boxesByNode() {
      const boxes = [];
      for (const box of this.root.querySelectorAll("svg [data-node]")) {
        const [first, last = first] = box.dataset.node.split("-").map(Number);
        for (let node = first; node <= last; node += 1) boxes[node] = box;
      }
      return boxes;
    }

    boxOf(item) {
      return item?.dataset.node === undefined ? undefined : this.boxes[Number(item.dataset.node)];
    }

    partsOf(names) {
      return (names ?? "").split(" ").flatMap((name) => this.edges.get(name) ?? []);
    }

    // The item to show at a step of a phase; a drawing whose phase is shorter stays at its end.
    itemAt(phase, offset) {
      const { start, length } = this.phases[phase];
      return start + Math.min(offset, length - 1);
    }

    // Any step can be shown after any other; without a phase, what there is before the first.
    show(phase, offset, name) {
      const { items, said } = this;
      const at = phase < 0 || !this.phases[phase] ? -1 : this.itemAt(phase, offset);
      this.now = items[at];
      this.select([]);
      this.mark(phase, at);
      said.replaceChildren();
      if (!this.now) {
        said.textContent = this.opening;
        return;
      }
      const where = document.createElement("span");
      where.className = "bp-where";
      where.textContent = `${name}. `;
      said.append(where, ...this.now.cloneNode(true).childNodes);
      const formula = this.formulas.get(this.now.dataset.rule);
      if (formula) said.append(" Its rule is ", formula.cloneNode(true));
      this.sayLines();
    }

    sayLines() {
      const [made, called] = this.lines;
      const parts = [];
      if (made) parts.push(linkTo(made), called ? ", which recorded it" : "");
      if (made && called) parts.push(", and ");
      if (called) parts.push(linkTo(called), ", which runs it");
      if (parts.length === 0) return;
      const where = document.createElement("span");
      where.className = "bp-to-lines";
      where.append(" See ", ...parts, ".");
      this.said.append(where);
    }

    // What is marked now is compared with what was: so a large drawing changes in few places.
    mark(phase, at) {
      const forward = phase === 0;
      const wanted = new Map();
      const add = (part, name) => {
        if (!part) return;
        if (!wanted.has(part)) wanted.set(part, new Set());
        wanted.get(part).add(name);
      };
      const begun = at < 0 ? 0 : this.phases[phase].start;
      for (let i = begun; i <= at; i += 1) {
        const item = this.items[i];
        const state = i === at ? "bp-now" : "bp-done";
        const box = this.boxOf(item);
        add(box, state);
        if ("freed" in item.dataset) add(box, "bp-freed");
        for (const part of this.partsOf(item.dataset.edges)) add(part, state);
      }
      // Along which edges the cotangent came: where paths meet there are several.
      for (const part of this.partsOf(this.now?.dataset.from)) add(part, "bp-in");
      for (const [part, names] of this.marked) {
        for (const name of names) if (!wanted.get(part)?.has(name)) part.classList.remove(name);
      }
      for (const [part, names] of wanted) part.classList.add(...names);
      this.marked = wanted;
      // While the forward pass is recorded, what comes later is faint.
      for (const box of this.distinct) {
        const there = wanted.has(box) || box.classList.contains("bp-accumulate");
        box.classList.toggle("bp-later", forward && !there);
      }
      for (const parts of this.edges.values()) {
        for (const part of parts) part.classList.toggle("bp-later", forward && !wanted.has(part));
      }
    }
  }

  // A line of code on the page, by the number that its name ends in.
  const numberOf = (line) => line.id.slice(line.id.lastIndexOf("-") + 1);

  function linkTo(line) {
    const link = document.createElement("a");
    link.href = `#${line.id}`;
    link.textContent = `line ${numberOf(line)}`;
    return link;
  }

  // The lines of code of the page: which of them recorded nodes, and which the step shown is about.
  const code = {
    recorded: new Map(), // each line that recorded nodes: in which views, and there which steps
    marked: new Set(),

    add(stepper) {
      for (const view of stepper.views) {
        for (const [line, items] of view.recordedByLine()) {
          if (!this.recorded.has(line)) this.open(line);
          this.recorded.get(line).push({ stepper, view, items });
        }
      }
    },

    // Makes a line a button: focus marks what it recorded, and pressing it leads there.
    open(line) {
      this.recorded.set(line, []);
      line.classList.add("bp-recorded");
      line.tabIndex = 0;
      // A button holds no links; where names in the line are some, it is a group with keys.
      line.setAttribute("role", line.querySelector("a") ? "group" : "button");
      line.title = "Show the nodes that this line recorded";
      line.addEventListener("focus", () => this.select(line));
      line.addEventListener("click", (event) => {
        if (!event.target.closest("a")) this.goTo(line);
      });
      line.addEventListener("keydown", (event) => {
        if (event.target !== line || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault(); // the page would scroll
        this.goTo(line);
      });
    },

    select(line) {
      const shown = this.recorded.get(line);
      for (const stepper of steppers.values()) {
        stepper.select(line, shown.filter((each) => each.stepper === stepper));
      }
      this.mark([line], []);
    },

    goTo(line) {
      if (!window.getSelection().isCollapsed) return; // somebody copies the line
      this.select(line);
      const [{ stepper, view, items }] = this.recorded.get(line);
      stepper.keepInSight(view.boxOf(items[0]));
    },

    mark(made, called) {
      for (const line of this.marked) {
        line.classList.remove("bp-made", "bp-called");
        line.removeAttribute("aria-current");
      }
      for (const line of made) line.classList.add("bp-made");
      for (const line of called) line.classList.add("bp-called");
      this.marked = new Set([...made, ...called]);
      for (const line of this.marked) line.setAttribute("aria-current", "step");
    },
  };

  // The bar of buttons of one drawing, or of several that are stepped through together.
  class Stepper {
    constructor(root) {
      this.root = root;
      this.range = root.querySelector("input[type=range]");
      this.play = root.querySelector('[data-go="play"]');
      this.share = root.querySelector(".bp-share");
      this.phases = [...root.querySelectorAll(".bp-phase")];
      this.starts = this.phases.map((button) => Number(button.dataset.to));
      const said = root.querySelectorAll(".bp-said");
      this.views = [...root.querySelectorAll(".bp-view")].map((view, i) => new View(view, said[i]));
      this.length = Number(this.range.max);
      const longest = this.phases.map((_, phase) =>
        Math.max(...this.views.map((view) => view.phases[phase]?.length ?? 0)),
      );
      if (longest.reduce((sum, length) => sum + length, 0) !== this.length || this.length < 2) {
        throw new Error(`the recording of ${root.id} is not whole`);
      }
      this.at = 0;
      this.timer = undefined;
      this.show(0, false);
      this.listen();
      root.classList.add("bp-live");
    }

    listen() {
      const go = {
        first: () => this.show(0),
        back: () => this.show(this.at - 1),
        next: () => this.show(this.at + 1),
        last: () => this.show(this.length),
        play: () => this.toggle(),
      };
      this.root.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button?.dataset.go) {
          if (button.dataset.go !== "play") this.pause();
          go[button.dataset.go]();
        } else if (button?.dataset.to) {
          this.pause();
          this.show(Number(button.dataset.to));
        } else {
          const box = event.target.closest("svg [data-node]");
          if (box) this.toNode(box);
        }
      });
      this.range.addEventListener("input", () => {
        this.pause();
        this.show(Number(this.range.value));
      });
      this.root.addEventListener("keydown", (event) => {
        const keys = { ArrowRight: go.next, ArrowLeft: go.back, Home: go.first, End: go.last };
        if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in keys)) return;
        event.preventDefault(); // a range would move as well
        this.pause();
        keys[event.key]();
      });
      this.share.addEventListener("click", () => this.copy());
    }

    // From a box to the next step that is about it, or the first if there is none further on.
    toNode(box) {
      const view = this.views.find(({ root }) => root.contains(box));
      const about = [];
      for (let step = 1; step <= this.length; step += 1) {
        const [phase, offset] = this.placeOf(step);
        const item = view.phases[phase] && offset < view.phases[phase].length
          ? view.items[view.itemAt(phase, offset)] : undefined;
        if (item && view.boxOf(item) === box) about.push(step);
      }
      if (about.length === 0) return;
      this.pause();
      this.show(about.find((step) => step > this.at) ?? about[0]);
    }

    toggle() {
      if (this.timer !== undefined) return this.pause();
      if (this.at >= this.length) this.show(0);
      this.play.setAttribute("aria-pressed", "true");
      this.timer = setInterval(() => {
        this.show(this.at + 1);
        if (this.at >= this.length) this.pause();
      }, WAIT);
      this.show(this.at + 1);
    }

    pause() {
      clearInterval(this.timer);
      this.timer = undefined;
      this.play.setAttribute("aria-pressed", "false");
    }

    placeOf(step) {
      const phase = this.starts.findLastIndex((start) => start <= step);
      return [phase, phase < 0 ? 0 : step - this.starts[phase]];
    }

    show(step, byReader = true) {
      const to = Math.max(0, Math.min(step, this.length));
      this.at = to;
      const [phase, offset] = this.placeOf(to);
      const name = phase < 0 ? "" : `${this.phases[phase].textContent}, step ${offset + 1}`;
      for (const view of this.views) view.show(phase, offset, name);
      this.phases.forEach((button, i) => {
        button.setAttribute("aria-current", String(i === phase));
      });
      this.range.value = String(to);
      this.range.setAttribute("aria-valuetext", name || "not begun");
      this.share.href = `#${this.root.id}:${to}`;
      if (phase >= 0) {
        const button = this.phases[phase]; // on a phone they stand in a row that scrolls
        button.parentElement.scrollLeft = button.offsetLeft - button.parentElement.offsetLeft;
      }
      if (to > 0 || byReader) this.markLines();
      if (byReader) this.keepInSight(this.views[0].boxOf(this.views[0].now));
    }

    markLines() {
      const lines = this.views.map((view) => view.lines);
      const [made, called] = [0, 1].map((which) => lines.map((pair) => pair[which]).filter(Boolean));
      code.mark(made, called);
    }

    // The nodes that a line recorded, in each drawing that has some; elsewhere none.
    select(line, shown) {
      this.pause();
      for (const view of this.views) view.select([]);
      for (const { view, items } of shown) {
        view.select(items);
        const names = items.map((item) => item.querySelector("code").textContent);
        view.said.replaceChildren(linkTo(line), ` recorded ${joined(names)}: marked in the drawing.`);
        view.said.firstElementChild.textContent = `Line ${numberOf(line)}`;
      }
    }

    // A drawing larger than the window scrolls along, within its frame and with the page.
    keepInSight(box) {
      if (!box) return;
      const { top, bottom, left, right } = box.getBoundingClientRect();
      const frame = box.closest(".bp-frame").getBoundingClientRect();
      const bar = this.root.querySelector(".bp-controls").getBoundingClientRect();
      const low = Math.min(window.innerHeight, bar.top < window.innerHeight ? bar.top : Infinity);
      const aside = left >= frame.left && right <= frame.right;
      if (top >= 0 && bottom <= low && aside) return;
      box.scrollIntoView({ block: "center", inline: "nearest", behavior: still() ? "instant" : "smooth" });
    }

    copy() {
      const address = new URL(this.share.getAttribute("href"), window.location.href).href;
      navigator.clipboard?.writeText(address).then(
        () => {
          this.share.textContent = "Copied";
          setTimeout(() => (this.share.textContent = "Link"), 1500);
        },
        () => {}, // the address bar has it
      );
    }
  }

  const steppers = new Map();
  for (const root of document.querySelectorAll(".bp-stepper")) {
    try {
      const stepper = new Stepper(root);
      steppers.set(root.id, stepper);
      code.add(stepper);
    } catch (error) {
      // The drawing and the list stand, and say so; the bar would do nothing.
      root.classList.remove("bp-live");
      root.classList.add("bp-broken");
      console.error(error);
    }
  }

  function follow() {
    const found = window.location.hash.match(/^#([\w-]+):(\d+)$/);
    const stepper = found && steppers.get(found[1]);
    if (!stepper) return;
    stepper.show(Number(found[2]), false);
    stepper.root.scrollIntoView({ block: "start", behavior: "instant" });
  }

  window.addEventListener("hashchange", follow);
  follow();
})();
