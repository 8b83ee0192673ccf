"""Falsifiers of the rules that chapters derive by hand for softmax, cross-entropy and norms."""

import math
import random

import torch
import torch.nn.functional as F
from press.trials.claims import claim, control
from press.worlds import Script, World


def start(choose: random.Random) -> list[str]:
    """The first lines of a case: double precision and a seed."""
    seed = choose.randint(0, 999)
    return ["import torch", "torch.set_default_dtype(torch.float64)", f"torch.manual_seed({seed})"]


def ended(lines: list[str]) -> Script:
    """A case that leaves the default dtype as it was."""
    return Script("\n".join([*lines, "torch.set_default_dtype(torch.float32)"]) + "\n")


def some(choose: random.Random, fewest: int, most: int) -> list[int]:
    """A shape: sizes from 1 to 5."""
    return [choose.randint(1, 5) for _ in range(choose.randint(fewest, most))]


def autograd(function, u, *tensors):
    """The gradients of a function's tensors, for a cotangent of its result."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    return torch.autograd.grad(function(*leaves), leaves, u)


# --- Softmax and cross-entropy --------------------------------------------------------------------


def draw_rows(choose: random.Random) -> Script:
    shape = some(choose, 1, 4)
    dim = choose.randrange(-len(shape), len(shape))
    lines = [f"x = torch.randn({shape}) * {choose.choice([1, 5, 30])}", f"u = torch.randn({shape})"]
    return ended([*start(choose), *lines, f"dim = {dim}"])


ROWS = World("rows", "logits of one to four dimensions, a few of them large.", "tensors", draw_rows)


@claim("softmax-rule", world=ROWS)
def softmax_rule(x, u, dim):
    """The rule is computed from plain tensors along any dimension, and compared with autograd's."""
    p = x.softmax(dim)
    (found,) = autograd(lambda x: x.softmax(dim), u, x)
    torch.testing.assert_close(p * (u - (u * p).sum(dim, keepdim=True)), found)


@control("softmax-rule", "The gradient is the cotangent times the derivative p(1 - p).")
def elementwise(x, u, dim):
    p = x.softmax(dim)
    torch.testing.assert_close(u * p * (1 - p), autograd(lambda x: x.softmax(dim), u, x)[0])


@claim("softmax-log-rule", world=ROWS)
def log_softmax_rule(x, u, dim):
    """The rule is computed from plain tensors along any dimension, and compared with autograd's."""
    (found,) = autograd(lambda x: x.log_softmax(dim), u, x)
    torch.testing.assert_close(u - x.softmax(dim) * u.sum(dim, keepdim=True), found)


@control("softmax-log-rule", "The sum is weighted with the probabilities, as that of the softmax.")
def weighted_sum(x, u, dim):
    p = x.softmax(dim)
    (found,) = autograd(lambda x: x.log_softmax(dim), u, x)
    torch.testing.assert_close(u - p * (u * p).sum(dim, keepdim=True), found)


def draw_batch(choose: random.Random) -> Script:
    N, K, rest = choose.randint(1, 5), choose.randint(1, 5), some(choose, 0, 2)
    lines = [f"x = torch.randn({[N, K, *rest]}) * {choose.choice([1, 5])}"]
    lines += [f"target = torch.randint({K}, {[N, *rest]})", f"weight = torch.rand({K}) + 0.5"]
    lines += [f"ignored = torch.rand({[N, *rest]}) < {choose.choice([0, 0.4])}"]
    return ended([*start(choose), *lines, "ignored.view(-1)[0] = False"])


BATCHES = World(
    "batches", "logits, classes, weights; positions and ignored targets in part.", "batches",
    draw_batch,
)  # fmt: skip


def one_hot(x, target):
    """Rows of the identity, with the classes along dimension 1."""
    return torch.eye(x.shape[1]).to(x)[target].movedim(-1, 1)


@claim("softmax-entropy", world=BATCHES)
def probabilities_minus_targets(x, target):
    """The formula, N being the number of targets, is compared with autograd's gradient."""
    (found,) = autograd(lambda x: F.cross_entropy(x, target), None, x)
    torch.testing.assert_close((x.softmax(1) - one_hot(x, target)) / target.numel(), found)


@control("softmax-entropy", "N is the number of examples, whatever the shape of the logits.")
def number_of_rows(x, target):
    (found,) = autograd(lambda x: F.cross_entropy(x, target), None, x)
    torch.testing.assert_close((x.softmax(1) - one_hot(x, target)) / len(x), found)


