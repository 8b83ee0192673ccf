"""Recording backward passes: everything that ran is seen, and nothing is changed by it."""

import contextlib
import gc
import json
import threading
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import backwardpass
from backwardpass import BackwardPass, Graph
from backwardpass.recording.recorder import _Running

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


# Since 2.14 opcheck itself asks a tensor that is no leaf for its gradient.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_pass_that_a_compiler_traces_is_let_through():
    """Symbolic sizes have no values to be written down: such a pass runs, and is not recorded."""

    @torch.library.custom_op("backwardpass_tests::tripled", mutates_args=())
    def tripled(x: torch.Tensor) -> torch.Tensor:
        return 3 * x

    tripled.register_autograd(lambda ctx, u: 3 * u)
    tripled.register_fake(torch.empty_like)
    with backwardpass.record() as recording:
        verdicts = torch.library.opcheck(tripled, (leaf(3),))
        tripled(leaf(3)).sum().backward()
    assert verdicts["test_aot_dispatch_dynamic"] == "SUCCESS"
    assert ran(recording.passes[-1])[0] == "SumBackward0"
    shapes = [o.shape for p in recording.passes for n in p.graph.nodes for o in n.outputs]
    assert all(type(size) is int for shape in shapes for size in shape)


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


def test_a_wrong_filter_is_refused_at_the_call():
    """A filter that is neither name nor function raises before anything runs."""
    with pytest.raises(TypeError) as raised:
        backwardpass.record(only=3)
    assert str(raised.value) == (
        "only has to be a file's name or a function from a file's name to bool;\n"
        "got an object of type int.\n"
        "Pass __file__ for the passes of the file at hand."
    )


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


@pytest.mark.parametrize("values", [False, True])
def test_the_graph_dies_as_without_it(values):
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
        with backwardpass.record({"loss": loss}, values=values) as recording:
            loss.backward(retain_graph=True)
            del loss
        # The mapping given as names held the loss; the recording let go of it.
        assert alive() is None
    finally:
        gc.enable()
    assert len(recording.passes) == 1


def gradient_is_taken_over(recorded: bool, values: bool = False) -> bool:
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
        with backwardpass.record(values=values) as recording:
            loss.backward()
        if values:
            assert recording.passes[0].steps[-1].wrote.taken_over
    else:
        loss.backward()
    return x.grad.data_ptr() == addresses[0]


def test_a_gradient_is_taken_over_not_copied():
    """AccumulateGrad still steals the gradient that it would steal unobserved."""
    assert gradient_is_taken_over(recorded=False)
    assert gradient_is_taken_over(recorded=True)
    assert gradient_is_taken_over(recorded=True, values=True)


