"""Recording backward passes: everything that ran is seen, and nothing is changed by it."""

import contextlib
import gc
import json
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import backwardpass
from backwardpass import BackwardPass, Graph
from backwardpass._record import _Running

HERE = __file__


def leaf(*shape: int) -> torch.Tensor:
    return torch.linspace(0.1, 1.0, torch.Size(shape).numel()).reshape(shape).requires_grad_()


def ran(seen: BackwardPass) -> list[str]:
    return [seen.graph.nodes[step.node].name for step in seen.steps]


def test_a_pass_is_recorded():
    """A recorded pass says where it was called, how, over which graph, and what arrived where."""
    x = leaf(2, 3)
    with backwardpass.record(names={"x": x}) as recording:
        (x * x).sum().backward(retain_graph=True)
    (seen,) = recording.passes
    assert (seen.call, seen.filename, seen.error) == ("backward", HERE, None)
    assert seen.line == test_a_pass_is_recorded.__code__.co_firstlineno + 4
    assert (seen.retain_graph, seen.create_graph) == (True, False)
    assert ran(seen) == ["SumBackward0", "MulBackward0", "AccumulateGrad"]
    assert [[meta.shape for meta in step.cotangents] for step in seen.steps] == [
        [()],
        [(2, 3)],
        [(2, 3)],
    ]
    assert seen.graph.nodes[2].label == "x"
    assert not seen.graph.nodes[1].saved[0].freed


def test_an_output_nothing_arrives_for_is_none():
    """Of a node with several outputs, those without a cotangent show None."""
    first, _ = leaf(2, 3).unbind(0)
    with backwardpass.record() as recording:
        first.sum().backward()
    (unbind,) = (step for step in recording.passes[0].steps if len(step.cotangents) == 2)
    assert [meta and meta.shape for meta in unbind.cotangents] == [(3,), None]


def test_grad_runs_only_what_is_needed():
    """torch.autograd.grad shows as "grad", with the nodes it needed and no accumulation."""
    x, y = leaf(3), leaf(3)
    with backwardpass.record() as recording:
        torch.autograd.grad((x.exp() * y.sin()).sum(), x, create_graph=True)
    (seen,) = recording.passes
    assert (seen.call, seen.create_graph) == ("grad", True)
    assert ran(seen) == ["SumBackward0", "MulBackward0", "ExpBackward0"]


def test_torch_func_and_batched_gradients_are_recorded():
    """Passes inside torch.func and with is_grads_batched are seen too."""
    x = leaf(3)
    with backwardpass.record() as recording:
        torch.func.vmap(torch.func.grad(lambda x: x.sin().sum()))(torch.ones(2, 3))
        torch.autograd.grad(x.sin(), x, torch.eye(3), is_grads_batched=True)
    assert [ran(seen) for seen in recording.passes] == [
        ["SumBackward0", "SinBackward0"],
        ["SinBackward0"],
    ]


def test_a_leaf_as_root_is_recorded():
    """A root that is a leaf runs its AccumulateGrad, and that is seen."""
    x = leaf(3)
    with backwardpass.record() as recording:
        x.backward(torch.ones(3))
    assert ran(recording.passes[0]) == ["AccumulateGrad"]


def test_a_pass_inside_a_pass_is_its_own():
    """A re-entrant pass is recorded after the one it ran in, and steps are not mixed up."""
    x, W = leaf(3), leaf(3)
    with backwardpass.record() as recording:
        y = checkpoint(lambda x: (x * W).sin(), x, use_reentrant=True)
        (y * W).sum().backward()
    outer, inner = recording.passes
    checkpointed = ["CheckpointFunctionBackward", "AccumulateGrad"]
    assert ran(outer) == ["SumBackward0", "MulBackward0", "AccumulateGrad", *checkpointed]
    assert ran(inner) == ["SinBackward0", "MulBackward0", "AccumulateGrad", "AccumulateGrad"]


def test_an_error_is_noted_and_goes_on():
    """A pass that raises is recorded with the text of its exception, which still propagates."""
    x = leaf(3)
    loss = (x * x).sum()
    loss.backward()
    with (
        backwardpass.record() as recording,
        pytest.raises(RuntimeError, match="a second time") as raised,
    ):
        loss.backward()
    (seen,) = recording.passes
    assert seen.error == str(raised.value)
    assert ran(seen) == ["SumBackward0", "MulBackward0"]


def test_what_pytorch_refuses_it_still_refuses():
    """Without a graph the message is PyTorch's own."""
    with (
        backwardpass.record() as recording,
        pytest.raises(RuntimeError, match="does not require grad"),
    ):
        torch.ones(()).backward()
    assert recording.passes[0].graph == Graph((), ())


