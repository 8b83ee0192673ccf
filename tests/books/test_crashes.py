"""A process that dies takes nothing with it: what it was on is named, and the rest is built."""

import re

import pytest
from press.gallery import crew

if not crew.CAN_FORK:
    pytest.skip("processes are forked on Linux only", allow_module_level=True)

SCRIPT = '''"""
A script
========

For a test.
"""

import torch

x = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
(x**2).sum().backward()
torch.testing.assert_close({"x": 2 * x.detach()}, {"x": x.grad})
'''
DIES = "import os\nimport signal\n\nos.kill(os.getpid(), signal.SIGSEGV)\n"
# Passes inside passes: what the engine does for them dies in a fork of a process that used it.
NESTED = """# Nested

```{doctest}
>>> class Nested(torch.autograd.Function):
...     @staticmethod
...     def forward(ctx, x, depth):
...         ctx.depth = depth
...         return x.clone()
...     @staticmethod
...     def backward(ctx, cotangent):
...         if ctx.depth:
...             x = torch.ones(1, requires_grad=True)
...             with torch.enable_grad():
...                 Nested.apply(x, ctx.depth - 1).sum().backward()
...         return cotangent, None
>>> x = torch.ones(1, requires_grad=True)
>>> Nested.apply(x, 200).sum().backward()
>>> x.grad
tensor([1.])
```
"""
KILLS = """# Kills

```{doctest}
>>> import os, signal
>>> os.kill(os.getpid(), signal.SIGKILL)
```
"""
PLAIN = [f"plain_{number}" for number in range(8)]


def with_pages(book, **pages):
    book.write("book/index.md", "# A miniature book\n")
    for name in PLAIN:
        book.write(f"book/{name}.md", f"# {name}\n")
    for name, text in pages.items():
        book.write(f"book/{name}.md", text)
    book.contents(*PLAIN, *pages)


@pytest.fixture(scope="module")
def nested(make_book):
    """Nothing is wrong: one script to run, and many pages to read, one with nested passes."""
    book = make_book("nested")
    book.write("examples/one/plot_one.py", SCRIPT)
    with_pages(book, nested=NESTED)
    return book.build("--jobs", "2")


@pytest.fixture(scope="module")
def died(make_book):
    """Two scripts die, a third is wrong."""
    book = make_book("died")
    book.write("examples/one/plot_dies.py", SCRIPT + DIES)
    book.write("examples/one/plot_exits.py", SCRIPT + "import os\n\nos._exit(0)\n")
    book.write("examples/one/plot_leaves.py", SCRIPT + "raise SystemExit(0)\n")
    book.write("examples/one/plot_quits.py", SCRIPT + "quit()\n")
    book.write("examples/one/plot_right.py", SCRIPT)
    book.write("examples/one/plot_wrong.py", SCRIPT.replace('"x": 2 *', '"x": 3 *'))
    with_pages(book)
    return book.build("--jobs", "2")


@pytest.fixture(scope="module")
def killed(make_book):
    """A page kills the process that reads it."""
    book = make_book("killed")
    book.write("examples/one/plot_one.py", SCRIPT)
    with_pages(book, kills=KILLS)
    return book.build("--jobs", "2")


def test_pages_are_read_after_a_lone_script(nested):
    """One script runs, and pages with nested passes are read side by side after it."""
    assert nested.status == 0, nested.output
    assert "1 script: 1 comparison of a gradient by hand" in nested.output


def test_script_that_crashes_is_named(died):
    """A script whose process dies is a failure of its own, with the signal."""
    (found,) = [problem for problem in died.problems if "plot_dies" in problem]
    assert re.fullmatch(
        r"examples/one/plot_dies\.py:1: the process ended by SIGSEGV before its script did, "
        r"by a crash or for want of memory \[gate\.crash\]",
        found,
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exits", r"os\._exit\(0\) was called"),
        ("leaves", r"SystemExit\(0\) was raised"),
        ("quits", r"SystemExit\(None\) was raised"),
    ],
)
def test_script_that_leaves_is_named(died, name, said):
    """A script that ends the process it runs in fails with the line on which it does."""
    (found,) = [problem for problem in died.problems if f"plot_{name}" in problem]
    line = SCRIPT.count("\n") + (3 if name == "exits" else 1)
    assert re.fullmatch(
        rf"examples/one/plot_{name}\.py:{line}: raises RuntimeError: {said}; a script has to reach "
        r"its last line \[gate\.raises\]",
        found,
    )


def test_other_failures_are_not_lost(died):
    """What is wrong elsewhere is listed beside it, and what is right is not mentioned."""
    assert died.status == 1
    assert any("plot_wrong" in p and p.endswith("[gate.diverges]") for p in died.problems)
    assert not any("plot_right" in problem for problem in died.problems)
    assert len(died.problems) == 5


def test_page_whose_reader_dies_is_named(killed):
    """A page that ends the process that reads it is named, with the signal."""
    assert killed.status == 1
    (found,) = killed.problems
    assert re.fullmatch(
        r"book/kills\.md: the process ended by SIGKILL before its page did, .* \[gate\.crash\]",
        found,
    )


@pytest.mark.parametrize("name", ["nested", "died", "killed"])
def test_no_process_is_left(request, name):
    """However they end, no process outlives them."""
    assert request.getfixturevalue(name).survivors == ()
