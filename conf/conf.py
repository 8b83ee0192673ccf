"""Hand Jupyter Book's configuration to Sphinx, so that every Sphinx builder and flag works on it.

``conf/_config.yml`` is where settings live; this file only removes what Jupyter Book adds
and this book does not want, and adds what is computed.
"""

import doctest
import os
import platform
import sys
from pathlib import Path

CONF = Path(__file__).resolve().parent
sys.path.insert(0, str(CONF))  # a copy of this folder builds with its own press

from jupyter_book.config import get_final_config  # noqa: E402
from press import keys, project  # noqa: E402
from press.page import footer  # noqa: E402  (found through the line above)
from press.publish import selection  # noqa: E402  (found through the line above)

# Figures are drawn into files, whatever the machine has.
os.environ.setdefault("MPLBACKEND", "agg")

# thebe asks another host for its script, comments and the book theme add scripts nobody needs,
# togglebutton adds one inline (solutions and notes fold without), and multitoc numbering
# is not safe for parallel reading.
UNWANTED = {
    "sphinx_togglebutton",
    "sphinx_thebe",
    "sphinx_comments",
    "sphinx_book_theme",
    "sphinx_multitoc_numbering",
    "sphinx_jupyterbook_latex",
}

# An internal function of Jupyter Book; tests/press/test_configuration.py pins what we rely on.
settings, _ = get_final_config(
    user_yaml=CONF / "_config.yml",
    sourcedir=CONF.parent / "book",
    cli_config={
        "external_toc_path": str(CONF / "_toc.yml"),
        "latex_individualpages": False,
    },
    raise_on_invalid=True,
)
settings["extensions"] = [name for name in settings["extensions"] if name not in UNWANTED]

# What was executed under another key is never found again: it is part of the path.
settings["nb_execution_cache_path"] = str(project.ROOT / "_build" / "executed" / keys.cells()[:16])
# Pages never name a version by hand.
settings["myst_substitutions"] = {
    "python_version": platform.python_version(),
    "torch_version": footer.torch_version(),
}
# Sphinx's default ignores what an exception says; here a message shown is a message checked, to its
# end: what leaves something out asks for it on its line.
settings["doctest_default_flags"] = doctest.DONT_ACCEPT_TRUE_FOR_1
selection.apply(os.environ.get("BACKWARDPASS_ONLY", ""), settings)

globals().update(settings)


def setup(app):
    # Loaded by sphinx_external_toc and not used: it collects nothing that a worker could lose.
    if "sphinx_multitoc_numbering" in app.extensions:  # not where one page is built
        app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
