"""Every gate is seen red: one miniature book in which everything is wrong, one thing a file.

A single build has to list every problem, each with its file, its line and what is wrong.
The machine has no Graphviz while it is built.
"""

import json
import re
import shutil
from dataclasses import dataclass

import pytest

TITLE = '"""\nA script\n========\n\nFor a test.\n"""\n\n'
# The sum of cubes; its gradient 3x² is 3, 12 and 27 at these values.
CUBE = """
import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
loss = (x**3).sum()
loss.backward()
dx = 3 * x.detach() ** 2
"""
COMPARE = 'torch.testing.assert_close({"x": dx}, {"x": x.grad})\n'
# A product of square matrices: a missing transpose leaves the shape as it should be.
PRODUCT = """
import torch

# equal sizes: for a test
torch.manual_seed(0)
A, B, C = (torch.randn(3, 3, dtype=torch.float64) for _ in range(3))
A.requires_grad_()
((A @ B) * C).sum().backward()
"""
FIRST_LINE = ""
NO_LINE = None


@dataclass(frozen=True)
class Wrong:
    """A file with something wrong in it, and the problems a build has to list for it."""

    path: str
    source: str
    problems: tuple[tuple[str | None, str], ...]  # text of the line it names; what it says

    def expected(self) -> list[str]:
        """Regular expressions, each for a whole problem on one line."""
        places = []
        for at, message in self.problems:
            line = "" if at is NO_LINE else f":{_line(self.source, at)}"
            places.append(f"{re.escape(self.path)}{line}: {message}")
        return places


def _line(source: str, text: str) -> int:
    return source[: source.index(text)].count("\n") + 1


def script(name: str, source: str, message: str, *, at: str | None = "assert_close(") -> Wrong:
    return Wrong(f"examples/bad/plot_{name}.py", TITLE + source, ((at, message),))


def cube(name: str, code: str, message: str, **options) -> Wrong:
    """A script that derives the gradient of a sum of cubes, and something goes wrong after it."""
    return script(name, CUBE + code, message, **options)


def chapter(name: str, text: str, *problems: tuple[str | None, str]) -> Wrong:
    return Wrong(f"book/bad/{name}.md", f"# A chapter\n\n{text}", problems)


def fence(directive: str, *body: str) -> str:
    return "\n".join((f"```{{{directive}", *body, "```\n\n"))


def exercise(label: str) -> str:
    """An exercise, and its solution."""
    return (
        f"````{{exercise}} Solved\n:label: {label}\nAdd.\n````\n\n"
        f"````{{solution}} {label}\nDone.\n````\n\n"
    )


def no_answer(label: str, why: str) -> str:
    return rf'answer to "{label}": {why} \[gate\.answer\]'


def diverges(gradient: str, shape: str, error: str, relative: str) -> str:
    return (
        rf'gradient "{gradient}", by hand against autograd, diverges: shape {re.escape(shape)}, '
        rf"float64, largest absolute error {error}, largest relative error {relative}, "
        r"allowed 1e-07 \+ 1e-07 \* \|expected\| \[gate\.diverges\]"
    )


def unmatched(gradient: str, left: str, right: str) -> str:
    return (
        rf'gradient "{gradient}", by hand against autograd, cannot be matched: {re.escape(left)} '
        rf"against {re.escape(right)}; the two sides must have the same names, shapes, dtypes and "
        r"layouts \[gate\.diverges\]"
    )


def still_passes(gradient: str, why: str) -> str:
    return (
        rf'gradient "{gradient}", by hand against autograd, still passes when everything autograd '
        rf"returns is multiplied by 1\.5: {why} \[gate\.replay\]"
    )


FROM_AUTOGRAD = "both sides come from autograd, or every value is zero"
TOO_SMALL = "both sides come from autograd, or its values are smaller than the tolerance"
NOTHING_COMPARED = (
    "no gradient derived by hand is compared with autograd; compare one with .*, or say why there "
    r'is none in a line "# no hand-derived gradient: <reason>" \[gate\.nothing\]'
)
NO_GRAPHVIZ = (
    "Drawing a graph needs Graphviz: found neither the Python package pygraphviz nor the program "
    r"dot\. Run: pip install 'pygraphviz>=2' .* \[gate\.drawing\]"
)
ADDRESS = r"the page shows an object's address, 0x\w+; print a name .* \[gate\.address\]"

