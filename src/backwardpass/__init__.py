"""Read, draw, tabulate and record the backward graph that PyTorch builds.

Four steps, one after another: :func:`trace` reads the graph behind a tensor into plain data, a
:class:`Graph`; the data is drawn (:meth:`Graph.to_svg`, :meth:`Graph.to_dot`) or tabulated
(:meth:`Graph.table`); :func:`record` observes the backward passes that run over it.

>>> import torch, backwardpass
>>> x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> loss = (x * x).sum()
>>> for node in backwardpass.trace(loss, names={"x": x, "loss": loss}).nodes:
...     print(node.index, node.name, node.label, [edge.target for edge in node.edges])
0 SumBackward0 loss [1]
1 MulBackward0 None [2, 2]
2 AccumulateGrad x []
"""

from backwardpass._data import Edge, Graph, Node, Saved, TensorMeta
from backwardpass._record import BackwardPass, Recording, Step, record
from backwardpass._table import Row, Table
from backwardpass._trace import trace

__all__ = [
    "BackwardPass",
    "Edge",
    "Graph",
    "Node",
    "Recording",
    "Row",
    "Saved",
    "Step",
    "Table",
    "TensorMeta",
    "record",
    "trace",
]
