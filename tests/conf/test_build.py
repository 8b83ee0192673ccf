"""One miniature book through its life: built, changed, broken, mended, interrupted, built anew.

Each step is a fixture that starts from the one before it, and keeps what was published then:
so a test looks at a step and depends on no other test.
"""

import os
import re
import select
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

NOTE_THAT_IT_RAN = """
import os

with open(os.environ["BACKWARDPASS_TEST_RAN"], "a") as ran:
    print({name!r}, file=ran)
"""
CUBE = '''"""
The gradient of a cube
======================

For a test.
"""

# %%
# A cube
# ------
# Three numbers.

import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
loss = (x**3).sum()
loss.grad_fn

# %%
# Its gradient
# ------------
# It is :math:`3x^2`.

loss.backward()
dx = 3 * x.detach() ** 2
torch.testing.assert_close({"x": dx}, {"x": x.grad})
print(x.grad)
'''
FIGURES = '''"""
Two figures
===========

For a test.
"""

# %%
# The first figure
# ----------------
# A line.

import matplotlib.pyplot as plt
import torch

plt.plot([1, 2, 3])

# %%
# The second figure
# -----------------
# Another one.

plt.plot([3, 2, 1])

# %%
# A gradient
# ----------
# Of a square.

w = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
w.square().sum().backward()
torch.testing.assert_close({"w": 2 * w.detach()}, {"w": w.grad})
'''
SECOND_FIGURE = re.compile(r"# %%\n# The second.*?(?=# %%\n# A gradient)", re.DOTALL)
EXTRA = 'torch.testing.assert_close({"w again": 2 * w.detach()}, {"w again": w.grad})\n'
# It waits where a test tells it to: the test hears of it through a pipe, and ends it.
WAITS = '''"""
Nothing to derive
=================

For a test.
"""

# %%
# Nothing
# -------
# no hand-derived gradient: it only waits.

import os
import threading

if "HOLD_SCRIPT" in os.environ:
    with open(os.environ["HOLD_SCRIPT"], "w") as pipe:
        pipe.write("here")
    threading.Event().wait()
'''
INDEX = """# A miniature book

```{embed} one/plot_figures
:cell: The first figure
```

```{ledger}
:totals:
```
"""
GUIDE = """# Everything a chapter can show

```{backward-graph} one/plot_cube
```
```{backward-table} one/plot_cube
```
```{backward-steps} one/plot_cube
```
```{verified} one/plot_cube
```
```{negative-control} one/plot_cube
:replace: dx = 3
:by: dx = 3.003
```
```{gates}
```

The gradient is $3x^2$, see {py:func}`torch.autograd.grad`.

```{doctest}
>>> torch.ones(3).sum()
tensor(3.)
```

(here)=
## The ledger

```{ledger}
```
"""
CELLS = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A chapter with a cell

