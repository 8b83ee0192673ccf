"""Read, draw, tabulate and record the backward graph that PyTorch builds.

:func:`trace` reads the graph behind a tensor into plain data, a :class:`Graph`; inside
:func:`modules` its nodes know which module made them. The data is drawn (:meth:`Graph.to_svg`,
:meth:`Graph.to_dot`), printed as a tree (:meth:`Graph.to_text`), tabulated (:meth:`Graph.table`) or
counted (:meth:`Graph.memory`). :func:`record` observes the backward passes that run over it.
:func:`why_no_grad` says why a gradient is missing, and :func:`watch` on which line it was lost.

>>> import torch, backwardpass
>>> x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> loss = (x * x).sum()
>>> for node in backwardpass.trace(loss, names={"x": x, "loss": loss}).nodes:
...     print(node.index, node.name, node.label, [edge.target for edge in node.edges])
0 SumBackward0 loss [1]
1 MulBackward0 None [2, 2]
2 AccumulateGrad x []
"""

from backwardpass._answer import Answer
from backwardpass._data import Edge, Graph, Node, Saved, TensorMeta
from backwardpass._layout import LayoutTimeoutError
from backwardpass._memory import Memory, MemoryRow
from backwardpass._modules import modules
from backwardpass._record import BackwardPass, Recording, record
from backwardpass._steps import Step, Written
from backwardpass._table import Row, Table
from backwardpass._trace import trace
from backwardpass._watch import Place, Watch, watch
from backwardpass._why import why_no_grad

__all__ = [
    "Answer",
    "BackwardPass",
    "Edge",
    "Graph",
    "LayoutTimeoutError",
    "Memory",
    "MemoryRow",
    "Node",
    "Place",
    "Recording",
    "Row",
    "Saved",
    "Step",
    "Table",
    "TensorMeta",
    "Watch",
    "Written",
    "modules",
    "record",
    "trace",
    "watch",
    "why_no_grad",
]
