r"""
Three ways to differentiate
===========================

One function, a product of :math:`n` numbers, and its gradient three ways: by differences, by
formula, and by carrying derivatives through the program, forwards and backwards. The program is
written once and is handed the multiplication it is to use, so one line gives all variants, and
every multiplication is counted. Look at the four lines of the figure and at the one gradient that
is not right to the last digits.
"""

# %%
# A program that takes its multiplication
# ---------------------------------------
# ``product`` knows nothing of derivatives. What it computes depends on what it is handed: numbers
# and their product, or pairs and a rule for pairs.

from functools import reduce

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
multiplications = 0


def times(a, b):
    global multiplications
    multiplications += 1
    return a * b


def product(values, multiply):
    return reduce(multiply, values)


x = [1.3, 0.7, 2.1, 0.4, 1.1, 0.9, 1.7, 0.6]
print("product", product(x, times), "with", multiplications, "multiplications")

# %%
# By differences
# --------------
# Two evaluations for each entry, with the step that suits ``float64``.


def by_differences(x, h=1e-5):
    gradient = []
    for i in range(len(x)):
        up, down = ([v + s * h * (j == i) for j, v in enumerate(x)] for s in (1, -1))
        gradient.append((product(up, times) - product(down, times)) / (2 * h))
    return gradient


print([round(entry, 6) for entry in by_differences(x)])

# %%
# By formula
# ----------
# A formula is worked out first and evaluated afterwards, entry by entry:
#
# .. math:: \bar{x}_i = \prod_{j \ne i} x_j


def by_formula(x):
    return [product(x[:i] + x[i + 1 :], times) for i in range(len(x))]


print([round(entry, 6) for entry in by_formula(x)])

# %%
# Automatically, forwards
# -----------------------
# A *dual number* is a value with a tangent beside it, and the product of two of them obeys the
# product rule, :math:`(a, \dot a)(b, \dot b) = (ab,\; \dot a b + a \dot b)`. One run of the same
# program for each entry, in which that entry has the tangent 1.


def dual_times(a, b):
    return times(a[0], b[0]), times(a[1], b[0]) + times(a[0], b[1])


def forwards(x):
    duals = [[(v, float(j == i)) for j, v in enumerate(x)] for i in range(len(x))]
    return [product(each, dual_times)[1] for each in duals]


print([round(entry, 6) for entry in forwards(x)])

# %%
# Automatically, backwards
# ------------------------
# The same program writes down what it does: for each product, where its arguments stand. Then the
# list is gone through from its end, and each entry adds to the gradients of its two arguments.


def backwards(x):
    values, tape = list(x), []

    def recorded_times(i, j):
        values.append(times(values[i], values[j]))
        tape.append((len(values) - 1, i, j))
        return len(values) - 1

    root = product(range(len(x)), recorded_times)
    bar = [0.0] * len(values)
    bar[root] = 1.0
    for result, i, j in reversed(tape):
        bar[i] += times(bar[result], values[j])
        bar[j] += times(bar[result], values[i])
    return bar[: len(x)]


print([round(entry, 6) for entry in backwards(x)])

# %%
# All of them against autograd
# ----------------------------
# By formula, forwards and backwards agree with it to rounding. Differences miss by more than the
# tolerance for ``float64``.

leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
leaf.prod().backward()
ways = {"differences": by_differences, "formula": by_formula, "forwards": forwards,
        "backwards": backwards}  # fmt: skip
found = {name: torch.tensor(way(x), dtype=torch.float64) for name, way in ways.items()}
exact = {name: gradient for name, gradient in found.items() if name != "differences"}
torch.testing.assert_close(exact, dict.fromkeys(exact, leaf.grad))  # by hand, autograd
errors = {name: (gradient - leaf.grad).abs().max().item() for name, gradient in found.items()}
for name, error in errors.items():
    print(f"{name:12} largest error {error:.1e}")
assert 1e-12 < errors["differences"] < 1e-8
assert max(error for name, error in errors.items() if name != "differences") < 1e-14

# %%
# Multiplications
# ---------------
# With :math:`n` entries one evaluation takes :math:`n - 1` multiplications. Only going backwards
# needs a number of them that grows like the evaluation itself, three times :math:`n - 1`.


def count(way, n):
    global multiplications
    multiplications = 0
    way([1.0 + 0.1 * i for i in range(n)])
    return multiplications


sizes = (2, 3, 5, 8, 12, 20, 32, 50)
counted = {name: [count(way, n) for n in sizes] for name, way in ways.items()}
expected = {"differences": lambda n: 2 * n * (n - 1), "formula": lambda n: n * (n - 2),
            "forwards": lambda n: 3 * n * (n - 1), "backwards": lambda n: 3 * (n - 1)}  # fmt: skip
for name, series in counted.items():
    assert series == [expected[name](n) for n in sizes]
    print(f"{name:12} n = 8: {series[3]:4}   n = 50: {series[-1]:5}")

# %%
# Three lines and a fourth
# ------------------------
# On two logarithmic axes the square of :math:`n` is a line of slope 2. The fourth has slope 1.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
marks = (("o-", "#e69f00"), ("s-", "#56b4e9"), ("^-", "#d55e00"), ("d-", "#0072b2"))
for (name, series), (style, color) in zip(counted.items(), marks):
    points = [(n, c) for n, c in zip(sizes, series) if c]
    axes.loglog(*zip(*points), style, color=color, label=name)
axes.loglog(sizes, [n - 1 for n in sizes], ":", color=grey, label="one evaluation")
axes.set(xlabel="number of entries n", ylabel="multiplications for the gradient")
axes.set(xticks=sizes, xticklabels=sizes)
axes.minorticks_off()
axes.legend(frameon=False)
plt.show()

# %%
# What was seen
# -------------
# Differences need no rule and lose digits. A formula is exact, and how much it costs depends on how
# it is written. Carrying derivatives through the program is exact as well, and going backwards
# costs three evaluations however many entries there are.