```{code-cell} python
import os
import threading

if "HOLD_CELL" in os.environ:
    with open(os.environ["HOLD_CELL"], "w") as pipe:
        pipe.write("here")
    threading.Event().wait()
print("the cell ran")
```
"""


@dataclass(frozen=True)
class Step:
    """How a build ended, and what was published after it."""

    built: object
    published: dict[str, bytes]

    def page(self, name: str) -> str:
        return self.published[f"{name}.html"].decode()


def step(book, *arguments: str, **environment: str) -> Step:
    return Step(book.build(*arguments, **environment), book.published())


@pytest.fixture(scope="module")
def book(make_book):
    book = make_book("story")
    for path, source in {
        "one/plot_cube": CUBE,
        "one/plot_figures": FIGURES,
        "two/plot_old": CUBE + "\nimport matplotlib.pyplot as plt\n\nplt.plot([2, 2])\n",
        "two/plot_waits": WAITS,
    }.items():
        book.write(f"examples/{path}.py", source + NOTE_THAT_IT_RAN.format(name=path))
    book.write("book/index.md", INDEX)
    book.write("book/guide.md", GUIDE)
    book.write("book/cells.md", CELLS)
    book.contents("guide", "cells")
    return book


@pytest.fixture(scope="module")
def first(book):
    """A cold build."""
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def unchanged(book, first):
    """Built again, nothing changed."""
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def changed(book, unchanged):
    """One script shows one figure less, and compares once more."""
    script = book.root / "examples/one/plot_figures.py"
    source = script.read_text()
    script.write_text(SECOND_FIGURE.sub("", source) + EXTRA)
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def broken(book, changed):
    """A script has a syntax error, a chapter asks for a cell that does not exist."""
    cube, index = book.root / "examples/one/plot_cube.py", book.root / "book/index.md"
    cube.write_text(cube.read_text().replace("dx = 3", "dx = = 3"))
    index.write_text(index.read_text().replace("The first figure", "The last figure"))
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def still_broken(book, broken):
    """Built again, nothing changed."""
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def mended(book, still_broken):
    """Everything as it was before it was broken."""
    cube, index = book.root / "examples/one/plot_cube.py", book.root / "book/index.md"
    cube.write_text(cube.read_text().replace("dx = = 3", "dx = 3"))
    index.write_text(index.read_text().replace("The last figure", "The first figure"))
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def deleted(book, mended):
    """A script is gone."""
    (book.root / "examples/two/plot_old.py").unlink()
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def killed(book, deleted):
    """The instruments changed; the build was killed, all of it at once, while a script ran."""
    with open(book.root / "conf/extensions/ledger.py", "a") as instrument:
        instrument.write("# Changed.\n")
    return interrupted(book, "HOLD_SCRIPT", book.kill)


@pytest.fixture(scope="module")
def terminated(book, killed):
    """The next build was asked to end while a chapter's cell was running."""
    return interrupted(book, "HOLD_CELL", lambda process: process.terminate())


@pytest.fixture(scope="module")
def recovered(book, terminated):
    """Built again, with nothing cleaned by hand."""
    return step(book, "--jobs", "1")


@pytest.fixture(scope="module")
def anew(make_book, book, recovered):
    """The same sources in another folder, built from nothing, two scripts at a time."""
    other = make_book("anew")
    for folder in ("conf", "book", "examples"):
        ignored = shutil.ignore_patterns("gallery", "__pycache__", "sg_execution_times.rst")
        shutil.rmtree(other.root / folder, ignore_errors=True)
        shutil.copytree(book.root / folder, other.root / folder, ignore=ignored)
    return step(other, "--jobs", "2")


def interrupted(book, where: str, end) -> Step:
    """Start a build, wait until it is at ``where``, and ``end`` it."""
    pipe = book.root / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    process = book.start("--jobs", "2", **{where: str(pipe)})
    reader = os.open(pipe, os.O_RDWR)  # for both: so that it can be opened before it is written
    try:
        ready, _, _ = select.select([reader], [], [], 120)
        assert ready, f"the build did not reach {where}:\n{book.log()}"
        os.read(reader, 16)
    finally:
        os.close(reader)
        end(process)
    return Step(book.finish(process), book.published())


def test_first(first):
    print(first.built.output[-800:])
    assert first.built.status == 0
    assert not first.built.survivors

def test_all(first, unchanged, changed, broken, still_broken, mended, deleted, terminated, killed, recovered, anew):
    for n, s in list(locals().items()):
        print(n, s.built.status, sorted(set(s.built.ran)), s.built.survivors, s.built.summary[:3000] or s.built.output[-200:], len(s.published))
        def diff(a,b): return sorted(k for k in a.published.keys()|b.published.keys() if a.published.get(k)!=b.published.get(k))
    print(diff(first,unchanged)); print(diff(unchanged,changed)); print(diff(changed,broken)); print(diff(changed,mended)); print(diff(mended,deleted)); print(diff(deleted,killed)); print(diff(deleted,recovered)); print(diff(recovered,anew))
    assert 0
