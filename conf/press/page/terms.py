"""Link each term of the glossary where a chapter first uses it.

The terms are read from the glossary itself, so a chapter needs no markup and no term is forgotten.
"""

import re
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from press import fences
from press.project import REFERENCE

GLOSSARY = REFERENCE / "glossary.md"
# Terms are linked in sentences: not in a title, a link, code, or what is strong already.
SENTENCES = (nodes.paragraph,)
# Where a term is only a part of another expression: what stands before it, and what behind.
NO_TERM_AFTER = ("square", "cube", "left", "right", "cutting", "beyond the")
NO_TERM_BEFORE = ("case",)
NOT_IN = (nodes.literal, nodes.reference, addnodes.pending_xref, nodes.math, nodes.title)


def terms(source: str) -> list[str]:
    r"""The terms that a page's glossary defines.

    >>> terms("```{glossary}\nleaf\n  A tensor.\n\nsaved tensor\n  A value.\n```")
    ['leaf', 'saved tensor']
    """
    glossaries = [fence.body for fence in fences.read(source) if fence.name == "glossary"]
    return [
        term for body in glossaries for term in re.findall(r"^(\S.*)\n  \S", body, re.MULTILINE)
    ]


def pattern(term: str) -> re.Pattern:
    """Where ``term`` is used: as a word of its own, in the singular or the plural.

    >>> [bool(pattern("edge").search(text)) for text in ("two edges", "an edge case", "left edge")]
    [True, False, False]
    """
    before = "".join(rf"(?<!\b{word} )" for word in NO_TERM_AFTER)
    behind = "".join(rf"(?! {word})" for word in NO_TERM_BEFORE)
    return re.compile(rf"{before}\b{re.escape(term)}(?:s|es)?\b{behind}", re.IGNORECASE)


def defined() -> list[tuple[str, re.Pattern]]:
    """Each term of the book's glossary, and where it is used; none where there is no glossary."""
    return _defined(GLOSSARY.stat().st_mtime_ns) if GLOSSARY.is_file() else []


@lru_cache(maxsize=1)
def _defined(modified: int) -> list[tuple[str, re.Pattern]]:
    # Longer terms first: "saved tensor" is not "tensor".
    found = sorted(set(terms(GLOSSARY.read_text("utf-8"))), key=lambda term: (-len(term), term))
    return [(term, pattern(term)) for term in found]


def link(app: Sphinx, doctree: nodes.document) -> None:
    """Turn the first use of each term in a chapter into a link to its definition."""
    docname = app.env.docname
    linked = not docname.startswith(("gallery/", "reference/"))
    texts = [text for text in doctree.findall(nodes.Text) if _in_a_sentence(text)] if linked else []
    for term, used in defined() if linked else ():
        word = term.lower()
        for place, text in enumerate(texts):
            # Looking for the letters is much faster than for the words, and most texts have none.
            found = used.search(text) if word in text.lower() else None
            if found:
                before, reference, after = _linked(text, found, term, docname)
                text.parent.replace(text, [before, reference, after])
                texts[place : place + 1] = [before, after]
                break
    # What `outdated` needs: whether and which terms were looked for, and those the page leads to.
    app.env.metadata[docname]["terms"] = (
        tuple(term for term, _ in defined()) if linked else None,
        tuple(xref["reftarget"] for xref in doctree.findall(_is_term)),
    )


def outdated(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """The pages that a change of the glossary makes others: what a term means changes none.

    A page is read again when a term it leads to is gone, or when it may use one that is new.
    """
    now = dict(defined())
    found = []
    for docname in env.found_docs:
        known, linked = env.metadata.get(docname, {}).get("terms", (None, ()))
        new = set() if known is None else now.keys() - known
        gone = {target.lower() for target in linked} - {term.lower() for term in now}
        if gone or (new and _uses(Path(env.doc2path(docname)), [now[term] for term in new])):
            found.append(docname)
    return found


def _uses(page: Path, patterns: list[re.Pattern]) -> bool:
    try:
        source = page.read_text("utf-8")
    except OSError:
        return True
    return any(used.search(source) for used in patterns)


def _is_term(node: nodes.Node) -> bool:
    return isinstance(node, addnodes.pending_xref) and node["reftype"] == "term"


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
