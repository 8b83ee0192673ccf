"""Show a program whose gradient is wrong in silence, what helps, and which detector sees it.

``wrong-gradient`` names a case of ``book/reference/silent_gradients``.  Both of its programs run
while the page is read, each as printed and alone; their row of the truth table is measured by
``press.trials.truth.silent`` and compared with the cells expected, as in the whole table.
"""

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from press.fences import Needs, directive
from press.show.errors import Attempt, Fix, box, run
from press.show.tables import Markup, raw, table
from press.show.truth_table import cell, digest, measured, report
from press.trials import truth

MENDED = "_mended"


@directive("wrong-gradient", Needs(executes=True))
class Shown(SphinxDirective):
    """What the two boxes of a case have in common with those of the error index."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        case = self.arguments[0]
        if case not in cases():
            raise self.error(f'there is no case "{case}"; there are: {", ".join(cases())}')
        for name in (case, case + MENDED):
            self.env.note_dependency(str(truth.PROGRAMS / f"{name}.py"))
        self.env.metadata[self.env.docname]["truth"] = digest()
        version, tables = measured(digest(), self.env.doctreedir)
        found = tables["silent"]
        title = case.replace("_", " ")
        row = {title: found["rows"][title]}
        report("silent", row, version, self.get_location(), only=title)
        columns = found["columns"][2:]  # whether the gradient is wrong is seen in the boxes
        seen = [(Markup(f"<code>{escape(title)}</code>"), *(cell(row[title][c]) for c in columns))]
        return [
            self._box(case, "Nothing is raised", Attempt.css),
            self._box(case + MENDED, Fix.title, Fix.css),
            raw(table((found["row"], *columns), seen, "What sees it", "bp-truth")),
        ]

    def _box(self, name: str, title: str, css: str) -> nodes.container:
        code = source(name)
        return box(self, title, css, code, run(code))


def cases() -> list[str]:
    """The names of all cases, by their programs."""
    names = (path.stem for path in sorted(truth.PROGRAMS.glob("*.py")))
    return [name for name in names if not name.endswith(MENDED)]


def source(name: str) -> str:
    """A program as it is printed."""
    return (truth.PROGRAMS / f"{name}.py").read_text("utf-8").strip()
