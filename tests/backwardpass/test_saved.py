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


def test_fields_shapes_and_bytes():
    """A saved tensor is described by field, shape, dtype, bytes and the variable it is."""
    x, W = leaf(5, 4), leaf(4, 3)
    saved = saved_by("MmBackward0", x @ W, {"x": x, "W": W})
    assert saved["self"] == Saved("self", (5, 4), "float64", 160, "x", False, 1, 160)
    assert saved["mat2"] == Saved("mat2", (4, 3), "float64", 96, "W", False, 0, 96)


def test_a_view_names_what_it_is_a_view_of():
    """A transposed weight shares the weight's storage, and says so."""
    x, W, row = leaf(5, 4), leaf(3, 4), None
    row = W[0]
    saved = saved_by("AddmmBackward0", torch.nn.functional.linear(x, W, leaf(3)), locals())
    assert saved["mat2"].source == "view of W"


def test_a_result_without_a_name_is_called_result():
    """A node that saves its own output says so, by the output's name where it has one."""
    y = leaf(3).tanh()
    assert saved_by("TanhBackward0", y)["result"].source == "result"
    assert saved_by("TanhBackward0", y, {"y": y})["result"].source == "y"


@pytest.mark.parametrize("number", [2, 2.5, 2j])
def test_a_python_number_is_no_variable(number):
    """The tensor PyTorch makes of a Python number is told from a scalar tensor."""
    x = leaf(3)
    assert saved_by("MulBackward0", x * number)["other"].source == "a number"
    assert saved_by("MulBackward0", x * torch.tensor(number))["other"].source is None


def test_what_was_never_saved_is_left_out():
    """x * 2 keeps the 2 and has no use for x; x + x keeps nothing."""
    x = leaf(3)
    assert list(saved_by("MulBackward0", x * 2)) == ["other"]
    assert saved_by("AddBackward0", x + x) == {}


def test_lists_of_saved_tensors_are_numbered():
    """Several saved tensors in one field are told apart by their place."""
    index = torch.tensor([0, 2])
    saved = saved_by("IndexBackward0", leaf(3)[index], {"index": index})
    assert saved["indices[0]"].source == "index"


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
    assert saved_by("SquareBackward", y) == {"tensors": Saved("tensors", nbytes=0, freed=True)}


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
    assert (saved.source, saved.shape, saved.nbytes) == ("packed by a hook", None, None)
    assert unpacked == []


def test_a_packed_tensor_is_counted():
    """A hook that packs a tensor, alone or in a tuple, keeps that tensor's bytes."""
    with saved_tensors_hooks(lambda tensor: tensor.to(torch.float16), lambda packed: packed):
        y = leaf(8).exp()
    assert backwardpass.trace(y).saved_bytes == 16
    with save_on_cpu():
        y = leaf(8).exp()
    assert backwardpass.trace(y).saved_bytes == 64


def test_a_checkpoint_is_not_computed_again():
    """A checkpointed graph is read without running its forward; it keeps no bytes."""
    runs = []

    def block(x):
        runs.append(1)
        return x.exp().sin()

    y = checkpoint(block, leaf(3), use_reentrant=False)
    graph = backwardpass.trace(y)
    assert (len(runs), graph.saved_bytes) == (1, 0)
    assert graph.nodes[0].saved[0].source == "computed again by checkpoint"


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
    assert (saved["other"].shape, saved["other"].nbytes) == ((3, 3), None)
