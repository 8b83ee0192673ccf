"""A generated page is cut into the cells of its script."""

import pytest
from extensions.embed import _chosen, split

CODE = """.. code-block:: Python


    x = 1
    print(x)

"""
OUTPUT = """
.. rst-class:: sphx-glr-script-out

 .. code-block:: none

    1

"""


def block(content: str) -> str:
    return f".. GENERATED FROM PYTHON SOURCE LINES 1-2\n\n{content}\n"


PAGE = (
    ".. _label:\n\nThe title\n=========\n\nThe idea.\n\n"
    + block("First\n-----\n\nProse.\n")
    + block(CODE + OUTPUT)
    + block(CODE.replace("x = 1", "x = 2"))
    + block("Second\n------\n\nMore prose.\n\n.. math:: x\n")
    + block("Prose without a title.\n")
    + block(CODE.replace("x = 1", "x = 3"))
    + block("Last\n----\n\nWhat was seen.\n")
    + ".. _sphx_glr_download_gallery_plot_x.py:\n\n.. code-block:: Python\n\n    download\n"
)


def test_cells_by_title():
    """A cell's blocks of code come under its title; prose and a title without code do not."""
    cells = split(PAGE)
    assert list(cells) == ["First", "Second"]
    assert ["x = 1" in cells["First"][0], "x = 2" in cells["First"][1]] == [True, True]
    assert "x = 3" in cells["Second"][0]


def test_prose_is_left_out():
    """A chapter has prose of its own: that of the script is not embedded."""
    assert not any("rose" in block for blocks in split(PAGE).values() for block in blocks)


def test_footer_is_left_out():
    """What sphinx-gallery writes below the last cell belongs to no cell."""
    assert not any("download" in block for blocks in split(PAGE).values() for block in blocks)


@pytest.mark.parametrize(
    ("show", "code", "output"),
    [("both", True, True), ("code", True, False), ("output", False, True)],
)
def test_what_is_shown(show, code, output):
    """Code, output, or both are shown, each whole."""
    shown = _chosen(CODE + OUTPUT, show)
    assert ("print(x)" in shown, "sphx-glr-script-out" in shown) == (code, output)


def test_page_without_cells():
    """A page that was not executed has no cells."""
    assert split("Title\n=====\n") == {}