SCRIPTS = [
    # What is derived is wrong.
    cube("wrong_sign", "dx = -dx\n" + COMPARE, diverges("x", "(3,)", "54", "2")),
    cube("wrong_factor", "dx *= 1.001\n" + COMPARE, diverges("x", "(3,)", r"0\.027", r"0\.001")),
    script(
        "missing_transpose",
        PRODUCT + 'torch.testing.assert_close({"A": C @ B}, {"A": A.grad})\n',
        diverges("A", "(3, 3)", r"\d[\d.]*", r"\d[\d.]*"),
    ),
    cube(
        "shapes",
        'torch.testing.assert_close({"x": dx[:2]}, {"x": x.grad})\n',
        unmatched("x", "shape (2,), float64", "shape (3,), float64"),
    ),
    Wrong(
        "examples/bad/plot_names.py",
        TITLE + CUBE + 'torch.testing.assert_close({"y": dx}, {"x": x.grad})\n',
        (
            ("assert_close", unmatched("x", "NoneType", "shape (3,), float64")),
            ("assert_close", unmatched("y", "shape (3,), float64", "NoneType")),
        ),
    ),
    cube(
        "dtypes",
        'torch.testing.assert_close({"x": dx.float()}, {"x": x.grad})\n',
        unmatched("x", "shape (3,), float32", "shape (3,), float64, largest absolute error 0"),
    ),
    cube(
        "one_of_several",
        "for factor in (1, 1, 2, 1):\n"
        "    try:\n"
        '        torch.testing.assert_close({f"x{factor}": factor * dx}, {f"x{factor}": x.grad})\n'
        "    except AssertionError:\n"
        '        print("a failure that nobody sees")\n',
        diverges("x2", "(3,)", "27", "1"),
    ),
    cube(
        "equality",
        COMPARE + "torch.testing.assert_close(2 * loss, loss)\n",
        r'equality "2 \* loss = loss" diverges: shape \(\), float64, largest absolute error 20, '
        r"largest relative error 1, .* \[gate\.diverges\]",
        at="torch.testing.assert_close(2",
    ),
    # What is compared cannot be compared.
    cube(
        "nan",
        COMPARE + "dx, gradient = dx * torch.nan, x.grad * torch.nan\n"
        'torch.testing.assert_close({"n": dx}, {"n": gradient}, equal_nan=True)\n',
        'gradient "n", by hand against autograd, contains NaN, and a NaN agrees with nothing '
        r"\[gate\.nan\]",
        at='assert_close({"n"',
    ),
    cube(
        "nan_on_one_side",
        'torch.testing.assert_close({"x": dx / 0 * 0}, {"x": x.grad})\n',
        diverges("x", "(3,)", "nan", "nan"),
    ),
    cube(
        "float32",
        'torch.testing.assert_close({"x": dx.float()}, {"x": x.grad.float()})\n',
        'gradient "x", by hand against autograd, is compared in float32 against float32; '
        r"a comparison by hand is made in float64 on both sides \[gate\.dtype\]",
    ),
    cube(
        "tolerance",
        'torch.testing.assert_close({"x": dx}, {"x": x.grad}, atol=1, rtol=0)\n',
        'gradient "x", by hand against autograd, is compared with rtol=0, atol=1, looser than the '
        r'default of its dtype; say why with "# tolerance: <reason>" on that line '
        r"\[gate\.tolerance\]",
    ),
    cube(
        "tolerance_without_reason",
        COMPARE + "torch.testing.assert_close(loss, loss, atol=0, rtol=1)  # tolerance:\n",
        r'equality "loss = loss" is compared with rtol=1, atol=0, looser .* \[gate\.tolerance\]',
        at="assert_close(loss",
    ),
    # Nothing is derived.
    cube("nothing_compared", 'print("no comparison")\n', NOTHING_COMPARED, at=FIRST_LINE),
    cube("no_reason", "# no hand-derived gradient:\n", NOTHING_COMPARED, at=FIRST_LINE),
    cube(
        "only_an_equality",
        "torch.testing.assert_close(dx, x.grad)\n",
        NOTHING_COMPARED,
        at=FIRST_LINE,
    ),
    cube(
        "nothing_and_yet",
        "# no hand-derived gradient: says who?\n" + COMPARE,
        r"says that it derives no gradient by hand, and compares one \[gate\.nothing\]",
        at="# no hand",
    ),
    # What is compared comes from autograd, or cannot fail.
    Wrong(
        "examples/bad/plot_itself.py",
        TITLE + CUBE + 'torch.testing.assert_close({"x": x.grad}, {"x": x.grad})\n',
        (
            ("dx =", r"dx is derived, and no comparison .* x\.grad \[gate\.unrun\]"),
            ("assert_close", still_passes("x", FROM_AUTOGRAD)),
        ),
    ),
    cube("clone", "dx = x.grad.clone()\n" + COMPARE, still_passes("x", FROM_AUTOGRAD)),
    cube(
        "numpy",
        "import numpy as np\n\ndx = torch.from_numpy(np.array(x.grad.numpy()))\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "list",
        "dx = torch.tensor([value for value in x.grad.tolist()], dtype=torch.float64)\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "another_way",
        "dx = torch.func.grad(lambda x: (x**3).sum())(x.detach())\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "forward_mode",
        "ones = torch.ones(3, dtype=torch.float64)\n"
        "_, dx = torch.func.jvp(lambda x: x**3, (x.detach(),), (ones,))\n" + COMPARE,
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "zeros",
        "(zero,) = torch.autograd.grad((x * torch.zeros_like(x)).sum(), x)\n"
        'torch.testing.assert_close({"x": -17 * zero.new_zeros(3)}, {"x": zero})\n',
        still_passes("x", FROM_AUTOGRAD),
    ),
    cube(
        "empty",
        'torch.testing.assert_close({"x": dx[:0]}, {"x": x.grad[:0]})\n',
        still_passes("x", "it holds no number to compare"),
    ),
    cube(
        "tiny",
        'torch.testing.assert_close({"x": 1e-10 * dx}, {"x": 1e-10 * x.grad})\n',
        still_passes("x", TOO_SMALL),
    ),
    cube(
        "one_of_two",
        'torch.testing.assert_close({"x": dx, "copy": x.grad}, {"x": x.grad, "copy": x.grad})\n',
        still_passes("copy", FROM_AUTOGRAD),
    ),
    cube(
        "ends_early",
        COMPARE + 'if x.grad[0] > 4:\n    raise ValueError("larger than was foreseen")\n',
        r"the replay with autograd multiplied by 1\.5 ended early: "
        r"ValueError: larger than was foreseen \[gate\.replay\]",
        at="    raise",
    ),
    cube(
        "depends_on_a_gradient",
        COMPARE + "if x.grad[0] < 4:\n    torch.testing.assert_close(loss, loss)\n",
        r"made 2 comparisons, but 1 or others when replayed with autograd multiplied by 1\.5; "
        r"which ones are made must not depend on a gradient \[gate\.replay\]",
        at=FIRST_LINE,
    ),
    # The script itself.
    cube(
        "raises",
        COMPARE + '\n\ndef fail():\n    raise ValueError("one line\\nand another")\n\n\nfail()\n',
        r"raises ValueError: one line and another \[gate\.raises\]",
        at="    raise",
    ),
    Wrong(
        "examples/bad/plot_loose_and_raises.py",
        TITLE + CUBE + COMPARE + "torch.testing.assert_close(loss, loss, atol=1, rtol=0)\n1 / 0\n",
        (
            ("assert_close(loss", r'equality "loss = loss" is compared .* \[gate\.tolerance\]'),
            ("1 / 0", r"raises ZeroDivisionError: division by zero \[gate\.raises\]"),
        ),
    ),
    cube(
        "exits",
        "import sys\n\nsys.exit(0)\n",
        r"raises RuntimeError: sys\.exit\(0\) was called; a script has to reach its last line "
        r"\[gate\.raises\]",
        at="sys.exit",
    ),
    cube(
        "raises_nothing",
        COMPARE + "try:\n    loss.backward\nexcept RuntimeError as error:\n    print(error)\n",
        r"no exception came to this line, which would show nothing of one \[gate\.caught\]",
        at="except RuntimeError",
    ),
    cube(
        "syntax",
        COMPARE + "x = = 1\n",
        r"raises SyntaxError: invalid syntax \[gate\.raises\]",
        at="x = = 1",
    ),
    cube("address", COMPARE + "print(object())\n", ADDRESS, at=NO_LINE),
    cube(
        "formula",
        COMPARE + "\n# %%\n# A cell\n# ------\n# It is :math:`\\frac{1}{`.\n\nprint()\n",
        r".*KaTeX parse error: .*\\frac\{1\}\{ \[gate\.formula\]",
        at="# It is",
    ),
    cube("draws", COMPARE + "\nloss.grad_fn\n", NO_GRAPHVIZ, at="loss.grad_fn"),
]

