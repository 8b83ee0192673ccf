"""Show what was compared in this build: below a block, for a script, and for the whole book."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import sidecar
from .comparison import BY_HAND, FACTOR
from .gates import GATES
from .html import Markup, raw, table
from .observed import ObservedDirective

HEADERS = ("name", "kind", "shape", "largest error", "allowed", f"error when replayed × {FACTOR}")


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
        return [raw(_table(made, "Verified in this build", "bp-verified"))]


@dataclass(frozen=True)
class Totals:
    """What a whole build compared."""

    scripts: int
    by_hand: int
    equalities: int
    worst: float
    worst_at: str

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
        return cls(scripts, len(by_hand), len(made) - len(by_hand), worst, place)

    def __str__(self) -> str:
        return (
            f"{self.scripts} scripts: {self.by_hand} comparisons of a gradient by hand with "
            f"autograd, {self.equalities} other equalities; worst error by hand "
            f"{self.worst:.2g} ({self.worst_at})"
        )


def observations() -> list[tuple[str, dict]]:
    """Each script that was executed, by its path below the root, with what was observed."""
    found = ((script, sidecar.read(script)) for script in sidecar.scripts())
    return [
        (script.relative_to(sidecar.ROOT).as_posix(), observed)
        for script, observed in found
        if observed is not None
    ]


class LedgerDirective(SphinxDirective):
    """Every comparison made in this build, or with ``:totals:`` only how many there were."""

    option_spec = {"totals": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["ledger"] = _digest()
        found = observations()
        shown: list[nodes.Node] = [nodes.paragraph("", f"{Totals.of(found)}.")]
        if "totals" in self.options:
            return shown
        for script, observed in found:
            name = script.removeprefix("examples/").removesuffix(".py")
            made = observed["comparisons"]
            if not made:
                continue
            summary = f"{name}: {len(made)}"
            shown.append(
                raw(
                    f'<details class="bp-ledger"><summary>{escape(summary)}</summary>'
                    f"{_table(made, name, 'bp-verified')}</details>"
                )
            )
        return shown


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
    groups: dict[tuple, list[dict]] = {}
    for c in made:
        groups.setdefault((c["line"], c["kind"], c["name"]), []).append(c)
    return table(HEADERS, [_row(group) for group in groups.values()], caption, css)


def _row(group: list[dict]) -> tuple:
    worst = max(group, key=lambda c: -1 if c["max_abs"] is None else c["max_abs"])
    times = f" (× {len(group)})" if len(group) > 1 else ""
    shapes = dict.fromkeys(str(tuple(c["shapes"][1])) for c in group if c["shapes"][1] is not None)
    replayed = [c["replayed_max_abs"] for c in group if c.get("replayed_max_abs") is not None]
    moved = f"{min(replayed):.2g}" if replayed and worst["kind"] == BY_HAND else "–"
    return (
        Markup(f"<code>{escape(worst['name'])}</code>{times}"),
        worst["kind"],
        ", ".join(shapes) or "–",
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


def setup(app: Sphinx) -> dict:
    app.add_directive("verified", Verified)
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("gates", GatesDirective)
    app.connect("env-get-outdated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
