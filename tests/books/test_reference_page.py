"""A page of docstrings, in a miniature book: its examples run in the build, and once."""

import pytest

WRONG = '''\
import sys, os

with open(os.environ["BACKWARDPASS_TEST_IMPORTED"], "a") as log:
    log.write("x")


def twice(x: int) -> int:
    """Double a number.

    >>> import wrong
    >>> wrong.twice(2)
    RESULT
    """
    return 2 * x
'''
PAGE = """\
# Reference

```{eval-rst}
.. autofunction:: wrong.twice
```
"""
SCRIPT = '''\
r"""
A cube
======

A cube and its slope.
"""

# %%
# The slope
# ---------
# Of a cube.

import torch

x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
(x**3).sum().backward()
torch.testing.assert_close({"x": 3 * x.detach() ** 2}, {"x": x.grad})
'''


@pytest.fixture(scope="module")
def book(make_book):
    book = make_book("reference")
    book.write("examples/one/plot_cube.py", SCRIPT)
    book.write("book/index.md", "# A book\n\nOf one page.\n")
    book.write("book/reference.md", PAGE)
    book.write("conf/wrong.py", WRONG.replace("RESULT", "5"))
    book.contents("reference")
    return book


def test_examples_of_docstrings_are_run_when_their_page_is_built(book, tmp_path):
    """A wrong example fails the build; the right one passes, and is not looked at again."""
    imported = tmp_path / "imported.txt"
    failed = book.build(BACKWARDPASS_TEST_IMPORTED=str(imported))
    assert failed.status == 1
    (problem,) = failed.problems
    assert problem.startswith("book/reference.md: doctest failed:")
    assert "Expected: 5 Got: 4 [gate.doctest]" in problem
    book.write("conf/wrong.py", WRONG.replace("RESULT", "4"))
    assert book.build(BACKWARDPASS_TEST_IMPORTED=str(imported)).status == 0
    page = book.published()["reference.html"].decode()
    assert '<a class="reference external" href="https://docs.python.org/3/library/' in page
    imported.unlink()
    assert book.build(BACKWARDPASS_TEST_IMPORTED=str(imported)).status == 0
    assert not imported.exists()
