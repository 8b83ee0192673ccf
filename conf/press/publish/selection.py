"""Build one script or one chapter: nothing is executed or read that it does not need."""

import re
from pathlib import Path

from press import fences, project


def resolve(path: str) -> Path:
    """The script or chapter a person means by ``path``.

    Raises
    ------
    LookupError
        It is neither; the message says what can be given.
    """
    found = Path(path) if Path(path).is_absolute() else project.ROOT / path
    found = found.resolve()
    if found.is_file() and found in project.scripts():
        return found
    if found.is_file() and found.suffix == ".md" and found.is_relative_to(project.BOOK):
        return found
    raise LookupError(
        f"{path} is neither a script (examples/<part>/plot_*.py) nor a chapter (book/**/*.md); "
        "give its path from the project's root"
    )


def needed(page: Path) -> list[Path]:
    """The scripts that have to run for ``page``, itself or those it shows."""
    if page.suffix == ".py":
        return [page]
    return [project.EXAMPLES / f"{name}.py" for name in fences.scripts(page)]


def apply(path: str, settings: dict) -> None:
    """Restrict ``settings`` to the page at ``path``; an empty path changes nothing."""
    if not path:
        return
    page = resolve(path)
    scripts = needed(page)
    names = "|".join(re.escape(script.name) for script in scripts)
    settings["sphinx_gallery_conf"]["filename_pattern"] = rf"[\\/](?:{names})$" if names else "$^"
    # The page is alone and its own root: the table of contents names pages that are not there.
    settings["extensions"].remove("sphinx_external_toc")
    below, folder = (project.BOOK, "") if page.suffix == ".md" else (project.EXAMPLES, "gallery/")
    docname = folder + page.relative_to(below).with_suffix("").as_posix()
    settings["root_doc"] = docname
    settings["include_patterns"] = [f"{docname}{'.md' if page.suffix == '.md' else '.rst'}"]
    # Without its neighbours a page cannot resolve references: they are not checked.
    settings["nitpicky"] = False
    settings["suppress_warnings"] = [
        *settings["suppress_warnings"],
        "ref",
        "bibtex.key_not_found",
        "toc",
        "myst.xref_missing",
        "intersphinx",
        "download.not_readable",
    ]
