"""A page is read again when its source is another, whatever the dates of files say.

Sphinx compares times: a chapter that was restored with its old date would never be read again.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from press import intact

logger = logging.getLogger(__name__)


def _of(env: BuildEnvironment, docname: str) -> dict[str, str | None]:
    """The digest of a page's source, and of each file that Sphinx knows it to depend on."""
    paths = [env.doc2path(docname, base=False), *sorted(env.dependencies.get(docname, ()))]
    return {path: intact.digest(Path(env.srcdir, path)) for path in map(str, paths)}


def remember(app: Sphinx, doctree: nodes.document) -> None:
    """When a page was read: keep what it was made of."""
    app.env.metadata[app.env.docname]["bp_sources"] = _of(app.env, app.env.docname)


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages whose source, or what they depend on, is not what they were made of."""
    waiting = env.found_docs - added - changed - removed
    known = {docname: env.metadata.get(docname, {}).get("bp_sources") for docname in waiting}
    return sorted(docname for docname, was in known.items() if was != _of(env, docname))
