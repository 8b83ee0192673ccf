"""Link each term of the glossary where a chapter first uses it.

The terms are read from the glossary itself, so a chapter needs no markup and no term is forgotten.
"""

import re
from functools import cache

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from .sidecar import ROOT

GLOSSARY = ROOT / "book" / "reference" / "glossary.md"
# Terms are linked in sentences: not in a title, a link, code, or what is strong already.
SENTENCES = (nodes.paragraph,)
NOT_IN = (nodes.literal, nodes.reference, addnodes.pending_xref, nodes.math, nodes.title)


def terms(source: str) -> list[str]:
    r"""The terms that a page's glossary defines.

    >>> terms("```{glossary}\nleaf\n  A tensor.\n\nsaved tensor\n  A value.\n```")
    ['leaf', 'saved tensor']
    """
    glossary = re.search(r"^```\{glossary\}\n(.*?)^```", source, re.MULTILINE | re.DOTALL)
    return re.findall(r"^(\S.*)\n  \S", glossary.group(1), re.MULTILINE) if glossary else []


@cache
def _defined(modified: float) -> list[tuple[str, re.Pattern]]:
    # Longer terms first: "saved tensor" is not "tensor".
    found = sorted(terms(GLOSSARY.read_text("utf-8")), key=len, reverse=True)
    return [(term, re.compile(rf"\b{re.escape(term)}(?:s|es)?\b", re.IGNORECASE)) for term in found]


def link(app: Sphinx, doctree: nodes.document) -> None:
    """Turn the first use of each term in a chapter into a link to its definition."""
    docname = app.env.docname
    if not GLOSSARY.is_file() or docname.startswith(("gallery/", "reference/")):
        return
    app.env.note_dependency(str(GLOSSARY))
    for term, pattern in _defined(GLOSSARY.stat().st_mtime):
        for text in doctree.findall(nodes.Text):
            found = pattern.search(text)
            if found and _in_a_sentence(text):
                text.parent.replace(text, _linked(text, found, term, docname))
                break


def _in_a_sentence(text: nodes.Text) -> bool:
    node, sentence = text.parent, False
    while node is not None:
        if isinstance(node, NOT_IN):
            return False
        sentence = sentence or isinstance(node, SENTENCES)
        node = node.parent
    return sentence


def _linked(text: nodes.Text, found: re.Match, term: str, docname: str) -> list[nodes.Node]:
    before, used, after = text[: found.start()], found.group(), text[found.end() :]
    reference = addnodes.pending_xref(
        "",
        nodes.inline("", used, classes=["bp-term"]),
        refdomain="std",
        reftype="term",
        reftarget=term,
        refdoc=docname,
        refexplicit=True,
        refwarn=True,
    )
    return [nodes.Text(before), reference, nodes.Text(after)]


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