KERNEL = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
SCRIPT = "good/plot_cube"

CHAPTERS = [
    Wrong(
        "book/bad/cells.md",
        KERNEL
        + "# A chapter\n\n"
        + fence("code-cell} python", "import sys", 'print("unread", file=sys.stderr)')
        + fence("code-cell} python", 'raise ValueError("from a cell")')
        + fence("answer} nobody", ":ask: a number", "right = 1"),
        (
            ("```{answer} nobody", no_answer("nobody", "there is no exercise .*")),
            (NO_LINE, r"Executing notebook failed: .*ValueError: from a cell .*\[mystnb\.exec\]"),
            (NO_LINE, r"Notebook exception traceback saved in: .* \[mystnb\.exec\]"),
            ('print("unread"', r"stderr was found in the cell outputs of cell 2 .*"),
        ),
    ),
    chapter(
        "doctests",
        fence("doctest}", ">>> torch.ones(2).sum().item()", "3.0")
        + fence("doctest}", ">>> x = 2", ">>> x", "4"),
        (">>> torch", r"doctest failed: .* torch\.ones.* Expected: 3\.0 Got: 2\.0 .*doctest\]"),
        (">>> x\n", r"doctest failed: .* Failed example: x Expected: 4 Got: 2 \[gate\.doctest\]"),
    ),
    chapter(
        "solution",
        "````{exercise} One and one\n:label: ex-one\nAdd.\n````\n\n"
        "````{solution} ex-one\n" + fence("doctest}", ">>> 1 + 1", "3") + "````\n",
        (">>> 1 + 1", r"doctest failed: .* Expected: 3 Got: 2 \[gate\.doctest\]"),
    ),
    chapter(
        "messages",
        "## An entry\n\n"
        + fence("raises}", "import torch", "torch.ones(2).backward()", "---", "RuntimeError: old")
        + "## Another\n\n"
        + fence("raises}", "x = 1", "---", "ValueError: gone")
        + fence("raises}", "x = 2")
        + fence("attempt}", "1 / 0")
        + fence("fix}", "int('x')")
        + fence("fix}", "x = 3", "---", "ValueError: never")
        + fence("fix}", "print('it helps')")
        + fence("attempt}", "print('it fails')")
        + fence("raises}", "raise RuntimeError('what')", "---", "R…"),
        (
            "```{raises}\nimport",
            "entry 'An entry': PyTorch does not say what is written here "
            r"written: RuntimeError: old raised: RuntimeError: element 0 .* \[gate\.message\]",
        ),
        ("```{raises}\nx = 1", r"entry 'Another': .* nothing was raised \[gate\.message\]"),
        ("```{raises}\nx = 2", r"below the program and a line of three hyphens .*"),
        ("```{attempt}", r"entry 'Another': .* ZeroDivisionError: .* \[gate\.message\]"),
        ("```{fix}\nint", r"entry 'Another': .* ValueError: invalid .* \[gate\.message\]"),
        (
            "```{fix}\nprint",
            r"entry 'Another': .* asserts nothing; assert that it helps \[gate\.message\]",
        ),
        (
            "```{attempt}\nprint",
            r"entry 'Another': .* asserts nothing; assert what becomes of it \[gate\.message\]",
        ),
        ("```{raises}\nraise", r'"R…" would be the beginning of many messages; .*'),
        ("```{fix}\nx = 3", r"a fix raises nothing: there is no message to write below it.*"),
    ),
    chapter(
        "answers",
        exercise("ex-a")
        + fence("answer} nobody", ":ask: a number", "right = 1")
        + fence("answer} ex-a", "right = 2")
        + fence("answer} ex-a", ":ask: a number", "x = 1 +")
        + fence("answer} ex-a", ":ask: a number", "right = 1", "", "assert right == 2, right")
        + fence("answer} ex-a", ":ask: a number", "def f():", "    return 1 / 0", "right = f()")
        + fence("answer} ex-a", ":ask: a number", "wright = 1")
        + fence("answer} ex-a", ":ask: a number", "right = torch.ones(2) / 0")
        + fence("answer} ex-a", ":ask: a number", "right = {3}")
        + fence("answer} ex-a", ":ask: a number", "right = torch.ones(65)")
        + fence(
            "answer} ex-a",
            ":ask: a number",
            "right = 2.0",
            "wrong = {",
            '    "Half": 1.0,',
            '    "Too near": 2.001,',
            "}",
        )
        + fence(
            "answer} ex-a", ":ask: a number", "right = 3", 'wrong = {"One": [1], "Other": (1,)}'
        )
        + fence("answer} ex-a", ":ask: a number", "right = 4", 'wrong = {" ": 3}')
        + fence("answer} ex-a", ":ask: a number", "right = 5", 'wrong = {"Twice": 3, "Twice": 4}')
        + fence("answer} ex-a", ":ask: a number", "right = 6", "wrong = [1, 2]")
        + "````{exercise} Unsolved\n:label: ex-b\nAdd.\n````\n\n"
        + fence("answer} ex-b", ":ask: a number", "right = 3 + len('four')")
        + fence("answer} ex-a", ":ask: a number", "right = 8"),
        ("```{answer} nobody", no_answer("nobody", 'there is no exercise "nobody" above it .*')),
        (
            "right = 8",
            no_answer("ex-a", "right is typed: compute it, or hold it against what is computed"),
        ),
        ("```{answer} ex-a\nright = 2", no_answer("ex-a", "say what to type with :ask:, .*")),
        ("x = 1 +", no_answer("ex-a", "SyntaxError: invalid syntax")),
        ("assert right", no_answer("ex-a", "an assert fails: 1")),
        ("right = f()", no_answer("ex-a", "ZeroDivisionError: division by zero")),
        ("```{answer} ex-a\n:ask: a number\nwright", no_answer("ex-a", "it defines no `right`")),
        ("right = torch.ones(2) / 0", no_answer("ex-a", "right is inf; a word .*")),
        ("right = {3}", no_answer("ex-a", "right is a set; an answer is a number, .*")),
        ("right = torch.ones(65)", no_answer("ex-a", "right is a large tensor; .*")),
        (
            '    "Too near"',
            no_answer(
                "ex-a",
                r"the wrong answer 2\.001 of 'Too near' cannot be told from the right one, 2\.0",
            ),
        ),
        (
            'wrong = {"One"',
            no_answer(
                "ex-a",
                r"the wrong answer \(1,\) of 'Other' cannot be told from the one of 'One', \[1\]",
            ),
        ),
        ('wrong = {" "', no_answer("ex-a", "' ' says nothing to whoever gives this answer")),
        ('wrong = {"Twice"', no_answer("ex-a", "'Twice' is said to two wrong answers")),
        ("wrong = [1, 2]", no_answer("ex-a", "`wrong` is a dictionary of what to say: .*")),
        ("```{answer} ex-b", no_answer("ex-b", "its exercise has no solution on this page, .*")),
    ),
    chapter(
        "claims",
        fence("claims} graph") + fence("claims} nothing") + fence("claims-table} Q"),
        (
            "```{claims} nothing",
            "no row of book/reference/claims with the topic 'nothing' is to be .*",
        ),
        ("```{claims-table} Q", "no row of book/reference/claims begins with 'Q' .*"),
    ),
    chapter(
        "prompt",
        "```python\n>>> 1 + 1\n3\n```\n",
        ("```python", r'nothing runs what is in "```python"; .* \[gate\.skipped\]'),
        (">>> 1", r'">>>" outside a doctest directive would be printed .* \[gate\.prompt\]'),
    ),
    chapter(
        "left_open",
        fence("doctest}", ">>> torch.ones(2)", "tensor(...)")
        + fence("doctest}", ">>> torch.ones(3)  # doctest: +ELLIPSIS", "tensor(...)")
        + fence(
            "doctest}",
            ">>> 1 / 0  # doctest: +IGNORE_EXCEPTION_DETAIL",
            "Traceback (most recent call last):",
            "ZeroDivisionError: invented",
        ),
        (">>> torch.ones(2)", r"doctest failed: .* \[gate\.doctest\]"),
        (
            "tensor(...)\n```\n\n```{doctest}\n>>> torch",
            r'"tensor\(\.\.\.\)" matches nearly anything; .* \[gate\.skipped\]',
        ),
        (
            "tensor(...)\n```\n\n```{doctest}\n>>> 1",
            r'"tensor\(\.\.\.\)" matches nearly anything; .* \[gate\.skipped\]',
        ),
        (">>> 1 / 0", r'"# doctest: \+IGNORE_EXCEPTION_DETAIL" switches a check off; .*'),
    ),
    chapter(
        "skipped",
        fence("doctest}", ">>> 1 + 1  # doctest: +SKIP", "3")
        + fence("doctest}", ":skipif: True", ">>> 2 + 1", "4"),
        (">>> 1", r'"# doctest: \+SKIP" switches a check off; .* \[gate\.skipped\]'),
        (":skipif", r'":?skipif:" switches a check off; .* \[gate\.skipped\]'),
    ),
    Wrong(
        "book/bad/skipped_cells.md",
        KERNEL
        + "# A chapter\n\n"
        + fence("code-cell} python", ":tags: [skip-execution]", "assert False")
        + fence("code-cell} python", ":tags: [raises-exception]", "assert False"),
        (
            (":tags: [skip", r'"skip-execution" switches a check off; .* \[gate\.skipped\]'),
            (":tags: [raises", r'"raises-exception" switches a check off; .* \[gate\.skipped\]'),
        ),
    ),
    chapter(
        "references",
        "See {ref}`nowhere`.\n\nSee {doc}`nothing`.\n\nSee {py:func}`torch.nonexistent`.\n\n"
        "See [nobody](nobody.md).\n\nSee {download}`none.py`.\n",
        ("See {ref}", r"undefined label: 'nowhere' \[ref\.ref\]"),
        ("See {doc}", r"unknown document: 'nothing' \[ref\.doc\]"),
        ("See {py", r"py:func reference target not found: torch\.nonexistent \[ref\.func\]"),
        ("See [", r"'myst' cross-reference target not found: 'nobody\.md' .*"),
        ("See {down", r"download file not readable: .*none\.py \[download\.not_readable\]"),
    ),
    chapter(
        "embed",
        fence("embed} good/plot_nobody", ":cell: A cell")
        + fence(f"embed}} {SCRIPT}", ":cell: No cell")
        + fence(f"embed}} {SCRIPT}", ":show: code"),
        (
            "```{embed} good/plot_nobody",
            'there is no script "good/plot_nobody" in examples/; there are: bad/.*, good/plot_cube,'
            ".*",
        ),
        (
            "```{embed} good/plot_cube\n:cell",
            r'examples/good/plot_cube\.py has no cell "No cell"; it has: Its gradient .*',
        ),
        ("```{embed} good/plot_cube\n:show", "say which cell with :cell:, one of: Its gradient .*"),
    ),
    chapter(
        "numbers",
        fence(f"backward-graph}} {SCRIPT}") + fence(f"backward-steps}} {SCRIPT}", ":pass: 3"),
        (
            "```{backward-graph}",
            r"examples/good/plot_cube\.py draws a graph 0 times; there is no number 1 .*",
        ),
        (
            "```{backward-steps}",
            r"examples/good/plot_cube\.py runs a backward pass 1 times; there is no number 3 .*",
        ),
    ),
    chapter(
        "verified",
        fence("verified} good/plot_nothing"),
        ("```{verified}", "good/plot_nothing compares nothing there .*"),
    ),
    chapter(
        "control",
        fence(f"negative-control}} {SCRIPT}", ":replace: 3.0]", ":by: 4.0]")
        + fence(f"negative-control}} {SCRIPT}", ":replace: nowhere", ":by: x")
        + fence(f"negative-control}} {SCRIPT}", ":replace: dx = 3", ":by: dx = 3 / 0")
        + fence(f"negative-control}} {SCRIPT}", ":replace: dx = 3"),
        (
            "```{negative-control} good/plot_cube\n:replace: 3.0]",
            r"plot_cube\.py still passes with '3\.0\]' replaced by '4\.0\]': its comparisons do "
            "not see this error .*",
        ),
        (
            "```{negative-control} good/plot_cube\n:replace: nowhere",
            r"'nowhere' occurs 0 times in plot_cube\.py, not once .*",
        ),
        (
            "```{negative-control} good/plot_cube\n:replace: dx = 3\n:by",
            r"plot_cube\.py ends with an exception before anything diverges, .* "
            "ZeroDivisionError: .*",
        ),
        (
            "```{negative-control} good/plot_cube\n:replace: dx = 3\n```",
            "say what to change with :by: .*",
        ),
    ),
    chapter(
        "formulas",
        "A fraction $\\frac{1}{$.\n\n$$\n\\nosuchmacro\n$$\n",
        ("A fraction", r".*KaTeX parse error: .* \[gate\.formula\]"),
        ("$$\n", r".*KaTeX parse error: Undefined control sequence: .* \[gate\.formula\]"),
    ),
    chapter(
        "shown",
        fence("doctest}", ">>> print('<object at 0x7fa5dec5fc30>')", "<object at 0x7fa5dec5fc30>"),
        (NO_LINE, ADDRESS),
    ),
    chapter(
        "tables",
        fence("truth-table} clearing")
        + fence("truth-table} cleaning")
        + fence("truth-table} leaves", ":columns: leaf; twig"),
        (
            "```{truth-table} clearing",
            r'truth table "clearing", row "p\.grad = None", column "SGD moves": expected "yes", '
            r'measured "no" \(expected of torch [\d.]+ by '
            r"book/reference/truth_tables/clearing\.toml, this is "
            r"[\d.]+\); if the page is to say so, store it: nox -s tables -- --write "
            r"\[gate\.table\]",
        ),
        (
            "```{truth-table} cleaning",
            'there is no table "cleaning"; there are: modes, leaves, saved, clearing, silent .*',
        ),
        ("```{truth-table} leaves", 'leaves has no column "twig"; it has: leaf, .*'),
    ),
    chapter(
        "silent",
        fence("wrong-gradient} cut_path")
        + fence("wrong-gradient} ties")
        + fence("wrong-gradient} cut_paths"),
        (
            "```{wrong-gradient} cut_path",
            r'truth table "silent", row "cut path", column "gradcheck": expected "silent", '
            r'measured "sees" \(expected of torch [\d.]+ by '
            r"book/reference/truth_tables/silent\.toml, .*"
            r"\[gate\.table\]",
        ),
        ("```{wrong-gradient} cut_paths", 'there is no case "cut_paths"; there are: .*'),
    ),
    chapter(
        "older",
        fence("older-pytorch}"),
        (
            "```{older-pytorch}",
            r"reasons\.toml has a reason for graph/none, which does not differ \[gate\.older\]",
        ),
    ),
    chapter(
        "tried",
        fence("claim} no-domain", "It holds.")
        + fence("claim} no-words", ":domain: all programs")
        + fence("claim} Not_an_id", ":domain: all programs", "It holds.")
        + fence("claim} no-falsifier", ":domain: all programs", "It holds.")
        + fence("claim} falls", ":domain: in this example", "It falls.")
        + fence("claim} sines", ":domain: all programs", "It holds.")
        + fence("claim} raises", ":domain: all programs", "It holds.")
        + fence("claim} draws-nothing", ":domain: all programs", "It holds.")
        + fence("claim} survives", ":domain: all programs", "It holds.")
        + fence("claim} example", ":domain: in this example", "It holds.")
        + "Again: {claim-ref}`nothing@123456`.\n\n"
        + "And: {claim-ref}`example`.\n\n"
        + "And: {claim-ref}`more <example@123456>`.\n\n"
        + "And: {claim-ref}`an example, a claim`.\n",
        ("```{claim} no-domain", "claim no-domain has no domain; add :domain: with .*"),
        ("```{claim} no-words", "claim no-words has no statement; write it inside .*"),
        ("```{claim} Not_an_id", "claim Not_an_id: an id is lower-case words with hyphens .*"),
        ("```{claim} no-falsifier", "claim no-falsifier has no falsifier; write one in .*"),
        (
            "```{claim} falls",
            'claim falls has a falsifier, and its domain is "in this example"; name the domain.*',
        ),
        (
            "Again:",
            r"claim-ref: no page states the claim nothing; there are: .* \[gate\.world\]",
        ),
        (
            "And: {claim-ref}`example`",
            "claim-ref: see that this is no stronger than the claim example, and write "
            r"example@\w{6} \[gate\.world\]",
        ),
        (
            "And: {claim-ref}`more",
            "claim-ref: the claim example has changed since this was confirmed; it says now: "
            r'"It holds\." Read both, and write example@\w{6} \[gate\.world\]',
        ),
        ("And: {claim-ref}`an", "claim-ref takes id@digest or words <id@digest>, and got .*"),
    ),
    chapter(
        "tried_again",
        fence("claim} example", ":domain: in this example", "It holds."),
        (
            "```{claim} example",
            r"the claim example stands in bad/tried\.md:\d+ already; give one another id "
            r"\[gate\.world\]",
        ),
    ),
    chapter(
        "directive",
        fence(f"embad}} {SCRIPT}") + "### Two levels down\n",
        ("```{embad}", "Unknown directive type: 'embad' .*"),
        ("###", "Non-consecutive header level increase; H1 to H3 .*"),
    ),
    chapter("orphan", "Lost.\n", (NO_LINE, "document isn't included in any toctree")),
]


