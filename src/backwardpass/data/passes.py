"""A recorded pass as plain data: what arrived at each node, what was freed, what was written."""

from dataclasses import dataclass
from typing import Literal

from backwardpass.data.graph import GraphData, TensorMeta

Call = Literal["backward", "grad"]
How = Literal["created", "added in place", "new", "unchanged", "removed"]


@dataclass(frozen=True, slots=True)
class Written:
    """What an AccumulateGrad node did to its leaf's ``grad``.

    Parameters
    ----------
    how
        ``"created"`` where there was none, ``"added in place"``, ``"new"`` (a new tensor, the sum,
        took the place of the old one), ``"unchanged"``, or ``"removed"`` (by a hook on the leaf).
    tensor
        The ``grad`` there is now; ``None`` where there is none.
    taken_over
        Whether its memory is that of the cotangent that arrived, which was not copied.
    values
        The numbers of ``grad`` now, row by row, if it has at most 8 elements; ``None`` otherwise.

    Examples
    --------
    >>> import torch, backwardpass
    >>> x = torch.ones(3, requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     for _ in range(2):
    ...         x.exp().sum().backward()
    >>> [seen.steps[-1].wrote.how for seen in recording.passes]
    ['created', 'added in place']
    """

    how: How
    tensor: TensorMeta | None
    taken_over: bool = False
    values: tuple | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node that ran.

    Parameters
    ----------
    node
        Its index in the pass's graph.
    cotangents
        What arrived, one for each output of the forward operation and of its shape; ``None`` where
        nothing did.
    norms
        The Euclidean norm of each cotangent, in double precision; ``None`` for one that did not
        arrive or whose numbers cannot be read. ``None`` as a whole, like the three fields after it,
        in a pass recorded without ``values=True``.
    values
        The numbers of each cotangent of at most 8 elements, row by row; ``None`` for a larger one.
    freed
        Fields of the saved tensors that the node let go of, after it ran and before the next one;
        ``None`` where PyTorch does not let them be seen.
    wrote
        What an AccumulateGrad node did; ``None`` for other nodes.

    Examples
    --------
    >>> from backwardpass import Step, TensorMeta
    >>> Step(node=0, cotangents=(TensorMeta((), "float32", "cpu"),)).node
    0
    >>> import torch, backwardpass
    >>> x = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> with backwardpass.record(values=True) as recording:
    ...     (x * x).sum().backward()
    >>> for step in recording.passes[0].steps:
    ...     print(step.values, step.norms, step.freed)
    ((1.0,),) (1.0,) ()
    ((1.0, 1.0),) (1.4142135623730951,) ('other', 'self')
    ((6.0, 8.0),) (10.0,) ()
    """

    node: int
    cotangents: tuple[TensorMeta | None, ...]
    norms: tuple[float | None, ...] | None = None
    values: tuple[tuple | None, ...] | None = None
    freed: tuple[str, ...] | None = None
    wrote: Written | None = None


@dataclass(frozen=True, slots=True)
class PassData:
    """One recorded pass, without the ways to read it: see :class:`backwardpass.BackwardPass`."""

    call: Call
    filename: str
    line: int
    retain_graph: bool
    create_graph: bool
    graph: GraphData
    steps: tuple[Step, ...]
    error: str | None = None
