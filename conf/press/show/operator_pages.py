"""The pages of the operator reference, as Markdown made from the stored result of the check."""

import re
from collections import Counter
from collections.abc import Iterable
from html import escape

from press.show.tables import Markup, table

CHECKS = {
    "autograd": "autograd",
    "forward": "forward mode",
    "finite": "finite differences",
}
ASKED = {
    "float32": "float32", "float16": "float16", "bfloat16": "bfloat16", "complex64": "complex64",
    "mixed": "arguments of several dtypes", "infinite": "infinite cotangents",
    "extreme": "NaN, infinities and kinks", "twice": "its own derivative against double backward",
}  # fmt: skip
SHOWN_FAILURES = 10


def complaints(stored: dict) -> Iterable[str]:
    """What is wrong, a sentence each; of very many failures, the first of each operation."""
    failures = stored["failures"]
    first: dict[str, list[str]] = {}
    for failure in failures:
        first.setdefault(failure[0], failure)
    shown = failures if len(failures) <= SHOWN_FAILURES else list(first.values())
    for name, entry, label, check, argument, error in shown[:SHOWN_FAILURES]:
        against = CHECKS.get(check, check)
        yield f"the rule {name}, {entry}, {label}, argument {argument}, against {against}: {error}"
    if len(shown) > SHOWN_FAILURES:
        more = ", ".join(list(first)[SHOWN_FAILURES:])
        yield f"{len(failures)} failures in all; also of the rules {more}"
    for change in stored["changes"]:
        yield f"{change}; look at it, then run python -m press.trials.operators.run --summary"


def markdown(stored: dict, kind: str, name: str, reference: str) -> str:
    """What the directive ``operator-<kind>`` stands for."""
    results = stored["results"]
    if kind == "rules":
        shown = [r for r in results.values() if r["about"]["family"] == name]
        sections = [section(result, reference) for result in shown]
        helpers = {helper: text for r in shown for helper, text in r["about"]["helpers"].items()}
        if helpers:
            shared = listing(helpers.values())
            sections.append(f"(op-{name}-shared)=\n## What these rules share\n\n{shared}")
        return "\n\n".join(sections)
    if kind == "rule":
        about = results[name]["about"]
        return formula(results[name]) + listing([*about["helpers"].values(), about["code"]])
    if kind == "overview":
        return html(overview(stored))
    return totals(stored)


def section(result: dict, reference: str) -> str:
    """One operation: formula, code, derivation, marks."""
    about = result["about"]
    anchors = "".join(f'<span id="{escape(entry)}"></span>' for entry in about["entries"])
    names = ", ".join(
        linked(name, reference)
        for name in (*about["functions"], *about["methods"], *about["modules"])
    )
    facts = [f"**The rule reads** {about['saved']}.", f"**Domain:** {about['domain']}."]
    if about["kinks"] != "none":
        facts.append(f"**At kinks:** {about['kinks']}.")
    if about["source"] not in ("one line", "derived below"):
        facts.append(f"**Source:** {about['source']}.")
    parts = [
        f"({label(about['name'])})=\n## {about['name']}",
        html(anchors),
        names,
        formula(result),
        "\n".join(facts),
        code(result),
        about["derivation"],
        html(marks(result)),
        *sentences(result),
    ]
    return "\n\n".join(part for part in parts if part)


def label(name: str) -> str:
    """The label of a rule, for references from other pages.

    >>> label("floor, ceil")
    'op-floor-ceil'
    """
    return "op-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def formula(result: dict) -> str:
    return f"$$\n{result['about']['latex']}\n$$\n\n"


def code(result: dict) -> str:
    return listing([result["about"]["code"]])


def listing(parts: Iterable[str]) -> str:
    """Pieces of source, without the marks a formatter reads."""
    text = "\n\n\n".join(parts).replace("  # fmt: skip", "")
    # A comment of Markdown for `page.rules`: this code ran where the rule was checked.
    return f"% not run: the check of the rules ran it\n```python\n{text}\n```"


def html(text: str) -> str:
    """HTML as a block of a Markdown page."""
    return f"```{{raw}} html\n{text}\n```"


def linked(name: str, reference: str) -> str:
    """A name of PyTorch, with a link to its reference where it has a page of its own."""
    if "__" in name or ".special." in name or not reference:
        return f"`{name}`"
    return f"[`{name}`]({reference}generated/{name}.html)"


def marks(result: dict) -> str:
    """The three checks of a rule, by entry and dtype."""
    headers = ("samples and edge cases", *CHECKS.values(), "empty", "zero", "not finite")
    rows = []
    for entry, row in result["rows"].items():
        cells = [mark(row, check) for check in CHECKS]
        apart = [row["empty"], row["zero"], row["not finite"]]
        rows.append((f"{entry}: {row['samples']} + {row['edges']}", *cells, *apart))
    return table(headers, rows, "Cases compared, and the worst error", "bp-operator")


def mark(row: dict, check: str) -> Markup:
    """How often a check was made and its worst error; a dash where it was not made."""
    made = row["checks"][check]
    if any(failure[1] == check for failure in row["failed"]):
        return Markup('<span class="bp-mark-bad">✗</span>')
    if not made["made"]:
        return Markup("–")
    return Markup(f'<span class="bp-mark">✓</span> {made["made"]}, {error(made["worst"])}')


def error(worst: float) -> str:
    """A relative error, to one digit: exact is 0.

    >>> error(0.0), error(2.3e-16)
    ('0', '2e-16')
    """
    return "0" if worst == 0 else f"{worst:.0e}"