def claim(name: str, *, part: str = "open", **others: str) -> str:
    given = {"says": "It is.", "verdict": "false", "so": "It is not.", "topic": "graph"}
    lines = [f'{key} = "{value}"' for key, value in (given | {"part": part} | others).items()]
    return "\n".join([f"[{name}]", *lines, ""])


LISTED = "listed = true\n"
PARTS = "".join(
    f'[{name}]\ntitle = "{name}"\nfinished = {str(done).lower()}\n'
    for name, done in (("done", True), ("open", False))
)
CLAIMS = Wrong(
    "book/reference/claims/w.toml",
    claim("W-01", place="bad/prompt#a-chapter", part="done")
    + LISTED
    + claim("W-02")
    + claim("W-03", needs_none="an opinion", part="done")
    + claim("W-04", place="bad/nowhere#a-chapter")
    + claim("W-05", place="bad/prompt#nothing")
    + claim("W-06", part="done")
    + claim("W-07", place="bad/prompt#a-chapter", topic="another")
    + LISTED
    + claim("W-08")
    + LISTED
    + claim("W-09", verdict="wrong"),
    (
        ("[W-04]", r"W-04 has the place .*, but there is no page bad/nowhere \[gate\.claim\]"),
        ("[W-05]", r"W-05 has .*, but bad/prompt has no section nothing \[gate\.claim\]"),
        ("[W-06]", r'W-06 has no place, and its part "done" is finished \[gate\.claim\]'),
        ("[W-07]", r"W-07 is to be listed, but no page lists the topic 'another' .*"),
        ("[W-08]", r"W-08 is to be listed, and has no place that shows it \[gate\.claim\]"),
        ("[W-09]", r"W-09 has the verdict 'wrong'; there are: true, .* \[gate\.claim\]"),
    ),
)
FALSIFIER = """
@claim("{0}", world=programs())
def {1}(roots):
    {2}


@control("{0}", "{3}")
def {1}_control(roots):
    {4}

"""
FALLS = "assert not roots"
WORLD = r" \[gate\.world\]"
FALSIFIERS = Wrong(
    "book/reference/claims/falsifiers/wrong.py",
    "from press.trials.claims import assume, claim, control\n"
    "from press.worlds import programs\n\n"
    + FALSIFIER.format("falls", "falls", FALLS, "It stands.", FALLS)
    + FALSIFIER.format("sines", "sines", FALLS, "It stands.", FALLS)
    + FALSIFIER.format("raises", "raises", "1 / 0", "It stands.", FALLS)
    + FALSIFIER.format("draws-nothing", "draws_nothing", "assume(False)", "It stands.", FALLS)
    + FALSIFIER.format("survives", "survives", "assert roots", "It stands.", "assert roots"),
    (
        (
            '@claim("falls"',
            r"falls: it does not hold: AssertionError; bound it, or teach the exception import "
            rf"torch .*falls\(roots\){WORLD}",
        ),
        (
            '@claim("sines"',
            r"sines: it does not hold: AssertionError; .* v1 = x0 \* 2 leaves, roots = \[x0\], "
            rf"\[v1\] def sines\(roots\): assert not roots sines\(roots\){WORLD}",
        ),
        ('@claim("raises"', r"raises: its falsifier raised ZeroDivisionError: .*" + WORLD),
        ('@claim("draws-nothing"', "draws-nothing: its falsifier drew no case; .*" + WORLD),
        ('@claim("survives"', 'survives: its control "It stands." survived 100 .*' + WORLD),
    ),
)
TWICE = Wrong(
    "book/reference/claims/falsifiers/wrong_twice.py",
    FALSIFIER.format("sines", "again", "assert roots", "It stands.", FALLS),
    (
        (
            '@claim("sines"',
            r"the claim sines has a falsifier at book/reference/claims/falsifiers/wrong\.py:\d+ "
            rf"already; give one of them another id{WORLD}",
        ),
    ),
)
WRONG = [*SCRIPTS, *CHAPTERS, CLAIMS, FALSIFIERS, TWICE]

