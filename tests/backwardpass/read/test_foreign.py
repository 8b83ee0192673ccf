"""Graphs of other engines are read for the same drawing."""

from types import SimpleNamespace

import pytest

import backwardpass


class Node:
    """A node of an engine that is not PyTorch's."""

    def __init__(self, name, number, targets=(), variable=None):
        self.next_functions = tuple((target, 0) for target in targets)
        self._name, self._number = name, number
        if variable is not None:
            self.variable = variable

    def name(self):
        return self._name

    def _sequence_nr(self):
        return self._number


@pytest.fixture
def diamond():
    """The product of a square with the square's sum, and the variables of whoever made it."""
    x = SimpleNamespace(grad_fn=None)
    leaf = Node("AccumulateGrad", float("inf"), variable=x)
    square = Node("Square", 1, [leaf])
    total = Node("Add", 2, [square, None])
    product = Node("Mul", 3, [square, total])
    names = {"x": x, "a": SimpleNamespace(grad_fn=square), "y": SimpleNamespace(grad_fn=product)}
    return product, names


def test_order_and_edges(diamond):
    """Nodes come in the order of an engine that waits, and an edge to nothing stays one."""
    root, names = diamond
    graph = backwardpass.trace(root, names)
    assert [node.name for node in graph.nodes] == ["Mul", "Add", "Square", "AccumulateGrad"]
    assert [[e.target for e in node.edges] for node in graph.nodes] == [[2, 1], [2, None], [3], []]


def test_names_and_kinds(diamond):
    """A value names the node it refers to, a leaf the node that adds to it."""
    graph = backwardpass.trace(*diamond)
    assert [node.label for node in graph.nodes] == ["y", None, "a", "x"]
    assert [node.kind for node in graph.nodes][2:] == ["operation", "accumulate"]


def test_without_names(diamond):
    """Without names nothing is named, and the graph is drawn all the same."""
    graph = backwardpass.trace(diamond[0])
    assert {node.label for node in graph.nodes} == {None}
    assert "Square" in graph.to_svg()


def test_deep():
    """A chain of 50,000 nodes is read without recursion."""
    node = None
    for number in range(50_000):
        node = Node("Add", number, [node])
    graph = backwardpass.trace(node)
    assert len(graph.nodes) == 50_000
    while node is not None:  # Python frees a long chain by recursion of its own
        node.next_functions, node = (), node.next_functions[0][0]


def test_classes_are_no_nodes():
    """A class whose instances are nodes is none itself, and is refused as anything else is."""
    with pytest.raises(TypeError, match="got an object of type type"):
        backwardpass.trace(Node)
