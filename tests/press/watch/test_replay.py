"""In a replay everything autograd returns is wrong, and nothing else is."""

import os
import re
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from press.watch.replay import FACTOR, replay, sabotage

POINT = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
DIRECTION = torch.tensor([1.0, 0.5, -0.25], dtype=torch.float64)


def f(x):
    """A scalar with a Hessian that is not diagonal."""
    return (x**3).sum() + x.prod()


def g(x):
    """A vector."""
    return torch.stack([x.prod(), (x**2).sum()])


def backward(x):
    x = x.clone().requires_grad_()
    f(x).backward()
    return x.grad


def backward_with_a_seed(x):
    x = x.clone().requires_grad_()
    g(x).backward(torch.tensor([2.0, 3.0], dtype=x.dtype))
    return x.grad


def module_backward(x):
    x = x.clone().requires_grad_()
    torch.autograd.backward([f(x), f(x)], [torch.ones_like(f(x)), None])
    return x.grad


def grad(x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def batched_grad(x):
    x = x.clone().requires_grad_()
    seeds = torch.eye(2, dtype=x.dtype)
    return torch.autograd.grad(g(x), x, seeds, is_grads_batched=True)[0]


def twice(x):
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    return torch.autograd.grad(first @ DIRECTION, x)[0]


def checkpointed(x):
    x = x.clone().requires_grad_()
    torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False).backward()
    return x.grad


def checkpointed_reentrantly(x):
    x = x.clone().requires_grad_()
    torch.utils.checkpoint.checkpoint(f, x, use_reentrant=True).backward()
    return x.grad


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, cotangent):
        return 2 * ctx.saved_tensors[0] * cotangent


def custom_function(x):
    x = x.clone().requires_grad_()
    Square.apply(x).sum().backward()
    return x.grad


def hooked(x):
    seen = []
    x = x.clone().requires_grad_()
    x.register_hook(seen.append)
    f(x).backward()
    return seen[0]


def dual(x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(forward_ad.make_dual(x, DIRECTION))).tangent


def one_step(x):
    x = x.clone().requires_grad_()
    optimizer = torch.optim.SGD([x], lr=0.1)
    f(x).backward()
    optimizer.step()
    return x.detach()


functional = torch.autograd.functional
DERIVATIVES = {
    "backward": backward,
    "backward with a seed": backward_with_a_seed,
    "torch.autograd.backward": module_backward,
    "grad": grad,
    "batched grad": batched_grad,
    "grad of grad": twice,
    "checkpoint": checkpointed,
    "reentrant checkpoint": checkpointed_reentrantly,
    "custom Function": custom_function,
    "hook": hooked,
    "dual numbers": dual,
    "optimizer step": one_step,
    "functional.jacobian": lambda x: functional.jacobian(g, x),
    "functional.jacobian, vectorized": lambda x: functional.jacobian(g, x, vectorize=True),
    "functional.jacobian, forward": lambda x: functional.jacobian(
        g, x, vectorize=True, strategy="forward-mode"
    ),
    "functional.hessian": lambda x: functional.hessian(f, x),
    "functional.vjp": lambda x: functional.vjp(f, x)[1],
    "functional.jvp": lambda x: functional.jvp(g, x, DIRECTION)[1],
    "functional.vhp": lambda x: functional.vhp(f, x, DIRECTION)[1],
    "functional.hvp": lambda x: functional.hvp(f, x, DIRECTION)[1],
    "func.grad": lambda x: torch.func.grad(f)(x),
    "func.grad_and_value": lambda x: torch.func.grad_and_value(f)(x)[0],
    "func.vjp": lambda x: torch.func.vjp(f, x)[1](torch.ones_like(f(x)))[0],
    "func.jvp": lambda x: torch.func.jvp(f, (x,), (DIRECTION,))[1],
    "func.jacrev": lambda x: torch.func.jacrev(g)(x),
    "func.jacfwd": lambda x: torch.func.jacfwd(g)(x),
    "func.hessian": lambda x: torch.func.hessian(f)(x),
    "func.vmap of grad": lambda x: torch.func.vmap(torch.func.grad(f))(torch.stack([x, 2 * x])),
    "func.linearize": lambda x: torch.func.linearize(g, x)[1](DIRECTION),
}


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.filterwarnings("ignore:.*")
def test_every_derivative_is_falsified(name):
    """Whichever way a derivative is asked for, a replay returns another value."""
    derivative = DERIVATIVES[name]
    honest = derivative(POINT)
    with sabotage():
        falsified = derivative(POINT)
    assert falsified.shape == honest.shape
    assert not torch.allclose(falsified, honest)
    assert torch.equal(derivative(POINT), honest)


@pytest.mark.parametrize("name", ["backward", "backward with a seed", "grad", "dual numbers"])
def test_first_derivatives_are_multiplied(name):
    """A first derivative is multiplied by the factor, exactly."""
    honest = DERIVATIVES[name](POINT)
    with sabotage():
        falsified = DERIVATIVES[name](POINT)
    torch.testing.assert_close(falsified, FACTOR * honest)


