r"""
Recorded as it runs, or traced before
=====================================

Autograd records a graph while the program runs, and forgets it. A tracer runs the program once, on
something that stands for a tensor, and keeps what it saw as a program of its own. Here the same
function is recorded, traced together with its gradient into straight code, and traced where it has
a branch. Last comes a graph in the old style, built before there is any number, in twenty lines.
Look at the two curves: a function, and what a trace of it made of the other branch.
"""

# %%
# The function
# ------------
# A loop over a Python number and a branch on data, and one vector for each side of the branch.

import re
import warnings

import matplotlib.pyplot as plt
import torch
from torch.fx.experimental.proxy_tensor import make_fx

torch.set_default_dtype(torch.float64)


def wave(x, n):
    for _ in range(n):
        x = x.sin()
    return x


def branch(x):
    y = wave(x, 2)
    if y.sum() > 0:
        return 2 * y
    return y * y


starts = {"above": [0.5, 1.2, -0.3], "below": [-0.7, -1.1, 0.4]}
leaves = {name: torch.tensor(start, requires_grad=True) for name, start in starts.items()}
print({name: [round(y, 3) for y in branch(leaf).tolist()] for name, leaf in leaves.items()})

# %%
# Recorded: one graph for each run
# --------------------------------
# The graph of the run that went below. It was made by running, the branch is gone, and it can run
# backward and nothing else.

below = branch(leaves["below"])
below.grad_fn

# %%
# The gradient of either path
# ---------------------------
# By hand, :math:`\cos x \odot \cos(\sin x)` for the two rounds of the loop, then a factor 2 above,
# and :math:`2y` below.


def by_hand(value, way):
    first = value.sin()
    slope, y = value.cos() * first.cos(), first.sin()
    return slope * 2 if way == "above" else slope * (2 * y)


dx = {name: by_hand(leaf.detach(), name) for name, leaf in leaves.items()}
recorded = {name: branch(leaf).sum() for name, leaf in leaves.items()}
torch.testing.assert_close(
    dx,  # by hand
    {name: torch.autograd.grad(recorded[name], leaf)[0] for name, leaf in leaves.items()},
)
print("below", dx["below"])

# %%
# Traced: a program
# -----------------
# ``make_fx`` runs a function once and notes each operation.
# The loop is unrolled: there are three sines in the trace and no ``range``. What comes out is code,
# and can be printed, changed and saved.


def show(program):
    lines = [line.split(";")[0].rstrip() for line in program.code.strip().splitlines()]
    code = "\n".join(lines).replace("torch.ops.aten.", "aten.")
    print(re.sub(r", pin_memory.*\)", ")", code))  # a default, written out


show(make_fx(lambda x: wave(x, 3))(torch.ones(3)))

# %%
# Traced together with its gradient
# ---------------------------------
# A pass is made of operations too. Traced along, the backward pass becomes the second half of the
# program: every rule is there to be read, and no node is left.


def gradient(x):
    (slope,) = torch.autograd.grad(wave(x, 2).sum(), x)
    return slope


example = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
program = make_fx(gradient)(example)
show(program)

# %%
# The program is right for other numbers
# --------------------------------------
# It was traced with three numbers and is run with others. Its result has no graph, since it is the
# plain value of the derivative :math:`\cos x \odot \cos(\sin x)`.

other = torch.tensor([-1.3, 0.6, 2.0])
dother = other.cos() * other.sin().cos()
slope = program(other)
torch.testing.assert_close({"x": dother}, {"x": slope})  # by hand; autograd, traced
print(slope, " grad_fn:", slope.grad_fn)

# %%
# A branch cannot be traced
# -------------------------
# Which way to go depends on a number, and what stands for a tensor has none. Two tracers say so.

attempts = {
    "symbolic_trace": lambda: torch.fx.symbolic_trace(branch),
    "make_fx": lambda: make_fx(branch)(torch.ones(3)),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except (torch.fx.proxy.TraceError, RuntimeError) as error:
        assert "control flow" in str(error)
        print(f"{name}: {str(error).split('. ')[0].split(' with ')[0][:79]}")

# %%
# Unless the tracer decides
# -------------------------
# ``torch.jit.trace``, the oldest of them, runs on real numbers and keeps the branch they took, for
# ever. It warns of it.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    traced = torch.jit.trace(branch, torch.tensor(starts["above"]))
told = [str(w.message) for w in caught if w.category is torch.jit.TracerWarning]
print(told[0].split(". ")[0])

# %%
# The other branch, wrong in value and gradient
# ---------------------------------------------
# Above, the trace agrees. Below, it goes on doubling, and autograd differentiates what ran: the
# gradient is the right one of the wrong function, :math:`2 \cos x \odot \cos(\sin x)`.

leaf = leaves["below"]
value = leaf.detach()
(grad_traced,) = torch.autograd.grad(traced(leaf).sum(), leaf)
wrong = 2 * value.cos() * value.sin().cos()
torch.testing.assert_close({"traced, below": wrong}, {"traced, below": grad_traced})  # by hand
assert not torch.allclose(wrong, dx["below"])
print("function  ", dx["below"])
print("its trace ", grad_traced)

# %%
# Drawn
# -----
# Both along a line through zero: on the right they are one.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
line = torch.linspace(-2, 2, 161)
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, function, style in (("trace", traced, "--"), ("function", branch, "-")):
    values = [function(t * torch.ones(1)).item() for t in line]
    color = "#d55e00" if name == "trace" else "#0072b2"
    axes.plot(line, values, style, color=color, label=name)
axes.axvline(0, color=grey, lw=0.8, ls=":")
axes.set(xlabel="x", ylabel="value")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# A graph before any number
# -------------------------
# The old style: lines build nodes, nothing is computed, and a run comes later with values for the
# inputs. Asked which way to go, such a node has no answer, so a branch must be a node as well.


class Later:
    """An operation that will run when it is asked to."""

    def __init__(self, operation, *arguments):
        self.operation, self.arguments = operation, arguments

    def run(self, values):
        if isinstance(self.operation, str):  # an input, by its name
            return values[self.operation]
        if self.operation is choose:  # one branch runs, the other does not
            condition, yes, no = self.arguments
            return (yes if condition.run(values) else no).run(values)
        return self.operation(*(argument.run(values) for argument in self.arguments))

    def __bool__(self):
        raise TypeError("this graph has no value yet; use choose()")


def choose(condition, yes, no):
    return Later(choose, condition, yes, no)


y = Later("x")
for _ in range(2):
    y = Later(torch.sin, y)
positive = Later(lambda y: y.sum() > 0, y)
try:
    print("taken" if positive else "not taken")
except TypeError as error:
    print("if:", error)

# %%
# One graph, both branches
# ------------------------
# Built once, run twice. Each run is recorded by autograd as if it were Python, and the gradients
# are those of the function: this graph has kept the decision, where the trace had kept its outcome.

graph = choose(positive, Later(lambda y: 2 * y, y), Later(lambda y: y * y, y))
built = {name: graph.run({"x": leaf}).sum() for name, leaf in leaves.items()}
torch.testing.assert_close(
    dx,  # by hand
    {name: torch.autograd.grad(built[name], leaf)[0] for name, leaf in leaves.items()},
)
print("both branches agree with the function")

# %%
# What was seen
# -------------
# A recorded graph has a path and no decisions. A trace is a path that was made a program: fast to
# reuse, and wrong where another path was due. A graph built beforehand can hold decisions, if they
# are written as operations.
