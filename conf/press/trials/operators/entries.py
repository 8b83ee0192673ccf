"""What the samples of an operator need to be calls of the public function.

Each dictionary goes by the name of an operator in PyTorch's tests.
"""

import math
from collections.abc import Callable

import torch


def _pooled(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
            return_indices=False):  # fmt: skip
    """A backward pass of max_pool2d, which the tests make of a forward one."""
    options = (kernel_size, stride or kernel_size, padding, dilation, ceil_mode)
    y, index = torch.nn.functional.max_pool2d(x.detach(), *options, return_indices=True)
    return (torch.ones_like(y).requires_grad_(), x, *options, index), {}


# Where the tests pass the arguments in another order than the public function takes them.
ORDER: dict[str, Callable] = {
    f"polygamma.polygamma_n_{n}": lambda x, n: ((n, x), {}) for n in range(5)
}
ORDER["special.polygamma.special_polygamma_n_0"] = lambda x, n: ((n, x), {})
ORDER["nn.functional.embedding_bag"] = lambda weight, index, **options: ((index, weight), options)
ORDER["max_pool2d_with_indices_backward"] = _pooled
# The tests multiply two factors, so that the matrix has a rank: that is the argument.
for _name in ("svd_lowrank", "pca_lowrank", "linalg.pinv.singular"):
    ORDER[_name] = lambda a, b, **options: ((a @ b.mT,), options)
# ... or add the adjoint, so that it is Hermitian.
ORDER["linalg.pinv.hermitian"] = lambda a, **options: ((a + a.mH,), options)
ORDER["linalg.lstsq.grad_oriented"] = lambda a, b, driver: ((a, b), {"driver": driver})
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
MEANINGLESS["linalg.pinv.singular"] = {"finite": "a step in any direction raises the rank"}
# Arguments that finite differences leave alone, because the function compares them.
STILL = {"nn.functional.cosine_embedding_loss": ("target",)}
# The step of finite differences is that of another entry.
STEP_OF = {
    "cholesky": "linalg.cholesky",
    "linalg.cholesky_ex": "linalg.cholesky",
    "linalg.pinv.hermitian": "linalg.eigh",
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
OTHER_TRIANGLE = "it reads the triangle that the function does not read"
for _dtype in (torch.float64, torch.complex128):
    KNOWN["triangular_solve", _dtype] = {"forward": (math.inf, OTHER_TRIANGLE)}
OF_LOGITS = "the gradient is that of the logits, as if x were their log_softmax"
KNOWN["nn.functional.ctc_loss", torch.float64] = {"finite": (math.inf, OF_LOGITS)}
TWICE = "an index is given twice: one value is kept, and both get its gradient"
for _n in (1, 2, 3):
    KNOWN[f"nn.functional.max_unpool{_n}d", torch.float64] = {
        "forward": (math.inf, TWICE),
        "finite": (math.inf, TWICE),
    }
NOISE = "one entry a row: exactly 0, where it returns rounding noise"
KNOWN["native_layer_norm", torch.float64] = {"autograd": (1e-9, NOISE)}
CROSSED = "of many places the step takes one across an entry"
KNOWN["grid_sampler_3d", torch.float64] = {"finite": (1e-3, CROSSED)}
