"""No page shows an address of an object, or a session that nobody runs."""

import textwrap

import pytest
from press.page.rules import (
    ADDRESS,
    left_open,
    not_run,
    prompts_nobody_runs,
    skipped_docstrings,
    switched_off,
)

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


SKIP = "# doctest: +SKIP"
SWITCHED_OFF = {
    "example": (f"```{{doctest}}\n>>> 1  {SKIP}\n2\n```", [2]),
    "example with other flags": (
        "```{doctest}\n>>> 1  #doctest: +ELLIPSIS, +SKIP\n2\n```",
        [2],
    ),
    "example in a solution": (f"````{{solution}} x\n```{{doctest}}\n>>> 1  {SKIP}\n```\n````", [3]),
    "directive": ("```{doctest}\n:hide:\n:skipif: True\n>>> 1\n2\n```", [3]),
    "directive, below an empty line": ("```{doctest}\n\n:skipif: True\n>>> 1\n2\n```", [3]),
    "directive, by version": ("```{testcode}\n:pyversion: < 3\n1\n```", [2]),
    "directive, by flag": ("```{doctest}\n:options: +SKIP\n>>> 1\n```", [2]),
    "directive, in YAML": ("```{doctest}\n---\nskipif: True\n---\n>>> 1\n2\n```", [3]),
    "cell": ("```{code-cell} python\n:tags: [hide-input, skip-execution]\n1\n```", [2]),
    "cell that raises": ('```{code-cell} python\n:tags: ["raises-exception"]\n1 / 0\n```', [2]),
    "cell, in YAML": ("```{code-cell}\n---\ntags:\n  - raises-exception\n---\n1 / 0\n```", [4]),
    "page": ("---\nmystnb:\n  execution_mode: 'off'\n---\n\n# Title\n", [3]),
    "page, errors": ("---\nmystnb:\n  execution_allow_errors: true\n---\n", [3]),
    "second of two": (f"```{{doctest}}\n>>> 1\n1\n```\n\n```{{doctest}}\n>>> 1  {SKIP}\n```", [7]),
    "other flags": ("```{doctest}\n>>> 1  # doctest: +ELLIPSIS\n1\n```", []),
    "shown as code": (f"````md\n```{{doctest}}\n>>> 1  {SKIP}\n```\n````", []),
    "shown without a language": (f"````\n```{{doctest}}\n>>> 1  {SKIP}\n```\n````", []),
    "prose": (f"A line that ends in `{SKIP}`, or `:skipif:`, is refused.", []),
    "code of a cell": ('```{code-cell} python\ntags = ["raises-exception"]\n```', []),
    "code after options": ('```{code-cell}\n:tags: [a]\nt = "skip-execution"\n```', []),
    "output of an example": ("```{doctest}\n>>> print('skipif: 1')\nskipif: 1\n```", []),
    "other tags": ("```{code-cell} python\n:tags: [remove-output]\n1\n```", []),
    "hidden code": ("```{code-cell} python\n:tags: [hide-input]\n1\n```", [2]),
    "removed cell": ("```{code-cell} python\n:tags: [remove-cell]\n1\n```", [2]),
    "any detail": ("```{doctest}\n>>> 1  # doctest: +IGNORE_EXCEPTION_DETAIL\n1\n```", [2]),
    "option": ("```{doctest}\n:options: +ELLIPSIS\n>>> 1\n1\n```", [2]),
    "a rule in the text": ("# Title\n\n---\nexecution_mode: off\n---\n", []),
}


@pytest.mark.parametrize("name", SWITCHED_OFF)
def test_what_is_switched_off(name):
    """Whatever keeps an example or a cell from running is found, and nothing that only looks so."""
    source, lines = SWITCHED_OFF[name]
    assert [line for line, _ in switched_off(source)] == lines


def test_docstrings_that_are_not_run():
    """An example of a docstring that is skipped is found; a comment that speaks of it is not."""
    assert skipped_docstrings(f'"""\n>>> f()  {SKIP}\n1\n"""\n{SKIP}\n>>> f()\n') == [2]


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


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("```python\nx = 1\n```\n", [1]),
        ("Text.\n\n````py\nx = 1\n````\n", [3]),
        ("% not run: it is a file of yours\n```python\nx = 1\n```\n", []),
        ("% not run:\n```python\nx = 1\n```\n", [2]),
        ("```{code-cell} python\nx = 1\n```\n", []),
        ("```text\nx\n```\n", []),
    ],
)
def test_python_that_nothing_runs(source, lines):
    """A fence of Python that is no directive is found, unless the line above it says why."""
    assert [line for line, _ in not_run(source)] == lines


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("tensor(...)", True),
        ("[..., 1]", True),
        ("RuntimeError...", False),
        ("RuntimeError: Trying to backward...", False),
    ],
)
def test_outputs_that_match_anything(expected, found):
    """Where something is left out, enough stands beside it."""
    source = f"# Title\n\n```{{doctest}}\n>>> x\n{expected}\n```\n"
    assert (left_open(source) == [(5, expected)]) is found
