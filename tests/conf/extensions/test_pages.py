"""No page shows an address of an object, or a session that nobody runs."""

import textwrap

import pytest
from extensions.pages import ADDRESS, prompts_nobody_runs

PAGES = {
    "doctest": ("```{doctest}\n>>> 1\n1\n```", []),
    "doctest with an option": ("```{doctest}\n:hide:\n>>> 1\n1\n```", []),
    "doctest of colons": (":::{doctest}\n>>> 1\n1\n:::", []),
    "doctest of tildes": ("~~~{doctest}\n>>> 1\n1\n~~~", []),
    "doctest in a solution": ("````{solution} x\n\n```{doctest}\n>>> 1\n1\n```\n````", []),
    "doctest that prints a fence": ("````{doctest}\n>>> 1\n```\n>>> 2\n2\n````", []),
    "doctest in a list": ("- one\n\n  ```{doctest}\n  >>> 1\n  1\n  ```", []),
    "code": ("```python\n>>> 1\n1\n```", [2]),
    "code without a language": ("```\n>>> 1\n1\n```", [2]),
    "prose": ("text\n\n>>> 1\n", [3]),
    "after a doctest": ("```{doctest}\n>>> 1\n1\n```\n\n>>> 2\n", [6]),
    "beside a doctest": ("````{solution} x\n```{doctest}\n>>> 1\n```\n>>> 2\n````", [5]),
    "in a note": (":::{note}\n>>> 1\n:::", [2]),
    "indented": ("- a list\n\n      >>> 1\n", [3]),
    "doctest shown as code": ("````md\n```{doctest}\n>>> 1\n```\n````", []),
    "quoted in a line": ("The prompt `>>>` is Python's.", []),
    "none": ("", []),
}


@pytest.mark.parametrize("name", PAGES)
def test_prompts(name):
    """A prompt is run in a doctest fence, wherever that stands, and nowhere else."""
    source, lines = PAGES[name]
    assert prompts_nobody_runs(textwrap.dedent(source)) == lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("&lt;object object at 0x7fa5dec5fc30&gt;", True),
        ("&lt;MulBackward0 at 0x7FA5DEC5&gt;", True),
        ("0x1f", False),
        ("the colour #7fa5dec5", False),
        ("10x7fa5dec5", False),
    ],
)
def test_addresses(text, found):
    """An address is a long hexadecimal number; a short one may be meant."""
    assert bool(ADDRESS.search(text)) is found
