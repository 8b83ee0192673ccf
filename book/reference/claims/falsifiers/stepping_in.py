"""Falsifiers of what the part on stepping in says: zeros, hooks, rules of one's own, slopes."""

import torch
from press.trials.claims import assume, claim, control
from press.worlds import Script, World, programs


def behind(roots):
    """All nodes behind the roots."""
    nodes = list(dict.fromkeys(root.grad_fn for root in roots))
    for node in nodes:
        nodes += {child: 0 for child, _ in node.next_functions if child and child not in nodes}
    return nodes


def ones(roots):
    """A seed for each root."""
    return [torch.ones_like(root) for root in roots]


# --- Zeros ----------------------------------------------------------------------------------------

CANCELLING = programs(without=["reentrant", "checkpoint", "hook"], often=["cancels"])


def something(tensors):
    """For each tensor, whether there is anything but zeros in it."""
    return [t is not None and bool(t.any()) for t in tensors]


def watch_pass(roots):
    """For each node that ran, what it sent along each edge and what arrived."""
    log = {}
    for node in behind(roots):

        def note(sent, got, node=node):
            log[node] = something(sent), something(got)

        node.register_hook(note)
    torch.autograd.backward(roots, ones(roots))
    return log


def zero_leaves(leaves, roots):
    """The nodes of the leaves whose gradient is zero, and the log of the pass."""
    log = watch_pass(roots)
    zeros = [leaf for leaf in leaves if leaf.grad is not None and not leaf.grad.any()]
    assume(zeros)
    return [torch.autograd.graph.get_gradient_edge(leaf).node for leaf in zeros], log


def givers(log, node, place):
    """Who sent something to an input of a node, and along which of its edges."""
    return [
        (giver, k)
        for giver in log
        for k, edge in enumerate(giver.next_functions)
        if edge == (node, place)
    ]


@claim("zeros-origin", world=CANCELLING)
def a_place_is_found(leaves, roots):
    """From each leaf with zeros the search has to end at a node that sends them, or at a sum."""
    nodes, log = zero_leaves(leaves, roots)
    for node in nodes:
        found, asked = False, [(node, 0)]
        for here, place in asked:
            into = givers(log, here, place)
            if any(log[giver][0][k] for giver, k in into):
                found = True  # something was sent, and zeros arrived
                continue
            for giver, _ in into:
                arrived = log[giver][1]
                found |= any(arrived)  # something arrived, and zeros were sent
                again = [(giver, number) for number in range(len(arrived))]
                asked += [] if any(arrived) else [key for key in again if key not in asked]
        assert found, "neither a node that sends zeros nor numbers that cancel"


@control("zeros-origin", "On the path of a zero, one node receives something and sends nothing.")
def a_node_sends_nothing(leaves, roots):
    log = zero_leaves(leaves, roots)[1]
    assert any(any(arrived) and sent and not any(sent) for sent, arrived in log.values())


# --- Hooks ----------------------------------------------------------------------------------------

HOOKED = programs(without=["reentrant", "hook", "retained"], most=6)


def hooks_in_order(root):
    """The order in which hooks on a tensor and its node run, and what a retained gradient shows."""
    ran = []
    put_on = {
        "post": lambda: root.grad_fn.register_hook(lambda sent, got: ran.append("post")),
        "node": lambda: root.grad_fn.register_prehook(
            lambda got: (ran.append("node"), tuple(10 * u for u in got if u is not None))[0]
        ),
        "tensor": lambda: root.register_hook(lambda u: (ran.append("tensor"), 3 * u)[1]),
    }
    for put in put_on.values():
        put()
    root.retain_grad()
    root.backward(torch.ones_like(root))
    return ran, root.grad


@claim("hooks-order", world=HOOKED)
def tensor_then_node(roots):
    """Hooks are put on in the opposite order; the one on the tensor triples what arrives."""
    ran, retained = hooks_in_order(roots[0])
    assert ran == ["tensor", "node", "post"]
    assert torch.equal(retained, torch.full_like(retained, 3.0))


@control("hooks-order", "Hooks run in the order in which they were registered.")
def as_registered(roots):
    ran, _ = hooks_in_order(roots[0])
    assert ran == ["post", "node", "tensor"]


def hooks_of_a_grad(leaves, roots):
    """Which hooks run if the gradient of a tensor in the middle is asked for."""
    middle, ran = roots[0], set()
    middle.register_hook(lambda u: ran.add("tensor"))
    middle.grad_fn.register_prehook(lambda got: ran.add("node"))
    for leaf in leaves:
        leaf.register_post_accumulate_grad_hook(lambda leaf: ran.add("leaf"))
    torch.autograd.grad((middle * 2).sum(), middle)
    return ran


