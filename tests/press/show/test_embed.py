"""A generated page is cut into the cells of its script."""

import pytest
from press.show.embed import _chosen, split, without_preparation

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


PREPARED = """.. code-block:: Python


    import matplotlib.pyplot as plt
    import torch

    grey = "#7a7a7a"  # readable on light and on dark
    plt.rcParams.update({"text.color": grey,
                         "xtick.color": grey})  # fmt: skip


    # Worth a word.
    @torch.no_grad()
    def f(x):
        return x

"""


def test_preparation_is_left_to_the_script():
    """Imports and colours that a cell begins with are not shown; all that follows is."""
    shown = _chosen(PREPARED + OUTPUT, "both")
    assert shown.startswith(".. code-block:: Python\n\n\n    # Worth a word.\n    @torch.no_")
    assert "        return x\n" in shown
    assert shown.endswith(OUTPUT)


@pytest.mark.parametrize(
    "body",
    ["    import torch\n", "    x = 1\n\n    import torch\n", "    x = (\n"],
    ids=["nothing else", "later", "no program"],
)
def test_other_code_is_shown_whole(body):
    """A cell of imports alone, an import further down, and half a program stay as they are."""
    code = f".. code-block:: Python\n\n\n{body}"
    assert without_preparation(code) == code


def test_page_without_cells():
    """A page that was not executed has no cells."""
    assert split("Title\n=====\n") == {}
