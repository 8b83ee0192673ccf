"""The operator reference: rules of ``backwardpass.vjps``, checked, and shown with what was found.

``operator-rules`` on a page stands for the sections of a family, ``operator-overview`` for the
table of all, ``operator-totals`` for the counts, ``operator-rule`` for one rule in a chapter.  They
are replaced by Markdown when the page is read, so that headings, links and formulas are those of
any page.  The check runs before, in a process of its own, for the families that have pages, and
not at all when nothing it depends on changed.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from press import fences, kept, project
from press.show import operator_pages

logger = logging.getLogger(__name__)

STORE = project.ROOT / "_build" / "operators.json"
FORMULAS = STORE.with_name("formulas.json")
# What stands for a part of the reference.
KINDS = tuple(f"operator-{kind}" for kind in ("rules", "overview", "totals", "rule"))


def needed(pages: list[Path]) -> set[str] | None:
    """The families that ``pages`` show, with ``"all"`` where one shows all; None for none."""
    found = set()
    for page in pages:
        for fence in _shown(page.read_text("utf-8")):
            if fence.name == "operator-rules":
                found.add(fence.argument)
            elif fence.name == "operator-rule":
                found.add(family_of(fence.argument, page))
            else:
                found.add("all")
    return found or None


def family_of(name: str, page: Path = Path()) -> str:
    """The family of a rule, read from the sources, because torch is not imported here.

    >>> family_of("layer_norm"), family_of("floor, ceil, trunc, round")
    ('normalisation', 'piecewise')
    """
    known = _families(tuple(sorted(_rules().glob("[a-z]*.py"))))
    if name not in known:
        raise ExtensionError(f"{page}: operator-rule {name}: there is no rule of that name")
    return known[name]


def _rules() -> Path:
    return Path(find_spec("backwardpass").submodule_search_locations[0]) / "vjps"


@cache
def _families(modules: tuple[Path, ...]) -> dict[str, str]:
    """The family of each rule: what ``vjps.rule`` makes of the arguments it is called with."""
    found = {}
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "rule":
                named = {k.arg: k.value.value for k in node.keywords if k.arg == "name"}
                entry = node.args[0].value
                found[named.get("name") or entry.removeprefix("nn.functional.")] = path.stem
    return found


def examine(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """Check the rules, report what is wrong, and return the pages that show another result."""
    sources = {name: Path(app.env.doc2path(name)) for name in env.found_docs}
    chapters = [path for path in sources.values() if path.suffix == ".md" and path.is_file()]
    families = needed(chapters)
    if families is None:
        return []
    command = [sys.executable, "-m", "press.trials.operators.run", "--store", STORE]
    command += ["--jobs", str(app.parallel or 1)]
    if "all" not in families:
        command += ["--families", ",".join(sorted(families))]
    STORE.parent.mkdir(parents=True, exist_ok=True)
    if not _is_current(families):
        ran = subprocess.run([str(word) for word in command], capture_output=True, encoding="utf-8")
        if ran.returncode not in (0, 1) or not STORE.is_file():
            report(f"the check of the operators ended with {ran.returncode}: {ran.stderr[-2000:]}")
            return []
        _hold_formulas(families)
        STORE.with_suffix(".state").write_text(_state(families), "utf-8")
        _stored.cache_clear()
        _digest_of.cache_clear()
    for line in operator_pages.complaints(_stored(STORE.stat().st_mtime_ns)):
        report(line)
    for name, said in _formulas():
        report(f"the rule {name}: {said}")
    return kept.outdated(env, "operators", _digest)


def _is_current(families: set[str]) -> bool:
    """Whether the check would find all as it left it: to ask it takes an import of torch."""
    try:
        known = STORE.with_suffix(".state").read_text("utf-8")
        return FORMULAS.is_file() and known == _state(families)
    except OSError:
        return False


def _state(families: set[str]) -> str:
    """All that the check depends on, and what it stored."""
    state = hashlib.sha256(repr((sorted(families), importlib.metadata.version("torch"))).encode())
    folder = project.CONF / "press" / "trials" / "operators"
    programs = (path for path in folder.rglob("*.*") if path.suffix != ".pyc")
    pins = project.CONF / "constraints.txt"
    for path in (*sorted(programs), *sorted(_rules().glob("*.py")), pins, STORE):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def _hold_formulas(families: set[str]) -> None:
    """Evaluate the formulas that are shown, and keep which differ from their rules."""
    FORMULAS.unlink(missing_ok=True)
    command = [sys.executable, "-m", "press.trials.operators.formulas", "--store", str(FORMULAS)]
    if "all" not in families:
        command += ["--families", ",".join(sorted(families))]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8")
    if ran.returncode:
        report(f"the formulas could not be held to their rules: {ran.stderr[-2000:]}")


def _formulas() -> list[list[str]]:
    """Rules whose formula gives another gradient, each with what is wrong."""
    try:
        return json.loads(FORMULAS.read_text("utf-8"))["wrong"]
    except (OSError, ValueError, KeyError):
        return [["of every formula", "it is not known whether it holds; build again"]]


def report(message: str) -> None:
    """Report what is wrong with a rule where the rule is written."""
    named = re.match(r"the rule (.*?)(?:, |: )", message)
    location = place(named[1]) if named else "src/backwardpass/vjps:1"
    logger.warning("%s", message, location=location, type="gate", subtype="operator")


def place(name: str) -> str:
    """Where a rule is written, its file and line; of an unknown one, where all of them are.

    >>> place("relu")[:37]
    'src/backwardpass/vjps/activations.py:'
    """
    for path in sorted(_rules().glob("[a-z]*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "rule":
                named = {k.arg: k.value.value for k in node.keywords if k.arg == "name"}
                entry = named.get("name") or node.args[0].value.removeprefix("nn.functional.")
                if name in (entry, *entry.split(", ")):
                    return f"src/backwardpass/vjps/{path.name}:{node.lineno}"
    return "src/backwardpass/vjps:1"


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the directives of a page by the Markdown they stand for."""
    if not _shown(source[0]) or not STORE.is_file():
        return
    stored = _stored(STORE.stat().st_mtime_ns)
    reference = app.config.torch_reference

    def text(fence: fences.Fence) -> str:
        kind = fence.name.removeprefix("operator-")
        return operator_pages.markdown(stored, kind, fence.argument, reference)

    source[0] = fences.expanded(source[0], KINDS, text)


def _shown(source: str) -> list[fences.Fence]:
    """The places of a page where a part of the reference is shown."""
    return [fence for fence in fences.read(source) if fence.name in KINDS]


def remember(app: Sphinx, doctree) -> None:
    """Note on a page which result it shows."""
    docname = app.env.docname
    source = Path(app.env.doc2path(docname))
    if any(fence.name in KINDS for fence in fences.of(source)):
        app.env.metadata[docname]["operators"] = _digest()


def _digest() -> str:
    return _digest_of(STORE.stat().st_mtime_ns) if STORE.is_file() else ""


@cache
def _digest_of(modified: int) -> str:
    return hashlib.sha256(json.dumps(_stored(modified)["results"]).encode()).hexdigest()


@cache
def _stored(modified: int) -> dict:
    return json.loads(STORE.read_text("utf-8"))
