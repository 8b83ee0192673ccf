"""Ask for no stylesheet or script that a page does not use, and for none that is out of date.

Extensions add theirs to every page of a book.  What sphinx-gallery and sphinx-exercise write is
styled in ``_static/css``, for light and dark; the others serve markup that few pages have.

The style is nine files, one for each kind of thing, and pages ask for one: a request costs more
than the rules of a few kinds that a page does not show.
"""

import hashlib

from sphinx.application import Sphinx
from sphinx.config import Config

from press import project

STATIC = project.STATIC

# Part of an asset's name: what a page has that needs it, one of several, or None: no page does.
NEEDED_BY = {
    "sg_gallery": None,
    "sg-tags": None,
    "exercise.css": None,
    "filter.js": ("bp-filter", 'class="bp-claims'),
    "mystnb.": 'class="cell ',
    "sphinx-design": "sd-",
    "design-tabs": "sd-tab-set",
    "answers.js": 'class="bp-answer',
    "messages.js": 'class="bp-messages',
    "stepper.js": 'class="bp-stepper',
    "katex": 'class="katex',
    "clipboard": 'class="highlight',
    "copybutton": 'class="highlight',
}


def join_styles(app: Sphinx, config: Config) -> None:
    """Write the files of ``_static/css``, in the order of their names, as one ``book.css``."""
    joined = "\n".join(path.read_text("utf-8") for path in sorted((STATIC / "css").glob("*.css")))
    target = project.BUILD / "joined" / "book.css"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_text("utf-8") != joined:
        target.write_text(joined, "utf-8")


def drop_unused(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Keep the assets that the page's body needs, and those nothing is known of."""
    body = context.get("body") or ""
    for kind in ("css_files", "script_files"):
        context[kind] = [asset for asset in context[kind] if _needed(str(asset.filename), body)]


def _needed(name: str, body: str) -> bool:
    marks = [mark for part, mark in NEEDED_BY.items() if part in name]
    return all(any(one in body for one in _listed(mark)) for mark in marks)


def _listed(mark: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if mark is None else (mark,) if isinstance(mark, str) else mark


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def setup(app: Sphinx) -> None:
    # Pages name the checksums of these files, and Sphinx copies none when no page is written.
    app.add_config_value("static_digest", _digest(), "html", str)
