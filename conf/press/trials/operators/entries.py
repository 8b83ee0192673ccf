"""What the samples of an operator need to be calls of the public function.

Each dictionary goes by the name of an operator in PyTorch's tests.
"""

import math
from collections.abc import Callable

import torch

# Where the tests pass the arguments in another order than the public function takes them.
ORDER: dict[str, Callable] = {
    f"polygamma.polygamma_n_{n}": lambda x, n: ((n, x), {}) for n in range(5)
}
ORDER["special.polygamma.special_polygamma_n_0"] = lambda x, n: ((n, x), {})
# The function, where the entry's name is not its name, or names several.
FUNCTION: dict[str, Callable] = {
    "slice": torch.ops.aten.slice.Tensor,
    "zero_": lambda x: x.clone().zero_(),
}
# Checks that mean nothing for any sample of an entry.
NARROW = "the result has fewer digits than the step moves"
MEANINGLESS: dict[str, dict[str, str]] = {
    name: {"finite": NARROW} for name in ("float", "half", "bfloat16", "cfloat", "chalf")
}
# What PyTorch's modes do not agree on: the largest error there is, and the reason.
KNOWN: dict[tuple[str, torch.dtype], dict[str, tuple[float, str]]] = {}
SAME_DRAW = "with the same seed the draw moves with its parameters, and PyTorch sends zeros"
INVERTED = "it keeps the gradient where the source was written, and drops it everywhere else"
for _name in ("normal", "normal.number_mean"):
    KNOWN[_name, torch.float64] = {"finite": (math.inf, SAME_DRAW)}
for _dtype in (torch.float64, torch.complex128):
    KNOWN["as_strided_scatter", _dtype] = {"autograd": (math.inf, INVERTED)}
NOTHING = "where nothing is kept its tangent is NaN; the gradient behind the mask is 0"
for _name in ("mean", "softmax", "log_softmax", "softmin", "logsumexp", "logaddexp"):
    for _dtype in (torch.float64, torch.complex128):
        KNOWN[f"masked.{_name}", _dtype] = {"forward": (math.inf, NOTHING)}
