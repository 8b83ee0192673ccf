"""Memory: what checkpoints, selective policies, TorchScript and hooks keep alive."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.utils import checkpoint

import backwardpass

pytestmark = pytest.mark.needs("saved tensors")


def blocks(depth: int, **options) -> tuple[torch.Tensor, list]:
    """Chain checkpointed blocks; the loss, and a weak reference to what went into each."""
    torch.manual_seed(0)
    parts = [nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(depth)]
    x, inputs = torch.ones(1000, 64), []
    for part in parts:
        inputs.append(weakref.ref(x.untyped_storage()))
        x = checkpoint.checkpoint(part, x, use_reentrant=False, **options)
    return x.square().mean(), inputs


def alive(references: list) -> int:
    gc.collect()
    return sum(r().nbytes() for r in references if r() is not None)


@pytest.mark.parametrize("depth", [1, 12])
def test_what_checkpoints_keep_is_counted(depth):
    """The inputs of checkpointed blocks, alive by weak references, are among the activations."""
    loss, inputs = blocks(depth, preserve_rng_state=False)
    memory = backwardpass.trace(loss).memory()
    assert memory.unknown == 0
    assert memory.activations == alive(inputs) + 1000 * 64 * 4 == 256_000 * (depth + 1)


def test_the_state_of_random_numbers_is_counted():
    """A checkpoint that keeps the state of the generator keeps its bytes."""
    without = backwardpass.trace(blocks(3, preserve_rng_state=False)[0]).memory()
    kept = backwardpass.trace(blocks(3)[0]).memory()
    state = torch.get_rng_state().untyped_storage().nbytes()
    assert kept.activations - without.activations == 3 * state


def test_kept_bytes_follow_the_checkpoint():
    """After the pass has gone through the last block nothing is kept."""
    loss, inputs = blocks(3, preserve_rng_state=False)
    before = backwardpass.trace(loss).memory().activations
    with backwardpass.record(values=True) as recording:
        loss.backward()
    kept = recording.passes[0].kept_bytes()
    assert before >= kept[0] > kept[-1] == 0
    assert alive(inputs) == 0


def test_what_a_selective_policy_saved_is_counted():
    """The products that a policy keeps, alive by weak references, are among the activations."""
    weights = [torch.randn(64, 64, requires_grad=True) for _ in range(2)]

    def run(x: torch.Tensor) -> torch.Tensor:
        return torch.mm(torch.mm(x, weights[0]).sin(), weights[1]).sin()

    def contexts():
        return checkpoint.create_selective_checkpoint_contexts([torch.ops.aten.mm.default])

    x = torch.ones(1000, 64)
    y = checkpoint.checkpoint(
        run, x, use_reentrant=False, context_fn=contexts, preserve_rng_state=False
    )
    memory = backwardpass.trace(y.sum()).memory()
    assert memory.activations == 3 * 256_000  # the input, and two products
    assert memory.unknown == 0


def product(x, w):
    return (x * w).sin() * x


# Deprecated in words of its own since 2.14.
@pytest.mark.filterwarnings("ignore:`torch.jit.:FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_torchscript_saved_is_unknown():
    """A node of TorchScript shows nothing of what it saved, and memory says so."""
    scripted = torch.jit.script(product)
    w, x = torch.ones(1000, requires_grad=True), torch.ones(1000)
    for _ in range(4):
        y = scripted(x, w)
    graph = backwardpass.trace(y)
    (node,) = [node for node in graph.nodes if "Differentiable" in node.name]
    assert node.name == "DifferentiableGraphBackward"
    assert graph.memory().unknown >= 1
    with pytest.raises(ValueError, match="C\\+\\+ code and TorchScript"):
        graph.saved_bytes  # noqa: B018


def test_a_wrapped_number_counts_its_bytes():
    """What a hook of saved tensors sees falls short by the Python numbers that PyTorch wrapped."""
    seen = []
    x = torch.ones(10, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: seen.append(t.nbytes) or t, lambda t: t
    ):
        (x * 2).sum()
    (number,) = [s for node in backwardpass.trace((x * 2).sum()).nodes for s in node.saved]
    assert (number.role, number.nbytes, sum(seen)) == ("number", 8, 0)