@claim("hooks-grad-stops", world=HOOKED)
def only_the_tensors(leaves, roots):
    """A gradient is asked for with grad(loss, h); hooks on h, its node and the leaves are noted."""
    assert hooks_of_a_grad(leaves, roots) == {"tensor"}


@control("hooks-grad-stops", "A pass to a tensor runs the hooks of the tensor and of its node.")
def the_nodes_too(leaves, roots):
    assert "node" in hooks_of_a_grad(leaves, roots)


# --- Rules of one's own ---------------------------------------------------------------------------

# The value, an intermediate that the rule saves, the slope written with it, the second derivative.
INTERMEDIATES = {
    "sinh": ("(x.exp() - (-x).exp()) / 2", "x.exp()", "(m + 1 / m) / 2", "x.sinh()"),
    "cube": ("x**3", "x * x", "3 * m", "6 * x"),
    "tanh": ("x.tanh()", "1 - x.tanh() ** 2", "m", "-2 * x.tanh() * (1 - x.tanh() ** 2)"),
    "relu": ("x * (x > 0)", "x > 0", "1 * m", "0 * x"),
    "leaky": ("torch.where(x > 0, x, 0.1 * x)", "(x > 0) * 0.9 + 0.1", "m", "0 * x"),
}


def saved(choose, kinds):
    """A Function that saves an intermediate, at a random point."""
    value, made, slope, second = INTERMEDIATES[choose.choice(kinds)]
    x = [round(choose.choice([-1, 1]) * choose.uniform(0.2, 1.5), 3) for _ in range(3)]
    return Script(
        f"""\
import torch


class F(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        m = {made}
        ctx.save_for_backward(m)
        return {value}

    @staticmethod
    def backward(ctx, u):
        (m,) = ctx.saved_tensors
        return u * ({slope})


x = torch.tensor({x}, dtype=torch.float64, requires_grad=True)
value, second = lambda x: {value}, {second}
"""
    )


def intermediates(sentence, kinds):
    """The world of Functions that save one of these."""
    return World("intermediates", sentence, "functions", lambda choose: saved(choose, kinds))


SMOOTH = intermediates(
    "Functions for sinh, a cube and tanh at random points, each of which saves an intermediate "
    "that depends smoothly on its argument",
    ["sinh", "cube", "tanh"],
)
MASKS = intermediates("the same with masks and constants", ["sinh", "cube", "relu", "leaky"])


def two_derivatives(F, x):
    """The first and the second derivative of the Function's sum, as autograd has them."""
    (first,) = torch.autograd.grad(F.apply(x).sum(), x, create_graph=True)
    if not first.requires_grad:
        return first, torch.zeros_like(first)
    (second,) = torch.autograd.grad(first.sum(), x, allow_unused=True)
    return first, torch.zeros_like(first) if second is None else second


@claim("function-intermediates", world=SMOOTH)
def first_right_second_wrong(F, x, value, second):
    """Both derivatives are compared with those of the plain formula and with a formula by hand."""
    first, found = two_derivatives(F, x)
    (right,) = torch.autograd.grad(value(x).sum(), x)
    assert torch.allclose(first, right), "the first derivative is wrong"
    assert not torch.allclose(found, second), "the second derivative is right"


@control(
    "function-intermediates",
    "A rule that uses an intermediate has a right first derivative and a wrong second one.",
    world=MASKS,
)
def wrong_for_each(F, x, value, second):
    first_right_second_wrong(F, x, value, second)


# --- Slopes ---------------------------------------------------------------------------------------

VALUES = ["t.max()", "t.amax(0)", "t.aminmax().max", "t.norm(float('inf'))"]
INDICES = ["t.max(0)", "t.topk(1)", "t.sort(descending=True)", "t.cummax(0)", "t.kthvalue(len(t))"]


def ties(choose, by_index):
    """A vector whose largest entry stands in it twice or more, and one reduction of it."""
    n = choose.randint(3, 7)
    t = [choose.randint(0, 3) for _ in range(n)]
    for place in choose.sample(range(n), choose.randint(2, n)):
        t[place] = 4
    line = choose.choice(INDICES if by_index(choose) else VALUES)
    indexed = line in INDICES
    at = "[-1]" if "cummax" in line else "" if "kthvalue" in line or line == "t.max(0)" else "[0]"
    value = f"{line}.values{at}" if indexed else line
    place = f"{line}.indices{at}.item()" if indexed else "None"
    return Script(
        f"import torch\n\nt = torch.tensor({[float(one) for one in t]}, requires_grad=True)\n"
        f"largest = {value}\nplace = {place}\n"
    )


