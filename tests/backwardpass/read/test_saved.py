"""Saved tensors: what is seen of them, without unpacking any."""

import pytest
import torch
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

import backwardpass
from backwardpass import Saved


def leaf(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.float64, requires_grad=True)


def saved_by(name: str, root: torch.Tensor, names=None) -> dict[str, Saved]:
    graph = backwardpass.trace(root, names)
    node = next(node for node in graph.nodes if node.name == name)
    return {saved.field: saved for saved in node.saved}


@pytest.mark.needs("saved tensors")
def test_fields_shapes_and_bytes():
    """A saved tensor is described by field, shape, dtype, bytes and the variable it is."""
    x, W = leaf(5, 4), leaf(4, 3)
    saved = saved_by("MmBackward0", x @ W, {"x": x, "W": W})
    assert saved["self"] == Saved("self", (5, 4), "float64", 160, "x", False, 1, 160, "parameter")
    assert saved["mat2"] == Saved("mat2", (4, 3), "float64", 96, "W", False, 0, 96, "parameter")


@pytest.mark.needs("saved tensors")
def test_a_view_names_what_it_is_a_view_of():
    """A transposed weight shares the weight's storage, and says so."""
    x, W, row = leaf(5, 4), leaf(3, 4), None
    row = W[0]
    saved = saved_by("AddmmBackward0", torch.nn.functional.linear(x, W, leaf(3)), locals())
    assert saved["mat2"].source == "view of W"


@pytest.mark.needs("saved tensors")
def test_a_result_without_a_name_is_called_result():
    """A node that saves its own output says so, by the output's name where it has one."""
    y = leaf(3).tanh()
    assert saved_by("TanhBackward0", y)["result"].source == "result"
    assert saved_by("TanhBackward0", y, {"y": y})["result"].source == "y"


@pytest.mark.needs("saved tensors")
@pytest.mark.parametrize("number", [2, 2.5, 2j])
def test_a_python_number_is_no_variable(number):
    """The tensor PyTorch makes of a Python number is told from a scalar tensor."""
    x = leaf(3)
    assert saved_by("MulBackward0", x * number)["other"].source == "a number"
    assert saved_by("MulBackward0", x * torch.tensor(number))["other"].source is None


@pytest.mark.needs("saved tensors")
def test_what_was_never_saved_is_left_out():
    """x * 2 keeps the 2 and has no use for x; x + x keeps nothing."""
    x = leaf(3)
    assert list(saved_by("MulBackward0", x * 2)) == ["other"]
    assert saved_by("AddBackward0", x + x) == {}


@pytest.mark.needs("saved tensors")
def test_lists_of_saved_tensors_are_numbered():
    """Several saved tensors in one field are told apart by their place."""
    index = torch.tensor([0, 2])
    saved = saved_by("IndexBackward0", leaf(3)[index], {"index": index})
    assert saved["indices[0]"].source == "index"


@pytest.mark.needs("saved tensors")
def test_a_python_function_shows_what_it_saved():
    """Tensors given to save_for_backward are listed, and freed as a whole."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, None)
            return x * x

        @staticmethod
        def backward(ctx, u):
            return 2 * ctx.saved_tensors[0] * u

    x = leaf(3)
    y = Square.apply(x)
    saved = saved_by("SquareBackward", y, {"x": x})
    assert {field: one.source for field, one in saved.items()} == {"tensors[0]": "x"}
    y.sum().backward()
    freed = Saved("tensors", nbytes=0, freed=True, role="freed")
    assert saved_by("SquareBackward", y) == {"tensors": freed}


@pytest.mark.needs("saved tensors")
def test_each_storage_is_counted_once():
    """x saved three times, once as a view, keeps its own bytes alive."""
    x = leaf(10)
    assert backwardpass.trace((x * x).sum() + (x[2:4] * x[2:4]).sum()).saved_bytes == 80


def test_no_hook_is_run():
    """What a pack hook returned is looked at, never unpacked."""
    unpacked = []
    with saved_tensors_hooks(lambda tensor: ("disk", 7), unpacked.append):
        y = leaf(3).exp()
    saved = saved_by("ExpBackward0", y)["result"]
    assert unpacked == []
    assert (saved.shape, saved.nbytes) == (None, None)
    known = backwardpass.abilities()["saved tensors"].known
    assert saved.source == ("packed by a hook" if known else None)


@pytest.mark.needs("saved tensors")
def test_a_packed_tensor_is_counted():
    """A hook that packs a tensor, alone or in a tuple, keeps that tensor's bytes."""
    with saved_tensors_hooks(lambda tensor: tensor.to(torch.float16), lambda packed: packed):
        y = leaf(8).exp()
    assert backwardpass.trace(y).saved_bytes == 16
    with save_on_cpu():
        y = leaf(8).exp()
    assert backwardpass.trace(y).saved_bytes == 64


@pytest.mark.needs("saved tensors")
def test_a_checkpoint_is_not_computed_again():
    """A checkpointed graph is read without running its forward; it keeps its argument alone."""
    runs = []

    def block(x):
        runs.append(1)
        return x.exp().sin()

    x = leaf(3)
    y = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
    graph = backwardpass.trace(y)
    assert (len(runs), graph.saved_bytes) == (1, x.nbytes)
    assert graph.nodes[0].saved[0].source == "computed again by checkpoint"


