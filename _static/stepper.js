// Steps through a recorded pass: shows one item of the list at a time, and points at the drawing.
// conf/extensions/stepper.py writes the list; what is shown is what stands there.
(function () {
  "use strict";

  const WAIT = 1100; // milliseconds between two steps that play by themselves

  class Stepper {
    constructor(root) {
      this.root = root;
      this.items = [...root.querySelectorAll(".bp-steps > li")];
      this.range = root.querySelector("input[type=range]");
      this.said = root.querySelector(".bp-said");
      this.opening = this.said.textContent;
      this.play = root.querySelector('[data-go="play"]');
      this.share = root.querySelector(".bp-share");
      this.phases = [...root.querySelectorAll(".bp-phase")];
      this.starts = this.phases.map((button) => Number(button.dataset.to));
      this.boxes = this.boxesByNode();
      this.edges = new Map();
      for (const part of root.querySelectorAll("svg [data-edge]")) {
        if (!this.edges.has(part.dataset.edge)) this.edges.set(part.dataset.edge, []);
        this.edges.get(part.dataset.edge).push(part);
      }
      this.at = 0;
      this.timer = undefined;
      this.listen();
      root.classList.add("bp-live");
      this.show(0, false);
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

    listen() {
      const go = {
        first: () => this.show(0),
        back: () => this.show(this.at - 1),
        next: () => this.show(this.at + 1),
        last: () => this.show(this.items.length),
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
      const about = this.items.flatMap((item, i) => (this.boxOf(item) === box ? [i + 1] : []));
      if (about.length === 0) return;
      this.pause();
      this.show(about.find((step) => step > this.at) ?? about[0]);
    }

    boxOf(item) {
      return item.dataset.node === undefined ? undefined : this.boxes[Number(item.dataset.node)];
    }

    toggle() {
      if (this.timer !== undefined) return this.pause();
      if (this.at >= this.items.length) this.show(0);
      this.play.setAttribute("aria-pressed", "true");
      this.timer = setInterval(() => {
        this.show(this.at + 1);
        if (this.at >= this.items.length) this.pause();
      }, WAIT);
      this.show(this.at + 1);
    }

    pause() {
      clearInterval(this.timer);
      this.timer = undefined;
      this.play.setAttribute("aria-pressed", "false");
    }

    phaseOf(step) {
      return this.starts.findLastIndex((start) => start <= step);
    }

    show(step, byReader = true) {
      const to = Math.max(0, Math.min(step, this.items.length));
      this.at = to;
      const phase = this.phaseOf(to);
      const begun = phase < 0 ? 0 : this.starts[phase];
      this.mark(to, phase, begun);
      this.items.forEach((item, i) => item.classList.toggle("bp-now", i === to - 1));
      this.phases.forEach((button, i) => button.setAttribute("aria-current", String(i === phase)));
      this.range.value = String(to);
      const name = phase < 0 ? "" : `${this.phases[phase].textContent}, step ${to - begun + 1}`;
      this.range.setAttribute("aria-valuetext", name || "not begun");
      this.said.replaceChildren();
      if (to === 0) {
        this.said.textContent = this.opening;
      } else {
        const where = document.createElement("span");
        where.className = "bp-where";
        where.textContent = `${name}. `;
        const copy = this.items[to - 1].cloneNode(true);
        this.said.append(where, ...copy.childNodes);
      }
      this.share.href = `#${this.root.id}:${to}`;
      if (byReader) this.keepInSight(this.boxOf(this.items[to - 1] ?? this.root));
    }

    // Everything drawn anew from the list: so any step can be shown after any other.
    mark(to, phase, begun) {
      const forward = phase === 0;
      const seen = this.items.slice(begun - 1, to);
      const recorded = new Set(forward ? seen.map((item) => this.boxOf(item)) : []);
      const isLeaf = (box) => box.classList.contains("bp-accumulate");
      for (const box of new Set(this.boxes)) {
        if (!box) continue;
        box.classList.remove("bp-now", "bp-done", "bp-freed", "bp-next");
        box.classList.toggle("bp-later", forward && !recorded.has(box) && !isLeaf(box));
      }
      for (const parts of this.edges.values()) {
        for (const part of parts) {
          part.classList.remove("bp-now", "bp-done");
          part.classList.toggle("bp-later", forward);
        }
      }
      seen.forEach((item, i) => {
        const state = i === seen.length - 1 ? "bp-now" : "bp-done";
        const box = this.boxOf(item);
        if (box) box.classList.add(state);
        if (box && "freed" in item.dataset) box.classList.add("bp-freed");
        for (const edge of (item.dataset.edges ?? "").split(" ").filter(Boolean)) {
          for (const part of this.edges.get(edge) ?? []) {
            part.classList.add(state);
            part.classList.remove("bp-later");
          }
        }
      });
    }

    // A drawing larger than the window scrolls along, within its frame and with the page.
    keepInSight(box) {
      if (!box?.getBoundingClientRect) return;
      const { top, bottom } = box.getBoundingClientRect();
      const bar = this.root.querySelector(".bp-controls").getBoundingClientRect();
      const low = Math.min(window.innerHeight, bar.top < window.innerHeight ? bar.top : Infinity);
      if (top >= 0 && bottom <= low) return;
      const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      box.scrollIntoView({ block: "center", inline: "nearest", behavior: still ? "auto" : "smooth" });
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
      steppers.set(root.id, new Stepper(root));
    } catch (error) {
      // The drawing and the list stand; the bar would do nothing.
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
    stepper.root.scrollIntoView({ block: "start" });
  }

  window.addEventListener("hashchange", follow);
  follow();
})();
