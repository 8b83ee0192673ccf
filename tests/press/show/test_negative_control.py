"""A falsified script is run like the script itself, and leaves no trace."""

import os

import torch
from press.show.negative_control import falsify

CHECKED = "print('said')\ntorch.testing.assert_close({'x': dx}, {'x': x.grad})"


def test_failures_are_those_of_a_build(project):
    """What a falsified script fails with is what a build would end with."""
    script = project.script(CHECKED)
    failures, raised = falsify(script, script.read_text().replace("dx = 3", "dx = -3"))
    assert isinstance(raised, AssertionError)
    (failure,) = failures
    assert failure.startswith('examples/part/plot_script.py:8: gradient "x", by hand against')
    assert "largest absolute error 54" in failure


def test_script_that_passes(project):
    """A falsified script that passes has no failures."""
    script = project.script(CHECKED)
    assert falsify(script, script.read_text()) == ([], None)


def test_what_was_raised_is_returned(project):
    """A script that ends before it compares anything returns the exception."""
    script = project.script(CHECKED)
    failures, raised = falsify(script, "1 / 0")
    assert failures == []
    assert isinstance(raised, ZeroDivisionError)


def test_leaves_no_trace(project, capsys, monkeypatch):
    """The script's output, its files, its folder and its settings are gone afterwards."""
    monkeypatch.chdir(project.root)
    before = os.getcwd()
    falsify(
        project.script(CHECKED),
        "import os, torch\n"
        "torch.set_default_dtype(torch.float64)\n"
        "open('f', 'w').close()\n"
        "print(1)\n"
        "os.chdir('..')\n",
    )
    assert os.getcwd() == before
    assert not os.path.exists("f")
    assert torch.get_default_dtype() is torch.float32
    assert capsys.readouterr().out == ""
