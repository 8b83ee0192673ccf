"""Show how the code is built: the layers that its contracts keep, and the steps of a build.

``architecture`` with the name of a package draws the layers of its contract in ``pyproject.toml``,
the highest first, each with what the first sentence of its docstring says; ``timeline`` lists the
steps of ``press.timeline``.  Neither is typed anywhere: the first is what ``nox -s lint`` holds the
imports to, the second what Sphinx is given.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from press import project
from press.fences import NOTHING, directive
from press.show.tables import raw, table


@dataclass(frozen=True)
class Room:
    """A package or module of a layer: its name, what it is for, and what lies in it."""

    name: str
    purpose: str
    modules: tuple[str, ...]


def folder(package: str) -> Path:
    """Where the package lies.

    Raises
    ------
    LookupError
        The project has no such package; the message names those it has.
    """
    places = {"backwardpass": project.ROOT / "src", "press": project.CONF}
    if package not in places:
        raise LookupError(f"no package {package!r} of this project; there are {', '.join(places)}")
    return places[package] / package


def layers(package: str) -> list[list[str]]:
    """The layers of the package's contract, the highest first; siblings share a layer.

    Raises
    ------
    LookupError
        No contract of the type ``layers`` has this package as its container.
    """
    settings = tomllib.loads((project.ROOT / "pyproject.toml").read_text("utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and package in contract.get("containers", ()):
            return [re.findall(r"\w+", layer) for layer in contract["layers"]]
    raise LookupError(
        f"pyproject.toml has no contract of the type layers with the container {package!r}"
    )


def room(place: Path, name: str) -> Room:
    """The package or module of that name in the folder ``place``."""
    found = place / name
    source = found / "__init__.py" if found.is_dir() else found.with_suffix(".py")
    modules = (path.stem for path in sorted(found.glob("[a-z]*.py"))) if found.is_dir() else ()
    return Room(name, first_sentence(source.read_text("utf-8")), tuple(modules))


def first_sentence(source: str) -> str:
    r"""The first sentence of a module's docstring, on one line.

    >>> first_sentence('"' * 3 + "Trace: a graph\nas data.  More." + '"' * 3)
    'Trace: a graph as data.'
    """
    docstring = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    return re.split(r"(?<=[.:])\s(?=[A-Z`]|$)", docstring)[0]


@directive("architecture", NOTHING)
class Architecture(SphinxDirective):
    """The layers of a package, as its contract has them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        try:
            place, ordered = folder(package), layers(package)
        except LookupError as unknown:
            raise self.error(str(unknown)) from None
        self.env.note_dependency(str(project.ROOT / "pyproject.toml"))
        items = "".join(
            f'<li class="bp-layer">{"".join(_box(room(place, name)) for name in names)}</li>'
            for names in ordered
        )
        label = escape(f"The layers of {package}, the highest first")
        return [raw(f'<ol class="bp-layers" role="list" aria-label="{label}">{items}</ol>')]


def _box(one: Room) -> str:
    """A layer's box: its name, what it is for, and its modules."""
    modules = " ".join(f"<code>{escape(module)}</code>" for module in one.modules)
    listed = f'<span class="bp-layer-modules">{modules}</span>' if modules else ""
    purpose = re.sub(r"``(.+?)``", r"<code>\1</code>", escape(one.purpose))
    return f'<div class="bp-layer-room"><b>{escape(one.name)}</b> {purpose}{listed}</div>'


@directive("timeline", NOTHING)
class Timeline(SphinxDirective):
    """The steps of a build, in their order."""

    def run(self) -> list[nodes.Node]:
        return [raw(table(("event", "step", "what it does"), _steps(), "The steps of a build"))]


def _steps() -> Iterator[tuple[str, str, str]]:
    from press.timeline import STEPS  # which loads this module

    for step in STEPS:
        where = f"{step.function.__module__.removeprefix('press.')}.{step.function.__name__}"
        said = " ".join((step.function.__doc__ or "").split())
        yield step.event, where, re.split(r"(?<=[.:])\s(?=[A-Z`])", said)[0].replace("``", "")
