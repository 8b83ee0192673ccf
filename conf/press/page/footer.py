"""The foot of every page: the versions it was made with, and where to edit it or report an error.

``repository`` in ``conf/_config.yml`` is the one setting behind both links; empty, there are none.
"""

import platform
import tomllib
from importlib import metadata
from urllib.parse import urlencode

from packaging.version import Version
from sphinx.application import Sphinx

from press.project import ROOT


def made_with() -> str:
    """The versions behind the pages, and those the scripts are meant for."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    version, oldest = settings["project"]["version"], settings["tool"]["backwardpass"]
    return (
        f"The Backward Pass {version}, made with PyTorch {torch_version()} and Python "
        f"{platform.python_version()}. Scripts run on PyTorch {oldest['oldest-torch']} or newer."
    )


def torch_version() -> str:
    """Torch's version without the name of its build."""
    return Version(metadata.version("torch")).public


def source_of(pagename: str) -> str | None:
    """The file to edit for a page, from the project's root; None for a page nobody wrote."""
    if pagename.startswith("gallery/"):
        candidate = f"examples/{pagename.removeprefix('gallery/')}.py"
    else:
        candidate = f"book/{pagename}.md"
    return candidate if (ROOT / candidate).is_file() else None


def add_foot(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Hand the template what it shows."""
    context["made_with"] = app.config.made_with
    repository, source = app.config.repository.rstrip("/"), source_of(pagename)
    if repository and source:
        context["edit_url"] = f"{repository}/edit/main/{source}"
        query = urlencode({"title": f"Error in {source}", "body": context["made_with"]})
        context["report_url"] = f"{repository}/issues/new?{query}"


def setup(app: Sphinx) -> None:
    app.add_config_value("repository", "", "html", str)
    # As a setting, so that pages are written again when a version changes.
    app.add_config_value("made_with", made_with(), "html", str)
