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

# What type checkers take for true; the module of that name is not loaded for it.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from backwardpass.data.graph import Edge, Node, Saved, TensorMeta
    from backwardpass.data.passes import Step, Written
    from backwardpass.explain.answer import Answer
    from backwardpass.explain.place import Place
    from backwardpass.explain.watch import Watch, watch
    from backwardpass.explain.why import why_no_grad
    from backwardpass.graph import BackwardPass, Graph
    from backwardpass.read.abilities import Ability, abilities
    from backwardpass.read.modules import modules
    from backwardpass.read.trace import trace
    from backwardpass.recording.recorder import Recording, record
    from backwardpass.show.layout import LayoutTimeoutError
    from backwardpass.show.memory import Memory, MemoryRow
    from backwardpass.show.table import Row, Table

__all__ = [
    "Ability",
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
    "abilities",
    "modules",
    "record",
    "trace",
    "watch",
    "why_no_grad",
]

# Where each name is defined. A name is looked up when it is first asked for, so that what shows
# a graph that was kept as JSON needs no torch.
_HOMES = {
    "Ability": "read.abilities",
    "Answer": "explain.answer",
    "BackwardPass": "graph",
    "Edge": "data.graph",
    "Graph": "graph",
    "LayoutTimeoutError": "show.layout",
    "Memory": "show.memory",
    "MemoryRow": "show.memory",
    "Node": "data.graph",
    "Place": "explain.place",
    "Recording": "recording.recorder",
    "Row": "show.table",
    "Saved": "data.graph",
    "Step": "data.passes",
    "Table": "show.table",
    "TensorMeta": "data.graph",
    "Watch": "explain.watch",
    "Written": "data.passes",
    "abilities": "read.abilities",
    "modules": "read.modules",
    "record": "recording.recorder",
    "trace": "read.trace",
    "watch": "explain.watch",
    "why_no_grad": "explain.why",
}


if not TYPE_CHECKING:  # to a type checker a name that is not imported above is an error

    def __getattr__(name):
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