def test_forward_values_are_left_alone():
    """What a forward pass computes does not change, under forward mode neither."""
    with sabotage(), forward_ad.dual_level():
        assert f(POINT) == 6.125
        primal, _ = forward_ad.unpack_dual(f(forward_ad.make_dual(POINT, DIRECTION)))
        assert primal == 6.125


def test_gradcheck_is_left_alone():
    """``gradcheck`` and ``gradgradcheck`` compare autograd with differences, and still pass."""
    x = POINT.clone().requires_grad_()
    with sabotage():
        assert torch.autograd.gradcheck(f, (x,), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(f, (x,))


def test_opcheck_is_left_alone():
    """``opcheck`` compares a pass with a traced one, scaled at other places, and still passes."""

    @torch.library.custom_op("replay_tests::tripled", mutates_args=())
    def tripled(x: torch.Tensor) -> torch.Tensor:
        return 3 * x

    tripled.register_autograd(lambda ctx, u: 3 * u)
    tripled.register_fake(torch.empty_like)
    with sabotage():
        verdicts = torch.library.opcheck(tripled, (torch.ones(2, requires_grad=True),))
    assert set(verdicts.values()) == {"SUCCESS"}


def test_sabotage_is_undone():
    """After a sabotage that ended in an exception torch is as it was."""
    names = ["_make_grads", "gradcheck", "gradgradcheck"]
    before = [getattr(torch.autograd, name) for name in names], forward_ad.unpack_dual
    with pytest.raises(ZeroDivisionError), sabotage():
        1 / 0  # noqa: B018
    assert ([getattr(torch.autograd, name) for name in names], forward_ad.unpack_dual) == before


def replayed(source: str):
    return replay("plot_script.py", "import torch\n" + textwrap.dedent(source))


def test_comparison_by_hand_fails():
    """A gradient by hand does not move, and its comparison fails by half of it."""
    (comparison,) = replayed(
        """
        x = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
        (x**2).sum().backward()
        torch.testing.assert_close({"x": 2 * x.detach()}, {"x": x.grad})
        """
    ).comparisons
    assert (comparison.passed, comparison.max_abs) == (False, 3.0)


def test_goes_on_after_a_failure():
    """The first comparison that fails does not keep the replay from those after it."""
    result = replayed("for n in range(3):\n    torch.testing.assert_close(n, n + 1)")
    assert [c.passed for c in result.comparisons] == [False, False, False]
    assert result.ended_early is None


def test_asserts_are_compiled_out():
    """A plain assert states what holds without sabotage: in a replay it is not executed."""
    assert replayed("assert False, 'no gradient is 1.5 times itself'").ended_early is None


def test_an_exception_that_does_not_come_is_told():
    """What waits for an exception names its line when none comes, unless it waits for a failure."""
    script = """
    for text in ("1", "one"):
        try:
            float(text)
        except ValueError:
            pass
    try:
        float("1")
    except ValueError:
        pass
    try:
        torch.testing.assert_close(1, 2)
    except AssertionError:
        pass
    """
    assert replayed(script).uncaught == (10,)


def test_training_reaches_its_end():
    """A training loop runs to its end with larger steps, and its checks fail."""
    result = replayed(
        """
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2).double()
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            loss = model(torch.ones(4, 3, dtype=torch.float64)).square().mean()
            loss.backward()
            y = model(torch.ones(4, 3, dtype=torch.float64)).detach()
            torch.testing.assert_close({"b": (y / 4).sum(0)}, {"b": model.bias.grad})
            optimizer.step()
        """
    )
    assert result.ended_early is None
    assert [c.passed for c in result.comparisons] == [False] * 5


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def f():\n    raise ValueError('deep')\n\n\nf()", "ValueError: deep"),
        ("torch.ones(2) @ torch.ones(3)", "RuntimeError: .*size.*"),
    ],
)
def test_early_end_is_an_error(source, error):
    """A replay that ends early says with which exception, and on which line of the script."""
    result = replayed(f"\n{source}\n")
    assert re.match(error, result.ended_early)
    assert result.line == (4 if source.startswith("def") else 3)


def test_is_quiet(capfd, recwarn):
    """A replay prints nothing and warns of nothing."""
    replayed(
        """
        import sys, warnings
        print("said")
        print("told", file=sys.stderr)
        warnings.warn("warned")
        """
    )
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_runs_in_an_empty_folder(tmp_path, monkeypatch):
    """What a script writes beside itself is written into a folder that is gone afterwards."""
    monkeypatch.chdir(tmp_path)
    result = replayed(
        """
        import os
        assert_empty = 1 / (not os.listdir())
        open("file.txt", "w").close()
        """
    )
    assert result.ended_early is None
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_is_the_main_program():
    """Code behind ``if __name__ == "__main__"`` is replayed."""
    result = replayed("if __name__ == '__main__':\n    torch.testing.assert_close(1, 1)")
    assert len(result.comparisons) == 1


def test_state_is_restored():
    """A replay leaves warnings, streams and folder as they were, even if it ends early."""
    before = sys.stdout, sys.stderr, os.getcwd(), warnings.filters[:]
    replayed("import warnings\nwarnings.simplefilter('error')\n1 / 0")
    assert (sys.stdout, sys.stderr, os.getcwd(), warnings.filters[:]) == before
