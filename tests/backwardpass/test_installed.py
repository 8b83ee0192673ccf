"""The package as others have it: a wheel, in an environment with PyTorch and nothing else."""

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from backwardpass.read.needed import OLDEST

ROOT = Path(__file__).resolve().parents[2]
USE = """
import sys, torch, backwardpass
assert "site-packages" in backwardpass.__file__, backwardpass.__file__
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
with backwardpass.modules(model):
    loss = model(torch.ones(2, 4)).sum()
graph = backwardpass.trace(loss, names=model)
print(graph)
print(graph.table().to_text())
print(graph.memory().to_markdown())
print(len(graph.to_dot()) > 100, graph == backwardpass.Graph.from_dict(graph.as_dict()))
with backwardpass.record(values=True) as recording:
    loss.backward()
print(len(recording.passes[0].steps))
try:
    graph.to_svg()
except RuntimeError as error:
    print(error)
print("pip install" in graph._repr_html_(), "<svg" in graph._repr_html_())
print(sorted(name for name in sys.modules if name in ("sphinx", "pygraphviz", "graphviz")))
"""


def needed_by(name: str, found: set[str]) -> set[str]:
    """Collect a distribution and what it requires, extras left out, as far as it is here."""
    if name in found:
        return found
    try:
        requires = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # for another platform
        return found
    found.add(name)
    for line in requires:
        if "extra ==" not in line:
            needed_by(re.match(r"[\w.-]+", line)[0], found)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def alone(tmp_path_factory, wheel) -> Path:
    """An environment with PyTorch, linked from this one, and the wheel; its interpreter."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    place = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(place, check=True, capture_output=True, text=True).stdout[:-1])
    for name in needed_by("numpy", needed_by("torch", set())):
        held = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in held.files} - {".."}:
            if not (packages / top).exists():  # __pycache__ may be several ones'
                (packages / top).symlink_to(held.locate_file(top))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)
    return python


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    """Every module is in it, and neither tests nor pages; its metadata asks for torch alone."""
    held = zipfile.ZipFile(wheel)
    modules = {name for name in held.namelist() if ".dist-info" not in name}
    sources = (path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".typed"))
    here = {path.relative_to(ROOT / "src").as_posix() for path in sources}
    assert modules == here
    (metadata,) = [name for name in held.namelist() if name.endswith("METADATA")]
    required = re.findall(r"^Requires-Dist: (.*)$", held.read(metadata).decode(), re.MULTILINE)
    assert [line for line in required if "extra ==" not in line] == [f"torch>={OLDEST}"]
    assert all("pygraphviz>=2" in line for line in required if "extra ==" in line)


def test_it_works_where_only_torch_is_installed(alone, tmp_path):
    """Tracing, tables and recording work without Graphviz; drawing says what is missing."""
    done = subprocess.run(
        [str(alone), "-I", "-W", "error", "-c", USE],
        cwd=tmp_path,
        env={"PATH": "", "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0].startswith("1 SumBackward0 ()")
    assert "0.weight" in done.stdout
    assert said[-6:] == [
        "True True",
        "6",
        "Drawing a graph needs Graphviz: found neither the Python package pygraphviz nor the "
        "program dot.",
        "Run: pip install 'pygraphviz>=2' (its wheels carry Graphviz), or install Graphviz.",
        "True False",
        "[]",
    ]
