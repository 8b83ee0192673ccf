"""The project's folders and its scripts: where they are, and what they are called."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

CONF = Path(__file__).resolve().parents[1]
ROOT = CONF.parent
BOOK = ROOT / "book"
EXAMPLES = ROOT / "examples"
GALLERY = BOOK / "gallery"
BUILD = ROOT / "_build"
CONSTRAINTS = CONF / "constraints.txt"
STATIC = ROOT / "_static"
RULES = ROOT / "src" / "backwardpass" / "vjps"
# What readers read beside the page that shows it.
REFERENCE = BOOK / "reference"


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