# Nothing is wrong with these: what looks unusual about them is allowed.
GOOD = {
    "good/plot_cube": CUBE + "\n# %%\n# Its gradient\n# ------------\n# By hand.\n\n" + COMPARE,
    "good/plot_nothing": "# no hand-derived gradient: it prints a number\nprint(1)\n",
    "good/plot_reason": CUBE + COMPARE + "torch.testing.assert_close(\n"
    "    loss, loss + 1e-3, atol=1e-2, rtol=0  # tolerance: 0.01, a sum in another order\n"
    ")\n",
    "good/plot_equalities": CUBE + COMPARE + "torch.testing.assert_close(x.grad, x.grad.clone())\n",
    "good/plot_tight": CUBE
    + 'torch.testing.assert_close({"x": dx}, {"x": x.grad}, atol=0, rtol=1e-12)\n',
}


@pytest.fixture(scope="module")
def book(make_book):
    book = make_book("gates")
    shutil.rmtree(book.root / "book/reference/claims")
    book.write("book/reference/claims/parts.toml", PARTS)
    for wrong in WRONG:
        book.write(wrong.path, wrong.source)
    for name, source in GOOD.items():
        book.write(f"examples/{name}.py", TITLE + source)
    book.write("book/index.md", "# A miniature book\n")
    table = book.root / "book/reference/truth_tables/clearing.toml"
    before, row, after = table.read_text("utf-8").partition('[rows."p.grad = None"]')
    table.write_text(before + row + after.replace('"SGD moves" = "no"', '"SGD moves" = "yes"', 1))
    table = book.root / "book/reference/truth_tables/silent.toml"
    before, row, after = table.read_text("utf-8").partition('[rows."cut path"]')
    after = after.replace('"gradcheck" = "sees"', '"gradcheck" = "silent"', 1)
    table.write_text(before + row + after)
    measured = book.root / "conf/press/trials/older/measured.json"
    measured.write_text(json.dumps(json.loads(measured.read_text("utf-8")) | {"differences": []}))
    reason = '[[reason]]\ntitle = "Nothing"\nwhy = "Nobody knows."\nof = ["graph/none"]\n'
    book.write("book/reference/older_pytorch/reasons.toml", reason)
    listed = (wrong.path.removeprefix("book/").removesuffix(".md") for wrong in CHAPTERS)
    book.contents(*(chapter for chapter in listed if chapter != "bad/orphan"))
    book.write("_build/html/index.html", "what was published before")
    return book


