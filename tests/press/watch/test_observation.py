"""Watching a script changes nothing it does, and leaves nothing behind."""

import gc
import random
import subprocess
import sys
import textwrap
import types
import weakref
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from press import keys
from press.gallery import hooks
from press.observed.failure import Failure
from press.watch import observation

import backwardpass


@pytest.fixture
def witness(monkeypatch):
    """A module ``witness`` that a script can import: ``see(thing)`` refers to it weakly."""
    seen = []

    class Tag:
        """Nodes cannot be weakly referenced; what is in their metadata can."""

    def see(thing):
        if isinstance(thing, torch.autograd.graph.Node):
            thing.metadata["tag"] = tag = Tag()
            seen.append(weakref.ref(tag))
        else:
            seen.append(weakref.ref(thing.untyped_storage()))

    module = types.ModuleType("witness")
    module.see, module.alive = see, lambda: [reference() is not None for reference in seen]
    monkeypatch.setitem(sys.modules, "witness", module)
    return module


def test_what_is_observed(project):
    """Comparisons with their error in the replay, passes and failures are records."""
    observed, error = project.observe("torch.testing.assert_close({'x': dx}, {'x': x.grad})")
    (comparison,) = observed.comparisons
    assert error is None
    assert observed.completed is True
    assert observed.failures == ()
    assert (comparison.name, comparison.max_abs) == ("x", 0.0)
    assert comparison.replayed_max_abs == 13.5  # half of 27
    assert len(observed.passes) == 1


def test_failures_carry_their_place(project):
    """A failure names the script from the project's root, and the line."""
    observed, error = project.observe("torch.testing.assert_close({'x': -dx}, {'x': x.grad})")
    (failure,) = observed.failures
    assert isinstance(error, AssertionError)
    assert observed.completed is False
    assert failure.script == "examples/part/plot_script.py"
    assert failure.line == project.lines_before + 1


def test_source_in_place_of_the_script(project):
    """A source that is handed over is run, and judged, in place of the file."""
    script = project.script("torch.testing.assert_close({'x': dx}, {'x': x.grad})")
    observed, _ = observation.run(script, script.read_text().replace("dx = 3", "dx = 3.003"))
    assert "largest absolute error 0.027" in observed.failures[0].message


def test_syntax_error_is_an_error_of_the_script(project):
    """A script that cannot be compiled is reported like one that raises."""
    observed, error = project.observe("x = = 1")
    assert isinstance(error, SyntaxError)
    assert observed.completed is False


def test_script_that_exits_did_not_reach_its_end(project):
    """``sys.exit`` raises while a script is observed, and is itself again afterwards."""
    before = sys.exit
    _, error = project.observe("import sys\nsys.exit(0)")
    assert "sys.exit(0) was called" in str(error)
    assert sys.exit is before


def test_everything_is_undone(project):
    """After a script that raises, torch is as it was, and the script's nodes have no hooks."""

    def functions():
        names = ("backward", "grad", "_make_grads", "gradcheck")
        return [getattr(torch.autograd, name) for name in names], torch.testing.assert_close

    before = functions()
    project.observe("1 / 0")
    assert functions() == before


def test_no_graph_is_kept_alive(project, witness):
    """A graph, and what it saved, is freed when the script drops it, not when it is published."""
    _, error = project.observe(
        """
        import witness

        y = (x.sin() * x).sum()
        witness.see(y)
        witness.see(y.grad_fn)
        witness.see(y.grad_fn.next_functions[0][0])
        y.backward(retain_graph=True)
        torch.autograd.grad(y, x)
        del y
        assert not any(witness.alive())
        """
    )
    assert error is None
    assert not any(witness.alive())


def test_nothing_is_alive_after_a_script(project, witness):
    """When a script has ended, none of its tensors is alive, whatever was observed of them."""
    project.observe(
        """
        import witness

        for thing in (loss, x, dx, x.grad, loss.grad_fn):
            witness.see(thing)
        torch.testing.assert_close({"x": dx}, {"x": x.grad})
        """
    )
    gc.collect()
    assert witness.alive() == [False] * 15  # five in the script, and in each of two replays


