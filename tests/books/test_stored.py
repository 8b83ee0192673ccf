"""What a build keeps of a page is that page, and no other, nor the book around it."""

import pickle
from collections import deque
from pathlib import Path

import pytest
from docutils import nodes

CHAPTER = """\
# Chapter {number}

```{{embed}} part/plot_cube
:cell: A cube
```

```{{exercise}}
:label: ex-{number}
What is the slope at {number}?
```

```{{solution}} ex-{number}
It is three times its square, {number} apart.
```
"""
SCRIPT = '''r"""
A cube
======
The slope of a cube.
"""
# %%
# A cube
# ------
# One number, cubed.
import torch

x = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
(x**3).sum().backward()
by_hand = 3 * x.detach() ** 2
torch.testing.assert_close({"x": by_hand}, {"x": x.grad})
print(x.grad)
'''


@pytest.fixture(scope="module")
def doctrees(make_book) -> Path:
    """The folder of what a build of two chapters with exercises has kept."""
    book = make_book("stored")
    book.contents("first", "second")
    book.write("book/index.md", "# Book\n")
    for number, name in enumerate(("first", "second"), start=1):
        book.write(f"book/{name}.md", CHAPTER.format(number=number))
    book.write("examples/part/plot_cube.py", SCRIPT)
    built = book.build("--jobs", "1")
    assert built.status == 0, built.summary
    return book.root / "_build/stage/doctrees"


def documents(root: object) -> set[str]:
    """The sources of all documents that ``root`` leads to."""
    found, seen, waiting = set(), {id(root)}, deque([root])
    while waiting:
        item = waiting.popleft()
        if isinstance(item, nodes.document):
            found.add(Path(item["source"]).name)
        if isinstance(item, dict):
            inside = item.values()
        elif isinstance(item, list | tuple | set):
            inside = item
        else:
            inside = vars(item).values() if hasattr(item, "__dict__") else ()
        for part in inside:
            if not isinstance(part, str | int | type | None) and id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
    return found


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_page_is_stored_alone(doctrees, name):
    """A page with an embedded cell and an exercise leads to no other document, nor its script's."""
    page = pickle.loads((doctrees / f"{name}.doctree").read_bytes())
    assert documents(page) == {f"{name}.md"}


def test_exercises_are_stored_without_their_pages(doctrees):
    """What is kept of exercises and solutions for references to them does not lead to a page."""
    env = pickle.loads((doctrees / "environment.pickle").read_bytes())
    assert len(env.sphinx_exercise_registry) == 4
    assert documents(env.sphinx_exercise_registry) == set()
