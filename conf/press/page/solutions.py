"""Fold the solution of an exercise, with no script: a ``details`` element the browser opens."""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_node


def visit(translator, node: solution_node) -> None:
    title = next(iter(node.findall(nodes.title)), None)
    summary = "Solution" if title is None else title.astext()
    if title is not None:
        title.parent.remove(title)
    ids = "".join(f' id="{escape(name)}"' for name in node["ids"][:1])
    translator.body.append(
        f'<details class="bp-solution"{ids}><summary>{escape(summary)}</summary>\n'
    )


def depart(translator, node: solution_node) -> None:
    translator.body.append("</details>\n")


def tell_apart(app: Sphinx, doctree: nodes.document) -> None:
    """Number the ids of contents: sphinx-exercise gives those of one page all the same."""
    for number, section in enumerate(doctree.findall(nodes.section)):
        if section["ids"] in (["exercise-content"], ["solution-content"]):
            section["ids"] = [f"{section['ids'][0]}-{number}"]


def let_go(app: Sphinx, doctree: nodes.document) -> None:
    """Keep of each exercise and solution a copy: sphinx-exercise keeps the page around it too.

    What it keeps is stored with the book, and copied whenever the book is.
    """
    for kept in getattr(app.env, "sphinx_exercise_registry", {}).values():
        if kept["docname"] == app.env.docname:
            kept["node"] = kept["node"].deepcopy()
            for node in kept["node"].findall():
                node.document = None


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx_exercise")
    app.add_node(solution_node, override=True, html=(visit, depart))
