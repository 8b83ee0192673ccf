"""What was observed of a script, as JSON beside its page, and the key that says it is current.

sphinx-gallery and jupyter-cache know an execution by its source alone.  What an execution shows
also depends on torch, on every pinned package, and on the instruments that observe it: the key
is made of all four, so that nothing stale is ever published.
"""

import hashlib
import importlib.metadata
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

CONF = Path(__file__).resolve().parents[1]
ROOT = CONF.parent
EXAMPLES = ROOT / "examples"
GALLERY = ROOT / "book" / "gallery"


@cache
def instruments() -> str:
    """Hash of all that decides what an execution shows, the executed source excepted."""
    digest = hashlib.sha256(importlib.metadata.version("torch").encode())
    digest.update((CONF / "constraints.txt").read_bytes())
    for folder in (_package("backwardpass"), CONF / "extensions"):
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder)
            if name.parts[0] != "vjps":  # checked by conf/operators, and no script imports it
                digest.update(name.as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()


def key(source: str) -> str:
    """Key under which what was observed of ``source`` is current."""
    return hashlib.sha256(f"{instruments()}\0{source}".encode()).hexdigest()


def scripts() -> list[Path]:
    """Every gallery script, in the order of the gallery."""
    return sorted(EXAMPLES.rglob("plot_*.py"))


def misplaced() -> Iterator[str]:
    """Scripts that no build would run, or that it would take for one another: a sentence each."""
    namesakes: dict[str, str] = {}
    for script in sorted(EXAMPLES.rglob("*.py")):
        where = script.relative_to(ROOT).as_posix()
        if script.parent.parent != EXAMPLES or not re.fullmatch(r"plot_\w+\.py", script.name):
            yield f"{where}: no build would run it; a script is examples/<part>/plot_<thing>.py"
        elif not (script.parent / "GALLERY_HEADER.rst").is_file():
            yield f"{where}: no build would run it; its folder has no GALLERY_HEADER.rst"
        elif namesakes.setdefault(script.name, where) != where:
            yield f"{where}: {namesakes[script.name]} has the same file name; rename one of them"


def name(script: Path) -> str:
    """A script's name in directives and messages: its path below ``examples``, without .py."""
    return script.relative_to(EXAMPLES).with_suffix("").as_posix()


def script(name: str) -> Path:
    """The script of that name.

    Raises
    ------
    LookupError
        No such script; the message lists those there are.
    """
    path = EXAMPLES / f"{name}.py"
    if not path.is_file():
        known = ", ".join(map(_name, scripts())) or "none"
        raise LookupError(f'there is no script "{name}" in examples/; there are: {known}')
    return path


_name = name  # the parameter of ``script`` hides it


def path(script: Path) -> Path:
    """Where the sidecar of ``script`` lies: beside the page made from it."""
    return (GALLERY / script.relative_to(EXAMPLES)).with_suffix(".observed.json")


def read(script: Path) -> dict | None:
    """What was observed of ``script`` as it is now, or None where it has to run (again)."""
    try:
        stored = path(script)
        observed = _parsed(stored, stored.stat().st_mtime_ns)
        current = observed["key"] == key(script.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):  # missing, or cut off by an interruption
        return None
    return observed if current else None


@lru_cache(maxsize=256)
def _parsed(stored: Path, modified: int) -> dict:
    """The contents of a sidecar, which a build asks for a dozen times."""
    return json.loads(stored.read_text("utf-8"))


def outdated() -> list[Path]:
    """Scripts that have to run: never observed as they are now, or not without a failure."""
    found = ((script, read(script)) for script in scripts())
    return [
        script
        for script, observed in found
        if observed is None or observed["failures"] or not observed["completed"]
    ]


def write(script: Path, observed: dict) -> None:
    """Store ``observed`` under the key of the script's present source, all of it or nothing."""
    target = path(script)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    text = json.dumps({"key": key(script.read_text("utf-8")), **observed})
    unfinished.write_text(text + "\n", "utf-8")
    unfinished.replace(target)


def remove_orphans() -> Iterator[Path]:
    """Delete, and yield, each generated file of the gallery whose script or part is gone."""
    for folder in sorted(GALLERY.glob("*/")):
        part = EXAMPLES / folder.name
        kept = {script.stem for script in part.glob("plot_*.py")}
        for generated in sorted(folder.rglob("*")):
            stem = generated.name.split(".")[0]
            if stem.startswith("sphx_glr_"):  # an image: its script's name, and what it is
                stem = re.sub(r"_(\d+|thumb)$", "", stem.removeprefix("sphx_glr_"))
            orphan = stem.startswith("plot_") and stem not in kept
            if generated.is_file() and (orphan or not part.is_dir()):
                generated.unlink()
                yield generated
        if not part.is_dir():
            shutil.rmtree(folder)


def _package(name: str) -> Path:
    """The folder a package would be imported from, found without importing it."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed: pip install -e .")
    return Path(next(iter(spec.submodule_search_locations)))
