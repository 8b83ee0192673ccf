"""The examples in the package's docstrings, each with what it needs of PyTorch."""

import doctest
import importlib
import pkgutil

import pytest

import backwardpass

# Examples that show what a node has saved. Elsewhere every example holds on every version.
SHOW_SAVED = {
    "backwardpass.data.passes.Step",
    "backwardpass.data.storages.kept_bytes",
    "backwardpass.data.storages.saved_bytes",
    "backwardpass.graph.Graph.saved_bytes",
    "backwardpass.read.trace.trace",
    "backwardpass.show.memory.Memory",
    "backwardpass.show.memory.memory",
    "backwardpass.show.steps.forward",
    "backwardpass.show.table.tabulate",
    "backwardpass.show.tree.to_text",
    "backwardpass.read.abilities.abilities",
}


def examples() -> dict[str, doctest.DocTest]:
    """Collect the examples of all modules; one that is met under two names counts once."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for module in pkgutil.walk_packages(backwardpass.__path__, "backwardpass."):
        for test in finder.find(importlib.import_module(module.name)):
            if test.examples:
                found[test.name] = test
    for test in finder.find(backwardpass, globs={}):
        if test.examples:
            found[test.name] = test
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_says(name):
    """Each docstring's example prints what stands below it, whichever PyTorch runs it.

    Where PyTorch shows no saved tensor, those that are about them come out otherwise.
    """
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    told: list[str] = []
    failed = runner.run(EXAMPLES[name], out=told.append, clear_globs=False).failed
    if name in SHOW_SAVED and not (ability := backwardpass.abilities()["saved tensors"]).known:
        assert failed, f"{name} needs no saved tensors: take it from the list"
        pytest.skip(f"saved tensors: {ability.reason.partition(': ')[0]}")
    assert failed == 0, "".join(told)


def test_examples_are_found():
    """Every public name has an example, and what is listed above is among them."""
    assert EXAMPLES.keys() >= SHOW_SAVED
    assert len(EXAMPLES) > 60
