"""What a PyTorch does not let be seen is called unknown, with the reason, and is never guessed."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import backwardpass
from backwardpass.read import abilities as module
from backwardpass.read import needed, pytorch


@pytest.fixture
def sealed(monkeypatch):
    """A PyTorch whose saved tensors cannot be looked at without unpacking them."""
    monkeypatch.setattr(pytorch, "is_sealed", lambda saved: True)


def leaf() -> torch.Tensor:
    return torch.ones(3, requires_grad=True)


def test_each_ability_is_known_or_has_a_reason():
    """What is not known says what PyTorch lacks and what is said instead."""
    for name, ability in backwardpass.abilities().items():
        assert ability.name == name
        assert ability.known == (ability.reason == "")


def test_a_name_that_is_gone_takes_its_ability_with_it(monkeypatch):
    """The reason has the version, the name that is not there, and what is done without it."""
    gone = frozenset({"torch.autograd._engine_run_backward"})
    monkeypatch.setattr(pytorch, "lacking", lambda: gone)
    module.abilities.cache_clear()
    try:
        known = {name: it.known for name, it in backwardpass.abilities().items()}
        reason = backwardpass.abilities()["passes"].reason
    finally:
        module.abilities.cache_clear()
    assert known == dict.fromkeys(known, True) | {"passes": False}
    assert reason == (
        f"PyTorch {torch.__version__} lacks torch.autograd._engine_run_backward: record() raises "
        "RuntimeError"
    )


def test_no_hook_is_run_for_a_look(sealed):
    """Where a look could run the user's hook, fields are listed and nothing is unpacked."""
    ran = []
    with saved_tensors_hooks(lambda tensor: tensor, lambda tensor: ran.append(1) or tensor):
        y = leaf().exp().sin()
    with backwardpass.record(values=True) as recording:
        graph = backwardpass.trace(y)
    assert (ran, recording.passes) == ([], [])
    (saved,) = graph.nodes[0].saved
    assert (saved.field, saved.role, saved.nbytes, saved.shape) == ("self", "unknown", None, None)
    y.sum().backward()
    assert len(ran) == 2


def test_unseen_tensors_are_called_so_wherever_they_are_shown(sealed):
    """Tables, trees, drawings and counts say that they cannot be seen, and JSON keeps it."""
    graph = backwardpass.trace(leaf().sin())
    assert "self: cannot be seen" in graph.table().to_text()
    assert "saves self?" in graph.to_text()
    assert "total, and 1 of unknown size" in graph.memory().to_text()
    assert backwardpass.Graph.from_dict(graph.as_dict()) == graph
    pytest.importorskip("pygraphviz")
    assert "saves self?" in graph.to_svg()


def test_bytes_that_are_not_known_are_not_counted_as_none(sealed):
    """A sum over what cannot be seen raises, with what there is instead."""
    graph = backwardpass.trace(leaf().sin())
    with pytest.raises(ValueError, match="got one that was read with 1 of them out of sight"):
        _ = graph.saved_bytes
    with backwardpass.record(values=True) as recording:
        leaf().sin().sum().backward()
    (seen,) = recording.passes
    with pytest.raises(ValueError, match=r"kept_bytes\(\) needs a graph whose saved tensors"):
        seen.kept_bytes()


def test_what_a_step_freed_is_unknown_and_the_rest_is_there(sealed):
    """Norms, values and what was written are recorded; what was let go of is None, in JSON too."""
    with backwardpass.record(values=True) as recording:
        leaf().sin().sum().backward()
    (seen,) = recording.passes
    assert [step.freed for step in seen.steps] == [(), None, ()]
    assert seen.steps[-1].wrote.how == "created"
    assert all(step.norms for step in seen.steps)
    assert backwardpass.BackwardPass.from_dict(seen.as_dict()) == seen