@pytest.mark.parametrize("only", [HERE, lambda filename: filename == HERE])
def test_only_the_chosen_file_is_recorded(only):
    """Passes called from other files run unobserved."""
    x = leaf(3)
    space = {"loss": x.sum(), "backward": torch.autograd.backward}
    with backwardpass.record(only=only) as recording:
        x.sum().backward()
        exec(compile("backward(loss)", "elsewhere.py", "exec"), space)
    assert [seen.filename for seen in recording.passes] == [HERE]
    assert x.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize(("names", "only"), [(["x"], None), (None, 3)])
def test_wrong_arguments_are_refused_at_the_call(names, only):
    """Names that are no mapping, or a wrong filter, raise before anything runs."""
    with pytest.raises(TypeError, match=r";\ngot an object of type (list|int)"):
        backwardpass.record(names, only)


def test_names_made_inside_the_block_count():
    """The namespace is looked at when a pass starts."""
    space = {}
    with backwardpass.record(names=space) as recording:
        space["x"] = x = leaf(3)
        x.sum().backward()
    assert recording.passes[0].graph.nodes[1].label == "x"


def test_json_gives_the_pass_back():
    """Plain data, written as JSON and read again, is the same pass."""
    first, _ = leaf(2, 3).unbind(0)
    with backwardpass.record() as recording:
        first.sum().backward()
    (seen,) = recording.passes
    assert BackwardPass.from_dict(json.loads(json.dumps(seen.as_dict()))) == seen


def test_afterwards_everything_is_as_it_was():
    """Nested recordings give the engine's door back, whatever was raised inside."""
    door = torch.autograd._engine_run_backward
    x = leaf(3)
    with backwardpass.record() as outer:
        with contextlib.suppress(ZeroDivisionError), backwardpass.record() as inner:
            x.sum().backward()
            raise ZeroDivisionError
        x.sum().backward()
    x.sum().backward()
    assert torch.autograd._engine_run_backward is door
    assert (len(outer.passes), len(inner.passes)) == (2, 1)


def test_recordings_closed_out_of_turn_record_nothing_more():
    """A recording closed below another one lets passes through unobserved."""
    door = torch.autograd._engine_run_backward
    x = leaf(3)
    first, second = backwardpass.record(), backwardpass.record()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    x.sum().backward()
    second.__exit__()
    x.sum().backward()
    assert (len(first.passes), len(second.passes)) == (0, 1)
    torch.autograd._engine_run_backward = door


def test_hooks_are_gone_afterwards():
    """What the hooks wrote to is gone while the graph they were on still lives."""
    x = leaf(3)
    loss = (x * x).sum()
    with backwardpass.record():
        loss.backward(retain_graph=True)
    assert not [one for one in gc.get_objects() if type(one) is _Running]
    loss.backward()


def test_the_graph_dies_as_without_it():
    """Nothing of a recorded graph is kept alive, not even for the garbage collector to find."""

    class Tag:
        pass

    x = leaf(3)
    loss = (x * x).sum()
    loss.grad_fn.next_functions[0][0].metadata["tag"] = tag = Tag()
    alive = weakref.ref(tag)
    del tag
    gc.disable()
    try:
        with backwardpass.record({"loss": loss}) as recording:
            loss.backward(retain_graph=True)
            del loss
        # The mapping given as names held the loss; the recording let go of it.
        assert alive() is None
    finally:
        gc.enable()
    assert len(recording.passes) == 1


def gradient_is_taken_over(recorded: bool) -> bool:
    """Tell whether `.grad` is the very memory that backward computed."""
    addresses = []

    class Triple(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, u):
            gradient = 3 * u
            addresses.append(gradient.data_ptr())
            return gradient

    x = leaf(50)
    loss = Triple.apply(x).sum()
    if recorded:
        with backwardpass.record():
            loss.backward()
    else:
        loss.backward()
    return x.grad.data_ptr() == addresses[0]


def test_a_gradient_is_taken_over_not_copied():
    """AccumulateGrad still steals the gradient that it would steal unobserved."""
    assert gradient_is_taken_over(recorded=False)
    assert gradient_is_taken_over(recorded=True)


def test_the_same_operations_run():
    """Forward, backward and accumulation dispatch the same operations, observed or not."""

    def dispatched(recorded: bool) -> list[str]:
        log = []

        class Dispatched(TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                log.append(str(function))
                return function(*args, **(kwargs or {}))

        W, b, x = leaf(4, 3), leaf(3), leaf(5, 4).detach()
        loss = ((x @ W + b).exp() * b).sum() + W.T.sum()
        with Dispatched():
            if recorded:
                with backwardpass.record({"W": W, "b": b}):
                    loss.backward()
            else:
                loss.backward()
        return log

    assert dispatched(recorded=True) == dispatched(recorded=False)
