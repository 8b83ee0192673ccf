"""Vector-Jacobian products of PyTorch's operations, derived by hand.

Each rule is a function ``rule(g, y, ...)`` with the signature of the operation behind ``g``, the
cotangent of its result, and ``y``, the result. It returns the gradients by the names of the
arguments, computed with plain tensors: autograd is not used, and what was recorded is not read.
Outputs that have no gradient, indices for example, have None for a cotangent; an operation with
several outputs has tuples ``g`` and ``y``. For complex numbers the gradient is PyTorch's,
:math:`\\partial L/\\partial \\mathrm{Re}\\,x + i\\,\\partial L/\\partial \\mathrm{Im}\\,x`.

>>> import torch
>>> from backwardpass import vjps
>>> x = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
>>> y, g = x.softmax(0), torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64)
>>> by_hand = vjps.RULES["softmax"].gradient(g, y.detach(), x.detach(), 0)["input"]
>>> torch.testing.assert_close(by_hand, torch.autograd.grad(y, x, g)[0])

``import backwardpass`` does not import them. Each family is a module, and the decorator
:func:`rule` puts what the book says of a rule beside it.
"""

from importlib import import_module

from backwardpass.vjps._registry import RULES, Declined, Rule, forward, public_name, rule

# In the order of the book: from one number in, one number out, to whole matrices.
FAMILIES = {
    "arithmetic": "Arithmetic",
    "functions": "Functions of one number",
    "piecewise": "Functions with a kink",
    "activations": "Activations",
    "reductions": "Reductions",
    "scans": "Scans and norms",
    "losses": "Softmax and losses",
    "products": "Products",
    "views": "Views and shapes",
    "movement": "Moving data",
    "indexing": "Indexing",
    "normalisation": "Normalisation",
    "convolution": "Convolution",
    "pooling": "Pooling and resampling",
    "attention": "Attention",
    "solving": "Solving and determinants",
    "decompositions": "Matrix decompositions",
    "spectra": "Complex numbers and Fourier transforms",
    "casts": "Casts, copies and constants",
    "writing": "Writing into a copy",
    "special": "Special functions",
    "sequences": "Sequences and signals",
    "masks": "Reductions under a mask",
    "grids": "Sampling at places",
    "networks": "Attention with its projections",
    "layers": "Dropout, bags, segments, unpooling",
    "internals": "Operators inside of others",
    "distances": "Distances",
    "margins": "Margins, labels and sequences",
    "systems": "More linear systems",
    "factors": "More decompositions",
}

for _family in FAMILIES:
    import_module(f"backwardpass.vjps.{_family}")

__all__ = ["FAMILIES", "RULES", "Declined", "Rule", "forward", "public_name", "rule"]
