r"""
Rules broken on purpose
=======================

How good is ``gradcheck`` at what it is for? Thirty-two backward rules, written by hand as text, are
broken in every way that a list of small slips allows: a sign, a factor, a transpose, a constant.
Each broken rule becomes a ``Function``, and ``gradcheck`` judges it on inputs chosen with care, on
zeros, on ones, on symmetric data, and on inputs of size one. Counted is what it lets pass, and how
often it rejects the right rule. Look at how much of a check is in its inputs.
"""

# %%
# Thirty-two rules
# ----------------
# Each line has the arguments, the value, and one formula for each argument. ``g`` is the cotangent
# of the result, ``n`` the number of entries of ``x``, and ``s`` the result itself.

import re

import matplotlib.pyplot as plt
import torch
from torch.autograd import gradcheck

torch.set_default_dtype(torch.float64)
RULES = """
x | x.exp() | g * x.exp()
x | x.sin() | g * x.cos()
x | x.cos() | -g * x.sin()
x | x.tan() | g * (1 + s**2)
x | x.tanh() | g * (1 - s**2)
x | x.sigmoid() | g * s * (1 - s)
x | x.atan() | g / (1 + x**2)
x | x.asinh() | g / (1 + x**2).sqrt()
x | x.expm1() | g * (s + 1)
x | x**2 | 2 * g * x
x | x**3 | 3 * g * x**2
x | (-(x**2)).exp() | -2 * g * x * s
x | torch.relu(x) | g * (x > 0)
x | x.abs() | g * x.sign()
x | x * x.sigmoid() | g * x.sigmoid() * (1 + x - s)
x | x.sum() | g * torch.ones_like(x)
x | x.mean() | g / n * torch.ones_like(x)
x | x - x.mean() | g - g.mean()
x | x.softmax(0) | s * (g - (g * s).sum())
x | x.log_softmax(0) | g - g.sum() * s.exp()
x | x.logsumexp(0) | g * (x - s).exp()
x | x.norm() | g * x / s
x | (x - x.mean()).square().sum() | 2 * g * (x - x.mean())
x | x.cumsum(0) | g.flip(0).cumsum(0).flip(0)
x, y | x * y | g * y | g * x
x, y | x / (1 + y**2) | g / (1 + y**2) | -2 * g * x * y / (1 + y**2) ** 2
x, y | (1 + x**2 + y**2).sqrt() | g * x / s | g * y / s
x, y | x.dot(y) | g * y | g * x
A, x | A @ x | torch.outer(g, x) | A.T @ g
A, x | x @ A @ x | g * torch.outer(x, x) | g * (A @ x + A.T @ x)
A, B | A @ B | g @ B.T | A.T @ g
A, B | (A @ B).trace() | g * B.T | g * A.T
"""
rules = [[part.strip() for part in line.split("|")] for line in RULES.strip().splitlines()]
print(len(rules), "rules with", sum(len(rule) - 2 for rule in rules), "formulas")

# %%
# The rules are right
# -------------------
# Evaluated with plain tensors and compared with autograd: a wrong rule at the start would make
# nonsense of what follows. The inputs are the careful ones, of sizes that all differ.


def value(text, names):
    known = dict(names, torch=torch)
    if "x" in names:
        known["n"] = names["x"].numel()
    return eval(text, known)


def careful(names, value_text):
    torch.manual_seed(4)
    inner = 4 if "B" not in names else 2
    shapes = {"x": (inner,), "y": (inner,), "A": (3, inner), "B": (inner, 3)}
    if value_text == "x @ A @ x":
        shapes["A"] = (4, 4)
    return {name: torch.randn(shapes[name]) for name in names}


by_hand, autograd = {}, {}
for text, result, *formulas in rules:
    names = text.split(", ")
    plain = careful(names, result)
    leaves = {name: t.clone().requires_grad_() for name, t in plain.items()}
    s = value(result, plain)
    g = torch.randn(s.shape)
    grads = torch.autograd.grad(value(result, leaves), leaves.values(), g)
    for name, formula, gradient in zip(names, formulas, grads):
        by_hand[f"{result} by {name}"] = value(formula, plain | {"g": g, "s": s})
        autograd[f"{result} by {name}"] = gradient
torch.testing.assert_close(by_hand, autograd)  # by hand, autograd
print(len(by_hand), "formulas agree with autograd")

# %%
# Slips
# -----
# One place of one formula is changed at a time, as text.

SLIPS = {
    " + ": [" - "],
    " - ": [" + "],
    " * ": [" / "],
    " / ": [" * "],
    "-": [""],
    ".T": [""],
    "2": ["3", "1"],
    "3": ["2"],
    "1": ["2"],
    "cos": ["sin"],
    "sin": ["cos"],
    ".sum()": [".mean()"],
    ".mean()": [".sum()"],
    ".flip(0)": [""],
    "x": ["abs(x)"],
}


def slips(formula, table=SLIPS):
    for old, news in table.items():
        for found in re.finditer(rf"(?<![\w.]){old}\b" if old == "x" else re.escape(old), formula):
            if old == "-" and formula[found.end()] == " ":
                continue  # a subtraction, which has its own entry
            for new in news:
                yield formula[: found.start()] + new + formula[found.end() :]