def test_an_answer_does_not_say_that_nothing_was_freed(sealed):
    """Whether a pass has run over a graph is told by what it freed, where that can be seen."""
    w = leaf()
    loss = w.sin().sum()
    loss.backward()
    w.grad = None
    answer = backwardpass.why_no_grad(w, loss)
    assert answer.seen[0].endswith("cannot be seen with this PyTorch")
    with backwardpass.record() as recording:
        pass
    answer = backwardpass.why_no_grad(w, loss, recording=recording)
    assert answer.cause == "backward not run"
    assert answer.next.endswith("it cannot be seen with this PyTorch")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (torch.autograd, "_get_sequence_nr"),
        (torch.utils._pytree, "tree_leaves"),
        (torch._C, "_get_dispatch_mode"),
    ],
)
def test_a_fallback_tells_the_same(monkeypatch, place, name):
    """Without a private name that has a fallback, modules are framed and passes recorded alike."""

    def told():
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
        with backwardpass.modules(model):
            loss = model(torch.ones(4, 3)).sum()
        with backwardpass.record() as recording:
            loss.backward()
        graph = recording.passes[0].graph
        return [(node.name, node.module) for node in graph.nodes], len(recording.passes[0].steps)

    before = told()
    monkeypatch.delattr(place, name)
    monkeypatch.setattr(pytorch, "_tree_leaves", None)
    assert told() == before


def test_a_pass_that_cannot_be_seen_is_said_to_be_so(monkeypatch):
    """Without the function that passes start through, record() names it, and trace works."""
    monkeypatch.delattr(torch.autograd, "_engine_run_backward")
    with (
        pytest.raises(RuntimeError, match=r"has no torch\.autograd\._engine_run_backward"),
        backwardpass.record(),
    ):
        pass
    assert len(backwardpass.trace(leaf().exp()).nodes) == 2


# What cannot be served at all.


def test_this_pytorch_is_served():
    """Nothing that is needed is missing."""
    assert needed.wrong_with(torch) is None


def test_a_pytorch_without_a_needed_name():
    """All that is missing is named at once."""
    old = SimpleNamespace(autograd=torch.autograd, overrides=torch.overrides, _C=torch._C)
    assert needed.wrong_with(old) == (
        "which lacks torch.compiler.is_compiling, torch.utils.weak.WeakTensorKeyDictionary"
    )


@pytest.mark.parametrize("answer", [None, RuntimeError("no autograd here")])
def test_a_pytorch_that_records_nothing(monkeypatch, answer):
    """A build without autograd is told from one that is too old."""

    def ones(*args, **kwargs):
        if answer is not None:
            raise answer
        return SimpleNamespace(exp=lambda: SimpleNamespace(grad_fn=None))

    monkeypatch.setattr(torch, "ones", ones)
    assert needed.wrong_with(torch).startswith("which was built without autograd: ")


PROGRAM = """
import torch, backwardpass
{break_it}
try:
    backwardpass.trace
except ImportError as error:
    print(error)
x = backwardpass.Node(0, "AccumulateGrad", "accumulate")
print(backwardpass.Graph((x,), (0,)).to_text())
"""


def test_one_message_says_what_was_found_what_is_needed_and_what_works():
    """It is raised at the first use of what reads live tensors; data is shown as before."""
    program = PROGRAM.format(break_it="del torch.autograd.graph.get_gradient_edge")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.splitlines() == [
        f"backwardpass reads live graphs of PyTorch {needed.OLDEST} or newer, built with autograd;",
        f"found PyTorch {torch.__version__}, which lacks torch.autograd.graph.get_gradient_edge.",
        f"Install a PyTorch that has it: pip install 'torch>={needed.OLDEST}'.",
        needed.STILL,
        "1 AccumulateGrad",
    ], run.stderr


def test_without_pytorch_the_same_message_says_so():
    """Where torch cannot be imported, that is what was found."""
    program = "import sys\nsys.modules['torch'] = None\nimport backwardpass\nbackwardpass.trace"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "found importing it ended in: " in run.stderr.splitlines()[-3]
    assert run.stderr.splitlines()[-1] == needed.STILL