@pytest.fixture(scope="module")
def built(book):
    book.write("without/pygraphviz.py", 'raise ImportError("there is no wheel for this machine")')
    empty = str(book.root / "nothing")
    return book.build("--jobs", "2", PYTHONPATH=str(book.root / "without"), PATH=empty)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.path)
def test_problem_is_listed(built, wrong):
    """Each problem is listed with its file, its line, and what is wrong; and no other of it."""
    listed = [problem for problem in built.problems if problem.startswith(wrong.path)]
    for expected in wrong.expected():
        assert [problem for problem in listed if re.fullmatch(expected, problem)], (
            f"nothing like\n{expected}\nin\n{chr(10).join(listed) or built.output}"
        )
    assert len(listed) == len(wrong.problems)


def test_nothing_else_is_listed(built):
    """Scripts and chapters with nothing wrong are not mentioned."""
    paths = [wrong.path for wrong in WRONG]
    assert [p for p in built.problems if not p.startswith(tuple(paths))] == []


def test_every_gate_was_seen_red():
    """The book says what fails a build, and each of those gates fails this one."""
    from press.judge.gates import GATES

    said = "".join(message for wrong in WRONG for _, message in wrong.problems)
    # These have books of their own: test_falsified_rule.py, test_crashes.py, test_clever_plants.py.
    elsewhere = {"operator", "crash", "count", "data", "refused"}
    assert {gate for gate in GATES if rf"{gate}\]" not in said} == elsewhere


def test_ends_in_failure(built):
    """The build ends with status 1, says so, and says how to see one problem again."""
    assert built.status == 1
    assert "The build failed" in built.summary
    assert "Nothing was published." in built.summary
    assert "nox -s docs -- examples/bad/plot_wrong_sign.py" in built.summary
    assert "nox -s docs -- book/bad/prompt.md" in built.summary


def test_publishes_nothing(built, book):
    """What was published before is still there, as it was, and nothing else."""
    assert book.published() == {"index.html": b"what was published before"}


def test_no_process_outlives_it(built):
    """Workers, kernels and the renderer of formulas end with a build that failed."""
    assert built.survivors == ()
