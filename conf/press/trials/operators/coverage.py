"""Every operator with a derivative in PyTorch's tests has a rule, or stands here with the reason.

``python -m press.trials.operators.coverage`` names those that have neither, and those that have
both or that PyTorch no longer has.
"""

import sys

from backwardpass import vjps
from press.trials.operators.cases import opinfos

CUDA = "a kernel of CUDA: the tests have no call of it on a processor"
SPARSE = "its arguments or its result are sparse, whose cotangents are sparse tensors too"
WITHOUT = {
    "sparse.sampled_addmm": SPARSE,
    "sparse.mm.reduce": SPARSE,
    "to_sparse": SPARSE,
    "torch.ops.aten._flash_attention_forward": CUDA,
    "torch.ops.aten._efficient_attention_forward": CUDA,
    "nn.functional.batch_norm.without_cudnn": "batch_norm again, in tests of a CUDA library alone",
    "nn.functional.one_hot": "whole numbers in, whole numbers out: no result has a gradient",
}


def differentiable() -> list[str]:
    """The operators that PyTorch says have a derivative, by the names of its tests."""
    return [name for name, op in opinfos().items() if op.supports_autograd]


def covered() -> set[str]:
    """The operators that a rule answers for."""
    return {entry for rule in vjps.RULES.values() for entry in rule.entries}


def gaps(names: list[str], ruled: set[str], without: dict[str, str]) -> list[str]:
    """What is wrong with the coverage of ``names``, a sentence each.

    >>> gaps(["exp", "log"], {"exp"}, {})
    ['log has neither a rule nor a reason why not']
    >>> gaps(["exp"], {"exp"}, {"exp": "so", "gone": "so"})
    ['exp has a rule and a reason why not', 'gone has a reason why not, and is no operator']
    """
    told = [f"{n} has neither a rule nor a reason why not" for n in names
            if n not in ruled and n not in without]  # fmt: skip
    told += [f"{name} has a rule and a reason why not" for name in without if name in ruled]
    told += [
        f"{n} has a reason why not, and is no operator" for n in without if n not in set(names)
    ]
    return told


def main() -> int:
    """Print the counts and what is wrong; 1 where something is."""
    names, ruled = differentiable(), covered()
    print(f"{len(ruled & set(names))} of {len(names)} have a rule, {len(WITHOUT)} a reason why not")
    wrong = gaps(names, ruled, WITHOUT)
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
