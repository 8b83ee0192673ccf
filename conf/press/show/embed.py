"""Embed chosen cells of a gallery script in a chapter, with the outputs of this build.

The page that sphinx-gallery generated is cut into its cells, and the cells asked for are parsed
with docutils' own parser, whatever markup the chapter is written in.  The imports and the colours
of the figures that a script begins with are left to the script's own page.
"""

import ast
import re
import textwrap
from pathlib import Path

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser, directives
from docutils.utils import new_document
from sphinx import addnodes

from press import project
from press.fences import Needs, directive, named_script
from press.observed.records import Observed
from press.page import code_lines
from press.show.directive import ObservedDirective

# What sphinx-gallery writes between two blocks of a page.
BLOCK = re.compile(r"^\.\. GENERATED FROM PYTHON SOURCE LINES \d+-\d+\n", re.MULTILINE)
TITLE = re.compile(r"\A\s*(?:\.\. _[^\n]*:\s+)?(\S[^\n]*)\n([-=~])\2{2,}\s*$", re.MULTILINE)
# The footer of a page begins with one of these.
FOOTER = re.compile(r"^\.\. (?:rst-class:: sphx-glr-timing|_sphx_glr_download_)", re.MULTILINE)
CODE = re.compile(r"^\.\. code-block:: Python\n.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


@directive("embed", Needs(scripts=named_script))
class Embed(ObservedDirective):
    """``:cell:`` names the cell by its title; ``:show:`` is ``both``, ``code`` or ``output``."""

    option_spec = {
        "cell": directives.unchanged_required,
        "show": lambda choice: directives.choice(choice, ("both", "code", "output")),
    }

    def show(self, script: Path, observed: Observed) -> list[nodes.Node]:
        page = (project.GALLERY / script.relative_to(project.EXAMPLES)).with_suffix(".rst")
        self.env.note_dependency(str(page))
        cells = split(page.read_text("utf-8"))
        title = self.options.get("cell")
        if title is None:
            raise self.error(f"say which cell with :cell:, one of: {_listed(cells)}")
        if title not in cells:
            raise self.error(
                f'examples/{self.arguments[0]}.py has no cell "{title}"; it has: {_listed(cells)}'
            )
        text = "\n".join(_chosen(block, self.options.get("show", "both")) for block in cells[title])
        frame = nodes.container(classes=["bp-embed"])
        frame += self._parsed(text, str(page))
        code_lines.number(self.env, frame, script, code_lines.line_of_cell(script, title))
        frame += self._source(script)
        return [frame]

    def _parsed(self, text: str, source: str) -> list[nodes.Node]:
        settings = get_default_settings(Parser())
        vars(settings).update(vars(self.state.document.settings))
        inner = new_document(source, settings)
        inner.reporter = self.state.document.reporter
        Parser().parse(text, inner)
        for pending in inner.findall(nodes.pending):
            # Transforms run over the page's document: it has to know what is still to be done.
            self.state.document.note_pending(pending)
        for node in inner.findall():
            # Else the page, as it is stored, holds this document, whose settings hold the book.
            node.document = self.state.document
        return inner.children

    def _source(self, script: Path) -> nodes.paragraph:
        """Where the code is from: the script's page, and the script itself."""
        name = project.name(script)
        page = page_of(name, self.env.docname, nodes.inline("", script.name))
        line = nodes.paragraph(classes=["bp-embed-source"])
        line += [nodes.Text("From "), page, nodes.Text(" (")]
        line += [self._download(f"/gallery/{name}.py", "download"), nodes.Text(", ")]
        line += [self._download(f"/gallery/{name}.ipynb", "notebook"), nodes.Text(")")]
        return line

    def _download(self, target: str, words: str) -> addnodes.download_reference:
        return addnodes.download_reference(
            "",
            "",
            nodes.Text(words),
            refdoc=self.env.docname,
            reftarget=target,
            refdomain="",
            reftype="download",
            refexplicit=True,
            refwarn=False,
        )


def page_of(name: str, docname: str, *words: nodes.Node) -> addnodes.pending_xref:
    """A link from a page to that of a script, such as ``graph/plot_two_layer_mlp``."""
    return addnodes.pending_xref(
        "",
        *words,
        refdomain="std",
        reftype="doc",
        reftarget=f"/gallery/{name}",
        refdoc=docname,
        refexplicit=True,
        refwarn=True,
    )


def split(page: str) -> dict[str, list[str]]:
    """The code blocks of a generated page, with their outputs, by the title of their cell."""
    cells: dict[str, list[str]] = {}
    title = None
    for block in BLOCK.split(FOOTER.split(page)[0])[1:]:
        block = block.removeprefix("\n")
        if CODE.search(block):
            if title is not None:
                cells.setdefault(title, []).append(block)
        elif found := TITLE.search(block):
            title = found.group(1).strip()
    return cells


def _chosen(block: str, show: str) -> str:
    code = CODE.search(block).group(0)
    told = without_preparation(code)
    return {
        "code": told,
        "output": block.replace(code, "", 1),
        "both": block.replace(code, told, 1),
    }[show]


def without_preparation(code: str) -> str:
    """A directive with a block of code, without what only prepares: as a chapter shows it."""
    head, body = code.split("\n", 1)
    lines = textwrap.dedent(body).split("\n")
    try:
        statements = ast.parse("\n".join(lines)).body
    except SyntaxError:  # a part of a script need not be a program
        return code
    told = next((s for s in statements if not _prepares(s)), None)
    if told is None or told is statements[0]:
        return code
    first = min([told.lineno, *(d.lineno for d in getattr(told, "decorator_list", []))])
    while lines[first - 2].startswith("#"):  # a comment belongs to what it stands above
        first -= 1
    return f"{head}\n\n\n" + textwrap.indent("\n".join(lines[first - 1 :]), "    ")


def _prepares(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    words = ast.unparse(statement)
    return words.startswith(("grey = ", "plt.rcParams.update("))


def _listed(cells: dict) -> str:
    return "; ".join(cells) or "no cell with a title"
