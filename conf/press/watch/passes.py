"""The passes of a script, in their order: what each started from, and each disturbed on its own.

Reverse mode starts in one function of torch for ``backward``, ``grad`` and all that is built on
them, forward mode ends in one.  Each time is a pass here, known by the values it started from.
A disturbed pass returns other numbers: at every node the gradients that it sends are multiplied by
factors that differ by element, by pass and in sign, and in each one element is lost.  No ratio,
norm or mask of gradients is what it was.
"""

import ctypes
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import torch
import torch.autograd.forward_ad as forward_ad
from torch._C import _functorch
from torch.utils._python_dispatch import _disable_current_modes

# Of a larger graph the nodes next to the root are disturbed, and with them all that lies behind.
MOST_NODES = 20_000


class Ended(BaseException):
    """A disturbed run has come to a pass that does not start from what it started from before."""


def digest(value: object) -> str:
    """What a tensor holds, to the last bit, with its shape and dtype; of anything else, its repr.

    >>> digest(torch.ones(2)) == digest(torch.ones(2)), digest(torch.ones(2)) == digest(2.0)
    (True, False)
    """
    if not isinstance(value, torch.Tensor):
        return repr(value)
    while _functorch.is_functorch_wrapped_tensor(value):
        value = _functorch.get_unwrapped(value)
    if value.layout is not torch.strided:
        with _disable_current_modes(), torch._C._DisableFuncTorch(), torch.no_grad():
            value = value.to_dense()
    described = f"{value.dtype}{tuple(value.shape)}{value.is_conj():d}{value.is_neg():d}"
    if value.numel() == 0 or value._is_zerotensor():
        return described
    return described + hashlib.blake2b(_bytes(value), digest_size=12).hexdigest()


def _bytes(value: torch.Tensor) -> bytes:
    """The elements of a tensor, read from memory: an operation would be seen by who counts them."""
    storage, size = value.untyped_storage(), value.element_size()
    memory = (ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr())
    return np.ndarray(
        tuple(value.shape),
        f"V{size}",
        memory,
        value.storage_offset() * size,
        tuple(step * size for step in value.stride()),
    ).tobytes()


class Passes(list[str]):
    """What each pass of one run started from; from the pass number ``first`` on they are disturbed.

    Parameters
    ----------
    first
        The first pass to disturb; None disturbs none.
    known
        What each pass started from in the run that nothing disturbed.  A run that comes to a pass
        which starts from something else is ended there.
    """

    def __init__(self, first: int | None = None, known: list[str] | None = None):
        super().__init__()
        self.first = first
        self.known = known
        self._left_alone = 0
        self._sent = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Follow the passes, and disturb those that are to be."""
        make_grads, unpack = torch.autograd._make_grads, forward_ad.unpack_dual

        def make_grads_watched(outputs, grads, *args, **options):
            seeds = make_grads(outputs, grads, *args, **options)
            if _is_traced(outputs):
                return seeds
            if not self._begins(outputs):
                return seeds
            self._hook([o.grad_fn for o in outputs if getattr(o, "grad_fn", None) is not None])
            return tuple(None if seed is None else self._disturbed(seed, 0) for seed in seeds)

        def unpack_watched(tensor, **options):
            primal, tangent = unpack(tensor, **options)
            if tangent is None or _is_traced((primal,)) or not self._begins((primal,)):
                return forward_ad.UnpackedDualTensor(primal, tangent)
            return forward_ad.UnpackedDualTensor(primal, self._disturbed(tangent, 1))

        with ExitStack() as patches:
            for owner, name, replacement in (
                (torch.autograd, "_make_grads", make_grads_watched),
                (forward_ad, "unpack_dual", unpack_watched),
                (torch.autograd, "gradcheck", self._alone(torch.autograd.gradcheck)),
                (torch.autograd, "gradgradcheck", self._alone(torch.autograd.gradgradcheck)),
                (torch.library, "opcheck", self._alone(torch.library.opcheck)),
            ):
                patches.enter_context(mock.patch.object(owner, name, replacement))
            yield

    def _begins(self, outputs: tuple) -> bool:
        """Enter a pass; whether it is to be disturbed."""
        if self._left_alone:
            return False
        number = len(self)
        self.append(" ".join(map(digest, outputs)))
        if self.known is not None and self[number] != "".join(self.known[number : number + 1]):
            raise Ended
        return self.first is not None and number >= self.first

    def _alone(self, check):
        """Checks compare autograd with something else by themselves: they are left as they are."""

        def call(*args, **options):
            self._left_alone += 1
            try:
                return check(*args, **options)
            finally:
                self._left_alone -= 1

        return call

    def _hook(self, nodes: list) -> None:
        """Let each node of the graph send other gradients than it would, once and for all."""
        seen = set(nodes)
        while nodes and len(seen) < MOST_NODES:
            node = nodes.pop()
            following = [to for to, _ in node.next_functions if to is not None]
            if following and not node.metadata.get("disturbed"):
                node.metadata["disturbed"] = True
                node.register_hook(self._sends)
            nodes += [to for to in following if to not in seen]
            seen.update(following)

    def _sends(self, sent: tuple, _: tuple) -> tuple | None:
        if self._left_alone:
            return None
        return tuple(self._disturbed(gradient, 2) for gradient in sent)

    def _disturbed(self, value: torch.Tensor | None, lost_from: int) -> torch.Tensor | None:
        """Another tensor like it; from so many elements on, one of them is 0."""
        self._sent += 1
        if not isinstance(value, torch.Tensor):
            return value
        random = np.random.Generator(np.random.PCG64([len(self), self._sent]))
        if value.layout is not torch.strided:
            return value * float(random.uniform(1.25, 2))
        shape = tuple(value.shape)
        factors = random.uniform(1.25, 2, shape) * random.choice((-1, 1), shape)
        if factors.size > max(lost_from, 1):
            factors.reshape(-1)[self._sent % factors.size] = 0
        return value * torch.as_tensor(factors).to(value.dtype)


def _is_traced(outputs: tuple) -> bool:
    """Whether a compiler goes through a program here, and no pass is made."""
    kinds = {type(output).__name__ for output in outputs}
    return bool(kinds & {"FakeTensor", "FunctionalTensor"}) or torch.compiler.is_compiling()
