r"""
How a formula swells
====================

Differentiate a formula by the rules of school, write the result out, and it is longer than what one
began with. Repeat a step of the program and the formula of the derivative doubles, and more, each
time. That is said to be what is wrong with symbolic differentiation. Here a differentiator of
twenty lines is built, and its output is measured twice: as a formula written out, and as a list in
which equal parts occur once. Look at how far apart the two curves are.
"""

# %%
# Expressions without repetition
# ------------------------------
# An expression is a number in a list: entry ``i`` holds an operation and the numbers of its
# arguments. An expression that is already there is not entered again.

from functools import reduce
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
entries, place = [], {}


def enter(*entry):
    if entry not in place:
        place[entry] = len(entries)
        entries.append(entry)
    return place[entry]


def constant(value):
    return enter("number", float(value))


zero, one, x = constant(0), constant(1), enter("x")


def plus(a, b):
    return b if a == zero else a if b == zero else enter("+", *sorted((a, b)))


def minus(a, b):
    return a if b == zero else enter("-", a, b)


def times(a, b):
    if zero in (a, b):
        return zero
    return b if a == one else a if b == one else enter("*", *sorted((a, b)))


print("x * x twice:", times(x, x), times(x, x), entries[times(x, x)])

# %%
# The rules of school
# -------------------
# :math:`(a \pm b)' = a' \pm b'` and :math:`(ab)' = a'b + ab'`. Zeros and ones are dropped where
# they arise, or the result would be longer still. An expression that was differentiated before is
# looked up.


def derivative(expression, known):
    if expression not in known:
        operation, *arguments = entries[expression]
        if operation in ("number", "x"):
            known[expression] = one if operation == "x" else zero
        else:
            a, b = arguments
            da, db = derivative(a, known), derivative(b, known)
            rule = {"+": lambda: plus(da, db), "-": lambda: minus(da, db),
                    "*": lambda: plus(times(da, b), times(a, db))}  # fmt: skip
            known[expression] = rule[operation]()
    return known[expression]


def text(expression):
    operation, *arguments = entries[expression]
    if operation in ("number", "x"):
        return f"{arguments[0]:g}" if arguments else "x"
    return "(" + f" {operation} ".join(text(argument) for argument in arguments) + ")"


print("(x * x + x)' =", text(derivative(plus(times(x, x), x), {})))

# %%
# A step, repeated
# ----------------
# :math:`l_1 = x` and :math:`l_{k+1} = 4\,l_k (1 - l_k)`, the logistic map. Each step uses the value
# before it twice.


def logistic(steps):
    level = x
    for _ in range(steps):
        level = times(times(constant(4), level), minus(one, level))
    return level


for steps in (1, 2):
    print(f"l{steps + 1}  =", text(logistic(steps)))
    print(f"l{steps + 1}' =", text(derivative(logistic(steps), {})))

# %%
# Written out, and listed
# -----------------------
# The length of a formula counts each part as often as it occurs; it can be found without writing
# the formula. The list counts each part once. The third count is the number of nodes of the graph
# that autograd records for the derivative, found by walking it.


def length(expression):
    """Operations and operands of the formula, written out."""
    lengths = []
    for _operation, *arguments in entries[: expression + 1]:
        operands = [lengths[a] for a in arguments if isinstance(a, int)]
        lengths.append(1 + sum(operands))
    return lengths[expression]


def parts(expression):
    """The places of all different parts of the formula."""
    seen, waiting = set(), [expression]
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting += [a for a in entries[part][1:] if isinstance(a, int)]
    return seen


def nodes_behind(*roots):
    seen, waiting = set(roots), list(roots)
    while waiting:
        fresh = {target for target, _ in waiting.pop().next_functions if target} - seen
        seen |= fresh
        waiting += fresh
    return len(seen)


def program(value, steps):
    for _ in range(steps):
        value = 4 * value * (1 - value)
    return value


depths = range(1, 13)
counts = {"written out": [], "each part once": [], "nodes of autograd": []}
gradients = []
for steps in depths:
    slope = derivative(logistic(steps), {})
    leaf = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(program(leaf, steps), leaf, create_graph=True)
    gradients.append(gradient.detach())
    found = (length(slope), len(parts(slope)), nodes_behind(gradient.grad_fn))
    for series, count in zip(counts.values(), found):
        series.append(count)
