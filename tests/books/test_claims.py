"""Claims in a miniature book: tried once, tried again when they change, repeated and listed."""

import re

import pytest

INDEX = """# Claims

```{claim} sums
:domain: random programs
The sum of a pass is a number.
```

It is repeated: {claim-ref}`sums@DIGEST`.

# All of them

```{claims-tried}
:totals:
```

```{claims-tried}
```
"""
FALSIFIER = '''"""A falsifier."""

from press.trials.claims import claim, control
from press.worlds import programs


@claim("sums", world=programs(), sample=20)
def sums(roots):
    """The roots are summed."""
    assert sum(root.sum() for root in roots).dim() == 0


@control("sums", "The sum is a vector.")
def sums_to_a_vector(roots):
    assert sum(root.sum() for root in roots).dim() == 1
'''
SCRIPT = '"""\nA script\n========\n\nA test.\n"""\n\n# no hand-derived gradient: none\nprint(1)\n'
PATH = "book/reference/claims/falsifiers/sums.py"


@pytest.fixture(scope="module")
def book(make_book):
    book = make_book("claims")
    book.write(PATH, FALSIFIER)
    book.write("book/index.md", INDEX)
    book.write("examples/graph/plot_nothing.py", SCRIPT)
    book.contents()
    return book


def test_the_life_of_a_claim(book):
    """Confirmed, built, built again without a trial, and tried again when its falsifier changes."""
    wrong = book.build()
    assert len(wrong.problems) == 1, wrong.problems
    (told,) = wrong.problems
    digest = re.search(r"write sums@(\w{6}) \[gate\.world\]", told)[1]
    assert wrong.status == 1
    book.write("book/index.md", INDEX.replace("DIGEST", digest))

    built = book.build()
    assert (built.status, built.problems) == (0, [])
    page = book.published()["index.html"].decode()
    assert "On random programs: held for 20 of 20 programs" in page
    assert "Claims tried in this build: 1, on 20 cases" in page
    assert "Statements made too strong: 1; refuted: 1." in page
    assert (
        '<a class="bp-claim-ref reference internal" href="#claim-sums"><span>tried</span>' in page
    )
    store = book.root / "_build" / "claims.json"
    before = store.stat().st_mtime_ns

    assert book.build().status == 0
    assert store.stat().st_mtime_ns == before

    book.write(PATH, FALSIFIER.replace("sample=20", "sample=30"))
    assert book.build().status == 0
    assert "held for 30 of 30 programs" in book.published()["index.html"].decode()
