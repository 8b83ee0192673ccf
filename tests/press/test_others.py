"""Small extensions: the inventory, mathematics, tables."""

import os
import re

import pytest
import sphinxcontrib.katex as katex
from docutils import nodes
from docutils.utils import new_document
from press.page import mathematics
from press.publish import inventory
from press.show import tables
from sphinx.errors import ConfigError


def test_inventory_entries():
    """A line is a kind and a name, and the page where it is not the usual one."""
    assert inventory.entries("# a comment\n\npy:class torch.Tensor tensors.html#$\n") == [
        "torch.Tensor py:class 1 tensors.html#$ -"
    ]


@pytest.mark.parametrize(
    "line", ["torch.Tensor", "class torch.Tensor", "py:class a b c", "torch py:class"]
)
def test_inventory_line_that_cannot_be_read(line):
    """A wrong line of the inventory is named, with its number and what it should be."""
    with pytest.raises(ConfigError, match=r"torch\.txt:2: a line is «py:kind name»"):
        inventory.entries(f"py:module torch\n{line}")


def test_inventory_of_the_book():
    """The project's own inventory has no name twice, and can be read."""
    entries = inventory.entries((inventory.CONF / "inventories" / "torch.txt").read_text("utf-8"))
    names = [entry.split()[:2] for entry in entries]
    assert len(names) > 10
    assert [name for name in names if names.count(name) > 1] == []


@pytest.fixture
def node_program():
    """Whatever Node was started for formulas ends with the test."""
    yield
    mathematics.stop(None, None)


def test_formula_is_rendered(node_program):
    """A formula becomes HTML, inline or displayed."""
    assert 'class="katex"' in mathematics.render(r"\frac{1}{2}")
    assert 'class="katex-display"' in mathematics.render("x", {"displayMode": True})


@pytest.mark.parametrize(
    ("formula", "displays"),
    [
        (r"a = b, \qquad c = d", 2),
        (r"a \qquad\Longleftrightarrow\qquad b", 3),
        ("a = b", 1),
        (r"\left( a \qquad b \right)", 1),
        (r"\begin{matrix} a \qquad b \end{matrix}", 1),
        (r"a \qquad", 1),
    ],
)
def test_formulas_side_by_side(node_program, formula, displays):
    """A display of several formulas is several, unless something is open between them."""
    shown = mathematics.render(formula, {"displayMode": True})
    assert shown.count('class="katex-display"') == displays
    assert ("bp-parts" in shown) == (displays > 1)


@pytest.mark.parametrize("formula", [r"\frac{1}{", r"\nosuchmacro", "$x$", "x^2^3", "x & y"])
def test_formula_that_cannot_be_read(node_program, formula):
    """A formula that is wrong is an error, and the next one is rendered all the same."""
    with pytest.raises(katex.KaTeXError):
        mathematics.render(formula)
    assert "katex" in mathematics.render("x")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("at ", ", and", ["at ", ["x", ","], " and"]),
        ("of (", ").", ["of ", ["(", "x", ")."], ""]),
        ("if ", " holds.", ["if ", ["x"], " holds."]),
        ("", "-axis", ["", ["x"], "-axis"]),
    ],
)
def test_formula_stays_with_its_punctuation(before, after, shown):
    """What touches a formula stays on its line, and every character stays where it was."""
    document = new_document("page")
    math = nodes.math("x", "x")
    paragraph = nodes.paragraph("", "", nodes.Text(before), math, nodes.Text(after))
    document += paragraph
    mathematics.Joined(document).run()
    assert document.astext() == f"{before}x{after}"
    children = [
        [part.astext() for part in child.children] or child.astext() for child in paragraph.children
    ]
    assert children == shown


def test_node_ends_with_the_build(node_program):
    """After a build there is no Node, and ending it twice does no harm."""
    mathematics.render("x")
    process = mathematics._node(os.getpid())
    mathematics.stop(None, None)
    mathematics.stop(None, None)
    assert process.poll() is not None


def test_table():
    """Cells are data and escaped; markup is what says so; the first cell is the row's header."""
    table = tables.table(
        ("a", "b"), [("<x>", tables.Markup("<code>y</code>"))], "A <caption>", "css"
    )
    assert re.search(r'<th scope="row"[^>]*>&lt;x&gt;</th>', table)
    assert "<code>y</code></td>" in table
    assert "<caption>A &lt;caption&gt;</caption>" in table
