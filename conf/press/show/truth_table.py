"""Show a truth table, measured by this build, and fail where a cell is not as expected.

The cells expected are in ``book/reference/truth_tables``.  Tables are measured in a process of
their own: no state of a build that has run scripts, and none of its own left behind.
"""

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from functools import lru_cache
from html import escape
from pathlib import Path

import filelock
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from press import kept
from press.fences import NOTHING, directive
from press.project import CONF
from press.show.tables import Markup, raw, table
from press.trials import truth

logger = logging.getLogger(__name__)

# Answers that ask for attention: an exception, and what nothing reports.
WORDS = {"raises": "bp-raises", "caught": "bp-raises"}
WORDS |= {"wrong gradient": "bp-wrong"}
# Where a detector speaks is what a reader looks for.
WORDS |= {"sees": "bp-sees", "warns": "bp-sees"}


@directive("truth-table", NOTHING)
class TruthTable(SphinxDirective):
    """The table of that name; ``:rows: a; b`` and ``:columns: c; d`` select.

    With ``:link: prefix-`` the name of each row leads to its section, labelled ``prefix-its-name``.
    """

    required_arguments = 1
    option_spec = dict.fromkeys(("rows", "columns", "link"), directives.unchanged_required)

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in truth.NAMES:
            raise self.error(f'there is no table "{name}"; there are: {", ".join(truth.NAMES)}')
        self.env.metadata[self.env.docname]["truth"] = digest()
        version, tables = measured(digest(), self.env.doctreedir)
        found = tables[name]
        rows = found["rows"]
        report(name, rows, version, self.get_location())
        columns = self._chosen("columns", found["columns"])
        cells = [
            (self._named(row), *(cell(rows[row][c]) for c in columns))
            for row in self._chosen("rows", rows)
        ]
        caption = f"{found['title']}, measured with torch {version}"
        headers = (found["row"], *columns)
        filtered = [] if "rows" in self.options else ["bp-filter"]
        return [raw(table(headers, cells, caption, "bp-truth", *filtered))]

    def _named(self, row: str) -> Markup:
        named = f"<code>{escape(row)}</code>"
        if "link" in self.options:
            named = f'<a href="#{self.options["link"]}{nodes.make_id(row)}">{named}</a>'
        return Markup(named)

    def _chosen(self, option: str, known) -> list[str]:
        if option not in self.options:
            return list(known)
        chosen = [each.strip() for each in self.options[option].split(";")]
        unknown = [each for each in chosen if each not in known]
        if unknown:
            raise self.error(
                f'{self.arguments[0]} has no {option[:-1]} "{unknown[0]}"; it has: '
                f"{', '.join(known)}"
            )
        return chosen


def report(name: str, rows: truth.Rows, version: str, location=None, only: str = "") -> None:
    """A warning, hence a failed build, for each cell not as expected; ``only`` of one row."""
    expected = truth.read(name)
    chosen = {row: cells for row, cells in expected.rows.items() if row == (only or row)}
    for difference in truth.differences(name, chosen, rows):
        logger.warning(
            "%s (expected of torch %s by book/reference/truth_tables/%s.toml, this is %s); "
            "if the page is to say so, store it: nox -s tables -- --write",
            difference,
            expected.torch,
            name,
            version,
            location=location,
            type="gate",
            subtype="table",
        )


@lru_cache(maxsize=1)
def measured(key: str, folder: str) -> tuple[str, dict[str, dict]]:
    """The version of torch, and every table as tried; once for each ``key`` of its state.

    Kept in ``folder``: pages are read in several processes, and more than one has a table.
    """
    store = Path(folder, "truth.json")
    with filelock.FileLock(store.with_suffix(".lock")):
        try:
            last = json.loads(store.read_text("utf-8"))
        except (OSError, ValueError):
            last = {}
        if last.get("key") != key:
            last = {"key": key, **_measured()}
            kept.write(store, json.dumps(last))
    return last["torch"], last["tables"]


def _measured() -> dict:
    command = [sys.executable, "-m", "press.trials.truth.command", "--json"]
    tried = subprocess.run(command, cwd=CONF, capture_output=True, text=True)
    if tried.returncode:
        last = tried.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"the truth tables cannot be measured: {' '.join(last)}")
    return json.loads(tried.stdout)


def digest() -> str:
    """What a table depends on: the version of torch, the trials, and the cells expected."""
    found = hashlib.sha256(importlib.metadata.version("torch").encode())
    programs = sorted(truth.PROGRAMS.glob("*.py"))
    for path in [
        *sorted(truth.FOLDER.glob("*.py")),
        *sorted(truth.EXPECTED.glob("*.toml")),
        *programs,
    ]:
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages with a table, when torch, a trial or an expected cell is another."""
    return kept.outdated(env, "truth", digest)


def cell(text: str) -> str:
    """A cell, marked where its answer asks for attention."""
    css = WORDS.get(text)
    return Markup(f'<span class="{css}">{escape(text)}</span>') if css else text