print("steps", *(f"{name:>18}" for name in counts))
assert counts["written out"][-1] == 299_007
assert counts["each part once"] == [8 * steps + 2 for steps in depths]
assert counts["nodes of autograd"] == [8 * steps for steps in depths]
for steps in (1, 2, 4, 8, 12):
    print(f"{steps:5}", *(f"{series[steps - 1]:18,}" for series in counts.values()))

# %%
# What grows, and how
# -------------------
# Written out, the length more than doubles with each step. The other two counts grow by the same
# number each time.

written, shared, recorded = counts.values()
assert (written[-1], shared[-1], shared[-1] - shared[-2]) == (299_007, 98, 8)
assert all(later > 2 * earlier for earlier, later in pairwise(written))
for series in (shared, recorded):
    growth = {later - earlier for earlier, later in pairwise(series[2:])}
    assert len(growth) == 1
    print("more with each step:", growth.pop())

# %%
# Two curves of one formula
# -------------------------
# A logarithmic axis makes the formula a straight line.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
marks = (("o-", "#d55e00"), ("s-", "#0072b2"), ("^-", "#e69f00"))
for (name, series), (style, color) in zip(counts.items(), marks):
    axes.semilogy(depths, series, style, color=color, label=name)
axes.set(xlabel="steps of the program", ylabel="size of the derivative")
axes.legend(frameon=False)
plt.show()

# %%
# Many unknowns
# -------------
# The product of :math:`n` unknowns, differentiated by each of them. The same rules run once for
# each unknown, and all results share one list in which equal parts occur once. Beside it the graph
# that autograd records for the whole gradient.


def of_a_product(n):
    """Parts of the n partial derivatives in one list, and nodes of autograd's gradient."""
    unknowns = [enter("unknown", f"x{i}") for i in range(n)]
    product = reduce(times, unknowns)
    together = set()
    for unknown in unknowns:
        known = dict.fromkeys(unknowns, zero) | {unknown: one}
        together |= parts(derivative(product, known))
    leaves = [torch.tensor(1.0, requires_grad=True) for _ in range(n)]
    gradient = torch.autograd.grad(reduce(torch.mul, leaves), leaves, create_graph=True)
    return len(together), nodes_behind(*(part.grad_fn for part in gradient))


table = {n: of_a_product(n) for n in (10, 20, 30, 40)}
for n, (listed, recorded_nodes) in table.items():
    print(f"{n} unknowns: {listed:4} parts in the list, {recorded_nodes:4} nodes of autograd")
listed, recorded_nodes = zip(*table.values())
growth = [later - earlier for earlier, later in pairwise(listed)]
assert {later - earlier for earlier, later in pairwise(growth)} == {100}  # a parabola
assert {later - earlier for earlier, later in pairwise(recorded_nodes)} == {40}  # a line

# %%
# The same value
# --------------
# The derivative by hand is a product, one factor for each step, and the list is evaluated from its
# beginning: every argument stands before what uses it.
#
# .. math:: l_{k+1}' = \prod_{i=1}^{k} 4\,(1 - 2\,l_i)


def evaluate(expression, at):
    values = []
    for operation, *arguments in entries[: expression + 1]:
        if operation in ("number", "x"):
            values.append(torch.tensor(arguments[0], dtype=at.dtype) if arguments else at)
        else:
            a, b = (values[argument] for argument in arguments)
            values.append({"+": a + b, "-": a - b, "*": a * b}[operation])
    return values[expression]


at, dx = leaf.detach(), torch.ones((), dtype=torch.float64)
level, slopes = at, []
for _ in depths:
    dx = dx * 4 * (1 - 2 * level)
    level = program(level, 1)
    slopes.append(dx)
by_hand, by_autograd = torch.stack(slopes), torch.stack(gradients)
torch.testing.assert_close({"x": by_hand}, {"x": by_autograd})  # one for each number of steps
torch.testing.assert_close(evaluate(slope, at), dx)
print(f"by hand {dx.item():.10f}, by the list {evaluate(slope, at).item():.10f}")

# %%
# What was seen
# -------------
# The swelling is a property of writing out. With equal parts kept once, the derivative by one
# unknown grows as slowly as the graph, and evaluating it is the same computation. By many unknowns
# the rules of school are run once for each: sharing makes them forward mode, and not reverse mode.
