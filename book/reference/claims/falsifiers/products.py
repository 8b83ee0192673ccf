"""Falsifiers of the rules that chapters derive by hand for products: linear, einsum, attention."""

import math
import random

import torch
import torch.nn.functional as F
from press.trials.claims import claim, control
from press.worlds import Script, World


def start(choose: random.Random) -> list[str]:
    """The first lines of a case: tensors of random numbers, in double precision."""
    lines = ["import torch", f"torch.manual_seed({choose.randint(0, 999)})"]
    return [*lines, "def tensor(*shape): return torch.randn(shape, dtype=torch.float64)"]


def autograd(function, u, *tensors):
    """The gradients of a function's tensors, for a cotangent of its result."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    return torch.autograd.grad(function(*leaves), leaves, u)


# --- Linear layers --------------------------------------------------------------------------------


def draw_layer(choose: random.Random) -> Script:
    D, K = choose.randint(1, 5), choose.randint(1, 5)
    lead = ", ".join(str(choose.randint(0, 4)) for _ in range(choose.randint(0, 3)))
    lead += ", " if lead else ""
    lines = [*start(choose), f"x, w, b = tensor({lead}{D}), tensor({K}, {D}), tensor({K})"]
    return Script("\n".join([*lines, f"dz = tensor({lead}{K})"]) + "\n")


LAYERS = World(
    "layers", "linear layers with up to three dimensions in front, sizes of 0 and 1 among them.",
    "layers", draw_layer,
)  # fmt: skip


def rows(t):
    """All positions one below another."""
    return t.reshape(math.prod(t.shape[:-1]), t.shape[-1])


@claim("linear-gradients", world=LAYERS)
def three_products(x, w, b, dz):
    """The products and the sum are computed on plain tensors, and compared with autograd's."""
    dx, dw, db = autograd(F.linear, dz, x, w, b)
    torch.testing.assert_close(dz @ w, dx)
    torch.testing.assert_close(rows(dz).T @ rows(x), dw)
    torch.testing.assert_close(rows(dz).sum(0), db)


@control("linear-gradients", "The gradient of the weight is X transposed times the cotangent.")
def missing_transpose(x, w, b, dz):
    torch.testing.assert_close(rows(x).T @ rows(dz), autograd(F.linear, dz, x, w, b)[1])


# --- Broadcasting ---------------------------------------------------------------------------------


def draw_pair(choose: random.Random) -> Script:
    full = [choose.randint(1, 4) for _ in range(choose.randint(0, 4))]
    shapes = []
    for _ in range(2):
        shape = [choose.choice([size, size, 1]) for size in full]
        shapes.append(shape[choose.randint(0, len(shape)) :])
    first, second = (f"tensor({', '.join(map(str, shape))})" for shape in shapes)
    name = choose.choice(["mul", "add", "sub", "div", "atan2", "hypot", "logaddexp", "xlogy"])
    lines = [*start(choose), f"a, c = {first}, {second}.abs() + 0.5", f"f = torch.{name}"]
    return Script("\n".join([*lines, "u = tensor(*f(a, c).shape)"]) + "\n")


PAIRS = World(
    "pairs", "pairs of tensors that broadcast, in eight operations of two arguments.", "pairs",
    draw_pair,
)  # fmt: skip


def on_the_full_shape(f, a, c, u):
    """The gradients of both arguments, had both had the shape of the result."""
    return autograd(f, u, a.expand(u.shape), c.expand(u.shape))


def summed_to(g, shape, reduce=torch.sum):
    """g, reduced over the dimensions that broadcasting had added or stretched."""
    extra = g.ndim - len(shape)
    dims = [i for i in range(g.ndim) if i < extra or g.shape[i] != shape[i - extra]]
    return (reduce(g, dims) if dims else g).reshape(shape)


@claim("linear-broadcast", world=PAIRS)
def summed_over_uses(f, a, c, u):
    """The rule is asked on the full shape, summed down, and compared with the broadcasting call."""
    for full, t, found in zip(
        on_the_full_shape(f, a, c, u), (a, c), autograd(f, u, a, c), strict=True
    ):
        torch.testing.assert_close(summed_to(full, t.shape), found)


@control("linear-broadcast", "What was used many times gets the mean over its uses.")
def mean_over_uses(f, a, c, u):
    full, _ = on_the_full_shape(f, a, c, u)
    torch.testing.assert_close(summed_to(full, a.shape, torch.mean), autograd(f, u, a, c)[0])


# --- Einsum ---------------------------------------------------------------------------------------


def draw_einsum(choose: random.Random, twice: bool = False) -> Script:
    words = [
        "".join(choose.sample("abcd", choose.randint(0, 3))) for _ in range(choose.randint(1, 3))
    ]
    if twice:
        words[0] += words[0][:1]
    letters = sorted(set("".join(words)))
    output = "".join(choose.sample(letters, choose.randint(0, len(letters))))
    size = {letter: choose.randint(1, 4) for letter in "abcd"}
    made = [f"tensor({', '.join(str(size[c]) for c in word)})" for word in words]
    lines = [*start(choose), f"equation = {','.join(words) + '->' + output!r}"]
    lines += [f"size = {size}", f"operands = [{', '.join(made)}]"]
    lines += [f"u = tensor({', '.join(str(size[c]) for c in output)})"]
    return Script("\n".join(lines) + "\n")


EQUATIONS = World(
    "equations", "einsums of one to three operands, no letter being twice in one.", "equations",
    draw_einsum,
)  # fmt: skip
ANY_EQUATION = World(
    "any equations", "einsums of one to three operands, a letter being twice in one of them.",
    "equations", lambda choose: draw_einsum(choose, twice=True),
)  # fmt: skip


