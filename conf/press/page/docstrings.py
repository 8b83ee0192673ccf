"""Reference pages from docstrings: Sphinx's autodoc, the sections as NumPy writes them.

A module is imported when its page is read, and the page is read when a source of the package has
changed; so a build with nothing to do imports nothing.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

PROMPT = re.compile(r"^>>> ", re.MULTILINE)
PRIVATE = re.compile(r", _\w+: [^=()]+ = (\(\)|\w+)")
# A type as its user thinks of it: of a few words that a string may be the prose says which, and the
# plain data that a method takes is what all graphs and passes are.
LITERAL = re.compile(r"~?(?:typing\.)?Literal\[[^\]]*\]")
DATA = {"GraphData": "Graph", "PassData": "BackwardPass"}


def summary_sections(app: Sphinx, what: str, name: str, obj: object, options, lines: list[str]):
    """Head the example of a short docstring, as the sections of a long one are headed."""
    lines[:] = [simple(line) if line.startswith(":type ") else line for line in lines]
    text = "\n".join(lines)
    first = PROMPT.search(text)
    if first and ".. rubric:: Examples" not in text:
        lines[:] = [*text[: first.start()].splitlines(), ".. rubric:: Examples", ""]
        lines += text[first.start() :].splitlines()


def public_signature(
    app: Sphinx, what: str, name: str, obj: object, options, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out parameters that are private, the keys of a graph above all."""
    return (simple(PRIVATE.sub("", signature)), returns) if signature else None


def simple(types: str) -> str:
    """Types as a user reads them.

    >>> simple("(self, other: GraphData, kind: Literal['operation', 'copy'] | None = None)")
    '(self, other: Graph, kind: str | None = None)'
    """
    for data, name in DATA.items():
        types = re.sub(rf"\b(backwardpass\.data\.\w+\.)?{data}\b", name, types)
    return LITERAL.sub("str", types)


def unmarked(app: Sphinx, doctree: nodes.document) -> None:
    """Let the builder's doctests stand as Python sessions, prompts and output told apart."""
    for block in doctree.findall(nodes.doctest_block):
        block["language"] = "pycon"


def parameters_by_line(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Tell who hears a page that the lines of a signature are no list of terms: it has none."""
    if context.get("body"):
        lines = '<dl>\n<dd><em class="sig-param">'
        told = lines.replace("<dl>", '<dl role="presentation">')
        context["body"] = context["body"].replace(lines, told)


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
