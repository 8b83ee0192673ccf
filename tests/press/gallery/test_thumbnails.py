"""The gallery's index shows what a script drew, without words."""

import pytest
from press.gallery import thumbnails
from press.observed import store
from press.observed.records import Drawing, Observed

from backwardpass import Graph

DRAWN = (
    '<svg role="img" class="bp-graph" viewBox="-10 -10 100 {high}" width="100">\n'
    "<title>a &gt; b</title><desc>words</desc>"
    '<path class="bp-line" data-edge="0-0" d="M0"/>'
    '<g class="bp-node" data-node="0"><rect class="bp-box"/><rect class="bp-badge" rx="9"/>'
    '<text x="1"><tspan>AddBackward0</tspan></text></g></svg>'
)


def test_outline_has_boxes_and_lines_only():
    """Words, step numbers and what a script refers to are left out of a small picture."""
    shown = thumbnails.outline(DRAWN.format(high=50))
    assert shown == (
        '<svg class="bp-graph bp-outline" aria-hidden="true" viewBox="-10 -10 100 50">\n'
        '<path class="bp-line" d="M0"/><g class="bp-node"><rect class="bp-box"/></g></svg>'
    )


def test_high_drawing_is_cut():
    """Of a high drawing the upper part is shown, so that it can be made out."""
    assert 'viewBox="-10 -10 100 120"' in thumbnails.outline(DRAWN.format(high=900))


def card(name: str) -> str:
    return f'<div><img alt="" src="../_images/sphx_glr_{name}_thumb.png" />{name}</div>'


def test_only_thumbnails_of_drawings_are_replaced():
    """A script with a drawing shows it; every other keeps its picture."""
    page = card("plot_a") + card("plot_b")
    shown = thumbnails.replaced(page, {"plot_a": DRAWN.format(high=50)})
    assert shown.count("<svg") == 1
    assert shown.endswith(card("plot_b"))


@pytest.mark.parametrize(
    ("svgs", "figure", "expected"),
    [(["", "<svg>"], False, "<svg>"), ([], False, None), (["<svg>"], True, None)],
    ids=["a drawing", "nothing drawn", "a figure"],
)
def test_drawing_of_a_script(project, svgs, figure, expected):
    """The first drawing that could be made stands for a script, if it has no figure."""
    script = project.script("", "a/plot_x")
    drawings = tuple(Drawing("", 1, Graph((), ()), svg=svg) for svg in svgs)
    store.write(script, Observed(completed=True, drawings=drawings))
    if figure:
        images = store.path(script).parent / "images"
        images.mkdir()
        (images / "sphx_glr_plot_x_001.png").touch()
    assert thumbnails.drawing(script) == expected