def exchanged(equation, size, u, operands):
    """For each operand the einsum in which it has changed places with the result."""
    inputs, output = equation.split("->")
    words = inputs.split(",")
    for i, wanted in enumerate(words):
        others = [output, *words[:i], *words[i + 1 :]]
        alone = [c for c in dict.fromkeys(wanted) if c not in "".join(others)]
        ones = [torch.ones(size[c], dtype=torch.float64) for c in alone]
        tensors = [u, *operands[:i], *operands[i + 1 :], *ones]
        yield torch.einsum(",".join(others + alone) + "->" + wanted, *tensors)


@claim("linear-einsum-exchange", world=EQUATIONS)
def places_exchanged(equation, size, operands, u):
    """The exchanged einsum of each operand is computed, and compared with autograd's gradient."""
    found = autograd(lambda *t: torch.einsum(equation, *t), u, *operands)
    for mine, theirs in zip(exchanged(equation, size, u, operands), found, strict=True):
        torch.testing.assert_close(mine, theirs)


@control("linear-einsum-exchange", "It is so for any equation.", world=ANY_EQUATION)
def any_einsum(equation, size, operands, u):
    try:
        places_exchanged(equation, size, operands, u)
    except RuntimeError as error:
        raise AssertionError(f"{equation}: {error}") from error


# --- Attention ------------------------------------------------------------------------------------


def draw_attention(choose: random.Random) -> Script:
    n, m, d, e = (choose.randint(1, 5) for _ in range(4))
    lead = "".join(f"{choose.randint(1, 3)}, " for _ in range(choose.randint(0, 2)))
    lines = [*start(choose), f"q, k, v = tensor({lead}{n}, {d}), tensor({lead}{m}, {d}), "]
    lines[-1] += f"tensor({lead}{m}, {e})"
    lines += [f"dout = tensor({lead}{n}, {e})", f"hidden = torch.rand({n}, {m}) < 0.4"]
    return Script("\n".join([*lines, "hidden[:, 0] = False"]) + "\n")


ATTENTIONS = World(
    "attentions", "one to five queries and keys, with up to two dimensions in front, and masks "
    "that leave each query a key.", "attentions", draw_attention,
)  # fmt: skip


def five_lines(q, k, v, dout, hidden, backwards=None):
    """The chapter's lines; ``backwards`` is a mask that a backward pass uses in place of hidden."""
    tau = q.shape[-1] ** -0.5
    P = (tau * q @ k.mT).masked_fill(hidden if backwards is None else backwards, -math.inf)
    P = P.softmax(-1)
    dP = dout @ v.mT
    dS = P * (dP - (dP * P).sum(-1, keepdim=True))
    return tau * dS @ k, tau * dS.mT @ q, P.mT @ dout, dS


def attend(q, k, v, dout, hidden):
    """Autograd's gradients of queries, keys and values."""
    return autograd(lambda *t: F.scaled_dot_product_attention(*t, attn_mask=~hidden), dout, q, k, v)


@claim("attention-five-lines", world=ATTENTIONS)
def lines_and_autograd(q, k, v, dout):
    """The five lines are computed on plain tensors, and compared with PyTorch's operation."""
    nothing = torch.zeros(q.shape[-2], k.shape[-2], dtype=torch.bool)
    found = attend(q, k, v, dout, nothing)
    for mine, theirs in zip(five_lines(q, k, v, dout, nothing), found, strict=False):
        torch.testing.assert_close(mine, theirs)


@control("attention-five-lines", "The scores receive the cotangent times P(1 - P).")
def elementwise_softmax(q, k, v, dout):
    tau = q.shape[-1] ** -0.5
    P = (tau * q @ k.mT).softmax(-1)
    found = attend(q, k, v, dout, torch.zeros(P.shape[-2:], dtype=torch.bool))
    torch.testing.assert_close(tau * (P * (1 - P) * (dout @ v.mT)) @ k, found[0])


@claim("attention-row-sum", world=ATTENTIONS)
def sum_from_the_output(q, k, v, dout, hidden):
    """Both sums are computed, under a mask, and compared."""
    P = (q.shape[-1] ** -0.5 * q @ k.mT).masked_fill(hidden, -math.inf).softmax(-1)
    torch.testing.assert_close(((dout @ v.mT) * P).sum(-1), (dout * (P @ v)).sum(-1))


@control("attention-row-sum", "These sums are zero, as those of the scores' gradient are.")
def sums_are_zero(q, k, v, dout, hidden):
    P = (q.shape[-1] ** -0.5 * q @ k.mT).masked_fill(hidden, -math.inf).softmax(-1)
    sums = ((dout @ v.mT) * P).sum(-1)
    torch.testing.assert_close(sums, torch.zeros_like(sums))


@claim("attention-mask", world=ATTENTIONS)
def masked_weights(q, k, v, dout, hidden):
    """The lines with masked weights are compared with PyTorch's operation under the mask."""
    dq, dk, dv, dS = five_lines(q, k, v, dout, hidden)
    for mine, theirs in zip((dq, dk, dv), attend(q, k, v, dout, hidden), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not dS.masked_select(hidden).any(), "a masked score receives something"


@control("attention-mask", "A mask need not be known to the backward pass.")
def mask_forgotten(q, k, v, dout, hidden):
    mine = five_lines(q, k, v, dout, hidden, torch.zeros_like(hidden))
    torch.testing.assert_close(mine[0], attend(q, k, v, dout, hidden)[0])
