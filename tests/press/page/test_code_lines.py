"""The lines of a script have names on its page, and wherever a chapter shows them."""

from docutils import nodes
from press.page import code_lines


def test_a_block_is_found_below_a_place():
    """Lines that stand twice are told apart by where they are looked for."""
    source = "a = 1\nprint(a)\n\nb = 2\nprint(a)"
    assert code_lines.place("print(a)\n", source) == 2
    assert code_lines.place("\nprint(a)  ", source, after=2) == 5
    assert code_lines.place("print(b)", source) is None
    assert code_lines.place("print(a)\nb = 2", source) is None


def test_tokens_are_cut_into_lines():
    """Each line has its number; a token of several lines is cut, a link stays whole."""
    link = nodes.reference("", "", nodes.inline("f", "f", classes=["n"]), refuri="x")
    text = nodes.inline("", '"""a\nb"""', classes=["s"])
    made = code_lines.named("line-x", 7, [link, nodes.Text("\n\n"), text, nodes.Text("\n")])
    assert [line["ids"] for line in made] == [[f"line-x-{n}"] for n in (7, 8, 9, 10)]
    assert [line.astext() for line in made] == ["f\n", "\n", '"""a\n', 'b"""\n']
    assert made[0][0] is link
    assert [part["classes"] for line in made[2:] for part in line.findall(nodes.inline)
            if part is not line] == [["s"], ["s"]]  # fmt: skip


def test_the_last_line_without_an_end():
    """A block whose last line does not end in a line break keeps that line."""
    made = code_lines.named("line-x", 1, [nodes.Text("a\nb")])
    assert [line.astext() for line in made] == ["a\n", "b"]
    assert len(code_lines.named("line-x", 1, [nodes.Text("a\n")])) == 1


def test_the_title_of_a_cell(tmp_path):
    """Cells are looked for below their titles."""
    script = tmp_path / "plot_x.py"
    script.write_text("# %%\n# One\n# ---\na = 1\n# %%\n# Two (2)\n# -----\na = 1\n")
    assert code_lines.line_of_cell(script, "Two (2)") == 6
    assert code_lines.line_of_cell(script, "Three") == 0