def weighted(x, target, weight, ignored):
    """The gradient of a weighted loss with ignored targets."""
    marked = target.masked_fill(ignored, -100)
    return autograd(lambda x: F.cross_entropy(x, marked, weight), None, x)[0]


@claim("softmax-counts", world=BATCHES)
def what_is_counted(x, target, weight, ignored):
    """Both kinds of targets: weights of those that count are summed, or positions are counted."""
    counted = weight[target] * ~ignored
    share = (counted / counted.sum()).unsqueeze(1)
    difference = x.softmax(1) - one_hot(x, target)
    torch.testing.assert_close(share * difference, weighted(x, target, weight, ignored))
    soft = one_hot(x, target)
    (found,) = autograd(lambda x: F.cross_entropy(x, soft, weight), None, x)
    torch.testing.assert_close(weight[target].unsqueeze(1) * difference / target.numel(), found)


@control("softmax-counts", "N is the number of targets.")
def number_of_targets(x, target, weight, ignored):
    share = (weight[target] * ~ignored / target.numel()).unsqueeze(1)
    found = weighted(x, target, weight, ignored)
    torch.testing.assert_close(share * (x.softmax(1) - one_hot(x, target)), found)


# --- Norms ----------------------------------------------------------------------------------------


def draw_norm(choose: random.Random) -> Script:
    shape = some(choose, 2, 4)
    last = choose.randint(1, len(shape) - 1)
    lines = [f"x = torch.randn({shape}) * {choose.choice([0.3, 1, 4])} + {choose.randint(-2, 2)}"]
    lines += [f"dy = torch.randn({shape})", f"last = {last}"]
    lines += [f"gamma, beta = torch.rand({shape[-last:]}) + 0.5, torch.randn({shape[-last:]})"]
    lines += [f"eps = {choose.choice([1e-5, 1e-2, 0.5])}"]
    return ended([*start(choose), *lines])


NORMS = World(
    "norms", "tensors of two to four dimensions, the last of them normalised.", "tensors", draw_norm
)