print(*slips("-2 * g * x * s"), sep="\n")

# %%
# A Function from text
# --------------------
# It saves its arguments and its result, and its backward evaluates the formulas.


def function(names, result, formulas):
    class FromText(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *arguments):
            s = value(result, dict(zip(names, arguments)))
            ctx.save_for_backward(*arguments, s)
            return s

        @staticmethod
        def backward(ctx, g):
            *arguments, s = ctx.saved_tensors
            known = dict(zip(names, arguments)) | {"g": g, "s": s}
            return tuple(value(formula, known) for formula in formulas)

    return FromText.apply


def passes(names, result, formulas, inputs, **options):
    leaves = [t.clone().requires_grad_() for t in inputs.values()]
    try:
        checked = function(names, result, formulas)
        return gradcheck(
            checked, leaves, raise_exception=False, check_undefined_grad=False, **options
        )
    except RuntimeError:  # a gradient of the wrong shape
        return False


names, result, formula = "x", "x.sin()", "g * x.cos()"
inputs = careful(names, result)
print("right:", passes(names, result, [formula], inputs))
print("wrong:", passes(names, result, ["g * x.sin()"], inputs))

# %%
# Five kinds of input
# -------------------
# The careful ones are what was compared above. Each of the others makes something equal that is not
# equal in general.

KINDS = {
    "careful": lambda t: t,
    "symmetric": lambda t: torch.arange(1.0, 4).outer(torch.arange(1.0, 4))[(0,) * (2 - t.dim())],
    "ones": torch.ones_like,
    "zeros": torch.zeros_like,
    "size one": lambda t: t[(slice(1),) * t.dim()],
}
A = torch.randn(3, 4)
for kind, made in KINDS.items():
    print(f"{kind:10}", [tuple(made(t).shape) for t in (A, A[0])])

# %%
# Judged
# ------
# For each kind: does the right rule pass, and if so, how many of its broken versions do? Where even
# the right rule is rejected, at a kink or where the norm is zero, the inputs are unusable.


def judged(made, table=SLIPS, **options):
    caught, passed, unusable = [], [], []
    for text, result, *formulas in rules:
        names = text.split(", ")
        inputs = {name: made(t) for name, t in careful(names, result).items()}
        usable = passes(names, result, formulas, inputs, **options)
        for i, formula in enumerate(formulas):
            for slip in slips(formula, table):
                broken = [*formulas[:i], slip, *formulas[i + 1 :]]
                missed = usable and passes(names, result, broken, inputs, **options)
                verdict = passed if missed else caught if usable else unusable
                verdict.append(f"{result}: {slip}")
    return caught, passed, unusable


found = {kind: judged(made) for kind, made in KINDS.items()}
print(f"{'':10} caught passed unusable")
for kind, (caught, passed, unusable) in found.items():
    print(f"{kind:10} {len(caught):6} {len(passed):6} {len(unusable):8}")

# %%
# What the careful ones let pass
# ------------------------------
# They are another way to write the right rule: evaluated on other numbers, no two differ. With
# these inputs ``gradcheck`` caught every rule that is wrong.

equal = 0
torch.manual_seed(5)
for text, result, *formulas in rules:
    names = text.split(", ")
    other = {name: 3 * torch.randn_like(t) for name, t in careful(names, result).items()}
    s = value(result, other)
    other |= {"g": torch.randn_like(s), "s": s}
    for formula in formulas:
        for slip in slips(formula):
            if f"{result}: {slip}" in found["careful"][1]:
                torch.testing.assert_close(value(slip, other), value(formula, other))
                equal += 1
                print(f"{result:12} {formula:26} = {slip}")
assert equal == len(found["careful"][1])

# %%
# In one picture
# --------------
# A bar for each kind of input.

left = dict.fromkeys(found, 0)
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for index, (label, colour) in enumerate(
    {"caught": "tab:green", "passed": "tab:red", "right rule rejected": "tab:gray"}.items()
):
    widths = [len(verdicts[index]) for verdicts in found.values()]
    ax.barh(list(found), widths, left=list(left.values()), color=colour, label=label)
    left = {kind: left[kind] + width for kind, width in zip(left, widths)}
ax.invert_yaxis()
ax.set(xlabel="broken rules")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
plt.show()

# %%
# Rules that are not linear
# -------------------------
# A backward rule is linear in ``g``. ``gradcheck`` seeds one entry at a time with a 1, and a square
# leaves 0 and 1 as they are. Its fast mode seeds with random numbers, but they are positive, and
# where the result is one number the seed is 1 again.

for name, broken in {"g * g": "g * g * ", "|g|": "g.abs() * "}.items():
    for kind, options in {"default": {}, "fast": {"fast_mode": True}}.items():
        caught, passed, _ = judged(KINDS["careful"], {"g * ": [broken]}, **options)
        print(f"{name:6} {kind:8} caught {len(caught):2}, passed {len(passed):2}")

# %%
# What was seen
# -------------
# Careful inputs leave nothing but rules that are equal to the right one. Ones, zeros, a symmetric
# matrix or a size of one let wrong rules pass, without a word. And what is wrong only for seeds
# that are not tried is not seen with any input.
