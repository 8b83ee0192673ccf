"""A line under the title of a page: how many comparisons of this build stand behind it."""

from html import escape
from pathlib import Path

from sphinx.application import Sphinx

from press import project
from press.observed import store
from press.observed.totals import Totals
from press.publish.selection import needed

# Where every comparison is listed.
LEDGER = "front/checks"


def scripts_of(source: Path, docname: str) -> list[Path]:
    """The scripts that a page shows; a page of the gallery shows its own."""
    if docname.startswith("gallery/"):
        script = (project.EXAMPLES / docname.removeprefix("gallery/")).with_suffix(".py")
        return [script] if script.is_file() else []
    return needed(source) if source.suffix == ".md" and source.is_file() else []


def told(scripts: list[Path], ledger: str) -> str:
    """The line, as HTML; empty where nothing was compared."""
    found = [(script.name, store.read(script)) for script in scripts if script.is_file()]
    totals = Totals.of((name, observed) for name, observed in found if observed)
    count = totals.by_hand + totals.equalities
    if not count:
        return ""
    worst = f", the worst error by hand {totals.worst:.2g}" if totals.by_hand else ""
    return (
        f'<p class="bp-verified-here">Verified in this build: '
        f'<a href="{escape(ledger)}">{count:,} comparison{"s" if count != 1 else ""}</a>, '
        f"{totals.by_hand:,} of a gradient derived by hand{worst}.</p>"
    )


def add_line(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Put the line under the title."""
    if doctree is None or pagename == app.config.root_doc:
        return
    scripts = scripts_of(Path(app.env.doc2path(pagename)), pagename)
    if scripts and "</h1>" in context["body"]:
        line = told(scripts, f"{context['pathto'](LEDGER).rstrip('#')}#ledger")
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)
