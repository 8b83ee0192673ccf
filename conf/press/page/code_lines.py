"""Give each line of a script's code a name on the page, so that drawings can point at it.

``line-two-layer-mlp-36`` is line 36 of ``plot_two_layer_mlp.py``, on the page of the script and
wherever a chapter embeds it.  ``_static/stepper.js`` finds the lines that recorded nodes by it.

Pygments names the lines of a chapter's code; that of a script's own page was written token by
token by sphinx-gallery, which links names in it, and is cut into lines here.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_gallery._doctree_links import CodeLinksTransform, code_links_block

from press import project

LANGUAGE = "Python"  # as sphinx-gallery marks the code of a script
FIRST = "bp-first-line-"  # ... and the number of the first line of a block, among its classes


def stem(name: str) -> str:
    """A script's name as part of an address.

    >>> stem("graph/plot_two_layer_mlp")
    'two-layer-mlp'
    """
    return name.rpartition("/")[2].removeprefix("plot_").replace("_", "-")


def prefix(name: str) -> str:
    """What the names of a script's lines begin with."""
    return f"line-{stem(name)}"


def place(code: str, source: str, after: int = 0) -> int | None:
    """The line, counted from 1, on which ``code`` begins in ``source``, below line ``after``.

    >>> place("b\\nc", "a\\nb\\nc\\nb\\nc"), place("b\\nc", "a\\nb\\nc\\nb\\nc", after=2)
    (2, 4)
    """
    wanted = [line.rstrip() for line in code.strip("\n").splitlines()]
    lines = [line.rstrip() for line in source.splitlines()]
    for at in range(after, len(lines) - len(wanted) + 1):
        if lines[at : at + len(wanted)] == wanted:
            return at + 1
    return None


def line_of_cell(script: Path, title: str) -> int:
    """The line on which the title of a cell stands, or 0."""
    found = re.search(rf"^# {re.escape(title)}$", script.read_text("utf-8"), re.MULTILINE)
    return found.string.count("\n", 0, found.start()) + 1 if found else 0


def number(
    env: BuildEnvironment,
    tree: nodes.Element,
    script: Path,
    after: int = 0,
    tokens: bool = False,
) -> None:
    """Name the lines of ``script`` in the blocks of code below ``tree``, once on a page.

    ``tokens`` says that sphinx-gallery is going to write them token by token.
    """
    source = script.read_text("utf-8")
    named = env.temp_data.setdefault("bp-lines", set())
    for block in tree.findall(nodes.literal_block):
        if block.get("language") != LANGUAGE:
            continue
        first = place(block.rawsource, source, after)
        if first is None:
            continue
        after = first + block.rawsource.strip("\n").count("\n")
        if (script, first) not in named:
            named.add((script, first))
            # Pygments wraps each line in an element with this name and the line's number.
            options = {"linespans": prefix(project.name(script)), "linenostart": first}
            block["highlight_args"] = block.get("highlight_args", {}) | options
            block["classes"] += [f"{FIRST}{first}"] if tokens else []


def number_script(app: Sphinx, doctree: nodes.document) -> None:
    """Name the lines on the page that sphinx-gallery made of a script."""
    folder, _, name = app.env.docname.partition("/")
    script = project.EXAMPLES / f"{name}.py"
    if folder == project.GALLERY.name and script.is_file():
        number(app.env, doctree, script, tokens=True)


class Lines(SphinxPostTransform):
    """Cut what sphinx-gallery wrote token by token into lines with names."""

    default_priority = CodeLinksTransform.default_priority + 1
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        name = self.env.docname.partition("/")[2]
        for block in list(self.document.findall(code_links_block)):
            for css in [css for css in block["classes"] if css.startswith(FIRST)]:
                block["classes"].remove(css)
                tokens, block.children = block.children, []
                block += named(prefix(name), int(css.removeprefix(FIRST)), tokens)


def named(start: str, first: int, tokens: list[nodes.Node]) -> list[nodes.inline]:
    """Put the tokens of each line into an element with the line's name."""
    lines = [nodes.inline()]
    for token in tokens:
        *ended, last = [token] if isinstance(token, nodes.reference) else _cut(token)
        for part in ended:
            lines[-1] += part
            lines.append(nodes.inline())
        lines[-1] += last
    for number, line in enumerate(lines, start=first):
        line["ids"] = [f"{start}-{number}"]
    return lines if lines[-1].children and lines[-1].astext() else lines[:-1]


def _cut(token: nodes.Node) -> list[nodes.Node]:
    """A token in as many parts as it has lines; a part that is not the last ends its line."""
    *ended, last = token.astext().split("\n")
    texts = [f"{text}\n" for text in ended] + [last]
    if not isinstance(token, nodes.inline):
        return list(map(nodes.Text, texts))
    return [
        nodes.inline(text, text, classes=token["classes"]) if text.strip() else nodes.Text(text)
        for text in texts
    ]


def setup(app: Sphinx) -> None:
    app.add_post_transform(Lines)