def test_the_same_operations_run():
    """Forward, backward and accumulation dispatch the same operations, observed or not."""

    def dispatched(recorded: bool, values: bool = False) -> list[str]:
        log = []

        class Dispatched(TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                log.append(str(function))
                return function(*args, **(kwargs or {}))

        W, b, x = leaf(4, 3), leaf(3), leaf(5, 4).detach()
        loss = ((x @ W + b).exp() * b).sum() + W.T.sum()
        with Dispatched():
            if recorded:
                with backwardpass.record({"W": W, "b": b}, values=values):
                    loss.backward()
            else:
                loss.backward()
        return log

    assert dispatched(recorded=True) == dispatched(recorded=False)
    assert dispatched(recorded=True, values=True) == dispatched(recorded=False)


def wrote(seen: BackwardPass) -> list[backwardpass.Written]:
    return [step.wrote for step in seen.steps if step.wrote is not None]


def test_norms_and_small_values_are_noted():
    """Each cotangent has its norm in double precision, and its numbers up to eight of them."""
    x = leaf(3, 3)
    with backwardpass.record(values=True) as recording:
        (3 * x[:2].sum(1)).sum().backward()
    (seen,) = recording.passes
    assert ran(seen)[:2] == ["SumBackward0", "MulBackward0"]
    first, second, *_, last = seen.steps
    assert (first.norms, first.values) == ((1.0,), ((1.0,),))
    assert (second.norms, second.values) == ((2**0.5,), ((1.0, 1.0),))
    assert (last.norms, last.values) == (((6 * 9) ** 0.5,), (None,))  # nine numbers are too many


@pytest.mark.needs("saved tensors")
def test_without_values_steps_have_none():
    """The cheap recording has shapes and nothing else."""
    x = leaf(3)
    with backwardpass.record() as recording:
        x.exp().sum().backward()
    for step in recording.passes[0].steps:
        assert (step.norms, step.values, step.freed, step.wrote) == (None,) * 4
    assert set(recording.passes[0].as_dict()["steps"][0]) == {"node", "cotangents"}
    with pytest.raises(
        ValueError, match=r"record\(values=True\);\ngot one without values\.\nRecord"
    ):
        recording.passes[0].kept_bytes()


def test_values_of_every_sort_are_json():
    """Complex numbers, NaN and infinity, and outputs nothing arrived for, survive strict JSON."""
    x = leaf(2, 2)
    first, _ = x.unbind(0)
    z = torch.complex(first, first)
    with backwardpass.record(values=True) as recording:
        u = torch.tensor([complex(1, float("inf")), complex(float("nan"), 2)])
        z.backward(u)
    (seen,) = recording.passes
    data = json.loads(json.dumps(seen.as_dict(), allow_nan=False))
    assert data["steps"][0]["values"] == [[[1.0, "inf"], ["nan", 2.0]]]
    assert data["steps"][1]["norms"][1] is None
    back = BackwardPass.from_dict(data)
    assert str(back.steps) == str(seen.steps)  # NaN is not equal to itself


def test_sparse_cotangents_are_added_up_first():
    """The norm of a sparse gradient is that of the dense one."""
    table = torch.nn.Embedding(4, 2, sparse=True)
    with backwardpass.record(values=True) as recording:
        table(torch.tensor([1, 1, 3])).sum().backward()
    last = recording.passes[0].steps[-1]
    assert last.values == ((0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0),)
    assert last.norms == (10**0.5,)
    assert (last.wrote.how, last.wrote.tensor.shape) == ("created", (4, 2))


def test_under_vmap_there_are_no_numbers():
    """A batched pass is recorded without numbers rather than not at all."""
    x = leaf(3)
    with backwardpass.record(values=True) as recording:
        torch.autograd.grad(x.sin(), x, torch.eye(3), is_grads_batched=True)
        torch.func.vmap(torch.func.grad(lambda x: x.sin().sum()))(torch.ones(2, 3))
    for seen in recording.passes:
        assert {step.norms for step in seen.steps} == {(None,)}
        assert len(seen.steps) > 0


@pytest.mark.needs("saved tensors")
def test_what_is_freed_and_when():
    """Each node lets go of what it saved right after it ran; with retain_graph nothing goes."""
    x, W = leaf(5), leaf(5)
    for retain in (True, False):
        loss = (x.exp() * W).sin().sum()
        with backwardpass.record(values=True) as recording:
            loss.backward(retain_graph=retain)
        (seen,) = recording.passes
        steps = {seen.graph.nodes[step.node].name: step.freed for step in seen.steps}
        if retain:
            assert set(steps.values()) == {()}
            assert set(seen.kept_bytes()) == {2 * 20}
        else:
            assert steps["SumBackward0"] == steps["AccumulateGrad"] == ()
            assert steps["SinBackward0"] == ("self",)
            assert steps["MulBackward0"] == ("other", "self")
            assert steps["ExpBackward0"] == ("result",)
            assert seen.kept_bytes() == (40, 20, 20, 20, 0, 0)


@pytest.mark.needs("saved tensors")
def test_storages_die_when_the_recording_says_so():
    """Weak references to storages, observed by hooks of their own, confirm what was freed."""
    x = leaf(5)
    y = x.exp()
    storage = weakref.ref(y.untyped_storage())
    loss = (2 * y).sum()
    dead = []
    loss.grad_fn.next_functions[0][0].register_prehook(lambda u: dead.append(storage() is None))
    x.register_hook(lambda u: dead.append(storage() is None))
    del y
    with backwardpass.record(values=True) as recording:
        loss.backward()
    steps = [step.freed for step in recording.passes[0].steps]
    assert ran(recording.passes[0])[2] == "ExpBackward0"
    assert (dead, steps[2]) == ([False, True], ("result",))


def test_what_accumulate_grad_wrote():
    """Created, added in place, new, removed and left alone are told apart, with shape."""
    x = leaf(3)
    with backwardpass.record(values=True) as recording:
        x.exp().sum().backward()
        x.exp().sum().backward()
        with pytest.warns(UserWarning, match="reference cycle"):
            x.exp().sum().backward(create_graph=True)
        x.register_post_accumulate_grad_hook(lambda x: setattr(x, "grad", None))
        x.exp().sum().backward()
        x.exp().sum().backward()  # there was none before, and there is none after
    x.grad = None
    written = [wrote(seen)[0] for seen in recording.passes]
    assert [one.how for one in written[:3]] == ["created", "added in place", "new"]
    assert [one.how for one in written[3:]] == ["removed", "removed"]
    assert [one.tensor and one.tensor.shape for one in written] == [(3,), (3,), (3,), None, None]
    with backwardpass.record(values=True) as recording:
        torch.autograd.grad(x.exp().sum(), x)
    assert wrote(recording.passes[0]) == []


def test_a_hook_that_raises_leaves_a_recording_behind():
    """What ran before the exception is complete; no hook and no gradient stays."""
    x = leaf(3)
    y = x.exp()
    y.register_hook(lambda u: 1 / 0)
    with backwardpass.record(values=True) as recording, pytest.raises(ZeroDivisionError):
        y.sum().backward()
    (seen,) = recording.passes
    assert (ran(seen), seen.error) == (["SumBackward0"], "division by zero")
    assert seen.steps[0].freed == ()
    assert x.grad is None
    assert not [one for one in gc.get_objects() if type(one) is _Running]


def test_several_calls_roots_and_orders():
    """Passes that build a graph, start at several roots or follow one another are all complete."""
    x = leaf(3)
    with backwardpass.record(values=True) as recording:
        y = (x**3).sum()
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
        torch.autograd.backward([h, y], [torch.ones(3), torch.tensor(2.0)])
    torch.testing.assert_close(x.grad, 6 + 2 * 3 * x.detach() ** 2)
    assert [seen.call for seen in recording.passes] == ["grad", "grad", "backward"]
    assert [seen.create_graph for seen in recording.passes] == [True, True, False]
    assert len(recording.passes[2].graph.roots) == 2
    assert wrote(recording.passes[2])[0].how == "created"
    last = recording.passes[2].steps[-1]
    torch.testing.assert_close(torch.tensor(last.values[0]), x.grad)


def test_keys_of_a_later_version_are_passed_over():
    """Data with keys this version does not know is read all the same."""
    x = leaf(3)
    with backwardpass.record(values=True) as recording:
        x.exp().sum().backward()
    (seen,) = recording.passes
    data = json.loads(json.dumps(seen.as_dict()))
    data["later"] = data["graph"]["later"] = data["steps"][0]["later"] = 1
    data["graph"]["nodes"][1]["later"] = data["graph"]["nodes"][1]["saved"][0]["later"] = 1
    assert BackwardPass.from_dict(data) == seen


def test_threads_that_share_parameters_are_told_apart():
    """Each of several threads' passes has the steps of its own nodes, each once."""
    shared = leaf(3)
    together = threading.Barrier(3)

    def meet(u: torch.Tensor) -> None:
        together.wait(20)

    def work() -> None:
        for _ in range(5):
            losses = (shared * 2).exp().sin().sum()
            losses.register_hook(meet)
            losses.backward()

    with backwardpass.record(values=True) as recording:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recording.passes) == 15
    for seen in recording.passes:
        assert sorted(step.node for step in seen.steps) == list(range(len(seen.graph.nodes)))


def test_a_pass_that_nobody_records_is_told_apart():
    """A pass of another thread that `only` leaves out adds no step to a recorded one."""
    shared = leaf(3)
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(20)
        space = {"loss": (shared * 3).sum()}
        exec(compile("loss.backward()", "another.py", "exec"), space)
        done.set()

    loss = (shared * 2).sum()

    def let_it_run(u: torch.Tensor) -> None:
        inside.set()
        assert done.wait(20)

    loss.register_hook(let_it_run)
    thread = threading.Thread(target=other)
    thread.start()
    with backwardpass.record(only=__file__) as recording:
        loss.backward()
    thread.join()
    (seen,) = recording.passes
    assert [step.node for step in seen.steps] == [0, 1, 2]