def test_gradients_are_stolen_as_ever(project):
    """Recording holds no cotangent: a leaf's gradient is taken over and not copied."""
    _, error = project.observe(
        """
        w = torch.ones(3, requires_grad=True)
        held = []
        (w * 2).sum().backward()
        first = w.grad.untyped_storage().data_ptr()
        w.grad = None
        handle = w.register_hook(lambda g: held.append(g.untyped_storage().data_ptr()))
        (w * 2).sum().backward()
        assert held == [w.grad.untyped_storage().data_ptr()]
        """
    )
    assert error is None, error


STATEFUL = """
import random
import numpy as np
import torch

torch.manual_seed(3)
w = torch.randn(3, 2, requires_grad=True)
y = (w.sin() @ torch.randn(2, 4)).sum()
y.backward()
print(w.grad, y, y.grad_fn.name(), torch.is_grad_enabled(), torch.get_default_dtype())
print(random.random(), np.random.rand(), torch.rand(2))
print([hook for hook in dir(torch.autograd) if "grad" in hook])
"""


def test_prints_the_same(project, capsys):
    """What a script prints is the same, random numbers included, with and without observation."""
    script = project.write("examples/part/plot_print.py", STATEFUL)
    observation.reset()
    exec(compile(STATEFUL, str(script), "exec"), {"__name__": "__main__"})
    bare = capsys.readouterr().out
    observation.reset()
    observation.run(script)
    assert capsys.readouterr().out == bare


