"""Modules and functions are short enough to be read at once, or say why they are not."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path for place in ("src/backwardpass", "conf/press") for path in (ROOT / place).rglob("*.py")
)
MODULE, FUNCTION = 400, 40  # lines, those of a function without its docstring
# Rows of cases: a longer table is no harder to read.
TABLES = ("conf/press/trials/operators/edges/",)
# Longer, each with the reason.
LONG = {
    "src/backwardpass/read/modules.py: modules": "a context manager, and the hooks it takes away",
    "src/backwardpass/recording/recorder.py: _observe": "the hooks of one pass share its state",
    "src/backwardpass/vjps/networks.py: multi_head_attention": "one step of the operation a line",
    "src/backwardpass/vjps/losses.py": "one loss after the other, each with its formula",
    "conf/press/judge/slices.py": "one flow of data, whose parts share its state",
    "conf/press/judge/slices.py: statement": "one match over all kinds of statements",
    "conf/press/show/answers.py": "each form of an answer, as the page's script reads it too",
    "conf/press/trials/bench/builds.py: measure": "one row of the table a statement",
    "conf/press/trials/mutants/operators.py: _walk": "one match over all kinds of expressions",
    "conf/press/trials/operators/formulas.py": "a reader of formulas, one construct a function",
    "conf/press/trials/operators/formulas.py: _differences": "one case after the other",
    "conf/press/trials/operators/run.py: _row": "one row of the summary, counted as it is made",
}


def lengths(source: str) -> dict[str, int]:
    """How many lines a module has, under the name "", and each of its functions.

    >>> lengths('def f():\\n    "What."\\n    return (\\n        1\\n    )')
    {'': 5, 'f': 3}
    """
    found = {"": len(source.splitlines())}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                found[node.name] = max(
                    node.end_lineno - body[0].lineno + 1, found.get(node.name, 0)
                )
    return found


def too_long(where: str, source: str) -> set[str]:
    """The module and the functions of a source that are longer than they should be."""
    if where.startswith(TABLES):
        return set()
    limits = {name: FUNCTION if name else MODULE for name in lengths(source)}
    over = {name for name, lines in lengths(source).items() if lines > limits[name]}
    return {f"{where}: {name}" if name else where for name in over}


def test_what_is_long_has_a_reason_and_what_has_a_reason_is_long():
    """A long module or function is in the table, and nothing is that has become short."""
    found: set[str] = set()
    for path in SOURCES:
        found |= too_long(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    assert found == set(LONG)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n" + "    f()\n" * 41, {"a.py: f"}),
        ('def f():\n    """\n' + "    Text.\n" * 41 + '    """\n    return 1\n', set()),
        ("x = 1\n" * 401, {"a.py"}),
        ("x = 1\n" * 400, set()),
    ],
    ids=["function", "docstring", "module", "limit"],
)
def test_a_long_one_is_found(source, found):
    """Lines are counted, those of docstrings left out in functions."""
    assert too_long("a.py", source) == found
