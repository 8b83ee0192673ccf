"""Rules for every page: nothing that would run is switched off, no ``>>>`` that nobody runs, and
no address of an object.
"""

import doctest
import re
import textwrap

from sphinx.application import Sphinx
from sphinx.util import logging

from press import fences, project

logger = logging.getLogger(__name__)

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
PROMPT = re.compile(r"^\s*>>>")


# What would keep an example from running, or from being checked.
SKIPPED = re.compile(r"""#\s*doctest:[^\n'"]*\+(?:SKIP|IGNORE_EXCEPTION_DETAIL)\b[^\n'"]*$""")
SKIPPING_OPTION = re.compile(
    r"^\s*:?(?:skipif|pyversion)\s*:|^\s*:?options\s*:.*\+(?:SKIP|IGNORE_EXCEPTION_DETAIL|ELLIPSIS)\b"
)
# ... a cell: by its tags; and all cells of a page: by what stands above its title.
SKIPPING_TAG = re.compile(
    r"\b(?:skip-execution|raises-exception|remove[-_](?:cell|input|stdout|stderr)"
    r"|hide-(?:cell|input|output))\b"
)
SKIPPING_SETTING = re.compile(
    r"^\s*(?:execution_(?:mode|allow_errors|raise_on_error|excludepatterns)|skip_execution)\s*:"
)
# Python that is shown and that nothing runs.
NOT_RUN = re.compile(r"(?:python3?|py|pycon|ipython3?)\b", re.IGNORECASE)
REASON = re.compile(r"^\s*% not run: \S")
# So many letters and digits an output has beside what it leaves out.
TELLING = 8
TESTED = re.compile(r"\{(?:doctest|testcode|testoutput|testsetup|testcleanup)\}")


def prompts_nobody_runs(source: str) -> list[int]:
    """Lines, counted from 1, with a ``>>>`` outside a doctest directive.

    >>> prompts_nobody_runs("```{doctest}\\n>>> 1 + 1\\n2\\n```")
    []
    >>> prompts_nobody_runs("```python\\n>>> 1 + 1\\n3\\n```")
    [2]
    """
    return [
        number
        for number, line, around in fences.lines(source)
        if PROMPT.match(line) and not (around and around[-1].startswith("{doctest}"))
    ]


def switched_off(source: str) -> list[tuple[int, str]]:
    """Lines of a chapter, counted from 1, that keep something from running, each with what does.

    >>> switched_off("```{doctest}\\n>>> 1 + 1  # doctest: +SKIP\\n3\\n```")
    [(2, '# doctest: +SKIP')]
    >>> switched_off("```{code-cell}\\n:tags: [raises-exception]\\n1 / 0\\n```")
    [(2, 'raises-exception')]
    """
    found = []
    head = re.match(r"---\n(.*?)^---$", source, re.MULTILINE | re.DOTALL)
    above = head.group(1).count("\n") + 1 if head else 0
    part, last = "body", 0
    for number, line, around in fences.lines(source):
        part = _part(line, part if number == last + 1 else "start")
        last = number
        rules = [SKIPPING_SETTING] if 1 < number <= above else []
        # What stands in a fence that is no directive is shown, not run.
        if around and all(info.startswith("{") for info in around):
            if TESTED.match(around[-1]):
                rules = [SKIPPED] if part == "body" else [SKIPPING_OPTION]
            elif around[-1].startswith("{code-cell}") and part != "body":
                rules = [SKIPPING_TAG]
        matches = filter(None, (rule.search(line) for rule in rules))
        found += [(number, match.group().strip()) for match in matches]
    return found


def not_run(source: str) -> list[tuple[int, str]]:
    """Lines of a chapter that open a fence of Python which nothing runs.

    A comment on the line above it, ``% not run: <reason>``, allows one.

    >>> not_run("```python\\nx = 1\\n```")
    [(1, '```python')]
    >>> not_run("% not run: it is a file of yours\\n```python\\nx = 1\\n```")
    []
    """
    lines = source.splitlines()
    return [
        (number, line.strip())
        for number, line in enumerate(lines, start=1)
        if (fence := fences.MARKS.match(line))
        and NOT_RUN.match(fence.group(2))
        and not REASON.match(lines[number - 2] if number > 1 else "")
    ]


def left_open(source: str) -> list[tuple[int, str]]:
    """Lines of a chapter with an expected output that would match nearly anything.

    >>> left_open("```{doctest}\\n>>> x  # doctest: +ELLIPSIS\\ntensor(...)\\n```")
    [(3, 'tensor(...)')]
    """
    found = []
    for block in (fence for fence in fences.read(source) if fence.name == "doctest"):
        above = block.line + 1
        try:
            examples = doctest.DocTestParser().get_examples(textwrap.dedent(block.body))
        except ValueError:  # said where it is run
            continue
        for example in examples:
            said = re.sub(
                r"\.\.\.|[^\w]|\b(?:tensor|Traceback|most|recent|call|last)\b", "", example.want
            )
            if "..." in example.want and len(said) < TELLING:
                line = above + example.lineno + example.source.count("\n")
                found.append((line, example.want.strip()))
    return found


def _part(line: str, before: str) -> str:
    """Which part of a directive a line belongs to, after a line of the part ``before``."""
    line = line.strip()
    if before == "block":
        return "end" if line == "---" else "block"
    if before == "start" and line in ("", "---"):
        return "block" if line else "start"
    return "options" if before in ("start", "options") and line.startswith(":") else "body"


def skipped_docstrings(source: str) -> list[int]:
    """Lines of Python, counted from 1, with an example that is not run.

    >>> skipped_docstrings(">>> 1 + 1  # doctest" + ": +SKIP")
    [1]
    """
    lines = enumerate(source.splitlines(), start=1)
    return [number for number, line in lines if PROMPT.match(line) and SKIPPED.search(line)]


def check_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Report what would be printed as a session and never run."""
    if app.env.doc2path(docname).endswith(".md"):
        for line, what in switched_off(source[0]):
            _report_skipped(what, (docname, line))
        for line, what in not_run(source[0]):
            _report(
                f'nothing runs what is in "{what}"; make it a doctest or a cell, or say why not in '
                'a line above it: "% not run: <reason>"',
                (docname, line),
            )
        for line, what in left_open(source[0]):
            _report(f'"{what}" matches nearly anything; write what is printed', (docname, line))
        for line in prompts_nobody_runs(source[0]):
            logger.warning(
                '">>>" outside a doctest directive would be printed and never run; '
                "put it into a ```{doctest} fence",
                location=(docname, line),
                type="gate",
                subtype="prompt",
            )


def check_docstrings(app: Sphinx) -> None:
    """Report examples of the code that are not run where all others are."""
    for folder in (project.ROOT / "src", project.CONF / "press"):
        for path in sorted(folder.rglob("*.py")):
            for line in skipped_docstrings(path.read_text("utf-8")):
                where = path.relative_to(project.ROOT).as_posix()
                _report_skipped("# doctest: +SKIP", f"{where}:{line}")


def _report_skipped(what: str, location: object) -> None:
    _report(
        f'"{what}" switches a check off; what is shown has to run, and an error to be shown is '
        "caught and its message printed",
        location,
    )


def _report(message: str, location: object) -> None:
    logger.warning("%s", message, location=location, type="gate", subtype="skipped")


def check_page(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Report an object's address, which differs from one build to the next."""
    address = ADDRESS.search(context.get("body") or "")
    if address:
        logger.warning(
            "the page shows an object's address, %s; print a name or a shape instead",
            address.group(0),
            location=pagename,
            type="gate",
            subtype="address",
        )
