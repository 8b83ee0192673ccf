"""Show what was compared in this build: below a block, for a script, and for the whole book."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press import project
from press.judge.gates import GATES
from press.observed import store
from press.observed.comparison import BY_HAND, FACTOR
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


class Verified(ObservedDirective):
    """The comparisons of a script; ``:lines: a-b`` restricts them to those made there."""

    option_spec = {"lines": directives.unchanged_required}

    def show(self, script: Path, observed: dict) -> list[nodes.Node]:
        made = observed["comparisons"]
        if "lines" in self.options:
            first, last = map(int, self.options["lines"].split("-"))
            made = [c for c in made if first <= c["line"] <= last]
        if not made:
            raise self.error(f"{self.arguments[0]} compares nothing there")
        caption = "Verified in this build"
        shown = _table(made, caption, "bp-verified")
        if len(_groups(made)) > MOST_ROWS:
            summary = f"{caption}: {_in_short(made)}"
            shown = _folded(summary, shown, "bp-verified-fold")
        return [raw(shown)]


@dataclass(frozen=True)
class Totals:
    """What a whole build compared."""

    scripts: int
    by_hand: int
    equalities: int
    worst: float
    worst_at: str
    worst_in: str = ""

    @classmethod
    def of(cls, observations: Iterable[tuple[str, dict]]) -> "Totals":
        """Add up ``(script's path, observed)``; the worst error is the largest by hand."""
        scripts, made = 0, []
        for script, observed in observations:
            scripts += 1
            made += [(c, script) for c in observed["comparisons"]]
        by_hand = [(c, script) for c, script in made if c["kind"] == BY_HAND]
        known = [(c["max_abs"], c, s) for c, s in by_hand if c["max_abs"] is not None]
        worst, at, script = max(known, key=lambda entry: entry[0], default=(0.0, None, ""))
        place = f'"{at["name"]}", {script}:{at["line"]}' if at else "nothing was compared by hand"
        return cls(scripts, len(by_hand), len(made) - len(by_hand), worst, place, script)

    def __str__(self) -> str:
        return (
            f"{_count(self.scripts, 'script')}: {_count(self.by_hand, 'comparison')} of a gradient "
            f"by hand with autograd, {_count(self.equalities, 'other equality')}; "
            f"worst error by hand {self.worst:.2g} ({self.worst_at})"
        )


def _count(number: int, what: str) -> str:
    """A number and a noun.

    >>> _count(1, "script"), _count(0, "other equality")
    ('1 script', '0 other equalities')
    """
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else several}"


def observations() -> list[tuple[str, dict]]:
    """Each script that was executed, by its path below the root, with what was observed."""
    found = ((script, store.read(script)) for script in project.scripts())
    return [
        (script.relative_to(project.ROOT).as_posix(), observed)
        for script, observed in found
        if observed is not None
    ]


