"""What needs no torch: the package itself, data, and every way to show it."""

import json
import re
import subprocess
import sys

import pytest
import torch

import backwardpass

READ_AND_SHOW = """
import json, sys
import backwardpass
from backwardpass.show.steps import backward, listed

graph = backwardpass.Graph.from_dict(json.loads(sys.stdin.readline()))
seen = backwardpass.BackwardPass.from_dict(json.loads(sys.stdin.readline()))
print(graph.to_text())
print(graph.table(seen).to_html(), graph.memory().to_markdown(), graph.to_dot(), graph.to_svg())
print(*map(listed, backward([(seen, {})], {})))
print(json.dumps([graph.as_dict(), seen.as_dict()]))
print(len(seen.kept_bytes()), type(seen.graph).__name__, seen.steps[-1].wrote.how)
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "numpy")]
"""


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], input=text, capture_output=True, text=True, check=True
    )


@pytest.mark.needs("saved tensors")
def test_what_was_kept_as_json_is_shown_without_torch():
    """A graph and a pass read back are drawn, tabulated, counted and written again, as they were.

    The process that does so never loads torch.
    """
    pytest.importorskip("pygraphviz")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    with backwardpass.modules(model):
        loss = model(torch.ones(4, 3)).sum()
    names = {"model": model, "loss": loss}
    graph = backwardpass.trace(loss, names)
    with backwardpass.record(names, values=True) as recording:
        loss.backward()
    (seen,) = recording.passes
    kept = [json.dumps(it.as_dict()) for it in (graph, seen)]
    done = run("-c", READ_AND_SHOW, text="\n".join(kept) + "\n")
    lines = done.stdout.splitlines()
    assert lines[-2] == json.dumps([graph.as_dict(), seen.as_dict()])
    assert lines[-1] == f"{len(seen.steps)} Graph created"
    assert done.stdout.startswith(graph.to_text())
    assert graph.to_svg() in done.stdout


def test_importing_the_package_loads_nothing_else():
    """One module is loaded, its own: what a name needs is loaded when it is asked for."""
    program = "import sys; print('|', file=sys.stderr); import backwardpass"
    after = run("-X", "importtime", "-c", program).stderr.partition("\n|\n")[2]
    loaded = re.findall(r"\|\s+\d+ \|\s+([\w.]+)$", after, re.MULTILINE)
    assert loaded == ["backwardpass"]


@pytest.mark.parametrize("name", backwardpass.__all__)
def test_every_name_is_found_where_it_lives(name):
    """A public name is listed, and is the same object however often it is asked for."""
    assert name in dir(backwardpass)
    assert getattr(backwardpass, name) is getattr(backwardpass, name)
    assert getattr(backwardpass, name).__name__ == name


def test_a_name_that_there_is_not():
    """An unknown name is an AttributeError that says so, as of every module."""
    with pytest.raises(AttributeError, match="module 'backwardpass' has no attribute 'tracer'"):
        _ = backwardpass.tracer


def test_no_part_of_the_package_hides_a_name():
    """Importing every module leaves the public names what they are: functions and classes."""
    modules = "import backwardpass, pkgutil, importlib\n"
    modules += "for it in pkgutil.walk_packages(backwardpass.__path__, 'backwardpass.'):\n"
    modules += "    importlib.import_module(it.name)\n"
    modules += "print([n for n in backwardpass.__all__ if not callable(getattr(backwardpass, n))])"
    assert run("-c", modules).stdout == "[]\n"
