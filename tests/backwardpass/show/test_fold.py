"""Large graphs: what is folded is counted, and nothing else is left out."""

import re
import time

import pytest
import torch

import backwardpass
from backwardpass.data.fold import group_of, groups
from backwardpass.show import graphviz
from backwardpass.show.boxes import boxes_and_arrows


def chain(length: int, leaves: bool = False) -> backwardpass.Graph:
    x = torch.ones(2, requires_grad=True)
    y = x
    for _ in range(length):
        y = (y * torch.ones(2, requires_grad=leaves)).sin()
    return backwardpass.trace(y)


def counted(text: str) -> int:
    """Add up what a text says it has folded."""
    return sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) nodes(?: folded|$)", text))


@pytest.mark.parametrize("max_nodes", [3, 10, 50, 100])
@pytest.mark.parametrize("leaves", [False, True])
def test_every_node_is_shown_or_counted(max_nodes, leaves):
    """Groups are at most as many as allowed, follow one another, and leave no node out."""
    graph = chain(200, leaves)
    found = groups(graph, max_nodes)
    assert len(found) <= max_nodes
    assert [group.first for group in found[1:]] == [group.last + 1 for group in found[:-1]]
    assert sum(group.count for group in found) == len(graph.nodes) == len(group_of(found))
    for group in found:
        assert (group.count == 1) == (not group.text)
        assert group.text == "" or counted(group.text) == group.count
    boxes, arrows = boxes_and_arrows(graph, max_nodes)
    assert all(arrow.tail != arrow.head for arrow in arrows)
    assert {arrow.head for arrow in arrows} == set(range(1, len(boxes)))  # nothing hangs loose
    text = graph.to_text(max_nodes)
    folds = [box for box in boxes if box.kind == "fold"]
    assert sum(counted(line) for line in text.splitlines()) == sum(g.count for g in found if g.text)
    assert len(folds) == sum(bool(group.text) for group in found) > 0


def test_repeated_blocks_are_folded_before_the_middle():
    """The first block stays, the others become one box that says how many they are."""
    graph = chain(100)
    (fold,) = (group for group in groups(graph, 20) if group.text)
    assert fold.text == "99 × nodes 1-2 again: 198 nodes"
    assert (fold.first, fold.last) == (2, 199)


def test_a_block_with_an_edge_of_another_sort_is_no_repeat():
    """Where the last block sends something nowhere, it is shown."""
    model = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(9)])
    graph = backwardpass.trace(model(torch.ones(2, 3)))
    assert len(graph.nodes) == 36
    (fold,) = (group for group in groups(graph, 20) if group.text)
    assert fold.text == "7 × nodes 1-4 again: 28 nodes"
    assert fold.last == 31


def test_what_has_no_pattern_is_folded_in_the_middle():
    """Beginning and end stay where nothing repeats."""
    x = torch.ones(2, requires_grad=True)
    for size in range(2, 60):
        x = x.sum().expand(size + 1)
    graph = backwardpass.trace(x)
    found = groups(graph, 11)
    assert [bool(group.text) for group in found] == [False] * 5 + [True] + [False] * 5
    assert found[5].text == f"{len(graph.nodes) - 10} nodes folded"


def test_a_small_graph_is_not_folded():
    """Up to the bound, and with None, everything is shown."""
    graph = chain(100)
    assert not [group for group in groups(graph, 201) if group.text]
    assert not [group for group in groups(graph, None) if group.text]
    assert graph.to_svg(max_nodes=None).count('class="bp-edge bp-head"') == 200


def test_a_bound_that_is_too_small_is_explained():
    """Fewer than three cannot show a beginning, a fold and an end."""
    with pytest.raises(ValueError, match=r"at least 3, or None[\s\S]*\ngot 2\.\n"):
        chain(3).to_svg(max_nodes=2)


def test_a_folded_picture_says_so():
    """Picture and description name what was folded; edges into a fold are bundled and counted."""
    x, total = torch.ones(2, requires_grad=True), 0
    parts = [x.exp() for _ in range(50)]
    total = torch.stack(parts).sum()
    svg = backwardpass.trace(total).to_svg(max_nodes=10)
    assert "49 × node 3 again: 49 nodes" in re.sub(r"</text><text[^>]*>", " ", svg)
    assert "Nodes 4 to 52: 49 × node 3 again: 49 nodes." in svg
    assert ">49 edges<" in svg


def test_a_layout_that_takes_too_long_is_stopped(monkeypatch):
    """Graphs are laid out in a process that can be stopped, and the error says what to do."""
    pytest.importorskip("pygraphviz")
    sleeps = graphviz.Process("import time; time.sleep(60)")
    monkeypatch.setattr(graphviz, "PROCESS", sleeps)
    graph = chain(150)
    start = time.monotonic()
    with pytest.raises(backwardpass.LayoutTimeoutError) as raised:
        graph.to_svg(max_nodes=None, timeout=0.5)
    assert time.monotonic() - start < 20
    assert str(raised.value) == (
        "The layout has to be ready in timeout=0.5 seconds;\n"
        "Graphviz was given 451 boxes and 450 edges, and was not done.\n"
        "Fold more of the graph with a smaller max_nodes, or allow more time with timeout."
    )
