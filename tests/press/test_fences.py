"""Fences are read in one place, and every directive says there what it needs."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import press
import pytest
from press import fences, project
from press.publish import selection

PRESS = Path(press.__path__[0])
FREEING = project.ROOT / "book/memory/graph_freeing.md"


def test_every_directive_of_the_press_declares_what_it_needs():
    """Each class that is a directive stands below its declaration, bases of others apart."""
    declared = fences.declared()
    undeclared = []
    for path in sorted((PRESS / "show").glob("*.py")) + sorted((PRESS / "page").glob("*.py")):
        classes = [
            node
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.ClassDef)
        ]
        bases = {ast.unparse(base) for node in classes for base in node.bases}
        undeclared += [
            f"{path.name}: {node.name}"
            for node in classes
            if any("Directive" in ast.unparse(base) for base in node.bases)
            and not any("directive(" in ast.unparse(line) for line in node.decorator_list)
            and node.name not in bases
        ]
    assert undeclared == ["directive.py: ObservedDirective"]
    assert len(declared) > 20


@pytest.mark.parametrize("name", sorted(fences.declared()))
def test_a_directive_that_observes_needs_the_script_it_names(name):
    """What shows something of a script says which; everything else needs none."""
    from press.show.directive import ObservedDirective

    fence = fences.Fence(name, "part/plot_x", "", 1, 2, "```")
    kind = fences.DIRECTIVES.get(name, object)
    expected = ("part/plot_x",) if issubclass(kind, ObservedDirective) else ()
    assert fences.declared()[name].scripts(fence) == expected


def test_a_drawing_needs_the_script_of_the_one_beside_it(tmp_path):
    """A chapter with ``:beside: other/script 1``, built alone, runs both scripts."""
    text = FREEING.read_text("utf-8")
    changed = text.replace(":beside: 2\n", ":beside: graph/plot_two_layer_mlp 1\n", 1)
    assert changed != text
    page = tmp_path / "graph_freeing.md"
    before = selection.needed(FREEING)
    page.write_text(changed, "utf-8")
    both = selection.needed(page)
    other = project.EXAMPLES / "graph/plot_two_layer_mlp.py"
    assert other not in before
    assert set(both) == {*before, other}
    assert other.is_file()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{a} b\n```\n", [("a", "b", 0)]),
        (":::{a} b c\n:::\n", [("a", "b c", 0)]),
        ("- one\n\n  ~~~{a}\n  ~~~\n", [("a", "", 0)]),
        ("````{a}\n```{b}\n```\n````\n", [("a", "", 0), ("b", "", 1)]),
        ("````{a}\n```\n{b}\n```\n````\n", [("a", "", 0)]),
        ("````md\n```{a}\n```\n````\n", []),
        ("In a line ```{a} b``` of text.\n", []),
        ("```{a}\nnever closed\n", []),
    ],
)
def test_directives_of_a_page(source, expected):
    """Directives are found by any marks and at any depth; code and text have none."""
    found = [(fence.name, fence.argument, fence.depth) for fence in fences.read(source)]
    assert found == expected


@pytest.mark.parametrize(
    ("body", "options", "content"),
    [
        (":a: 1\n:b:\ntext\n", {"a": "1", "b": ""}, "text\n"),
        ("---\na: 1\n---\ntext\n", {"a": "1"}, "text\n"),
        ("text\n:a: 1\n", {}, "text\n:a: 1\n"),
        ("", {}, ""),
    ],
)
def test_options(body, options, content):
    """Options stand at the beginning, a line each or between hyphens; all else is content."""
    (fence,) = fences.read(f"```{{x}}\n{body}```\n")
    assert (fence.options, fence.content, fence.body) == (options, content, body)


def test_no_other_module_reads_fences_by_a_pattern():
    """A pattern for the marks of a fence stands in one module."""
    marks = re.compile(r"[`:]~?\]?\{3|`{3}\\\{")
    reading = [
        path.relative_to(PRESS).as_posix()
        for path in sorted(PRESS.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\bre\.|^\s*r\"", line) and marks.search(line)
    ]
    assert set(reading) <= {"fences.py", "show/book_map.py"}  # what is no prose, marks included


def test_pages_are_read_with_the_standard_library_alone(tmp_path):
    """Where nothing is installed, the fences of a page can be read."""
    (tmp_path / "press").mkdir()
    shutil.copy(PRESS / "__init__.py", tmp_path / "press")
    shutil.copy(PRESS / "fences.py", tmp_path / "press")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from press import fences\n"
    code += "print([fence.name for fence in fences.read('```{raises}\\n1\\n```\\n')])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['raises']\n"
