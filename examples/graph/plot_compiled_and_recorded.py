r"""
Compiled, and recorded all the same
===================================

:func:`torch.compile` captures what a function does, as programs, and runs those from then on. It is
often taken for the end of graphs that are built at each call. Autograd goes on: a call of the
compiled function records a node, one for each program that ran, and its backward pass is a program
too. Here a backend that only writes down what it is handed shows what was captured. Look at the
number of programs after the branch was taken the other way.
"""

# %%
# A backend that looks
# --------------------
# A backend receives a captured program and returns what is to run in its place. This one returns
# the program as it is, and keeps its code.

import textwrap

import torch

torch.set_default_dtype(torch.float64)


def branch(x):
    y = x
    for _ in range(2):
        y = y.sin()
    if y.sum() > 0:
        return 2 * y
    return y * y


captured = []


def looking(program, example_inputs):
    operations = [node.target for node in program.graph.nodes if node.op.startswith("call")]
    captured.append(" ".join(getattr(target, "__name__", target) for target in operations))
    return program.forward


print("plain:", branch(torch.tensor([0.5, 1.2, -0.3])))

# %%
# Captured when it is called, and only what ran
# ---------------------------------------------
# The first call captures the program up to the ``if``, the loop unrolled, and one for the branch
# that is taken. A second call on that side finds both. A call on the other side captures one more.

compiled = torch.compile(branch, backend=looking)
above, below = torch.tensor([0.5, 1.2, -0.3]), torch.tensor([-0.7, -1.1, 0.4])
for name, value in {"above": above, "above again": above + 0.1, "below": below}.items():
    torch.testing.assert_close(compiled(value), branch(value))
    print(f"{name:12}programs so far: {len(captured)}")
assert len(captured) == 3
for program in captured:
    print(" ", program)

# %%
# Each call records
# -----------------
# The backend ``aot_eager`` has the backward pass captured as well. Without a branch the function is
# one program, and the whole graph of a call is one node, made anew in each.


def smooth(x):
    return (x.sin() * x.exp()).sum()


whole = torch.compile(smooth, backend="aot_eager")
x = torch.tensor([0.5, 1.2, -0.3], requires_grad=True)
first, second = whole(x), whole(x)
assert first.grad_fn is not second.grad_fn
print(first.grad_fn.name(), " the same node:", first.grad_fn is second.grad_fn)

# %%
# The graph without compiling
# ---------------------------
# Four operations, four nodes.

loss = smooth(x)
loss.grad_fn

# %%
# The graph of a compiled call
# ----------------------------
# One node, which saved what the captured backward program needs.

first.grad_fn

# %%
# The same derivative
# -------------------
# :math:`\bar{x} = (\cos x + \sin x) \odot e^x` from either.

with torch.no_grad():
    dx = (x.cos() + x.sin()) * x.exp()
torch.testing.assert_close(
    {"compiled": dx, "plain": dx},  # by hand
    {
        "compiled": torch.autograd.grad(first, x)[0],
        "plain": torch.autograd.grad(loss, x)[0],
    },  # autograd
)
print("gradient", dx)

# %%
# No second pass
# --------------
# The captured backward program may use up what was saved, and then the graph cannot be retained.

loss = whole(x)
try:
    loss.backward(retain_graph=True)
except RuntimeError as error:
    assert "retain_graph=False" in str(error)
    print(textwrap.fill(str(error).split(". ")[0], 76))

# %%
# No second derivative
# --------------------
# Nor has the backward program a rule of its own. For a cube, which saves its input and nothing that
# could be used up, the first pass may be asked to record, and the pass after it raises. Without
# compiling the second derivative is :math:`6x`.

cube = torch.compile(lambda x: (x**3).sum(), backend="aot_eager")
(slope,) = torch.autograd.grad(cube(x), x, create_graph=True)
try:
    torch.autograd.grad(slope.sum(), x)
except RuntimeError as error:
    assert "does not currently support double backward" in str(error)
    print(error)
(slope,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
(curvature,) = torch.autograd.grad(slope.sum(), x)
ddx = 6 * x.detach()
torch.testing.assert_close({"x, twice": ddx}, {"x, twice": curvature})  # by hand, autograd
print("without compiling:", curvature)

# %%
# What was seen
# -------------
# Capturing made programs of what ran, one more for the branch that came later, and calls of them
# are recorded like any other operation. The rule of the recorded node is a program without a rule.
