"""The gallery's index shows the graph a script drew where the script has no figure."""

import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx

from press import kept, project
from press.observed import store

INDEX = "gallery/index"
THUMBNAIL = re.compile(r'<img alt="[^"]*" src="[^"]*/sphx_glr_(plot_\w+)_thumb\.\w+" ?/?>')
# What a picture of the size of a stamp does without: all that is read, and where it was moved to.
READ = re.compile(
    r"<(title|desc|text)\b.*?</\1>"
    r'|<(?:circle|rect|path)[^>]*class="[^"]*bp-(?:badge|halo)[^"]*"[^>]*/>'
    r'| (?:data-[\w-]+|role|aria-[\w-]+|id|font-[\w-]+)="[^"]*"',
    re.DOTALL,
)
HIGHEST = 1.2  # times its width: what is below is left out


def outline(svg: str) -> str:
    """A drawing without its words: boxes and lines, the upper part of a high one.

    >>> outline('<svg viewBox="0 0 10 30" width="10"><text>a</text><path d="M0"/></svg>')
    '<svg class="bp-graph bp-outline" aria-hidden="true" viewBox="0 0 10 12"><path d="M0"/></svg>'
    """
    left, top, wide, high = re.search(r'viewBox="([^"]*)"', svg)[1].split()
    shown = min(float(high), HIGHEST * float(wide))
    body = svg.partition(">")[2]
    return (
        '<svg class="bp-graph bp-outline" aria-hidden="true" '
        f'viewBox="{left} {top} {wide} {shown:g}">{READ.sub("", body)}'
    )


def drawing(script: Path) -> str | None:
    """The first graph that the script drew, as SVG; None where it has a figure, or no graph."""
    images = store.path(script).parent / "images"
    observed = store.read(script)
    if observed is None or any(images.glob(f"sphx_glr_{script.stem}_[0-9]*")):
        return None
    return next((drawing.svg for drawing in observed.drawings if drawing.svg), None)


def replaced(body: str, drawings: dict[str, str]) -> str:
    """The page with a drawing in place of the thumbnail of each script that has one."""
    return THUMBNAIL.sub(
        lambda found: outline(drawings[found[1]]) if found[1] in drawings else found[0], body
    )


def _drawings() -> dict[str, str]:
    found = {script.stem: drawing(script) for script in project.scripts()}
    return {name: svg for name, svg in found.items() if svg}


def _digest() -> str:
    return hashlib.sha256(repr(_drawings()).encode()).hexdigest()


def note(app: Sphinx, doctree: object) -> None:
    """Remember which drawings the index was made with."""
    if app.env.docname == INDEX:
        app.env.metadata[INDEX]["thumbnails"] = _digest()


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The index, when a script has drawn another graph since."""
    return kept.outdated(env, "thumbnails", _digest)


def show(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Put the drawings into the index."""
    if pagename == INDEX and "body" in context:
        context["body"] = replaced(context["body"], _drawings())
