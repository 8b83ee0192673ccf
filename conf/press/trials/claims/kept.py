"""Results of trials, kept under keys; read without torch.

A key is made of all that a result depends on: PyTorch's version, the worlds, what tries, the
module of falsifiers, and the package where that module uses it.
"""

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from press import fences, kept, keys, project

FALSIFIERS = project.REFERENCE / "claims" / "falsifiers"
SEARCHED = FALSIFIERS.parent / "searched.json"
STORE = project.BUILD / "claims.json"


@dataclass(frozen=True)
class Declared:
    """A falsifier as it stands in its module."""

    id: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(project.ROOT).as_posix()}:{self.line}"


def declared() -> Iterator[Declared]:
    """Every ``@claim("id", ...)`` of the modules of falsifiers, in order."""
    for path in modules():
        yield from _declared(path, path.stat().st_mtime_ns)


@cache
def _declared(path: Path, modified: int) -> tuple[Declared, ...]:
    return tuple(
        Declared(call.args[0].value, path, call.lineno)
        for node in ast.parse(path.read_text("utf-8")).body
        for call in getattr(node, "decorator_list", ())
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claim"
    )


def falsifiers() -> dict[str, Declared]:
    """The falsifier of each claim; of two for one id the first."""
    found: dict[str, Declared] = {}
    for one in declared():
        found.setdefault(one.id, one)
    return found


def unstated() -> list[Declared]:
    """The falsifiers whose claim no chapter states."""
    ids = {id for page in project.BOOK.rglob("*.md") for id in stated(page)}
    return [one for one in declared() if one.id not in ids]


def stated(page: Path) -> list[str]:
    """The ids of the claims that a page states."""
    return [fence.argument for fence in fences.of(page) if fence.name == "claim"]


def modules() -> list[Path]:
    """The modules of falsifiers."""
    return sorted(FALSIFIERS.glob("[a-z]*.py"))


def key(module: Path) -> str:
    """The key under which what a module of falsifiers found is current."""
    digest = hashlib.sha256(importlib.metadata.version("torch").encode())
    worlds = project.CONF / "press" / "worlds"
    tries = (path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
    shared = [*worlds.glob("*.py"), *tries]
    if "backwardpass" in module.read_text("utf-8"):  # a falsifier of the instruments
        digest.update(keys.cells().encode())
    for path in [*sorted(shared), *sorted(module.parent.glob("_*.py")), module]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read(store: Path | None = None) -> dict[str, dict]:
    """What is kept of each claim; nothing where there is no such file, or half of one."""
    store = store or STORE
    try:
        return _read(store, store.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@cache
def _read(store: Path, modified: int) -> dict[str, dict]:
    return json.loads(store.read_text("utf-8"))


def write(results: dict[str, dict], store: Path | None = None) -> None:
    """Keep the results, a line for each claim, all of them or nothing."""
    kept.write(store or STORE, kept.lines(results))


def outdated(ids: set[str], store: Path | None = None) -> list[str]:
    """Those of the claims that have to be tried: changed since, or never tried."""
    of_module = cache(key)  # a module has several falsifiers
    now = {one.id: of_module(one.path) for one in falsifiers().values() if one.id in ids}
    return kept.changed(now, {id: row.get("key") for id, row in read(store).items()})
