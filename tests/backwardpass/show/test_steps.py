"""A recorded pass in words: what each item of the list says, and what it points at."""

import re
from dataclasses import replace

import pytest
import torch

import backwardpass
from backwardpass.data.passes import Step, Written
from backwardpass.show.steps import Item, Phase, backward, forward, listed

HOSTILE = "\"><img src=x onerror=alert(1)>&amp;'</li>"


def plain(item: Item) -> str:
    """The words of an item, without their markup."""
    return re.sub(r"<[^>]+>", "", " ".join(item.sentences))


def recorded(values: bool = True) -> tuple[backwardpass.Graph, backwardpass.BackwardPass]:
    """A product of a tensor and its exponential, whose leaf is reached along two paths."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with backwardpass.record({"x": x}, values=values) as recording:
        y = (x.exp() * x).sum()
        graph = backwardpass.trace(y, {"x": x, "y": y})
        y.backward()
    return graph, recording.passes[0]


def told(graph: backwardpass.Graph, seen: backwardpass.BackwardPass) -> Phase:
    drawn = {index: index for index in range(len(graph.nodes))}
    (phase,) = backward([(seen, drawn)], {1: 7})
    return phase


@pytest.mark.needs("saved tensors")
def test_the_forward_pass_in_the_order_of_its_lines():
    """Each node says who recorded it, what it saves and where its edges lead."""
    graph, _ = recorded()
    phase = forward(graph, graph.recorded(), {0: (9, "y = (x.exp() * x).sum()")})
    assert [plain(item) for item in phase.items] == [
        "ExpBackward0 is recorded. It saves result (8 B). Its edges lead to AccumulateGrad of x.",
        "MulBackward0 is recorded. It saves x (8 B) and self (8 B). Its edges lead to "
        "ExpBackward0 and AccumulateGrad of x.",
        "SumBackward0 of y is recorded by y = (x.exp() * x).sum(). It saves nothing. Its edges "
        "lead to MulBackward0.",
    ]
    assert [item.line for item in phase.items] == [None, None, 9]
    assert phase.items[1].edges == ((1, 0), (1, 1))


@pytest.mark.needs("saved tensors")
def test_a_backward_pass_in_the_order_of_its_steps():
    """Each node says what it received, sent, let go of and wrote; a sum names what it is of."""
    graph, seen = recorded()
    phase = told(graph, seen)
    assert (phase.title, phase.line) == ("Backward", seen.line)
    assert [plain(item) for item in phase.items] == [
        "SumBackward0 receives (), 1. It sends (2,) to MulBackward0.",
        "MulBackward0 receives (2,), [1, 1]. It sends (2,) to ExpBackward0 and (2,) to "
        "AccumulateGrad of x. It lets go of other and self.",
        "ExpBackward0 receives (2,), [1, 2]. It sends (2,) to AccumulateGrad of x. It lets go of "
        "result.",
        "AccumulateGrad of x receives (2,), [5.437, 22.17], the sum of 2 cotangents, from "
        "MulBackward0 and ExpBackward0. x.grad was None; it is created and holds [5.437, 22.17].",
    ]
    assert phase.items[3].arrived == ((1, 1), (2, 0))
    assert [item.line for item in phase.items] == [None, 7, None, None]
    assert [item.freed for item in phase.items] == [False, True, True, False]


def test_without_values_only_shapes_are_told():
    """A pass recorded without values says no number, and nothing of what was freed or written."""
    phase = told(*recorded(values=False))
    assert plain(phase.items[-1]) == (
        "AccumulateGrad of x receives (2,), the sum of 2 cotangents, from MulBackward0 and "
        "ExpBackward0."
    )


def test_a_node_that_is_not_drawn_points_at_nothing():
    """It is told all the same, without a place in the drawing."""
    _, seen = recorded()
    (phase,) = backward([(seen, {0: 0, 1: 1})], {})
    assert [(item.node, item.edges) for item in phase.items[2:]] == [(None, ()), (None, ())]
    assert phase.items[3].arrived == ((1, 1),)


@pytest.mark.parametrize(
    ("how", "values", "words"),
    [
        ("added in place", (3.0, 4.0), "It is added to x.grad in place, which now holds [3, 4]."),
        ("added in place", None, "It is added to x.grad in place, which now holds (2,)."),
        ("new", (3.0, 4.0), "x.grad is replaced by the sum, which holds [3, 4]."),
        ("unchanged", None, "x.grad is unchanged."),
        ("removed", None, "x.grad is removed."),
        ("created", (1 - 2j, 0j), "x.grad was None; it is created and holds [1-2i, 0+0i]."),
    ],
)
def test_what_was_written_has_words(how, values, words):
    """Each way a leaf's gradient changes is a sentence of its own."""
    graph, seen = recorded()
    last = seen.steps[-1]
    wrote = Written(how, last.wrote.tensor, False, values)
    seen = replace(seen, steps=(*seen.steps[:-1], replace(last, wrote=wrote)))
    assert plain(told(graph, seen).items[-1]).endswith(words)


def test_passes_are_numbered_and_say_their_options_and_errors():
    """Two passes have numbers; what was retained or raised stands where it belongs."""
    graph, seen = recorded()
    drawn = {index: index for index in range(len(graph.nodes))}
    failed = replace(seen, retain_graph=True, create_graph=True, steps=(), error="Too late\nLine")
    first, second = backward([(seen, drawn), (failed, drawn)], {})
    assert (first.title, second.title) == ("Backward 1", "Backward 2 (retain_graph, create_graph)")
    assert [plain(item) for item in second.items] == ["It raises: Too late"]


def test_what_did_not_arrive_is_nothing():
    """A cotangent that is None is called so."""
    graph, seen = recorded()
    seen = replace(seen, steps=(Step(0, (None,)),))
    assert plain(told(graph, seen).items[0]).startswith("SumBackward0 receives nothing.")


def test_rules_are_named_where_there_is_one():
    """An item of a node with a rule carries its name, for the page to find the formula."""
    html = listed(told(*recorded()), {"MulBackward0"}.__contains__)
    assert re.findall(r'data-rule="([^"]*)"', html) == ["MulBackward0"]


def test_names_from_a_script_are_text():
    """Whatever a script calls its things, no element comes of it."""
    graph, seen = recorded()
    nodes = tuple(
        replace(
            node,
            name=HOSTILE,
            label=HOSTILE,
            saved=tuple(replace(saved, source=HOSTILE) for saved in node.saved),
        )
        for node in graph.nodes
    )
    steps = tuple(replace(step, freed=(HOSTILE,)) for step in seen.steps)
    graph = backwardpass.Graph(nodes, graph.roots, graph._keys)
    seen = replace(seen, graph=graph, steps=steps, error=HOSTILE)
    phases = [forward(graph, graph.recorded(), {0: (1, HOSTILE)}), told(graph, seen)]
    html = "".join(listed(phase, bool) for phase in phases)
    assert "onerror" in html
    assert "<img" not in html
    assert set(re.findall(r"<(\w+)", html)) == {"p", "ol", "li", "code", "strong"}
