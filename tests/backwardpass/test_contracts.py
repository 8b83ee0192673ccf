"""Who may import whom: the layers of the package, kept, and each contract seen broken."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
NAMES = [contract["name"] for contract in CONTRACTS["contracts"]]
LAYERS, PLAIN, RULES, INSTRUMENTS = (name for name in NAMES if not name.startswith("Press:"))
ROOMS, STAND, WATCH, PAGES, GALLERY, TRIALS, PUBLISH = (n for n in NAMES if n.startswith("Press:"))
# A line that breaks a contract: where it stands, and which contracts say so.
BREAKS = [
    ("data/order.py", "import backwardpass.show.words", {LAYERS}),
    ("show/words.py", "import backwardpass.graph", {LAYERS}),
    ("graph.py", "import backwardpass.read.caller", {LAYERS, PLAIN, STAND}),
    ("read/caller.py", "import backwardpass.recording.details", {LAYERS}),
    ("recording/details.py", "def late():\n    import backwardpass.explain.why", {LAYERS}),
    ("data/graph.py", "import torch", {PLAIN, STAND}),
    ("show/boxes.py", "from torch import nn", {PLAIN, STAND}),
    ("vjps/_shared.py", "import backwardpass.data.order", {RULES}),
    ("explain/why.py", "import backwardpass.vjps", {INSTRUMENTS}),
]
BREAKS = [(f"src/backwardpass/{where}", line, names) for where, line, names in BREAKS]
BREAKS += [
    (f"conf/press/{where}", line, names)
    for where, line, names in [
        ("page/terms.py", "import press.show.tables", {ROOMS}),
        ("kept.py", "import docutils", {STAND}),
        ("programs.py", "import torch", {STAND}),
        ("observed/store.py", "def late():\n    import backwardpass.read.trace", {STAND}),
        ("judge/gates.py", "import press.watch.ledger", {ROOMS, STAND}),
        ("watch/ledger.py", "import press.page.rules", {ROOMS, WATCH}),
        ("watch/lines.py", "from sphinx.util import logging", {WATCH}),
        ("show/tables.py", "import torch", {PAGES}),
        ("page/rules.py", "def late():\n    import torch", {PAGES}),
        ("gallery/thumbnails.py", "import press.show.tables", {ROOMS, GALLERY}),
        ("trials/truth/__init__.py", "import press.trials.older.differences", {TRIALS}),
        ("publish/sitemap.py", "import torch", {PUBLISH}),
    ]
]


def broken(folder: Path) -> set[str]:
    """Names of the contracts that the package in a folder breaks; the kept ones are the others."""
    command = "from importlinter.cli import lint_imports_command as lint; lint()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(folder / "src"), str(folder / "conf"))),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
    )
    pattern = r"^(.+?) (KEPT|BROKEN)(?: \(\d+ ignored imports?\))?$"
    verdicts = dict(re.findall(pattern, done.stdout, re.MULTILINE))
    assert set(verdicts) == set(NAMES), done.stdout + done.stderr
    found = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert done.returncode == (1 if found else 0)
    return found


def test_the_contracts_are_kept():
    """No module of the package imports what stands above it, or what it has to do without."""
    assert broken(ROOT) == set()


@pytest.mark.parametrize(("where", "line", "expected"), BREAKS, ids=[row[0] for row in BREAKS])
def test_one_import_breaks_its_contract(tmp_path, where, line, expected):
    """A copy of the project with one more import breaks the contract that forbids it, alone."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("src/backwardpass", "conf/press"):
        left = shutil.ignore_patterns("__pycache__", "*.json")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left)
    module = tmp_path / where
    module.write_text(f"{module.read_text('utf-8')}\n\n{line}\n", "utf-8")
    assert broken(tmp_path) == expected


def test_every_part_of_the_package_has_its_layer():
    """A new subpackage or module beside the layers is named in a contract before it is used."""
    package = ROOT / "src" / "backwardpass"
    parts = {path.stem for path in package.iterdir() if path.is_dir() or path.suffix == ".py"}
    parts -= {"__init__", "__pycache__"}
    named = {
        name.removeprefix("backwardpass.")
        for contract in CONTRACTS["contracts"]
        if not contract["name"].startswith("Press:")
        for key in ("layers", "source_modules")
        for name in contract.get(key, ())
    }
    assert parts == named
