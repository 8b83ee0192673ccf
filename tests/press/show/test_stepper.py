"""A recorded pass as something to step through: what its HTML says, and cannot say."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from press.observed.records import Drawing, Observed
from press.show import stepper

import backwardpass

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;'</li>"


class Tags(HTMLParser):
    """The elements of a page, and whatever a browser would run."""

    def __init__(self, html: str):
        super().__init__()
        self.found, self.handlers, self.open = set(), [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def observed(values=True) -> Observed:
    """A product of three tensors that reaches one leaf along two paths, recorded."""
    x = torch.tensor([[1.0, 2.0, 4.0], [0.5, -1.0, 3.0]], requires_grad=True)
    with backwardpass.record(values=values) as recording:
        y = (x.exp() * x).sum()
        graph = backwardpass.trace(y, {"x": x, "y": y})
        y.backward()
    same = graph.match(recording.passes[0].graph)
    drawing = Drawing(
        title="A product",
        line=1,
        graph=graph,
        passes={0: {there: here for here, there in same.items()}},
        recorded=graph.recorded(),
    )
    return Observed(completed=True, drawings=(drawing,), passes=tuple(recording.passes))


def shown(seen: Observed, name="graph/plot_product", again=1) -> str:
    return stepper.stepper([stepper.view(name, 1, seen, "y = 1", "<svg></svg>")], again)


def test_cotangents_that_are_added_name_their_edges():
    """The step of a leaf used twice says that it is a sum, and names both edges to it."""
    html = shown(observed())
    (item,) = re.findall(r'<li [^>]*data-from="([^"]*)"[^>]*>[^/]*AccumulateGrad', html)
    assert len(item.split()) == 2
    assert "the sum of 2 cotangents" in html


def test_matrices_are_shown_row_by_row():
    """Six numbers of a 2 by 3 cotangent stand in two rows of three."""
    html = shown(observed())
    matrices = re.findall(r'<code class="bp-matrix">([^<]*)</code>', html)
    assert "[[1, 1, 1],\n [1, 1, 1]]" in matrices
    assert all(re.fullmatch(r"\[\[[^]]*\],\n \[[^]]*\]\]", matrix) for matrix in matrices)


def test_a_rule_stands_beside_the_step_that_applies_it():
    """Nodes with a rule in the operator reference have its formula, rendered, and a link to it."""
    html = shown(observed())
    assert re.search(r'<li data-name="MulBackward0">.*?#op-mul">mul</a>: <span class="katex', html)
    assert html.count('data-rule="MulBackward0"') == 1
    assert 'data-rule="AccumulateGrad"' not in html


def test_the_same_drawing_twice_has_two_names():
    """A page that shows a drawing a second time can still link to each."""
    names = re.findall(r'id="([^"]*)"', shown(observed()) + shown(observed(), again=2))
    assert names == ["steps-product-1", "steps-product-1-again-2"]


def test_two_drawings_share_a_bar():
    """Side by side, two recordings have one bar of buttons, as long as the longer of each phase."""
    one = stepper.view("a/plot_one", 1, observed(), "y = 1", "<svg></svg>")
    other = stepper.view("a/plot_two", 1, observed(), "y = 1", "<svg></svg>")
    other.phases[1].items.pop()
    html = stepper.stepper([one, other])
    assert html.count('class="bp-controls"') == 1
    assert html.count('class="bp-said"') == html.count('class="bp-view"') == 2
    assert f'max="{one.steps}"' in html
    assert 'id="steps-one-1-beside-two-1"' in html


@pytest.mark.parametrize("where", ["label", "name", "source", "error", "title", "freed", "how"])
def test_names_from_a_script_are_text(where):
    """Whatever a script calls its things, a browser finds no element and no handler in them."""
    plain = Tags(shown(observed())).found
    seen = json.loads(json.dumps(observed().as_dict()))
    drawing, ran = seen["drawings"][0], seen["passes"][0]
    for node in [*drawing["graph"]["nodes"], *ran["graph"]["nodes"]]:
        if where in ("label", "name"):
            node[where] = HOSTILE
        for saved in node["saved"] if where == "source" else ():
            saved["source"] = HOSTILE
    if where == "error":
        ran["error"] = HOSTILE
    if where == "title":
        drawing["title"] = HOSTILE
    for step in ran["steps"]:
        if where == "freed":
            step["freed"] = [HOSTILE]
        if where == "how" and step["wrote"]:
            step["wrote"]["how"] = HOSTILE
    html = shown(Observed.from_dict(seen))
    tags = Tags(html)
    assert "alert(1)" in html
    assert tags.found <= plain
    assert not tags.handlers


def test_a_long_recording_says_that_it_is_not_listed(monkeypatch):
    """Where there are more steps than anybody reads, the drawing stands and a sentence says so."""
    monkeypatch.setattr(stepper, "MOST_STEPS", 5)
    html = shown(observed())
    assert html.startswith("<svg></svg>")
    assert "more than the 5 that are listed" in html


def test_a_drawing_nobody_ran_is_left_alone():
    """Without a recorded pass there is the drawing and nothing else."""
    seen = observed()
    alone = replace(seen, drawings=(replace(seen.drawings[0], passes={}),))
    assert shown(alone) == "<svg></svg>"
