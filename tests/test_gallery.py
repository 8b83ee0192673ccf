"""Every gallery script stands alone, and observation changes nothing it prints."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from press.observed import store

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("plot_*.py"))
NAMES = [script.relative_to(EXAMPLES).with_suffix("").as_posix() for script in SCRIPTS]
ALONE = (
    ROOT / "conf" / "press" / "trials" / "older" / "alone.py"
)  # also what nox -s oldest runs them with
PACKAGE = Path(importlib.util.find_spec("backwardpass").submodule_search_locations[0]).parent
ALLOWED = {"torch", "numpy", "matplotlib", *sys.stdlib_module_names}


def run_all(how: str) -> dict[str, dict]:
    """What each script printed, raised and wrote."""
    done = subprocess.run(
        [sys.executable, "-I", ALONE, how, ROOT / "conf", PACKAGE, *SCRIPTS],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(NAMES, json.loads(done.stdout), strict=True))


if not hasattr(os, "fork"):
    pytest.skip("scripts are run in forked processes", allow_module_level=True)


def kept() -> dict[str, dict] | None:
    """What the last build kept of every script, where it is all of the present state."""
    observations = [store.read(path) for path in SCRIPTS]
    if None in observations:
        return None
    return {
        name: {"output": observed.printed, "failures": list(map(str, observed.failures))}
        | ({} if observed.completed else {"error": "it did not reach its end"})
        for name, observed in zip(NAMES, observations, strict=True)
    }


@pytest.fixture(scope="module")
def runs():
    """Both ways to run every script: bare, and observed unless a build has just done that."""
    if observed := kept():
        return {"bare": run_all("bare"), "observed": observed}
    ways = ("bare", "observed")
    with ThreadPoolExecutor() as threads:
        return dict(zip(ways, threads.map(run_all, ways), strict=True))


@pytest.fixture
def bare(runs):
    """Every script, run where nothing of this project can be imported."""
    return runs["bare"]


@pytest.fixture
def observed(runs):
    """Every script, run under the observation of the build."""
    return runs["observed"]


@pytest.mark.parametrize("name", NAMES)
def test_stands_alone(bare, name):
    """A script runs as the only file of an empty folder, without this project, and writes none."""
    assert "error" not in bare[name], bare[name]["error"]
    assert bare[name]["files"] == [f"{name.rpartition('/')[2]}.py"]


@pytest.mark.parametrize("name", NAMES)
def test_prints_the_same_when_observed(bare, observed, name):
    """What a script prints is the same with and without observation."""
    assert "error" not in observed[name], observed[name]["error"]
    assert observed[name]["output"] == bare[name]["output"]


@pytest.mark.parametrize("name", NAMES)
def test_passes_every_gate(observed, name):
    """No gate has anything against a script of the book."""
    assert observed[name]["failures"] == []


@pytest.fixture(params=SCRIPTS, ids=NAMES)
def parsed(request) -> types.SimpleNamespace:
    """A script's source, and its syntax tree."""
    source = request.param.read_text("utf-8")
    return types.SimpleNamespace(source=source, tree=ast.parse(source))


def test_imports_only_what_a_reader_has(parsed):
    """A script imports PyTorch, NumPy, Matplotlib and the standard library, and nothing else."""
    imported = set()
    for node in ast.walk(parsed.tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
    assert {name for name in imported if name.partition(".")[0] not in ALLOWED} == set()


def test_is_random_from_a_seed(parsed):
    """A script that draws random numbers of PyTorch sets the seed first."""
    drawn = re.search(r"torch\.(rand|randn|randint|randperm|nn\.[A-Z])\w*\(", parsed.source)
    if drawn:
        seed = re.search(r"torch\.manual_seed\(\d+\)|torch\.Generator\(", parsed.source)
        assert seed, "no torch.manual_seed"


def test_figures_suit_a_light_page_and_a_dark_one(parsed):
    """A script that draws gives its figures no background of their own."""
    if "import matplotlib" in parsed.source:
        assert '"figure.facecolor": "none"' in parsed.source


def test_reads_as_a_page(parsed):
    """A script begins with a title and its idea; each cell of code has a title of its own."""
    title, underline, *idea = ast.get_docstring(parsed.tree).splitlines()
    assert re.fullmatch("=+", underline)
    assert len(underline) == len(title)
    assert len(" ".join(idea).split()) >= 20
    cells = parsed.source.split("\n# %%\n")[1:]
    titles = [re.match(r"# (.+)\n# (-+)\n", cell) for cell in cells]
    assert all(titles), "a cell without a title"
    assert [t[1] for t in titles if len(t[1]) != len(t[2])] == []
    assert len({t[1] for t in titles}) == len(titles)
