"""What happens again after a change: a key for each kind of work, made of what can affect it.

sphinx-gallery and jupyter-cache know an execution by its source alone.  What it shows also depends
on torch, on every pinned package and on the code that observes it.  A key that holds too little
publishes something stale; one that holds too much runs seventy scripts for a changed footer.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from press import project

# The press's packages that decide each kind of work.
OBSERVE = (
    "project.py",
    "keys.py",
    "programs.py",
    "intact.py",
    "observed",
    "watch",
    "judge",
    "gallery/hooks.py",
)
SHOW = ("project.py", "fences.py", "kept.py", "timeline.py", "observed", "show", "page")
# The rules are checked apart, and no script or cell imports them.
UNUSED_BY_EXECUTIONS = ("vjps",)


@cache
def scripts() -> str:
    """Hash of all that decides what is observed of a script, its source excepted.

    A drawing and its table are made when the script has run, so the whole of ``backwardpass``
    counts but for the rules.
    """
    return _hash(OBSERVE)


@cache
def cells() -> str:
    """Hash of all that decides what a chapter's cell prints, its source excepted."""
    return _hash(())


@cache
def pages() -> str:
    """Hash of all that decides what a page looks like when it is read, its source excepted."""
    return _hash((*OBSERVE, *SHOW))


def _hash(parts: tuple[str, ...]) -> str:
    digest = hashlib.sha256(importlib.metadata.version("torch").encode())
    digest.update((project.CONF / "constraints.txt").read_bytes())
    press = project.CONF / "press"
    folders = [(folder, path) for folder in (package(),) for path in _sources(folder)]
    folders += [(press, path) for part in parts for path in _sources(press / part)]
    for folder, path in folders:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(place: Path) -> Iterator[Path]:
    """The Python files at ``place``, itself or below it, without the rules."""
    if place.is_file():
        yield place
    for path in sorted(place.rglob("*.py")):
        if path.relative_to(place).parts[0] not in UNUSED_BY_EXECUTIONS:
            yield path


def package() -> Path:
    """The folder ``backwardpass`` would be imported from, found without importing it.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    spec = find_spec("backwardpass")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package backwardpass is not installed: pip install -e .")
    return Path(next(iter(spec.submodule_search_locations)))
