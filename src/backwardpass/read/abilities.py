"""What the PyTorch at hand lets this package tell, and what it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import torch

from backwardpass.read import pytorch


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that this package tells, as far as the PyTorch at hand lets it.

    Parameters
    ----------
    name
        What :func:`abilities` lists it under.
    known
        Whether it is told.
    reason
        Where it is not: what PyTorch lacks, and what is said instead. Empty where it is.

    Examples
    --------
    >>> from backwardpass import Ability
    >>> Ability("shapes", known=True).reason
    ''
    """

    name: str
    known: bool
    reason: str = ""


# What each needs of PyTorch, and what is said where that is not there.
_NEEDS = {
    "order": (("Node._sequence_nr",), "nothing can be read"),
    "shapes": (("Node._input_metadata",), "nodes are read without outputs"),
    "saved tensors": (
        (
            "Node._raw_saved_result",
            "SavedTensor.data",
            "SavedTensor.unpack_hook",
            "SavedTensor.unpack",
        ),
        "what a node saved is listed by field, and of the tensor nothing is told: to look at it "
        "would run the hooks of whoever saved it, and they are not run",
    ),
    "transforms": (
        ("torch.func.debug_unwrap",),
        "a tensor inside a transform that records no graph is only said not to require grad",
    ),
    "views": (("Tensor._base",), "no tensor is known as a view"),
    "passes": (("torch.autograd._engine_run_backward",), "record() raises RuntimeError"),
    "values unseen": (
        ("torch.utils._python_dispatch._disable_current_modes",),
        "dispatch modes see the norms that record(values=True) computes",
    ),
    "modules": (
        ("torch.utils._pytree.tree_leaves",),
        "of what a module returns, only tuples, lists and dictionaries are opened",
    ),
}


@cache
def abilities() -> Mapping[str, Ability]:
    """Say what of a graph can be told with the PyTorch that is installed.

    What cannot is left unknown, and never guessed: most of all no hook of the user's is run for a
    look at a saved tensor.

    Returns
    -------
    mapping
        An :class:`Ability` under the name of each: ``"order"``, ``"shapes"``, ``"saved tensors"``,
        ``"transforms"``, ``"views"``, ``"passes"``, ``"values unseen"`` and ``"modules"``. All are
        known on PyTorch 2.13 to 2.15.

    Examples
    --------
    >>> import backwardpass
    >>> backwardpass.abilities()["passes"]
    Ability(name='passes', known=True, reason='')
    >>> [ability.reason for ability in backwardpass.abilities().values() if not ability.known]
    []
    """
    lacking = pytorch.lacking()
    found = {}
    for name, (needs, instead) in _NEEDS.items():
        gone = [need for need in needs if need in lacking]
        reason = f"PyTorch {torch.__version__} lacks {', '.join(gone)}: {instead}" if gone else ""
        found[name] = Ability(name, not gone, reason)
    return MappingProxyType(found)
