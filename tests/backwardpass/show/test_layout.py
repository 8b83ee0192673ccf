"""Layouts: what Graphviz cannot do, or not soon, is drawn with less in it, as it says."""

import os
import random
import re
import time
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from torch import nn

import backwardpass
from backwardpass import Edge, Graph, Node, TensorMeta
from backwardpass.show import drawing, graphviz, layout

pytest.importorskip("pygraphviz")
META = TensorMeta((3, 4), "float32", "cpu")


def tree_of_modules(seed: int) -> Graph:
    """Make a graph whose nodes lie in modules inside modules, with edges between all of them."""
    dice = random.Random(seed)
    size = dice.randint(40, 110)
    nodes = []
    for index in range(size):
        later = [index + 1] if index + 1 < size else []
        later += [dice.randint(index + 1, size - 1) for _ in range(dice.randint(0, 2)) if later]
        depth = dice.randint(1, 4)
        module = ".".join(f"m{dice.randint(0, 2)}" for _ in range(depth))
        edges = tuple(Edge(target, 0) for target in later)
        nodes.append(Node(index, "MulBackward0", "operation", None, (META,), (), edges, module))
    return Graph(tuple(nodes), (0,))


def long_edges(steps: int) -> Graph:
    """Trace an integrator whose every stage uses all the stages before, and the same weights."""
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    y = torch.ones(2, 4, requires_grad=True)
    for _ in range(steps):
        first = net(y**3)
        second = net((y + first / 3) ** 3)
        third = net((y + (second - first / 3)) ** 3)
        fourth = net((y + (first - second + third)) ** 3)
        y = y + (first + 3 * (second + third) + fourth) / 8
    return backwardpass.trace(y.sum(), names=net)


def note_of(svg: str) -> str:
    """Find the line below a picture that says what was left out; it stands in the description."""
    found = re.findall(r">((?:Drawn without|Folded)[^<]*)</text>", svg)
    assert len(found) <= 1
    description = ElementTree.fromstring(svg).findtext("{http://www.w3.org/2000/svg}desc")
    assert not found or description.endswith(found[0])
    return found[0] if found else ""


# With frames Graphviz loses an edge of these, or aborts.
@pytest.mark.parametrize("seed", [0, 2, 3, 4, 6, 7, 14, 15, 21, 26])
def test_modules_inside_modules_are_drawn(seed):
    """Where Graphviz loses an edge between frames the picture is drawn without them."""
    graph = tree_of_modules(seed)
    svg = graph.to_svg()
    boxes = re.findall(r'<g class="bp-node', svg)
    assert len(boxes) == len(graph.nodes) or "instead of" in note_of(svg)


def test_a_lost_edge_is_drawn_without_frames(monkeypatch):
    """All boxes are there, no frame is, and a line below says so."""
    asked = graphviz.run

    def loses(dot: str, timeout: float, form: str = "json0") -> bytes:
        found = asked(dot, timeout, form)
        return found.replace(b'"pos"', b'"lost"') if "subgraph" in dot else found

    monkeypatch.setattr(graphviz, "run", loses)
    nodes = tuple(
        Node(i, "MulBackward0", "operation", module=f"m.{i % 2}", edges=(Edge(i + 1, 0),))
        for i in range(3)
    )
    svg = Graph((*nodes, Node(3, "AccumulateGrad", "accumulate")), (0,)).to_svg()
    assert note_of(svg) == "Drawn without frames around modules: more than can be laid out."
    assert 'class="bp-module"' not in svg
    assert svg.count('<g class="bp-node') == 4


def test_long_edges_leave_their_labels_out():
    """A graph whose edges pass by many rows is laid out soon, without shapes beside its edges."""
    graph = long_edges(3)
    start = time.process_time()
    svg = graph.to_svg()
    assert time.process_time() - start < 5  # of this process; Graphviz has one of its own
    assert note_of(svg).startswith("Drawn without shapes beside the edges")
    assert svg.count('<g class="bp-node') >= len(graph.nodes)
    assert "bp-halo" not in re.sub(r"<style>.*?</style>", "", svg)
    assert note_of(long_edges(1).to_svg()) == ""


def test_longer_edges_are_folded_further():
    """What would take too long without labels too is folded until it does not."""
    graph = long_edges(4)
    assert len(graph.nodes) < 200
    svg = graph.to_svg()
    assert "instead of 200" in note_of(svg)
    boxes, arrows = drawing.boxes_and_arrows(graph)
    assert layout.rows_passed(len(boxes), drawing.edges_of(arrows)) > layout.MOST


def test_an_abort_of_graphviz_ends_nothing_but_itself(monkeypatch):
    """The picture fails with an error, and the display of a notebook shows the table."""
    aborts = graphviz.Process("import os, sys; sys.stdin.buffer.readline(); os.abort()")
    monkeypatch.setattr(graphviz, "PROCESS", aborts)
    graph = long_edges(1)
    with pytest.raises(RuntimeError, match="Graphviz ended"):
        graph.to_svg()
    assert "<table" in graph._repr_html_()


def test_the_process_is_used_again_and_ends(monkeypatch):
    """One process lays several graphs out; closed, it is gone, and the next question starts one."""
    process = graphviz.Process()
    monkeypatch.setattr(graphviz, "PROCESS", process)
    first = long_edges(1).to_svg()
    number = process._running.pid
    assert long_edges(1).to_svg() == first
    assert process._running.pid == number
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert long_edges(1).to_svg() == first
    process.close()


@pytest.mark.parametrize(
    ("ending", "start"),
    [(".svg", b"<svg "), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph"),
     (".json", b'{"format"')],
)  # fmt: skip
def test_a_file_is_what_its_name_ends_in(tmp_path, ending, start):
    """Each ending gives a file of its kind, with names made of markup too."""
    x = torch.ones(2, requires_grad=True)
    loss = (x * x).sum()
    graph = backwardpass.trace(loss, names={'<b>&"x': x})
    path = graph.save(tmp_path / f"graph{ending}")
    assert path.read_bytes().startswith(start)


def test_another_ending_is_refused(tmp_path):
    """The error lists the endings there are."""
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.dot, \.json"):
        long_edges(1).save(tmp_path / "graph.gif")


@pytest.mark.parametrize("name", ["graph.svg", "out/graph.png"])
def test_a_path_is_no_title(name):
    """What looks like a file's name is refused, and the error says how the file is written."""
    with pytest.raises(ValueError, match=rf"graph\.save\('{name}'\)"):
        long_edges(1).to_svg(name)
    assert "<title" in long_edges(1).to_svg("How graph.svg came about")
