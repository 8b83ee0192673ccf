"""Reading a graph: what is in it, and that reading leaves no mark."""

import gc
import json
import weakref

import pytest
import torch
from torch.autograd.graph import get_gradient_edge
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import backwardpass
from backwardpass import Edge, Graph, TensorMeta


def leaf(*shape: int) -> torch.Tensor:
    size = torch.Size(shape).numel()
    return torch.linspace(0.1, 1.0, size, dtype=torch.float64).reshape(shape).requires_grad_()


def two_layers() -> dict[str, torch.Tensor]:
    x, W1, b1, W2 = leaf(5, 4).detach(), leaf(3, 4), leaf(3), leaf(3, 2)
    h = (x @ W1.T + b1).tanh()
    loss = (h @ W2).sum()
    return {"x": x, "W1": W1, "b1": b1, "W2": W2, "h": h, "loss": loss}


def names_of(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def test_parallel_edges_survive():
    """x * x has two edges to one AccumulateGrad."""
    x = leaf(3)
    graph = backwardpass.trace(x * x)
    assert names_of(graph) == ["MulBackward0", "AccumulateGrad"]
    assert graph.nodes[0].edges == (Edge(1, 0), Edge(1, 0))


def test_an_input_without_gradient_keeps_its_place():
    """The edge of an input that needs no gradient has no target."""
    graph = backwardpass.trace(leaf(3) - torch.ones(3, dtype=torch.float64))
    assert graph.nodes[0].edges == (Edge(1, 0), Edge(None, 0))


def test_input_numbers_tell_the_outputs_of_one_node_apart():
    """An edge into an operation with several outputs says which output it belongs to."""
    first, _, third = leaf(3, 2).unbind(0)
    graph = backwardpass.trace(third * first)
    unbind = next(node for node in graph.nodes if node.name == "UnbindBackward0")
    assert graph.nodes[0].edges == (Edge(unbind.index, 2), Edge(unbind.index, 0))
    assert unbind.outputs == (TensorMeta((2,), "float64", "cpu"),) * 3


def test_kinds_are_told_apart():
    """Operations, leaves and Python functions have kinds of their own, and plain names."""

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, u):
            return 2 * u

    nodes = backwardpass.trace(Double.apply(leaf(2)).sum()).nodes
    assert [(node.name, node.kind) for node in nodes] == [
        ("SumBackward0", "operation"),
        ("DoubleBackward", "function"),
        ("AccumulateGrad", "accumulate"),
    ]


def test_labels_come_from_the_namespace():
    """Nodes carry the names of the tensors they produced, leaves their own."""
    a, b = leaf(2, 3).unbind(0)
    y = a * b
    namespace = {"_": y, "__name__": "main", "y": y, "z": y, "b": b, "a": a, "n": 3}
    labels = {node.name: node.label for node in backwardpass.trace(y, namespace).nodes}
    assert labels == {"MulBackward0": "y", "UnbindBackward0": "a, b", "AccumulateGrad": None}


