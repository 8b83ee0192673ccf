// Compares what a reader types with the answer of an exercise, and says what is wrong with it.
// conf/press/show/answers.py computes the answers and writes the forms.
(() => {
  

  // --- Reading what was typed -----------------------------------------------------------------

  class Unreadable extends Error {}

  const FUNCTIONS = {
    sqrt: Math.sqrt, exp: Math.exp, log: Math.log, sin: Math.sin, cos: Math.cos,
    tan: Math.tan, tanh: Math.tanh, abs: Math.abs,
  };
  // What Python and PyTorch print around values.
  const WRAPPERS = new Set(["tensor", "size", "array", "list", "tuple", "shape"]);
  const WORDS = new Map([
    ["true", true], ["yes", true], ["false", false], ["no", false],
    ["none", null], ["null", null], ["nothing", null],
  ]);
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  // One way to write each character that has several.
  function plain(text) {
    return text
      .replace(/[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (power) =>
        `**(${[...power].map((c) => (c === "⁻" ? "-" : SUPERSCRIPTS.indexOf(c))).join("")})`)
      .normalize("NFKC")
      .replace(/[−‐‑‒–—]/g, "-")
      .replace(/[×·⋅∗]/g, "*")
      .replace(/[÷⁄∕]/g, "/")
      .replace(/[‘’]/g, "'")
      .replace(/[“”]/g, '"')
      .trim();
  }

  // What stands around an answer and is none of it: a name before it, a full stop after it.
  function bare(text) {
    return plain(text)
      .replace(/^`+|`+$/g, "")
      .replace(/^[a-z_][\w.]*(?:\[\w*\]|\(\))?\s*={1,2}\s*/i, "")
      .replace(/,?\s*\b(?:dtype|grad_fn|requires_grad|device)\s*=\s*(?:<[^>]*>|[\w.:'"]+)/g, "")
      .replace(/[\s.;,!]+$/, "");
  }

  const TOKEN = /(\s*)(?:((?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)|([a-z_π][\w.]*)|"([^"]*)"|'([^']*)'|(\*\*|[-+*/^()[\]{},;]))/giy;

  function tokens(text) {
    const found = [];
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const match = TOKEN.exec(text);
      if (!match) throw new Unreadable();
      const [, space, number, name, double, single, mark] = match;
      const after = text[TOKEN.lastIndex];
      found.push({
        number: number && Number(number.replaceAll("_", "")),
        name: name?.toLowerCase(),
        word: double ?? single,
        mark,
        // A sign that belongs to what follows, as in "2 -1".
        sign: space !== "" && after !== undefined && !/\s/.test(after),
      });
    }
    return found;
  }

  // Numbers, True, False, None, words, and lists of them; 1/3, 2**50 and sqrt(2) are computed.
  function read(text) {
    const rest = tokens(bare(text));
    let at = 0;
    const is = (...marks) => at < rest.length && marks.includes(rest[at].mark);
    const numeric = (...values) => {
      if (!values.every((value) => typeof value === "number")) throw new Unreadable();
    };

    function sequence(end) {
      const items = [];
      let commas = false;
      while (at < rest.length && (end === undefined || !is(end))) {
        if (is(",", ";")) {
          commas = true;
          at += 1;
        } else if (is(")", "]", "}")) {
          throw new Unreadable();
        } else {
          items.push(sum());
        }
      }
      if (end !== undefined) {
        if (!is(end)) throw new Unreadable();
        at += 1;
      }
      return { items, commas };
    }

    function sum() {
      let value = product();
      while (is("+", "-") && !rest[at].sign) {
        const minus = rest[at].mark === "-";
        at += 1;
        const other = product();
        numeric(value, other);
        value += minus ? -other : other;
      }
      return value;
    }

    function product() {
      let value = signed();
      while (is("*", "/")) {
        const divide = rest[at].mark === "/";
        at += 1;
        const other = signed();
        numeric(value, other);
        value = divide ? value / other : value * other;
      }
      return value;
    }

    function signed() {
      if (!is("+", "-")) return power();
      const minus = rest[at].mark === "-";
      at += 1;
      const value = signed();
      numeric(value);
      return minus ? -value : value;
    }

    function power() {
      const base = item();
      if (!is("**", "^")) return base;
      at += 1;
      const exponent = signed();
      numeric(base, exponent);
      return base ** exponent;
    }

    function item() {
      const token = rest[at];
      if (token === undefined) throw new Unreadable();
      at += 1;
      if (token.number !== undefined) return token.number;
      if (token.word !== undefined) return token.word;
      if (token.mark === "(") {
        const { items, commas } = sequence(")");
        return items.length === 1 && !commas ? items[0] : items;
      }
      if (token.mark === "[") return sequence("]").items;
      if (token.mark === "{") return sequence("}").items;
      if (token.name === undefined) throw new Unreadable();
      const name = token.name.replace(/^.*\./, "");
      if (is("(")) {
        at += 1;
        const { items } = sequence(")");
        if (name in FUNCTIONS && items.length === 1) {
          numeric(items[0]);
          return FUNCTIONS[name](items[0]);
        }
        if (WRAPPERS.has(name)) return items.length === 1 ? items[0] : items;
        throw new Unreadable();
      }
      if (WORDS.has(name)) return WORDS.get(name);
      if (name === "pi" || name === "π") return Math.PI;
      return token.name;
    }

    const { items, commas } = sequence();
    if (items.length === 0) throw new Unreadable();
    return items.length === 1 && !commas ? items[0] : items;
  }

  // The words of a list of words: separated by commas if there are any, else by spaces.
  function words(text) {
    const inside = bare(text).replace(/^[a-z.]*\s*[[({]+|[\])}]+$/gi, "").trim();
    if (inside === "") return [];
    const between = /[,;\n]|->|→/.test(inside) ? /\s*(?:[,;\n]|->|→)\s*/ : /\s+/;
    return inside.split(between).filter((word) => word !== "");
  }

  const COUNTS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen " +
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty").split(" ");
  const MULTIPLES = {
    k: 1e3, kb: 1e3, thousand: 1e3, million: 1e6, mb: 1e6, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30,
    percent: 0.01, "%": 0.01,
  };
  // A bound, a denial or a choice is no answer, though a number stands in it.
  const HEDGES = /\b(?:not|no|never|less|more|fewer|under|over|least|most|about|between|or|than|isn't)\b/;

  // The numbers of an answer in words, such as "301 nodes", "10 and 5" or "three of them".
  function numbersIn(text, thousands) {
    let left = plain(text).toLowerCase();
    if (HEDGES.test(left)) return undefined;
    if (thousands) left = left.replace(/\b\d{1,3}(?:,\d{3})+\b/g, (number) => number.replaceAll(",", ""));
    left = left.replace(/[a-z_][\w.]*\s*[=:]\s*/g, " ");
    const found = [];
    const counts = [];
    // A number or a fraction or a power, a word, what separates them; anything else is no such answer.
    const part = /\s*(?:([-+]?[\d.][\d_.]*(?:e[-+]?\d+)?(?:(?:\/|\*\*|\^)\(?[-+]?[\d.]+\)?)?)(?![\w*/^])|(%|[a-z_][\w.'-]*)(?!\()|[,;.()[\]`]|$)/gy;
    while (part.lastIndex < left.length) {
      const match = part.exec(left);
      if (!match) return undefined;
      const [, number, word] = match;
      if (number !== undefined) {
        let value;
        try {
          value = read(number);
        } catch {
          return undefined;
        }
        if (typeof value !== "number") return undefined;
        found.push(value);
      } else if (word !== undefined) {
        if (word in MULTIPLES && found.length) found.push(found.pop() * MULTIPLES[word]);
        else if (COUNTS.includes(word)) counts.push(COUNTS.indexOf(word));
      }
    }
    // Without a word it is for the usual reading to say what it is.
    const words = /[a-z%]/.test(left) || (thousands && left !== plain(text).toLowerCase());
    return !words ? undefined : found.length ? found : counts;
  }

  // An einsum's equation, without what may stand around it; undefined for anything else.
  function equation(text) {
    const line = plain(text).replace(/→/g, "->");
    const inner = line.match(/einsum\(\s*["'`]([^"'`]*)["'`]/)?.[1] ?? line.replace(/^["'`\s]+|["'`\s]+$/g, "");
    const short = inner.replace(/\s+/g, "");
    return /^(?:[a-z]|\.{3}|,)*->(?:[a-z]|\.{3})*$/i.test(short) ? short : undefined;
  }

  // The equation with its letters in the order of the alphabet: that of all that compute the same.
  function renamed(short) {
    const letters = [];
    return short.replace(/[a-z]/gi, (letter) => {
      if (!letters.includes(letter)) letters.push(letter);
      return String.fromCharCode(97 + letters.indexOf(letter));
    });
  }

  // The same equation with "..." for letters that all of its terms begin with.
  function shortened(short) {
    const terms = short.split(/,|->/);
    let common = 0;
    while (terms.every((term) => /[a-z]/i.test(term[common] ?? "") && term[common] === terms[0][common])) common += 1;
    const found = [renamed(short)];
    for (let from = 0; from < common; from += 1) {
      for (let to = from + 1; to <= common; to += 1) {
        const term = (one) => (one === "" ? "" : `${one.slice(0, from)}...${one.slice(to)}`);
        const sides = short.split("->").map((side) => side.split(",").map(term).join(","));
        found.push(renamed(sides.join("->")));
      }
    }
    return found;
  }

  // The same as normal() in conf/press/show/answers.py.
  function normal(text) {
    return text
      .normalize("NFKC")
      .toLowerCase()
      .replace(/\s*(?:[,;]|->|→)\s*/g, " ")
      .replace(/[\s"'`‘’“”<>]+/g, " ")
      .trim()
      .replace(/[.,;!]+$/, "")
      .trim()
      .replace(/(?<![\w])torch\./g, "");
  }

  // --- Comparing it ---------------------------------------------------------------------------

  const flat = (value) => (Array.isArray(value) ? value.flatMap(flat) : [value]);
  const isNumber = (value) => typeof value === "number";

  function tolerant(kept, tolerance) {
    const sizes = flat(kept.value).filter(isNumber).map(Math.abs);
    const slack = Math.max(1e-12, ...sizes.map((size) => 1e-6 * size));
    return (given, wanted) =>
      Math.abs(given - wanted) <=
      (kept.exact ? 1e-12 * Math.abs(wanted) : slack + tolerance * Math.abs(wanted));
  }

  function same(given, wanted, close) {
    if (Array.isArray(given) && Array.isArray(wanted)) {
      return given.length === wanted.length && given.every((g, i) => same(g, wanted[i], close));
    }
    if (isNumber(given) && isNumber(wanted)) return close(given, wanted);
    if (typeof given === "string" && typeof wanted === "string") {
      const [one, other] = [equation(given), equation(wanted)];
      if (one !== undefined && other !== undefined) {
        return shortened(one).includes(renamed(other)) || shortened(other).includes(renamed(one));
      }
      return normal(given) === normal(wanted);
    }
    return given === wanted;
  }

  // What was typed, read as an answer of the kind of ``wanted``; undefined where it cannot be.
  function readAs(text, wanted) {
    if (typeof wanted === "string") {
      if (equation(wanted) !== undefined && equation(text) !== undefined) return text;
      return bare(text) === "" ? undefined : bare(text);
    }
    if (Array.isArray(wanted) && wanted.some((part) => typeof part === "string")) {
      return words(text).map((word, i) => {
        if (typeof wanted[i] === "string") return word;
        return readAs(word, 0);
      });
    }
    try {
      const thousands = typeof wanted === "number" && /^\s*-?\d{1,3}(,\d{3})+\s*$/.test(text);
      return read(thousands ? text.replaceAll(",", "") : text);
    } catch (error) {
      if (error instanceof Unreadable || error instanceof RangeError) return undefined;
      throw error;
    }
  }

  // All that what was typed may mean: with commas in large numbers, and with words around them.
  function readings(text, wanted) {
    const found = [readAs(text, wanted)];
    const numbers = isNumber(wanted) || (Array.isArray(wanted) && wanted.length && wanted.every(isNumber));
    for (const thousands of numbers ? [false, true] : []) {
      const values = numbersIn(text, thousands);
      if (values === undefined) continue;
      if (Array.isArray(wanted) && values.length > 1) found.push(values);
      else if (!Array.isArray(wanted) && values.length === 1) found.push(values[0]);
    }
    return found.filter((given) => given !== undefined);
  }

  function matches(text, kept, tolerance) {
    const close = tolerant(kept, tolerance);
    return readings(text, kept.value).some((given) => same(given, kept.value, close));
  }

  // What to speak about: the first reading that is of numbers where numbers are asked for.
  function meant(text, wanted) {
    const found = readings(text, wanted);
    return found.find((given) => flat(given).every(isNumber)) ?? found[0];
  }

  // --- Saying what is wrong -------------------------------------------------------------------

  const FORMS = {
    number: "A number is asked for, such as 3, -0.5, 1e-3 or 1/3.",
    bool: "The answer is True or False.",
    none: "A word is asked for.",
    words: "A list of words is asked for, separated by commas.",
    numbers: "A list of numbers is asked for, such as [2, -1, 0.5].",
    nested: "A list of rows is asked for, such as [[1, 2], [3, 4]].",
    values: "A list is asked for, such as [1, None, True].",
  };

  function kind(value) {
    if (Array.isArray(value)) {
      if (value.some(Array.isArray)) return "nested";
      if (value.every(isNumber)) return "numbers";
      return value.some((part) => typeof part === "string") ? "words" : "values";
    }
    if (isNumber(value)) return "number";
    if (typeof value === "boolean") return "bool";
    return value === null ? "none" : "word";
  }

  const SMALL = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
  const count = (n) => SMALL[n] ?? String(n);
  const counted = (n, thing) => `${count(n)} ${thing}${n === 1 ? "" : "s"}`;
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const PARTS = { 2: "half", 3: "a third of", 4: "a quarter of", 10: "a tenth of" };

  // "twice", "a third of", "1.41 times": undefined for 1.
  function times(ratio, anyRatio) {
    const size = Math.abs(ratio);
    const near = (value) => Math.abs(value - Math.round(value)) < 1e-3 && Math.round(value) > 1;
    const sign = ratio < 0 ? ", with the opposite sign," : "";
    if (near(size) && (anyRatio || Math.round(size) <= 12 || /^10+$/.test(Math.round(size)))) {
      const n = Math.round(size);
      return (n === 2 ? "twice" : `${n} times`) + sign;
    }
    if (near(1 / size) && (anyRatio || Math.round(1 / size) <= 12)) {
      const n = Math.round(1 / size);
      return (PARTS[n] ?? `1/${n} of`) + sign;
    }
    return anyRatio && Math.abs(size - 1) > 1e-3 ? `${Number(size.toPrecision(3))} times${sign}` : undefined;
  }

  // The one number by which all of ``wanted`` were multiplied, if there is one.
  function ratioOf(given, wanted) {
    const ratios = [];
    for (let i = 0; i < wanted.length; i += 1) {
      if (wanted[i] === 0 && given[i] === 0) continue;
      if (wanted[i] === 0 || given[i] === 0) return undefined;
      ratios.push(given[i] / wanted[i]);
    }
    const [first] = ratios;
    const constant = ratios.every((ratio) => Math.abs(ratio / first - 1) < 1e-3);
    return first !== undefined && Number.isFinite(first) && constant ? first : undefined;
  }

  const EXACTLY = "Close, but whole numbers are asked for exactly; powers such as 2**10 are understood.";
  const MORE_DIGITS = "Close, but not close enough: give four digits, or a fraction.";
  const nearly = (given, wanted) => Math.abs(given - wanted) <= 0.05 * Math.abs(wanted);

  function aboutNumber(given, kept, close) {
    const wanted = kept.value;
    if (kept.exact && Math.abs(given - wanted) === 1) {
      return given > wanted ? "One too many." : "One too few.";
    }
    if (wanted !== 0 && close(-given, wanted)) return "The sign is flipped.";
    if (nearly(given, wanted)) return kept.exact ? EXACTLY : MORE_DIGITS;
    const ratio = ratioOf([given], [wanted]);
    const factor = ratio !== undefined && times(ratio, false);
    if (factor) return `That is ${factor} what it should be.`;
    if (wanted !== 0 && close(1 / given, wanted)) return "That is the reciprocal of what is asked for.";
    return undefined;
  }

  function isPermutation(given, wanted, close) {
    const rest = [...wanted];
    return given.every((value) => {
      const i = rest.findIndex((other) => same(value, other, close));
      if (i < 0) return false;
      rest.splice(i, 1);
      return true;
    });
  }

  function transposed(rows) {
    const regular = rows.every((row) => Array.isArray(row) && row.length === rows[0].length);
    return regular && rows.length ? rows[0].map((_, j) => rows.map((row) => row[j])) : undefined;
  }

  function lengths(value) {
    return Array.isArray(value) ? [value.length, ...(value.length ? lengths(value[0]) : [])] : [];
  }

  function aboutLists(given, kept, close) {
    const wanted = kept.value;
    const thing = kind(wanted) === "words" ? "word" : flat(wanted).every(isNumber) ? "number" : "value";
    if (!Array.isArray(given)) {
      if (wanted.length === 0) return "An empty list is written [].";
      if (wanted.length === 1 && same(given, wanted[0], close)) {
        return `The ${thing} is right; write it as a list of one, [${given}].`;
      }
      const part = flat(wanted).some((value) => same(given, value, close));
      return part
        ? `That is one of the ${thing}s of the list; ${count(flat(wanted).length)} are asked for.`
        : undefined;
    }
    const flip = transposed(wanted);
    if (flip && same(given, flip, close)) return "The numbers are right, but rows and columns are exchanged.";
    const [ours, theirs] = [flat(wanted), flat(given)];
    if (ours.length === theirs.length && String(lengths(given)) !== String(lengths(wanted))) {
      const shape = `(${lengths(wanted).join(", ")}${lengths(wanted).length === 1 ? "," : ""})`;
      return same(theirs, ours, close)
        ? `The ${thing}s are right; they are asked for in the shape ${shape}.`
        : `A list of the shape ${shape} is asked for.`;
    }
    if (ours.length !== theirs.length) {
      if (theirs.length && theirs.length < ours.length && isPermutation(theirs, ours, close)) {
        const missing = ours.length - theirs.length;
        return `What you give belongs to it; ${count(missing)} more ${missing === 1 ? "is" : "are"} missing.`;
      }
      if (ours.length && isPermutation(ours, theirs, close)) {
        return `All of it is there, and ${counted(theirs.length - ours.length, thing)} too many.`;
      }
      return `${capital(counted(ours.length, thing))} ${ours.length === 1 ? "is" : "are"} asked for; you give ${count(theirs.length)}.`;
    }
    if (same([...theirs].reverse(), ours, close)) {
      return `The ${thing}s are right, but in the reverse order.`;
    }
    if (isPermutation(theirs, ours, close)) return `The ${thing}s are right, but in another order.`;
    if (ours.every(isNumber) && theirs.every(isNumber)) {
      if (theirs.every((value, i) => nearly(value, ours[i]))) return kept.exact ? EXACTLY : MORE_DIGITS;
      if (same(theirs.map((value) => -value), ours, close)) return "Every sign is flipped.";
      if (same(theirs.map(Math.abs), ours.map(Math.abs), close)) {
        return "The sizes are right, but not all signs are.";
      }
      const ratio = ratioOf(theirs, ours);
      const factor = ratio !== undefined && ours.filter((value) => value !== 0).length > 1 && times(ratio, true);
      if (factor) return `Every number is ${factor} what it should be.`;
    }
    const right = ours.map((value, i) => same(theirs[i], value, close));
    const hits = right.filter(Boolean).length;
    if (hits > 0 && hits === ours.length - 1) {
      return `All but one of the ${count(ours.length)} ${thing}s are right; look at number ${right.indexOf(false) + 1}.`;
    }
    if (hits > 0) {
      return `${capital(count(hits))} of the ${count(ours.length)} ${thing}s ${hits === 1 ? "is" : "are"} right.`;
    }
    return undefined;
  }

  function distance(a, b) {
    let row = [...Array(b.length + 1).keys()];
    for (let i = 1; i <= a.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= b.length; j += 1) {
        next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
      }
      row = next;
    }
    return row[b.length];
  }

  function aboutWord(given, wanted) {
    const [a, b] = [normal(given), normal(wanted)];
    return b.length > 4 && distance(a, b) <= Math.max(1, Math.floor(b.length / 6))
      ? "Nearly; check how it is spelt."
      : undefined;
  }

  // The kind of form that is wanted, where something of another form was typed.
  function aboutForm(text, given, kept) {
    const wanted = kept.value;
    const form = FORMS[kind(wanted)];
    if (given === undefined) return form;
    const numbers = flat(given).filter(isNumber);
    if (numbers.some((value) => !Number.isFinite(value))) return "The answer is finite.";
    if (isNumber(wanted)) {
      if (Array.isArray(given)) {
        return given.length === 2 && given.every(isNumber) && /^\s*-?\d+,\d+\s*$/.test(text)
          ? "One number is asked for; write a decimal point for a decimal comma."
          : "One number is asked for, and that is a list.";
      }
      return isNumber(given) ? undefined : form;
    }
    if (typeof wanted === "boolean") return typeof given === "boolean" ? undefined : form;
    if (Array.isArray(wanted) && flat(wanted).every(isNumber)) {
      return flat(given).every(isNumber) ? undefined : form;
    }
    return undefined;
  }

  // What to say to ``text``: its state is "right", "wrong" or "form", and ``html`` or ``say``.
  function judge(text, question) {
    const { right, wrong, tolerance } = question;
    if (bare(text) === "") return { state: "form", say: "Type your answer first." };
    if (matches(text, right, tolerance)) return { state: "right", say: "Right." };
    const known = wrong.find((kept) => matches(text, kept, tolerance));
    if (known) return { state: "wrong", html: known.say };
    const given = meant(text, right.value);
    const form = aboutForm(text, given, right);
    if (form) return { state: "form", say: form };
    const close = tolerant(right, tolerance);
    let hint;
    if (Array.isArray(right.value)) hint = aboutLists(given, right, close);
    else if (isNumber(right.value)) hint = aboutNumber(given, right, close);
    else if (typeof right.value === "string") hint = aboutWord(given, right.value);
    return { state: "wrong", say: hint ?? "Not this." };
  }

  // --- The forms of a page --------------------------------------------------------------------

  function decode(hidden) {
    const bytes = Uint8Array.from(atob(hidden), (letter) => letter.charCodeAt(0) ^ 0x5a);
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  function start(page) {
    page.querySelectorAll("form.bp-answer").forEach((form) => {
      const question = decode(form.dataset.answer);
      const input = form.querySelector("input");
      const said = form.querySelector(".bp-answer-said");
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const { state, say, html } = judge(input.value, question);
        form.dataset.state = state;
        input.setAttribute("aria-invalid", String(state !== "right"));
        if (html === undefined) said.textContent = say;
        else said.innerHTML = html; // from this page, rendered when it was built
      });
      input.addEventListener("input", () => {
        delete form.dataset.state;
        input.removeAttribute("aria-invalid");
        said.textContent = "";
      });
      form.hidden = false;
    });
  }

  if (typeof module === "object") module.exports = { read, words, normal, judge, decode, start };
  else start(document);
})();