def one_formula(x, g, eps, dims, centre=True):
    """What arrives, less its mean, less its part along the output, times one over the deviation."""
    centred = x - x.mean(dims, keepdim=True) if centre else x
    r = (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    normal = centred * r
    less = g.mean(dims, keepdim=True) if centre else 0
    return r * (g - less - normal * (g * normal).mean(dims, keepdim=True)), normal


def six_lines(x, g, eps, dims, through_variance=True):
    """A line for each line of the forward pass."""
    centred = x - x.mean(dims, keepdim=True)
    r = (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    dr = (g * centred).sum(dims, keepdim=True)
    dvar = -dr * r**3 / 2
    D = math.prod(x.shape[dim] for dim in dims)
    dcentred = g * r + dvar * 2 * centred / D * through_variance
    return dcentred - dcentred.sum(dims, keepdim=True) / D


def layer_norm(x, dy, last, gamma, beta, eps):
    """Autograd's gradients of a layer norm's input, scale and shift."""
    shape = x.shape[-last:]
    return autograd(lambda *t: F.layer_norm(t[0], shape, t[1], t[2], eps), dy, x, gamma, beta)


@claim("norms-six-lines", world=NORMS)
def lines_and_autograd(x, dy, last, gamma, beta, eps):
    """The lines are computed on plain tensors, and compared with the gradients of the layer."""
    dims, others = tuple(range(-last, 0)), tuple(range(x.ndim - last))
    dx, dgamma, dbeta = layer_norm(x, dy, last, gamma, beta, eps)
    _, normal = one_formula(x, dy, eps, dims)
    torch.testing.assert_close(six_lines(x, gamma * dy, eps, dims), dx)
    torch.testing.assert_close((dy * normal).sum(others), dgamma)
    torch.testing.assert_close(dy.sum(others), dbeta)


@control("norms-six-lines", "The centred rows receive what the product sends, and no second part.")
def without_the_variance(x, dy, last, gamma, beta, eps):
    dx = layer_norm(x, dy, last, gamma, beta, eps)[0]
    torch.testing.assert_close(six_lines(x, gamma * dy, eps, tuple(range(-last, 0)), False), dx)


@claim("norms-one-formula", world=NORMS)
def formula_and_autograd(x, dy, last, gamma, beta, eps):
    """The formula is computed on plain tensors, and compared with the layer's gradient."""
    dx = layer_norm(x, dy, last, gamma, beta, eps)[0]
    torch.testing.assert_close(one_formula(x, gamma * dy, eps, tuple(range(-last, 0)))[0], dx)


@control("norms-one-formula", "The statistics are constants.")
def constant_statistics(x, dy, last, gamma, beta, eps):
    dims = tuple(range(-last, 0))
    r = (x.var(dims, correction=0, keepdim=True) + eps).rsqrt()
    dx = layer_norm(x, dy, last, gamma, beta, eps)[0]
    torch.testing.assert_close(r * gamma * dy, dx)


def rms_norm(x, dy, last, gamma, eps):
    """Autograd's gradient of an RMS norm's input."""
    return autograd(lambda x: F.rms_norm(x, x.shape[-last:], gamma, eps), dy, x)[0]


@claim("norms-rms", world=NORMS)
def rms_and_autograd(x, dy, last, gamma, eps):
    """The formula of two terms is compared with the gradient of PyTorch's RMS norm."""
    dx, _ = one_formula(x, gamma * dy, eps, tuple(range(-last, 0)), centre=False)
    torch.testing.assert_close(dx, rms_norm(x, dy, last, gamma, eps))


@control("norms-rms", "The mean of the cotangent is taken off here too.")
def rms_with_the_mean(x, dy, last, gamma, eps):
    dims, g = tuple(range(-last, 0)), gamma * dy
    dx, _ = one_formula(x, g, eps, dims, centre=False)
    r = (x.square().mean(dims, keepdim=True) + eps).rsqrt()
    dx = dx - r * g.mean(dims, keepdim=True)
    torch.testing.assert_close(dx, rms_norm(x, dy, last, gamma, eps))


def draw_channels(choose: random.Random) -> Script:
    shape = [choose.randint(2, 5), *some(choose, 1, 3)]
    wide = [shape[1]] + [1] * (len(shape) - 2)
    lines = [f"x, dy = torch.randn({shape}) * 2 + 1, torch.randn({shape})"]
    lines += [f"gamma = torch.rand({shape[1]}) + 0.5", f"wide = {wide}"]
    lines += [f"mean, var = torch.randn({shape[1]}), torch.rand({shape[1]}) + 0.5"]
    return ended([*start(choose), *lines, f"training = {choose.random() < 0.5}", "eps = 1e-3"])


CHANNELS = World(
    "channels", "batches of two to four dimensions, in training and in evaluation.", "batches",
    draw_channels,
)  # fmt: skip


def batch_norm(x, dy, gamma, mean, var, training, eps):
    """Autograd's gradient of a batch norm's input; running statistics are copies."""
    mean, var = mean.clone(), var.clone()
    return autograd(lambda x: F.batch_norm(x, mean, var, gamma, training=training, eps=eps), dy, x)[
        0
    ]


def training_formula(x, g, eps):
    """The formula of the layer norm, over the batch and all positions."""
    return one_formula(x, g, eps, (0, *range(2, x.ndim)))[0]


@claim("norms-batch", world=CHANNELS)
def both_modes(x, dy, gamma, mean, var, wide, training, eps):
    """The formula that is stated for the mode is compared with autograd's gradient."""
    g = gamma.reshape(wide) * dy
    constant = (var + eps).rsqrt().reshape(wide) * g
    expected = training_formula(x, g, eps) if training else constant
    torch.testing.assert_close(expected, batch_norm(x, dy, gamma, mean, var, training, eps))


@control(
    "norms-batch",
    "In evaluation it is the product with r, whether or not there are running statistics.",
)
def product_in_evaluation(x, dy, gamma, wide, eps):
    kind = torch.nn.BatchNorm2d if x.ndim == 4 else torch.nn.BatchNorm1d
    layer = kind(len(gamma), eps, track_running_stats=False, dtype=x.dtype).eval()
    found = autograd(lambda x: layer(x), dy * gamma.reshape(wide), x)[0]
    torch.testing.assert_close((1 + eps) ** -0.5 * gamma.reshape(wide) * dy, found)


@control("norms-batch", "The formula does not depend on the mode.")
def one_for_both(x, dy, gamma, mean, var, wide, training, eps):
    expected = training_formula(x, gamma.reshape(wide) * dy, eps)
    torch.testing.assert_close(expected, batch_norm(x, dy, gamma, mean, var, training, eps))