def test_modules_name_their_parameters():
    """A module in the namespace labels its parameters with their paths."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    graph = backwardpass.trace(model(torch.ones(1, 3)), {"model": model})
    labels = {node.label for node in graph.nodes if node.kind == "accumulate"}
    assert labels == {"model.0.weight", "model.0.bias"}


def test_every_kind_of_root_is_taken():
    """A tensor, a leaf, a node, a gradient edge and a sequence of them can be traced."""
    x = leaf(3)
    y = x.exp()
    assert backwardpass.trace(y) == backwardpass.trace(y.grad_fn)
    assert backwardpass.trace(y) == backwardpass.trace(get_gradient_edge(y))
    assert names_of(backwardpass.trace(x)) == ["AccumulateGrad"]
    assert backwardpass.trace([x, y, y]).roots == (1, 0, 0)


def inference_tensor() -> torch.Tensor:
    with torch.inference_mode():
        return torch.ones(3)


@pytest.mark.parametrize(
    ("root", "error", "message"),
    [
        (torch.ones(2), ValueError, r"requires grad.*\ngot one of shape \(2,\)"),
        ([], ValueError, r"at least one root;\ngot an empty sequence"),
        (3.0, TypeError, r"needs a tensor.*\ngot an object of type float"),
        (["loss"], TypeError, r"needs a tensor.*\ngot an object of type str"),
        (
            inference_tensor(),
            ValueError,
            r"requires grad.*\ngot an inference tensor of shape \(3,\)",
        ),
    ],
)
def test_a_wrong_root_is_explained(root, error, message):
    """What cannot be traced raises an error saying what is needed and what came."""
    with pytest.raises(error, match=message):
        backwardpass.trace(root)


@pytest.mark.needs("transforms")
def test_a_tensor_of_a_transform_without_a_graph_is_explained():
    """Inside vmap a tensor has no graph to show; inside torch.func.grad it has one."""
    messages, sizes = [], []

    def mapped(x):
        with pytest.raises(ValueError, match="requires grad") as raised:
            backwardpass.trace(x * 2)
        messages.append(str(raised.value))
        return x

    def differentiated(x):
        sizes.append(len(backwardpass.trace((x * x).sum()).nodes))
        return (x * x).sum()

    torch.vmap(mapped)(torch.ones(2, 3))
    torch.func.grad(differentiated)(torch.ones(3))
    assert messages == [
        "trace() needs a tensor that requires grad: it has no backward graph otherwise;\n"
        "got a tensor of shape (3,) inside a torch.func transform that records no graph for it, "
        "such as vmap or jvp.\n"
        "Trace the tensor outside the transform, or inside torch.func.grad or vjp."
    ]
    assert sizes == [3]


def two_names() -> dict[str, object]:
    model = torch.nn.Linear(3, 2)
    return {"model": model, "model.weight": torch.ones(4, 3)}


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (
            ["x"],
            TypeError,
            "names has to be a mapping from names to tensors, such as vars() or globals(), or a "
            "torch.nn.Module;\n"
            "got an object of type list.\n"
            "Pass names=vars() for the variables of the place of the call.",
        ),
        (
            {"x": torch.ones(2), 7: torch.ones(2)},
            TypeError,
            "names needs a string for the name of every tensor;\n"
            "got a key of type int: 7.\n"
            "Make the keys strings, such as f'layer{number}'.",
        ),
        (
            two_names(),
            ValueError,
            "names has to give a name to one tensor only;\n"
            "got 'model.weight' for two, of shapes (2, 3) and (4, 3).\n"
            "Rename one: a module's tensors are called by the module's name, a dot and their path.",
        ),
    ],
)
@pytest.mark.parametrize(
    "use", [lambda names: backwardpass.trace(leaf(2), names), backwardpass.record]
)
def test_wrong_names_are_explained(use, names, error, message):
    """Names of the wrong type, keys that are no strings, and clashes raise, at the call."""
    with pytest.raises(error) as raised:
        use(names)
    assert str(raised.value) == message


def test_one_tensor_may_have_two_names():
    """Two variables for one tensor are no clash: the first counts."""
    x = leaf(2)
    model = torch.nn.Linear(2, 2)
    names = {"x": x, "y": x, "model": model, "model.weight": model.weight}
    assert backwardpass.trace(x, names).nodes[0].label == "x"


def test_the_collector_rests_only_while_a_graph_is_read():
    """Garbage collection is on again after a trace, and stays off where it was off."""
    seen = []

    class Names(dict):
        def items(self):
            seen.append(gc.isenabled())
            return super().items()

    backwardpass.trace(leaf(2), Names(x=leaf(2)))
    assert (seen, gc.isenabled()) == ([True], True)
    gc.disable()
    try:
        backwardpass.trace(leaf(2))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_tracing_leaves_nothing_behind():
    """No node, tensor, gradient, hook or metadata stays, and no cycle keeps the graph alive."""

    class Tag:
        pass

    space = two_layers()
    space["loss"].grad_fn.metadata["tag"] = tag = Tag()
    alive = weakref.ref(tag)
    del tag
    graph = backwardpass.trace(space["loss"], space)
    assert list(space["loss"].grad_fn.metadata) == ["tag"]
    assert space["W1"].grad is None
    gc.disable()
    try:
        space.clear()
        assert alive() is None
    finally:
        gc.enable()
    assert len(graph.nodes) == 9


def test_tracing_uses_no_tensor():
    """No operation is dispatched and no torch function called while a graph is read."""
    seen = []

    class Dispatched(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    class Called(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    space = two_layers()
    space["y"] = space["loss"] * 2
    with Dispatched(), Called():
        backwardpass.trace(space["y"], space)
    assert seen == []


def test_an_unusable_view_in_the_namespace_is_passed_over():
    """A name whose graph PyTorch refuses to show does not stop the trace."""
    base = leaf(2, 3) * 1
    rows = base.unbind(0)
    with torch.no_grad():
        base.mul_(2)
    assert backwardpass.trace(base, {"row": rows[0], "base": base}).nodes[0].label == "base"


@pytest.mark.needs("saved tensors")
def test_a_freed_graph_can_be_read():
    """After backward the nodes are there, their saved tensors marked as freed."""
    space = two_layers()
    before = backwardpass.trace(space["loss"], space)
    space["loss"].backward()
    after = backwardpass.trace(space["loss"], space)
    assert names_of(after) == names_of(before)
    held, freed = ([saved for node in one.nodes for saved in node.saved] for one in (before, after))
    assert [saved.field for saved in freed] == [saved.field for saved in held] != []
    assert {saved.freed for saved in held} == {False}
    assert {saved.freed for saved in freed} == {True}
    assert (before.saved_bytes > 0, after.saved_bytes) == (True, 0)


def test_json_gives_the_graph_back():
    """Plain data, written as JSON and read again, is the same graph."""
    space = two_layers()
    graph = backwardpass.trace(space["loss"], space)
    data = graph.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert Graph.from_dict(json.loads(json.dumps(data))) == graph


def test_data_of_another_format_is_refused():
    """Data not written by as_dict raises instead of half a graph."""
    with pytest.raises(ValueError, match=r"format 1;\ngot a dict of format None"):
        Graph.from_dict({"nodes": [], "roots": []})


def test_match_finds_the_shared_nodes():
    """Two graphs over the same nodes match exactly there, leaves included."""
    x = leaf(3)
    y = x.exp()
    left, right = backwardpass.trace(y.sum()), backwardpass.trace(y.mean())
    assert left.match(right) == {1: 1, 2: 2}
    assert left.match(backwardpass.trace(leaf(3).exp().sum())) == {}


def test_match_is_not_deceived_by_reused_memory():
    """A leaf made after another died is another leaf, wherever it lies in memory."""
    before = backwardpass.trace(leaf(3))
    for _ in range(20):
        assert before.match(backwardpass.trace(leaf(3))) == {}


def test_data_read_back_matches_nothing():
    """What identifies the engine's nodes is in no data."""
    graph = backwardpass.trace(leaf(3).exp())
    assert graph.match(Graph.from_dict(graph.as_dict())) == {}
    assert repr(graph) == "Graph(2 nodes, roots=(0,))"
