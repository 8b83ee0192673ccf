"""Formulas that are shown are read and evaluated, and one that is wrong differs from its rule."""

import dataclasses

import pytest
import torch
from press.trials.operators import formulas

from backwardpass import vjps

# Of these families nearly every rule is a function of each element.
BY_ELEMENT = ("arithmetic", "activations", "special", "piecewise")


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        (r"\bar x = 2\,\bar y\,x", 12.0),
        (r"\bar x = \tfrac12 \bar y^2", 2.0),
        (r"\bar x = \frac{\bar y}{1 + x^2}", 0.2),
        (r"\bar x = \bar y \Big(\cos \pi x + |{-x}|\Big)", 2 * (-1 + 3)),
        (r"\bar x = \bar y\,[0 < x \le 3]", 2.0),
        (r"\bar x = \bar y\,\{1\ (x > 5);\ a x\ (x \le 5)\}", 2 * 0.5 * 3),
        (r"y = x:\quad \bar x = t\,\bar y, \quad t = \lfloor x/2 \rfloor", 2.0),
    ],
)
def test_formula_is_evaluated(latex, value):
    """Fractions, powers, functions, conditions, cases and short names mean what they say."""
    names = {"x": torch.tensor(3.0).double(), "bar y": torch.tensor(2.0).double(), "a": 0.5}
    assert formulas.evaluate(latex, names)["x"].item() == pytest.approx(value)


@pytest.mark.parametrize(
    "latex", [r"\bar x = \sum_i \bar y_i", r"\bar x = \text{see there}", r"\bar X = \bar Y W"]
)
def test_what_is_not_read_is_told(latex):
    """Sums, words and unknown letters are not guessed at."""
    with pytest.raises(formulas.Unread):
        formulas.evaluate(latex, {"bar y": torch.ones(2)})


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("relu6", r"\bar y", r"-7\bar y"),
        ("mul", "z^*", "x^*"),
        ("tanh", "y^2", "y"),
        ("hypot", r"a/y, \qquad", r"b/y, \qquad"),
    ],
)
def test_wrong_formula_differs(name, right, wrong):
    """A sign, a factor, a letter or a power that is wrong is off by more than rounding."""
    rule = vjps.RULES[name]
    assert right in rule.latex
    assert max(error for _, error in formulas.tried(rule)) < formulas.PRECISE
    falsified = dataclasses.replace(rule, latex=rule.latex.replace(right, wrong, 1))
    assert max(error for _, error in formulas.tried(falsified)) > 0.01


def test_formulas_by_element_are_evaluated():
    """In families of functions of each element more than four of five formulas are evaluated."""
    wrong, unread = formulas.failures(set(BY_ELEMENT))
    rules = [name for name, rule in vjps.RULES.items() if rule.family in BY_ELEMENT]
    assert wrong == []
    assert 1 - len(unread) / len(rules) > 0.8, unread


def test_reading_of_the_result_is_read_off_the_code():
    """A rule reads the result where its code uses its values, and not its shape alone."""
    assert formulas.reads_result(vjps.RULES["tanh"])
    assert not formulas.reads_result(vjps.RULES["relu"])
