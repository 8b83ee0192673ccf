"""``operator-fates`` on a page: what becomes of a gradient where there is none, as measured.

The table is made from ``press/trials/operators/fates.json``, which says which PyTorch was asked;
on another one the build says so.
"""

import importlib.metadata
import json
from hashlib import sha256
from html import escape
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from press import fences, project
from press.show.tables import Markup, table

logger = logging.getLogger(__name__)

FATES = project.CONF / "press" / "trials" / "operators" / "fates.json"
NAME = "operator-fates"


def rows(kept: dict, kind: str) -> list[tuple]:
    """The rows of one table, by what they tell.

    >>> kept = {"rows": {"floor": {"reverse": "zeros", "second": "-", "forward": "there"},
    ...                  "zeta": {"reverse": "raises: no", "second": "-", "forward": "-"}}}
    >>> rows(kept, "reverse")
    [('raises', 'zeta', 'no'), ('sends zeros', 'floor', '')]
    """
    found = kept["rows"]
    if kind == "reverse":
        told = [
            (name, *row["reverse"].partition(": ")[::2])
            for name, row in found.items()
            if row["reverse"] not in ("gradient", "-")
        ]
        shown = {"zeros": "sends zeros"}
        return sorted((shown.get(fate, fate), name, message) for name, fate, message in told)
    refused = {n: r[kind] for n, r in found.items() if r[kind].startswith("raises")}
    return [
        (name, message.partition(": ")[2])
        for name, message in refused.items()
        if found[name]["reverse"] == "gradient"
    ]


def shown(kept: dict, kind: str) -> str:
    """One table, as HTML."""
    headers = ("what happens", "operator", "PyTorch's words")
    captions = {
        "reverse": "Operators through which no gradient comes",
        "second": "Operators with a gradient, and no second derivative",
        "forward": "Operators with a gradient, and no forward mode",
    }
    cells = [
        tuple(Markup(f"<code>{escape(text)}</code>") if k == len(row) - 2 else text
              for k, text in enumerate(row))
        for row in rows(kept, kind)
    ]  # fmt: skip
    names = headers if kind == "reverse" else headers[1:]
    return table(names, cells, captions[kind], "bp-fates", "bp-filter")


def counts(kept: dict) -> str:
    """How many were asked, and which PyTorch."""
    reverse = [row["reverse"].partition(":")[0] for row in kept["rows"].values()]
    asked = [fate for fate in reverse if fate != "-"]
    return (
        f"Of the {len(reverse)} operators in the tests of PyTorch {kept['torch']}, {len(asked)} "
        f"were called with an argument that can have a gradient.\n{asked.count('gradient')} sent "
        f"one; {asked.count('zeros')} were attached and sent zeros in each call; "
        f"{asked.count('not attached')} gave a result that is not attached; "
        f"{asked.count('raises')} raised."
    )


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the directives of a page."""
    if not any(fence.name == NAME for fence in fences.read(source[0])):
        return
    app.env.metadata[docname]["fates"] = _digest(FATES)
    kept = json.loads(FATES.read_text("utf-8"))
    here = importlib.metadata.version("torch").split("+")[0]
    if here != kept["torch"]:
        logger.warning(
            "fates.json tells of PyTorch %s, and this is %s: run "
            "python -m press.trials.operators.fates and look at what changed",
            kept["torch"], here, location=docname, type="gate", subtype="operator",
        )  # fmt: skip

    def text(fence: fences.Fence) -> str:
        if fence.argument == "counts":
            return counts(kept)
        return f"```{{raw}} html\n{shown(kept, fence.argument)}\n```"

    source[0] = fences.expanded(source[0], (NAME,), text)


def outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages that show other data than is kept now."""
    return [
        name
        for name in env.found_docs
        if env.metadata.get(name, {}).get("fates", _digest(FATES)) != _digest(FATES)
    ]


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
