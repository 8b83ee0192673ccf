"""Show what the oldest PyTorch for scripts does differently, as ``nox -s oldest`` found it.

The findings are in ``trials/older``, the reasons in ``book/reference/older_pytorch``.  Findings are
kept under a key of each script and page; one that was written or changed since has not been run
there, and the page names it.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from html import escape

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from press import kept
from press.fences import NOTHING, directive
from press.page.footer import torch_version
from press.project import ROOT
from press.show.tables import Markup, raw, table
from press.trials.older import differences

logger = logging.getLogger(__name__)


@directive("older-pytorch", NOTHING)
class OlderPyTorch(SphinxDirective):
    """How much was compared, and a table of what differs for each kind of thing shown."""

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["older-pytorch"] = ""
        try:
            measured, why = differences.kept(), differences.reasons()
        except kept.KeptError as error:
            raise self.error(str(error)) from None
        self.env.metadata[self.env.docname]["older-pytorch"] = digest()
        for problem in wrong(measured, why):
            logger.warning(problem, location=self.get_location(), type="gate", subtype="older")
        shown: list[nodes.Node] = []
        changed = unmeasured(measured)
        if changed:
            text = f"Written or changed since, and not compared: {kept.named(changed)}."
            shown.append(nodes.note("", nodes.paragraph("", text)))
        shown.append(nodes.paragraph("", said(measured)))
        by_name = {each.name: each for each in measured.differences}
        for reason in why:
            rows = [self.row(by_name[name]) for name in reason.of if name in by_name]
            # Prose, so that the search of the book finds it.
            told = nodes.container()
            lines = StringList([reason.why], source=str(differences.REASONS))
            self.state.nested_parse(lines, 0, told)
            headers = ("where", f"PyTorch {measured.older}", f"PyTorch {measured.newer}")
            shown += [*told.children, raw(table(headers, rows, reason.title, "bp-older"))]
        return shown

    def row(self, difference: differences.Difference) -> tuple[str, ...]:
        page, anchor = place(difference)
        where = escape(difference.where)
        if self.env.app.builder.format == "html":
            uri = self.env.app.builder.get_relative_uri(self.env.docname, page)
            where = f'<a href="{escape(uri + anchor)}">{where}</a>'
        if difference.what:
            what = escape(difference.what)
            where += f": <code>{what}</code>" if difference.kind == "example" else f": {what}"
        return Markup(where), *map(code, apart(difference.older, difference.newer))


def apart(one: str, other: str) -> tuple[str, str]:
    """Two texts without the sentences that they begin and end with alike.

    >>> apart("Two names. It is A. Do B.", "Two names. It is C. Do B.")
    ('… It is A. …', '… It is C. …')
    """
    texts = [re.split(r"(?<=[.!?]) ", text) for text in (one, other)]
    most = min(map(len, texts)) - 1
    same = [a == b for a, b in zip(*texts, strict=False)]
    begin = min(same.index(False) if False in same else most, most)
    backwards = [a == b for a, b in zip(*(text[::-1] for text in texts), strict=False)]
    end = min(backwards.index(False) if False in backwards else most, most - begin)
    before, after = "… " * bool(begin), " …" * bool(end)
    other = (" ".join(text[begin : len(text) - end]) for text in texts)
    first, second = (f"{before}{text}{after}" for text in other)
    return first, second


def place(difference: differences.Difference) -> tuple[str, str]:
    """The page that shows it, and where on that page."""
    if difference.kind == "script":
        return f"gallery/{difference.where}", ""
    if difference.kind == "cell" and difference.where == "silent":  # it has a page of its own
        return "reference/silent_gradients", ""
    if difference.kind == "cell":
        return "reference/truth_tables", f"#table-{difference.where}"
    title = difference.what.partition(" (")[0]
    return difference.where, f"#{nodes.make_id(title)}" if difference.kind == "message" else ""


def said(measured: differences.Measured) -> str:
    """What was compared, in words."""
    counts = measured.counts
    differ = {kind: sum(d.kind == kind for d in measured.differences) for kind in differences.KINDS}
    missing = ", ".join(measured.missing)
    (needed,) = (d for d in settings()["project"]["dependencies"] if d.startswith("torch"))
    same = (
        f"{counts[k] - differ[k]:,} of {counts[k]:,} {what}"
        for k, what in differences.KINDS.items()
    )
    return (
        f"PyTorch {measured.older} shows the same as {measured.newer} for {', '.join(same)}. "
        f"The instruments ask for {needed}: the saved tensors of version {measured.older} lack "
        f"what they read ({missing})."
    )


def settings() -> dict:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def wrong(measured: differences.Measured, why: Iterable[differences.Reason]) -> list[str]:
    """What makes the page untrue: another version, a difference without a reason."""
    found = list(differences.problems(measured, why))
    oldest = settings()["tool"]["backwardpass"]["oldest-torch"]
    for said, is_so in ((measured.older, oldest), (measured.newer, torch_version())):
        if said != is_so:
            found.append(
                f"conf/press/trials/older was measured with torch {said}, and this is {is_so}: "
                "run nox -s oldest -- --write"
            )
    return found


def unmeasured(measured: differences.Measured) -> list[str]:
    """Scripts and pages that were not run as they are now."""
    return kept.changed(differences.sources(), measured.keys)


def digest() -> str:
    """What the page depends on."""
    stored = [path.read_text("utf-8") for path in (differences.MEASURED, differences.REASONS)]
    text = repr((stored, unmeasured(differences.kept()), torch_version()))
    return hashlib.sha256(text.encode()).hexdigest()


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The page, when a script, a page with examples, or what is kept has changed."""
    return kept.outdated(env, "older-pytorch", digest)


def code(text: str) -> str:
    """What was said, as HTML; nothing may have been."""
    return Markup(f"<code>{escape(text)}</code>") if text else "nothing"