def sentences(result: dict) -> Iterable[str]:
    """What the table cannot say: what was left out and why, what disagrees, what is saved."""
    rows = result["rows"].values()
    for kind, said in (("declined", "Declined by the rule"), ("refused", "Refused by PyTorch")):
        for reason, times in _sum(row[kind] for row in rows).items():
            yield f"{said}, {cases(times)}: {reason}."
    for reason, times in _sum(row["differs"] for row in rows).items():
        check, _, why = reason.partition(": ")
        verb = "disagree" if CHECKS[check].endswith("s") else "disagrees"
        yield f"**{CHECKS[check].capitalize()} {verb}** with the rule in {cases(times)}: {why}."
    for check, title in CHECKS.items():
        skipped = _sum(row["checks"][check]["skipped"] for row in rows)
        told = {reason.partition(": ")[2] for row in rows for reason in row["differs"]}
        left = {reason: times for reason, times in skipped.items() if reason not in told}
        if left:
            listed = "; ".join(f"{reason} ({times})" for reason, times in left.items())
            yield f"Without {title}: {listed}."
    asked = _sum(row["asked"] for row in rows)
    if asked:
        listed = ", ".join(f"{ASKED[kind]} ({asked[kind]})" for kind in ASKED if asked[kind])
        yield f"Also compared: {listed}."
    if result["about"]["once"]:
        yield f"The rule is not to be differentiated: {result['about']['once']}."
    labels = list(dict.fromkeys(text for row in rows for text in row["labels"]))
    if labels:
        yield f"Edge cases: {'; '.join(labels)}."
    yield from (saved(measured) for measured in result["saved"])


def saved(measured: dict) -> str:
    """What PyTorch keeps for backward, as it was measured in one call."""
    call = f"For `({measured['call']})`"
    if not measured["tensors"]:
        return f"{call} PyTorch saves no tensor."
    listed = ", ".join(
        f"{name} {tuple(shape)}".replace(",)", ")") for name, shape, _ in measured["tensors"]
    )
    total = sum(size for _, _, size in measured["tensors"])
    return f"{call} PyTorch saves {listed}: {total:,} bytes of storage."


def overview(stored: dict) -> str:
    """One row a rule, for all families."""
    headers = ("operation", "family", *CHECKS.values(), "worst error", "apart")
    rows = []
    for result in stored["results"].values():
        about, found = result["about"], list(result["rows"].values())
        href = f"{about['family']}.html#{label(about['name'])}"
        names = about["name"].replace(",", " ").split()
        others = (name.removeprefix("torch.") for name in about["functions"][1:])
        also = ", ".join(name for name in others if name not in names)
        link = f'<a href="{href}"><code>{escape(about["name"])}</code></a>'
        more = f' <span class="bp-also">{escape(also)}</span>' if also else ""
        counts = [_overall(found, check) for check in CHECKS]
        apart = sum(row["empty"] + row["zero"] + row["not finite"] for row in found)
        apart += sum(sum(row["declined"].values()) for row in found)
        worst = max(row["checks"]["autograd"]["worst"] for row in found)
        family = stored["families"][about["family"]]
        rows.append((Markup(link + more), family, *counts, error(worst), apart))
    return table(headers, rows, "Every operation of the reference", "bp-operators", "bp-filter")


def _overall(rows: list[dict], check: str) -> Markup:
    made = sum(row["checks"][check]["made"] for row in rows)
    differs = sum(n for row in rows for why, n in row["differs"].items() if why.startswith(check))
    if any(failure[1] == check for row in rows for failure in row["failed"]):
        return Markup('<span class="bp-mark-bad">✗</span>')
    shown = f'<span class="bp-mark">✓</span> {made}' if made else "–"
    return Markup(shown + (f", ≠ {differs}" if differs else ""))


def totals(stored: dict) -> str:
    """How much was compared, in two sentences."""
    results = stored["results"].values()
    rows = [row for result in results for row in result["rows"].values()]
    names = {
        kind: {name for result in results for name in result["about"][kind]}
        for kind in ("functions", "methods", "modules")
    }
    made = {check: sum(row["checks"][check]["made"] for row in rows) for check in CHECKS}
    apart = {kind: sum(row[kind] for row in rows) for kind in ("empty", "zero", "not finite")}
    left = {kind: sum(sum(row[kind].values()) for row in rows) for kind in ("declined", "refused")}
    samples, edges = (sum(row[kind] for row in rows) for kind in ("samples", "edges"))
    asked = _sum(row["asked"] for row in rows)
    more = ", ".join(f"{asked[kind]:,} {said}" for kind, said in ASKED.items())
    called = sum(sum(result["called"].values()) for result in results)
    return (
        f"{len(results)} rules answer for {len(names['functions'])} functions, "
        f"{len(names['methods'])} methods and {len(names['modules'])} classes.\n"
        f"In this build, on PyTorch {stored['torch'].split('+')[0]}, they ran on {samples:,} of "
        f"PyTorch's samples and {edges:,} edge cases: {made['autograd']:,} were compared with "
        f"autograd, {made['forward']:,} with forward mode, {made['finite']:,} with finite "
        f"differences.\nApart from those, {apart['empty']:,} were empty, {apart['zero']:,} had a "
        f"gradient that is zero everywhere, {apart['not finite']:,} one that is not finite; "
        f"{left['declined']:,} were declined by a rule, {left['refused']:,} refused by PyTorch.\n"
        f"Every case was asked a second time with its numbers in another layout of memory, and a "
        f"rule that writes to what it is given fails.\n"
        f"Some were asked more: {more}; {called:,} calls were made by the other names.\n"
        f"A name, an option or a dtype that no case reached fails the build."
    )


def cases(times: int) -> str:
    return "1 case" if times == 1 else f"{times:,} cases"


def _sum(counts: Iterable[dict[str, int]]) -> Counter:
    total: Counter = Counter()
    for count in counts:
        total.update(count)
    return total
