"""Show what was compared in this build: below a block, for a script, and for the whole book."""

import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press import kept
from press.fences import NOTHING, Needs, directive, named_script
from press.judge.gates import GATES
from press.observed.comparison import BY_HAND, FACTOR, Comparison
from press.observed.records import Observed
from press.observed.totals import Totals, observations
from press.show.directive import ObservedDirective
from press.show.embed import page_of
from press.show.tables import Markup, raw, table

# A table with more rows is folded, and its totals are the line that opens it.
MOST_ROWS = 8
HEADERS = (
    "name",
    "kind",
    "shape",
    "largest error",
    "allowed",
    f"error when replayed ×\u00a0{FACTOR}",
)


@directive("verified", Needs(scripts=named_script))
class Verified(ObservedDirective):
    """The comparisons of a script; ``:lines: a-b`` restricts them to those made there."""

    option_spec = {"lines": directives.unchanged_required}

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        compared = list(observed.comparisons)
        if "lines" in self.options:
            first, last = map(int, self.options["lines"].split("-"))
            compared = [c for c in compared if first <= c.line <= last]
        if not compared:
            raise self.error(f"{self.arguments[0]} compares nothing there")
        caption = "Verified in this build"
        html = _table(compared, caption, "bp-verified")
        if len(_groups(compared)) > MOST_ROWS:
            html = _folded(f"{caption}: {_in_short(compared)}", html, "bp-verified-fold")
        return [raw(html)]


@directive("ledger", NOTHING)
class LedgerDirective(SphinxDirective):
    """Every comparison made in this build, or with ``:totals:`` only how many there were."""

    option_spec = {"totals": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["ledger"] = _digest()
        observed_by_script = observations()
        parts: list[nodes.Node] = [self._sum(Totals.of(observed_by_script))]
        if "totals" in self.options:
            return parts
        for script, observed in observed_by_script:
            name = script.removeprefix("examples/").removesuffix(".py")
            compared = observed.comparisons
            if compared:
                table_of_script = _table(compared, name, "bp-verified")
                parts.append(raw(_folded(f"{name}: {len(compared)}", table_of_script)))
        return parts

    def _sum(self, totals: Totals) -> nodes.paragraph:
        """The totals as a sentence, with a link to the page of the worst error."""
        sentence = nodes.paragraph(
            "",
            f"{totals.scripts:,} scripts made {totals.by_hand:,} comparisons of a gradient by hand "
            f"with autograd, and {totals.equalities:,} of other values that have to be equal.",
        )
        if totals.worst_in:
            sentence += nodes.Text(f" The largest error by hand is {totals.worst:.2g}, in ")
            name = totals.worst_in.removeprefix("examples/").removesuffix(".py")
            words = nodes.literal("", f"{name.rpartition('/')[2]}.py")
            page = page_of(name, self.env.docname, words)
            self.set_source_info(page)
            sentence += [page, nodes.Text(".")]
        return sentence


@directive("gates", NOTHING)
class GatesDirective(SphinxDirective):
    """What fails a build, as the code that fails it lists it."""

    def run(self) -> list[nodes.Node]:
        rows = [(Markup(f"<code>{gate}</code>"), what) for gate, what in GATES.items()]
        headers = ("gate", "the build fails when")
        return [raw(table(headers, rows, "What fails a build", "bp-gates"))]


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages with a ledger, when any script was executed since they were read."""
    return kept.outdated(env, "ledger", _digest)


def _digest() -> str:
    digest = hashlib.sha256()
    for script, observed in observations():
        digest.update(repr((script, observed.comparisons)).encode())
    return digest.hexdigest()


def _table(compared: Sequence[Comparison], caption: str, css: str) -> str:
    """One row a name: where a call is repeated, how often, and the worst of its errors."""
    return table(HEADERS, [_row(group) for group in _groups(compared)], caption, css)


def _groups(compared: Sequence[Comparison]) -> list[list[Comparison]]:
    """What is one row: the same comparison in a loop, or of each item of two lists."""
    groups: dict[tuple, list[Comparison]] = {}
    for c in compared:
        groups.setdefault((c.line, c.kind, _name(c)), []).append(c)
    return list(groups.values())


def _name(comparison: Comparison) -> str:
    """The name without the place in a list, which stands in brackets after an equality."""
    if comparison.kind == BY_HAND:
        return comparison.name
    return re.sub(r" \[[^\[\]]*\]$", "", comparison.name)


def _in_short(compared: Sequence[Comparison]) -> str:
    by_hand = sum(c.kind == BY_HAND for c in compared)
    others = len(compared) - by_hand
    worst = max((c.max_abs for c in compared if c.max_abs is not None), default=None)
    counts = [f"{by_hand} by hand"] if by_hand else []
    counts += [f"{others} other equalit{'ies' if others > 1 else 'y'}"] if others else []
    return ", ".join([*counts, f"largest error {_number(worst)}"])


def _folded(summary: str, html: str, *classes: str) -> str:
    css = " ".join(("bp-ledger", *classes))
    return f'<details class="{css}"><summary>{escape(summary)}</summary>{html}</details>'


def _shapes(shapes: list[str]) -> str:
    """The shapes of a group; a list of several is broken between them and not inside of one."""
    if len(shapes) < 2:
        return "".join(shapes) or "–"
    return ", ".join(shape.replace(" ", "\u00a0") for shape in shapes)


def _row(group: Sequence[Comparison]) -> tuple:
    worst = max(group, key=lambda c: -1 if c.max_abs is None else c.max_abs)
    times = f" (×\u00a0{len(group)})" if len(group) > 1 else ""
    shapes = dict.fromkeys(str(c.shapes[1]) for c in group if c.shapes[1] is not None)
    replayed = [c.replayed_max_abs for c in group if c.replayed_max_abs is not None]
    moved = f"{min(replayed):.2g}" if replayed and worst.kind == BY_HAND else "–"
    return (
        Markup(f"<code>{escape(_name(worst))}</code>{times}"),
        worst.kind,
        _shapes(list(shapes)),
        _number(worst.max_abs),
        _allowed(worst.atol, worst.rtol),
        moved,
    )


def _allowed(atol: float, rtol: float) -> str:
    return f"{atol:.0e} + {rtol:.0e}·|value|" if atol or rtol else "none"


def _number(error: float | None) -> str:
    if error is None:
        return "–"
    return "0" if error == 0 else f"{error:.2g}"
