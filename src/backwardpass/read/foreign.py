"""Read the graph of an engine that is not PyTorch's, if its nodes answer the same questions."""

from collections.abc import Mapping
from typing import Any

from backwardpass.data.graph import Edge, Kind, Node, TensorMeta
from backwardpass.data.order import execution_order
from backwardpass.graph import Graph
from backwardpass.read.pytorch import sequence_number

NUMBER = TensorMeta((), "float64", "cpu")


def is_node(value: Any) -> bool:
    """Tell whether `value` is a node of some engine: it has a name, edges and a number."""
    asked = ("_sequence_nr", "next_functions", "name")
    return not isinstance(value, type) and all(hasattr(value, it) for it in asked)


def read_foreign(root: Any, names: Mapping[str, Any]) -> Graph:
    """Describe every node behind `root`, in the order in which an engine like PyTorch's runs them.

    A value's node is its `grad_fn`; a leaf's node has the leaf as its `variable`.
    """
    found, position = [root], {id(root): 0}
    for node in found:  # the list grows while it is walked
        for target, _ in node.next_functions:
            if target is not None and id(target) not in position:
                position[id(target)] = len(found)
                found.append(target)
    targets = [
        [position[id(target)] for target, _ in node.next_functions if target is not None]
        for node in found
    ]
    order = execution_order(targets, [sequence_number(node) for node in found], [0])
    index = {old: new for new, old in enumerate(order)}
    labels = _labels(names)
    described = []
    for new, old in enumerate(order):
        node = found[old]
        edges = tuple(
            Edge(None if target is None else index[position[id(target)]], input_nr)
            for target, input_nr in node.next_functions
        )
        leaf = getattr(node, "variable", None)
        kind: Kind = "operation" if leaf is None else "accumulate"
        label = labels.get(id(node) if leaf is None else id(leaf))
        described.append(Node(new, node.name(), kind, label, (NUMBER,), (), edges))
    return Graph(tuple(described), (0,))


def _labels(names: Mapping[str, Any]) -> dict[int, str]:
    """The first name of each value, under the id of its node, or of itself where it is a leaf."""
    labels: dict[int, str] = {}
    for name, value in names.items():
        node = getattr(value, "grad_fn", None)
        labels.setdefault(id(value) if node is None else id(node), name)
    return labels
