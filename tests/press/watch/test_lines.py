"""Which line of a script recorded a node, and that nothing is left of having looked."""

import sys
import textwrap

import pytest
import torch
from press.watch import observation
from press.watch.lines import CALLS, RunningLines

import backwardpass


def followed(source: str, name: str = "script.py") -> tuple[dict, RunningLines]:
    """The variables of a script after it ran, and what was seen of its lines."""
    values: dict = {"torch": torch, "x": torch.tensor([0.5, 2.0], requires_grad=True)}
    running = RunningLines(name)
    before = sys.gettrace()
    sys.settrace(None)  # what measures coverage comes first
    try:
        running.start()
        exec(compile(textwrap.dedent(source), name, "exec"), values)
    finally:
        running.stop()
        left = sys.gettrace()
        sys.settrace(before)
    assert left is None
    return values, running


def lines(source: str) -> dict[str, int | None]:
    """For each node behind ``y``, by its name, the line that recorded it."""
    values, running = followed(source)
    graph = backwardpass.trace(values["y"])
    numbers = graph.sequence_numbers()
    return {
        node.name: running.at(number) for node, number in zip(graph.nodes, numbers, strict=True)
    }


def test_a_line_each():
    """Of several nodes each has its own line, a leaf's node none."""
    found = lines("a = x.exp()\n\nb = a.sin()\ny = b.sum()")
    assert found == {
        "SumBackward0": 4,
        "SinBackward0": 3,
        "ExpBackward0": 1,
        "AccumulateGrad": None,
    }


def test_inside_a_function_and_back():
    """What a function records has the function's line, what follows the call has the caller's."""
    found = lines(
        """
        def inner(x):
            return x.exp()
        y = inner(x).sin()
        """
    )
    assert (found["ExpBackward0"], found["SinBackward0"]) == (3, 4)


def test_below_pytorch():
    """A forward that PyTorch calls, and a call over several lines, have their own lines."""
    found = lines(
        """
        class Model(torch.nn.Module):
            def forward(self, x):
                return x.cos()
        y = torch.mul(
            Model()(x),
            x.tan(),
        )
        """
    )
    assert found["CosBackward0"] == 4
    assert found["TanBackward0"] == 7
    assert found["MulBackward0"] == 5


def test_an_exception_on_the_way():
    """After a function that raised, its caller's lines are told again."""
    found = lines(
        """
        def fails():
            x.exp()
            raise ValueError
        try:
            fails()
        except ValueError:
            y = x.sin()
        """
    )
    assert found["SinBackward0"] == 8


def test_a_pass_that_records():
    """What a backward pass records has the line that started it."""
    found = lines("z = (x ** 3).sum()\ny, = torch.autograd.grad(z, x, create_graph=True)")
    assert found["MulBackward0"] == 2


def test_what_others_recorded_is_no_line_of_the_script():
    """Nodes made before, after and in another file have no line."""
    before = torch.ones(2, requires_grad=True).exp().grad_fn
    _, running = followed("y = x.exp()")
    after = torch.ones(2, requires_grad=True).exp().grad_fn
    assert running.at(before._sequence_nr()) is None
    assert running.at(after._sequence_nr()) is None
    assert running.at(None) is None


def test_a_function_that_records_nothing_is_left_alone():
    """After many calls without a node the line that calls stands for the function's own."""
    found = lines(
        f"""
        def late(n):
            return x.exp() if n == {CALLS} else None
        for n in range({CALLS + 1}):
            y = late(n)
        """
    )
    assert found["ExpBackward0"] == 5


def test_a_debugger_is_left_in_its_place():
    """Whoever follows the program already goes on following it."""

    def mine(frame, event, argument):
        return None

    running = RunningLines("script.py")
    before = sys.gettrace()
    sys.settrace(mine)
    try:
        running.start()
        running.stop()
        left = sys.gettrace()
    finally:
        sys.settrace(before)
    assert left is mine


def test_a_drawing_knows_its_lines(project):
    """What is observed of a graph has the lines of its nodes, in the order of the nodes."""
    script = project.script("loss = (w * w).sum()\nloss.grad_fn")
    seen = observation.Observation(script)
    before = sys.gettrace()
    sys.settrace(None)
    try:
        seen.start()
        values: dict = {"__name__": "__main__"}
        exec(compile("import torch\n\nw = torch.ones(3, requires_grad=True)\nloss = (w * w).sum()",
                     str(script), "exec"), values)  # fmt: skip
        seen.draw(values["loss"].grad_fn, values, "Loss", 4)
        seen.passed(10**6)
        assert sys.gettrace() is None
    finally:
        observed = seen.finish(completed=False)
        sys.settrace(before)
    (drawing,) = observed.drawings
    assert drawing.lines == (4, 4, None)


@pytest.mark.parametrize(
    ("source", "line"),
    [("f(x)", 0), ("x = 1\nx.grad_fn\nf(x)", 2), ("(x\n .grad_fn)", 2)],
)
def test_the_last_that_may_be_drawn(source, line):
    """An expression that is no call may be a node; a call prints, or shows."""
    assert observation.last_shown(source) == line


def test_a_compiled_function_is_left_alone(recwarn):
    """torch.compile does not take what follows its lines for a part of the function."""
    found = lines(
        """
        @torch.compile(backend="eager")
        def compiled(x):
            y = x.exp()
            return y.sin()
        y = compiled(x)
        """
    )
    assert set(found) == {"SinBackward0", "ExpBackward0", "AccumulateGrad"}
    assert not [str(warning.message) for warning in recwarn if "trace" in str(warning.message)]
