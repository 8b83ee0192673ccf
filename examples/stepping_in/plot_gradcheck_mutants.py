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
lines = RULES.strip().splitlines()
rules = [[part.strip() for part in line.split("|")] for line in lines]
print(len(rules), "rules with", sum(len(rule) - 2 for rule in rules), "formulas")

# %%
# The rules are right
# -------------------
# Evaluated with plain tensors and compared with autograd: a wrong rule at the start would make
# nonsense of what follows. The inputs are the careful ones: matrices are not square, and each
# tensor has numbers of both signs, which of three random numbers one seed in four does not give.


def value(text, names):
    known = dict(names, torch=torch)
    if "x" in names:
        known["n"] = names["x"].numel()
    return eval(text, known)


def careful(names, value_text):
    torch.manual_seed(2)
    sizes = {"x": (3,), "y": (3,), "A": (2, 3), "B": (3, 2)}
    if value_text == "x @ A @ x":
        sizes["A"] = (3, 3)
    return {name: torch.randn(sizes[name]) for name in names}


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
        pattern = r"(?<![\w.])x\b" if old == "x" else re.escape(old)
        for found in re.finditer(pattern, formula):
            if old == "-" and formula[found.end()] == " ":
                continue  # a subtraction, which has its own entry
            for new in news:
                yield formula[: found.start()] + new + formula[found.end() :]


print(*slips("-2 * g * x * s"), sep="\n")

# %%
# Slips that are none
# -------------------
# Some change the text and not the rule. They are found by evaluating both on other numbers, and are
# left out: what remains is wrong.


def same(result, formula, slip):
    for _ in range(8):
        known = {name: 3 * torch.randn_like(t) for name, t in shapes[result].items()}
        known["s"] = value(result, known)
        known["g"] = torch.randn_like(known["s"])
        try:
            if not torch.allclose(value(slip, known), value(formula, known)):
                return False
        except RuntimeError:  # shapes that do not fit
            return False
    return True


unchanged = set()
shapes = {result: careful(text.split(", "), result) for text, result, *_ in rules}
for _, result, *formulas in rules:
    for formula in formulas:
        for slip in slips(formula):
            if same(result, formula, slip):
                unchanged.add((result, slip))
                print(f"{result:10} {formula:26} = {slip}")

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
A = torch.randn(2, 3)
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
                if (result, slip) in unchanged:
                    continue
                broken = [*formulas[:i], slip, *formulas[i + 1 :]]
                missed = usable and passes(names, result, broken, inputs, **options)
                verdict = passed if missed else caught if usable else unusable
                verdict.append(f"{result}: {slip}")
    return caught, passed, unusable


found = {kind: judged(made) for kind, made in KINDS.items()}
print(f"{'':10} caught passed unusable")
for kind, (caught, passed, unusable) in found.items():
    print(f"{kind:10} {len(caught):6} {len(passed):6} {len(unusable):8}")
assert [kind for kind, verdicts in found.items() if not verdicts[1]] == ["careful"]
assert len(found["zeros"][1]) > len(found["zeros"][0])

# %%
# In one picture
# --------------
# A bar for each kind of input.

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
left = dict.fromkeys(found, 0)
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for index, (label, colour) in enumerate(
    {"caught": "#0072b2", "passed": "#d55e00", "right rule rejected": "#999999"}.items()
):
    widths = [len(verdicts[index]) for verdicts in found.values()]
    ax.barh(list(found), widths, left=list(left.values()), color=colour, label=label)
    left = {kind: left[kind] + width for kind, width in zip(left, widths)}
ax.invert_yaxis()
ax.set(xlabel="broken rules")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
plt.show()

# %%
# Rules that are not linear
# -------------------------
# A backward rule is linear in ``g``. ``gradcheck`` seeds one entry at a time with a 1, and a square
# leaves 0 and 1 as they are. Its fast mode seeds with random numbers, but they are positive, and
# where the result is one number the seed is 1 again.

seen = {}
for name, broken in {"g * g": "g * g * ", "|g|": "g.abs() * "}.items():
    for kind, options in {"default": {}, "fast": {"fast_mode": True}}.items():
        caught, passed, _ = judged(KINDS["careful"], {"g * ": [broken]}, **options)
        seen[name, kind] = len(caught)
        print(f"{name:6} {kind:8} caught {len(caught):2}, passed {len(passed):2}")
assert [key for key, caught in seen.items() if caught] == [("g * g", "fast")]

# %%
# What was seen
# -------------
# With careful inputs each of these wrong rules was found. Ones, zeros, a symmetric matrix or a size
# of one let wrong rules pass, without a word. And what is wrong only for seeds that are not tried
# is not seen with any input.