class LedgerDirective(SphinxDirective):
    """Every comparison made in this build, or with ``:totals:`` only how many there were."""

    option_spec = {"totals": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["ledger"] = _digest()
        found = observations()
        shown: list[nodes.Node] = [self._told(Totals.of(found))]
        if "totals" in self.options:
            return shown
        for script, observed in found:
            name = script.removeprefix("examples/").removesuffix(".py")
            made = observed["comparisons"]
            if made:
                shown.append(
                    raw(_folded(f"{name}: {len(made)}", _table(made, name, "bp-verified")))
                )
        return shown

    def _told(self, totals: Totals) -> nodes.paragraph:
        """The totals as a sentence, with a link to the page of the worst error."""
        told = nodes.paragraph(
            "",
            f"{totals.scripts:,} scripts made {totals.by_hand:,} comparisons of a gradient by hand "
            f"with autograd, and {totals.equalities:,} of other values that have to be equal.",
        )
        if totals.worst_in:
            told += nodes.Text(f" The largest error by hand is {totals.worst:.2g}, in ")
            name = totals.worst_in.removeprefix("examples/").removesuffix(".py")
            words = nodes.literal("", f"{name.rpartition('/')[2]}.py")
            page = page_of(name, self.env.docname, words)
            self.set_source_info(page)
            told += [page, nodes.Text(".")]
        return told


class GatesDirective(SphinxDirective):
    """What fails a build, as the code that fails it lists it."""

    def run(self) -> list[nodes.Node]:
        rows = [(Markup(f"<code>{gate}</code>"), what) for gate, what in GATES.items()]
        headers = ("gate", "the build fails when")
        return [raw(table(headers, rows, "What fails a build", "bp-gates"))]


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages with a ledger, when any script was executed since they were read."""
    now = _digest()
    return [
        docname
        for docname, metadata in env.metadata.items()
        if metadata.get("ledger", now) != now and docname in env.found_docs
    ]


def _digest() -> str:
    digest = hashlib.sha256()
    for script, observed in observations():
        digest.update(json.dumps([script, observed["comparisons"]]).encode())
    return digest.hexdigest()


def _table(made: list[dict], caption: str, css: str) -> str:
    """One row a name: where a call is repeated, how often, and the worst of its errors."""
    return table(HEADERS, [_row(group) for group in _groups(made)], caption, css)


def _groups(made: list[dict]) -> list[list[dict]]:
    """What is one row: the same comparison in a loop, or of each item of two lists."""
    groups: dict[tuple, list[dict]] = {}
    for c in made:
        groups.setdefault((c["line"], c["kind"], _name(c)), []).append(c)
    return list(groups.values())


def _name(comparison: dict) -> str:
    """The name without the place in a list, which stands in brackets after an equality."""
    if comparison["kind"] == BY_HAND:
        return comparison["name"]
    return re.sub(r" \[[^\[\]]*\]$", "", comparison["name"])


def _in_short(made: list[dict]) -> str:
    by_hand = sum(c["kind"] == BY_HAND for c in made)
    others = len(made) - by_hand
    worst = max((c["max_abs"] for c in made if c["max_abs"] is not None), default=None)
    said = [f"{by_hand} by hand"] if by_hand else []
    said += [f"{others} other equalit{'ies' if others > 1 else 'y'}"] if others else []
    return ", ".join([*said, f"largest error {_number(worst)}"])


def _folded(summary: str, shown: str, *classes: str) -> str:
    css = " ".join(("bp-ledger", *classes))
    return f'<details class="{css}"><summary>{escape(summary)}</summary>{shown}</details>'


def _shapes(shapes: list[str]) -> str:
    """The shapes of a group; a list of several is broken between them and not inside of one."""
    if len(shapes) < 2:
        return "".join(shapes) or "–"
    return ", ".join(shape.replace(" ", "\u00a0") for shape in shapes)


def _row(group: list[dict]) -> tuple:
    worst = max(group, key=lambda c: -1 if c["max_abs"] is None else c["max_abs"])
    times = f" (×\u00a0{len(group)})" if len(group) > 1 else ""
    shapes = dict.fromkeys(str(tuple(c["shapes"][1])) for c in group if c["shapes"][1] is not None)
    replayed = [c["replayed_max_abs"] for c in group if c.get("replayed_max_abs") is not None]
    moved = f"{min(replayed):.2g}" if replayed and worst["kind"] == BY_HAND else "–"
    return (
        Markup(f"<code>{escape(_name(worst))}</code>{times}"),
        worst["kind"],
        _shapes(list(shapes)),
        _number(worst["max_abs"]),
        _allowed(worst["atol"], worst["rtol"]),
        moved,
    )


def _allowed(atol: float, rtol: float) -> str:
    return f"{atol:.0e} + {rtol:.0e}·|value|" if atol or rtol else "none"


def _number(error: float | None) -> str:
    if error is None:
        return "–"
    return "0" if error == 0 else f"{error:.2g}"


def setup(app: Sphinx) -> None:
    app.add_directive("verified", Verified)
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("gates", GatesDirective)