CHANGES = {
    "default dtype": ("torch.set_default_dtype(torch.float64)", torch.get_default_dtype),
    "grad mode": ("torch.set_grad_enabled(False)", torch.is_grad_enabled),
    "anomaly mode": ("torch.autograd.set_detect_anomaly(True)", torch.is_anomaly_enabled),
    "deterministic algorithms": (
        "torch.use_deterministic_algorithms(True)",
        torch.are_deterministic_algorithms_enabled,
    ),
    "warnings shown once": ("torch.set_warn_always(False)", torch.is_warn_always_enabled),
    "seed of torch": ("torch.manual_seed(9)", torch.initial_seed),
    "seed of random": ("import random; random.seed(9)", random.getstate),
    "seed of NumPy": (
        "import numpy; numpy.random.seed(9)",
        lambda: np.random.get_state()[1].tolist(),
    ),
    "figures": ("import matplotlib.pyplot as plt; plt.figure()", plt.get_fignums),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_reset(what):
    """What a script changed for the whole process is as before the script when it is reset."""
    change, state = CHANGES[what]
    observation.reset()
    before = state()
    exec(change, {"torch": torch})
    assert state() != before
    observation.reset()
    assert state() == before


def test_names_are_those_of_the_running_script(project):
    """Drawings are labelled with the names a script has when its backward pass runs."""
    observed, _ = project.observe(
        "weight = torch.ones(3, requires_grad=True)\nweight.sum().backward()"
    )
    labels = [{node.label for node in p.graph.nodes} for p in observed.passes]
    assert labels[0] >= {"x", "loss"}
    assert labels[1] >= {"weight"}


def test_graph_that_cannot_be_drawn(project, monkeypatch):
    """A drawing that fails is a failure at the line that asked for it, and ends nothing."""

    def fails(graph, **options):
        raise RuntimeError("no Graphviz here")

    monkeypatch.setattr(backwardpass.Graph, "to_svg", fails)
    script = project.script("torch.testing.assert_close({'x': dx}, {'x': x.grad})")
    watched = observation.Observation(script)
    watched.start()
    x = torch.ones(3, requires_grad=True)
    watched.draw(x.sum().grad_fn, {"x": x}, "A graph", 4)
    observed = watched.finish()
    assert [f for f in observed.failures if f.gate == "drawing"] == [
        Failure("examples/part/plot_script.py", 4, "drawing", "no Graphviz here")
    ]


def block(source: str, lineno: int = 1):
    """A block of a script, as sphinx-gallery hands it to scrapers."""
    return types.SimpleNamespace(type="code", content=source, lineno=lineno)


def test_last_value_is_taken_from_sphinx_gallery(project, monkeypatch, witness):
    """The value of a block's last expression, a graph perhaps, is not kept by sphinx-gallery."""
    watched = observation.Observation(project.script("loss.grad_fn"))
    monkeypatch.setattr(hooks, "_current", watched)
    watched.start()
    x = torch.ones(3, requires_grad=True)
    values = {"x": x, "___": (x * x).sum().grad_fn}
    witness.see(values["___"])
    shown = hooks.scrape(block("loss.grad_fn\n", 9), {"example_globals": values}, {})
    assert values["___"] is None
    assert witness.alive() == [False]
    assert ".. backward-graph:: part/plot_script\n   :graph: 1\n" in shown
    assert ".. backward-table:: part/plot_script\n   :graph: 1\n" in shown
    (drawing,) = watched.finish(completed=False).drawings
    assert drawing.line == 9
    assert drawing.svg.startswith("<svg")


@pytest.mark.parametrize("value", [3, "text", None, torch.ones(2)])
def test_other_values_are_not_drawn(project, monkeypatch, value):
    """A last expression that is no node adds nothing to the page."""
    watched = observation.Observation(project.script(""))
    monkeypatch.setattr(hooks, "_current", watched)
    assert hooks.scrape(block("3"), {"example_globals": {"___": value}}, {}) == ""


def test_block_that_compares_shows_its_comparisons(project, monkeypatch):
    """Below a block that compares stands the table of what it compared, and below no other."""
    script = project.script("torch.testing.assert_close({'x': dx}, {'x': x.grad})")
    watched = observation.Observation(script)
    monkeypatch.setattr(hooks, "_current", watched)
    watched.start()
    exec(compile(watched.source, str(script), "exec"), {})
    watched.abandon()
    values = {"example_globals": {}}
    assert hooks.scrape(block("import torch\n\nx = 1\n", 1), values, {}) == ""
    first = project.lines_before
    shown = hooks.scrape(block("\n" * 3, first), values, {})
    assert f".. verified:: part/plot_script\n   :lines: {first}-{first + 3}\n" in shown


def test_torch_is_imported_only_to_execute():
    """No extension imports torch when it is loaded: a build that executes nothing needs none."""
    press = Path(keys.__file__).parent
    names = ", ".join(
        ".".join(("press", *path.relative_to(press).with_suffix("").parts))
        for path in sorted(press.rglob("[!_]*.py"))
        if path.relative_to(press).parts[0] not in ("watch", "trials", "worlds")  # for execution
    )
    code = f"import sys; sys.path.insert(0, {str(press.parent)!r}); import {names}\n"
    code += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sphinx" in done.stdout.split()
    assert {"torch", "matplotlib.pyplot"} & set(done.stdout.split()) == set()


def test_a_script_that_trains_is_recorded_in_part(project, monkeypatch):
    """Of very many passes the first are recorded, and those that follow a drawing."""
    monkeypatch.setattr(observation, "MOST_PASSES", 3)
    many = """
    for _ in range(5):
        loss = (x**2).sum()
        loss.backward()
    """
    told, error = project.observe(many)
    assert error is None
    assert len(told.passes) == 3
    watched = observation.Observation(project.script("pass"))
    watched.start()
    names = {"x": torch.ones(2, requires_grad=True)}
    run = compile(textwrap.dedent(many), str(watched.script), "exec")
    exec(run, names)
    watched.draw((names["x"] ** 2).sum().grad_fn, names, "", 1)
    exec(run, names)
    assert len(watched.finish(completed=False).passes) == 6
