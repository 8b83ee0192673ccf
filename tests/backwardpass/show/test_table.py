"""The shape table, and what it does with text that is not its own."""

import html.parser
import json

import pytest
import torch

import backwardpass
from backwardpass import BackwardPass, Graph

HOSTILE = 'a"b<i>&|c\n`d`'


def recorded() -> tuple[torch.Tensor, torch.Tensor, BackwardPass]:
    x = torch.ones(2, 3, requires_grad=True)
    loss = (x * x).sum()
    with backwardpass.record() as recording:
        loss.backward(retain_graph=True)
    return x, loss, recording.passes[0]


@pytest.mark.needs("saved tensors")
def test_the_table_shows_every_node():
    """A row has step, operation, tensor, shape, gradient shape and what is saved."""
    x, loss, seen = recorded()
    table = backwardpass.trace(loss, {"x": x, "loss": loss}).table(seen)
    assert table.to_text().splitlines() == [
        "step  operation       tensor  shape   gradient shape  saved",
        "   1  SumBackward0    loss    ()      ()",
        "   2  MulBackward0            (2, 3)  (2, 3)          "
        "other = x (2, 3), 24 B; self = x (2, 3), 24 B",
        "   3  AccumulateGrad  x       (2, 3)  (2, 3)",
    ]


def test_what_did_not_run_says_so():
    """Without a pass, and for nodes the pass had no need of, the gradient shape is "not run"."""
    x, y = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    z = x.exp() * y
    with backwardpass.record() as recording:
        torch.autograd.grad(z.sum(), x, retain_graph=True)
    graph = backwardpass.trace(z, {"x": x, "y": y})
    assert {row.gradient for row in graph.table().rows} == {"not run"}
    (seen,) = recording.passes
    shown = {row.operation + row.tensor: row.gradient for row in graph.table(seen).rows}
    assert shown == {
        "MulBackward0": "(3,)",
        "AccumulateGrady": "not run",
        "ExpBackward0": "(3,)",
        "AccumulateGradx": "not run",
    }


def test_a_pass_over_another_graph_is_refused():
    """Equal looks are not enough: the pass has to have run over these nodes."""
    _, _, seen = recorded()
    _, other, _ = recorded()
    with pytest.raises(ValueError, match="ran over nodes of this graph"):
        backwardpass.trace(other).table(seen)


def test_data_read_back_makes_the_same_table():
    """Graph and pass read from JSON belong together by their structure."""
    x, loss, seen = recorded()
    graph = backwardpass.trace(loss, {"x": x})
    back = Graph.from_dict(json.loads(json.dumps(graph.as_dict())))
    seen_back = BackwardPass.from_dict(json.loads(json.dumps(seen.as_dict())))
    assert back.table(seen_back) == graph.table(seen)


def test_several_outputs_are_counted():
    """Equal neighbouring shapes are written once, with their number; nothing is "none"."""
    rows = torch.ones(3, 2, requires_grad=True).unbind(0)
    with backwardpass.record() as recording:
        rows[1].sum().backward()
    (seen,) = recording.passes
    unbind = seen.graph.table(seen).rows[1]
    assert (unbind.shape, unbind.gradient) == ("3 × (2,)", "none, (2,), none")


def test_markdown_escapes_the_users_text():
    """A name with the signs of Markdown and HTML stays one cell of text."""
    x = torch.ones(2, requires_grad=True)
    line = backwardpass.trace(x, {HOSTILE: x}).table().to_markdown().splitlines()[2]
    assert line == r'| 1 | AccumulateGrad | a"b\<i\>&\|c \`d\` | (2,) | not run |  |'


class Cells(html.parser.HTMLParser):
    """Collects the cells of a table: (tag, data-label, text)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells = []
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append([tag, dict(attrs).get("data-label"), ""])

    def handle_data(self, data):
        if self.cells:
            self.cells[-1][2] += data.strip()


def test_html_cells_carry_their_column():
    """Each body cell names its column for narrow screens, and text is escaped."""
    x = torch.ones(2, requires_grad=True)
    seen = Cells(backwardpass.trace(x, {HOSTILE: x}).table().to_html(caption="A <leaf>"))
    assert seen.tags[0] == ("table", {"class": "bp-table"})
    assert [attrs for tag, attrs in seen.tags if tag == "th"][:6] == [{"scope": "col"}] * 6
    assert seen.cells[6:] == [
        ["th", "step", "1"],
        ["td", "operation", "AccumulateGrad"],
        ["td", "tensor", 'a"b<i>&|c `d`'],
        ["td", "shape", "(2,)"],
        ["td", "gradient shape", "not run"],
        ["td", "saved", ""],
    ]
    assert "i" not in [tag for tag, _ in seen.tags]


def test_a_display_is_bounded():
    """A notebook's table stops after a thousand rows, and says how many there are more."""
    x = torch.ones(2, requires_grad=True)
    y = x
    for _ in range(1500):
        y = y.sin()
    html = backwardpass.trace(y)._repr_html_()
    assert html.count("<tr>") == 1001
    assert "And 501 nodes more" in html