@pytest.mark.needs("saved tensors")
def test_tensors_without_a_storage_are_described():
    """Sparse tensors and those of torch.func are listed with what can be known of them."""
    seen = []

    def inner(x):
        y = (x * x).sum()
        seen.append(backwardpass.trace(y))
        return y

    torch.func.grad(inner)(torch.ones(3))
    assert [saved.storage for saved in seen[0].nodes[1].saved] == [None, None]
    assert seen[0].saved_bytes == 24
    sparse = torch.eye(3).to_sparse().requires_grad_()
    saved = saved_by("MulBackward0", sparse * torch.eye(3).to_sparse())
    assert (saved["other"].shape, saved["other"].nbytes) == ((3, 3), 3 * 4 + 2 * 3 * 8)


class Keeper(torch.autograd.Function):
    """Saves an input, an output and a third tensor, and sets one on its ctx."""

    @staticmethod
    def forward(ctx, x, scale):
        y = scale * x
        ctx.save_for_backward(x, y, scale, x + y)
        ctx.kept = torch.zeros(7, dtype=torch.float64)
        ctx.more = [torch.zeros(2), "text"]
        return y

    @staticmethod
    def backward(ctx, u):
        x, y, scale, both = ctx.saved_tensors
        return scale * u + 0 * (x + y + both), None


def roles(name: str, root: torch.Tensor, names=None) -> dict[str, str]:
    return {field: saved.role for field, saved in saved_by(name, root, names).items()}


@pytest.mark.needs("saved tensors")
def test_roles_say_what_a_saved_tensor_is_to_the_graph():
    """Parameters, their views, frozen ones, inputs, results and numbers are told apart."""
    x, W = leaf(4, 3), leaf(2, 3)
    y = torch.nn.functional.linear(x.exp(), W)
    assert roles("MmBackward0", y) == {"mat2": "parameter", "self": "input"}
    assert roles("ExpBackward0", y) == {"result": "result"}
    assert roles("MulBackward0", x.exp() * 2) == {"other": "number"}
    frozen = torch.nn.Parameter(torch.ones(2, 3, dtype=torch.float64), requires_grad=False)
    assert roles("MmBackward0", x @ frozen.T)["mat2"] == "parameter"
    data = torch.ones(4, 3, dtype=torch.float64)
    assert roles("MulBackward0", x * data)["other"] == "input"


@pytest.mark.needs("saved tensors")
def test_roles_of_a_python_function():
    """What it was given, what it made, what it set on its ctx; the last outlives the pass."""
    x, scale = leaf(3), torch.full((3,), 2.0, dtype=torch.float64)
    y = Keeper.apply(x, scale)
    assert roles("KeeperBackward", y) == {
        "tensors[0]": "parameter",
        "tensors[1]": "result",
        "tensors[2]": "input",
        "tensors[3]": "input",
        "ctx.kept": "attribute",
        "ctx.more[0]": "attribute",
    }
    y.sum().backward()
    assert roles("KeeperBackward", y) == {
        "tensors": "freed",
        "ctx.kept": "attribute",
        "ctx.more[0]": "attribute",
    }


@pytest.mark.needs("saved tensors")
def test_roles_of_what_a_hook_packed_and_checkpoint_left_out():
    """Packed and checkpointed tensors are called so."""
    with saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
        y = leaf(3).exp()
    assert roles("ExpBackward0", y) == {"result": "packed"}
    y = checkpoint(torch.exp, leaf(3), use_reentrant=False, preserve_rng_state=False)
    kept = {"checkpoint.arguments[0]": "parameter"}
    assert roles("ExpBackward0", y) == {"result": "checkpoint"} | kept


@pytest.mark.needs("saved tensors")
def test_a_module_names_its_parameters_and_buffers():
    """Names may be a module: its tensors go by their dotted paths."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).eval()
    root = model(torch.ones(5, 3))
    saved = saved_by("NativeBatchNormBackward0", root, model)
    assert saved["running_mean"].source == "1.running_mean"
    assert saved["weight"].source == "1.weight"
    again = saved_by("NativeBatchNormBackward0", root, {"net": model})
    assert again["running_mean"].source == "net.1.running_mean"


@pytest.mark.needs("saved tensors")
def test_memory_counts_each_storage_once_and_parameters_apart():
    """Rows add up to the total; leaves are counted, views count their whole storage."""
    x, W = torch.ones(5, 4, dtype=torch.float64), leaf(4, 3)
    h = (x @ W).exp()
    graph = backwardpass.trace((h * h[:1]).sum(), {"W": W})
    memory = graph.memory()
    assert (memory.total, memory.parameters, memory.unknown) == (160 + 120 + 96, 96, 0)
    assert memory.activations == 280
    assert sum(row.counted for row in memory.rows) == memory.total
    by_name = {row.operation: row for row in memory.rows}
    assert (by_name["MulBackward0"].nbytes, by_name["ExpBackward0"].counted) == (120, 0)
    assert by_name["AccumulateGrad"].parameters == 96


def test_memory_says_what_it_cannot_know():
    """What a hook hides has no size, and the total says so."""
    with saved_tensors_hooks(lambda tensor: "on disk", lambda packed: torch.ones(3)):
        y = leaf(3).exp()
    memory = backwardpass.trace(y).memory()
    assert memory.unknown == 1
    assert "total, and 1 of unknown size" in memory.to_text()
    assert "total, and 1 of unknown size" in memory.to_markdown()
    assert '<td data-label="operation">total, and 1 of unknown size</td>' in memory._repr_html_()


def test_memory_after_backward_is_what_stays():
    """A freed graph keeps its leaves, and what was set on a ctx."""
    x = leaf(3)
    y = Keeper.apply(x.exp(), torch.ones(3, dtype=torch.float64)).sum()
    y.backward()
    memory = backwardpass.trace(y).memory()
    assert (memory.total, memory.parameters, memory.activations) == (24 + 64, 24, 64)