TIES = World(
    "ties",
    "vectors of three to seven numbers whose largest stands in them at least twice, with max, "
    "amax, aminmax, an infinity norm, and reductions that return an index",
    "vectors",
    lambda choose: ties(choose, lambda choose: choose.random() < 0.5),
)


@claim("ties-shared-or-picked", world=TIES)
def shared_or_at_the_index(t, largest, place):
    """The gradient is compared with equal shares, or with 1 at the index that was returned."""
    (gradient,) = torch.autograd.grad(largest, t)
    expected = (t == t.max()).to(t.dtype).detach()
    expected /= expected.sum()
    if place is not None:
        expected = torch.zeros_like(t)
        expected[place] = 1
    assert torch.allclose(gradient, expected)


@control("ties-shared-or-picked", "Where several entries are the largest, they share the gradient.")
def always_shared(t, largest):
    shared_or_at_the_index(t, largest, None)


# Functions with an infinite or undefined slope at 0, with their derivative.
STEEP = {
    "sqrt()": "0.5 / x.sqrt()",
    "log()": "1 / x",
    "log2()": "1 / (0.6931471805599453 * x)",
    "reciprocal()": "-1 / x**2",
    "rsqrt()": "-0.5 / x**1.5",
    "pow(0.5)": "0.5 / x**0.5",
}


def masked(choose):
    """A steep function, positive numbers and zeros, and masks before and behind it."""
    name = choose.choice(list(STEEP))
    x = [round(choose.uniform(0.1, 3), 3) for _ in range(choose.randint(2, 5))]
    x.insert(choose.randint(0, len(x)), 0.0)
    return Script(
        f"""\
import torch

x = torch.tensor({x}, dtype=torch.float64)
slope = torch.where(x > 0, {STEEP[name]}, 0.0)


def before(x):
    safe = torch.where(x > 0, x, 1.0)
    return torch.where(x > 0, safe.{name}, 0.0)


def behind(x):
    return torch.where(x > 0, x.{name}, 0.0)
"""
    )


STEEPS = World(
    "steep functions",
    "square roots, logarithms, reciprocals and powers of positive numbers and a zero, masked to 0",
    "vectors",
    masked,
)


def gradient_of(f, x):
    """The gradient of the sum."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(f(leaf).sum(), leaf)[0]


@claim("mask-before", world=STEEPS)
def finite_and_right(x, slope, before, behind):
    """Masked before, the gradient is compared with the slope; masked behind, it is NaN at 0."""
    assert torch.allclose(gradient_of(before, x), slope)
    assert gradient_of(behind, x)[x == 0].isnan().all()


@control("mask-before", "A mask behind an operation makes the gradient 0 where it hides the value.")
def mask_behind(x, behind):
    assert not gradient_of(behind, x)[x == 0].any()


# --- Anomaly mode ---------------------------------------------------------------------------------


def odd_places(choose):
    """A function at a place where its value or its slope may be infinite or undefined."""
    functions = ["x.sqrt()", "x.log()", "1 / x", "x / x", "torch.where(x > 0, x.sqrt(), 0.0)"]
    functions += ["x.abs().sqrt()", "(x * x).sqrt()", "x.norm()", "x.std()", "x.exp()"]
    numbers = [choose.choice([-1.0, 0.0, 4.0, 200.0, float("inf")]) for _ in range(2)]
    given = ", ".join("float('inf')" if n == float("inf") else str(n) for n in numbers)
    return Script(
        f"import torch\n\nx = torch.tensor([{given}], requires_grad=True)\n"
        f"y = ({choose.choice(functions)}).sum()\n"
    )


ODD = World(
    "odd places",
    "roots, logarithms, quotients and norms at negative numbers, zeros, large numbers and infinity",
    "functions",
    odd_places,
)


def anomaly(y):
    """Whether a rule sent a NaN in a plain pass, and whether anomaly mode raises."""
    sent_nan = []
    for node in behind([y]):
        node.register_hook(
            lambda sent, got: sent_nan.append(any(t is not None and t.isnan().any() for t in sent))
        )
    y.backward(retain_graph=True)
    plain = any(sent_nan)
    try:
        with torch.autograd.detect_anomaly():
            y.backward()
    except RuntimeError as error:
        return plain, "returned nan values" in str(error)
    return plain, False


@claim("anomaly-nan", world=ODD)
def raises_for_nan(y):
    """A hook behind each node looks for NaN, and anomaly mode has to raise for the same."""
    nan, raised = anomaly(y)
    assert nan == raised


@control("anomaly-nan", "Anomaly mode raises where a gradient is not finite.")
def raises_where_not_finite(x, y):
    _, raised = anomaly(y)
    assert raised == (not bool(x.grad.isfinite().all()))
