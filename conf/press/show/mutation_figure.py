"""Show how many of the changed formulas the build caught, as ``nox -s mutants`` measured it.

``mutation-figure`` is about the gallery scripts, ``mutation-figure`` with the argument ``rules``
about the operator reference.  Each figure is kept in ``trials/mutants/measured.json`` under a key
of what was measured.  A script or rule written or changed since makes it no figure of this book,
and the page says so; the build goes on, and ``nox -s mutants -- --check`` is what fails.
"""

import hashlib
import json
from collections import Counter

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press import kept
from press.fences import NOTHING, directive
from press.show.tables import raw, table, with_code
from press.trials.mutants import results

SUBJECTS = {"scripts": results.scripts, "rules": results.rules}
WHAT = {"scripts": "script", "rules": "rule"}
TITLE = {"scripts": "formulas by hand", "rules": "rules"}


def measured(subject: str) -> dict[str, dict]:
    """The kept rows of the scripts, or of the modules of rules, that there are."""
    names = {results.script_name(path) for path in SUBJECTS[subject]()}
    return {name: row for name, row in results.kept().items() if name in names}


def unmeasured(subject: str, rows: dict[str, dict]) -> list[str]:
    """Those whose row is missing, or was measured of another state."""
    entries = results.equivalents()
    names = {results.script_name(path): path for path in SUBJECTS[subject]()}
    now = {
        name: results.key_of(name, path.read_text("utf-8"), entries) for name, path in names.items()
    }
    return kept.changed(now, {name: row["key"] for name, row in rows.items()})


def sentence(subject: str, rows: dict[str, dict]) -> str:
    """The figure in words."""
    caught = sum((Counter(row["caught"]) for row in rows.values()), Counter())
    mutants = sum(row["mutants"] for row in rows.values())
    equivalent = sum(row["equivalent"] for row in rows.values())
    compared = caught["comparison"] + caught["equality"]
    text = (
        f"{caught.total():,} of {mutants:,} changes were caught: {compared:,} by a comparison, "
        f"{caught['raised']:,} because the changed {WHAT[subject]} raised another error"
    )
    if caught["timed out"]:
        text += f", {caught['timed out']:,} because it did not end"
    return f"{text}. Changes that change no result: {equivalent:,}, each listed with its reason."


@directive("mutation-figure", NOTHING)
class MutationFigure(SphinxDirective):
    """The figure and a table by kind of change, or a note that this state was not measured."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        subject = self.arguments[0] if self.arguments else "scripts"
        if subject not in SUBJECTS:
            raise self.error(f"mutation-figure takes {' or '.join(SUBJECTS)}, and got {subject}")
        self.env.metadata[self.env.docname]["mutation-figure"] = ""
        try:
            rows = measured(subject)
            self.env.metadata[self.env.docname]["mutation-figure"] = _digest()
        except kept.KeptError as error:
            raise self.error(str(error)) from None
        changed = unmeasured(subject, rows)
        late = {name: why for name, why in results.waiting().items() if name in changed}
        rows = {name: row for name, row in rows.items() if name not in late}
        if set(changed) - set(late) or not rows:
            names = kept.named(changed) or "all"
            text = f"Not measured for this state of the book; changed since: {names}."
            return [nodes.note("", nodes.paragraph("", text))]
        kinds = sum((Counter(row["kinds"]) for row in rows.values()), Counter())
        lines = [
            (kind, with_code(what), f"{kinds[kind]:,}")
            for kind, what in results.KINDS.items()
            if kinds[kind]
        ]
        headers = ("kind", "what is changed", "tried, and caught")
        shown = table(headers, lines, f"Changes of the {TITLE[subject]}", "bp-mutants")
        return [nodes.paragraph("", sentence(subject, rows)), raw(shown), *_late(late)]


def _late(reasons: dict[str, str]) -> list[nodes.Node]:
    """What the figure leaves out, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    texts = (f"Not in this figure: {', '.join(n)}. {why}" for why, n in by_reason.items())
    return [nodes.note("", nodes.paragraph("", text)) for text in texts]


def _digest() -> str:
    found: list = [sorted(results.waiting().items())]
    found += [(rows, unmeasured(s, rows)) for s in SUBJECTS for rows in [measured(s)]]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages with the figure, when it, a script or a rule has changed since they were read."""
    return kept.outdated(env, "mutation-figure", _digest)
