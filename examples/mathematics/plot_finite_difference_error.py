r"""
The error of a finite difference
================================

A difference quotient has a step, and the step has two enemies. A large one leaves out the terms of
the Taylor series, a small one divides rounding errors by a small number. The best step lies
between them and still loses a third of the digits or more. Here seventeen steps from 1 to
:math:`10^{-16}` are tried on the sine at 1, whose derivative is known to the last bit, and then the
formula for the best step on other functions and points. Look at the valley of each curve, at the
one curve that has none, and at the two points where the formula needs mending.
"""

# %%
# The true value
# --------------
# :math:`\bar{x} = \cos x` for :math:`L = \sin x`. Autograd evaluates this rule, and no step occurs
# in it.

import math

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip

x = torch.tensor(1.0, dtype=torch.float64)
dx = torch.cos(x)
leaf = x.clone().requires_grad_()
torch.sin(leaf).backward()
torch.testing.assert_close({"x": dx}, {"x": leaf.grad})  # by hand, autograd
print(f"cos(1) = {dx.item():.12f}")

# %%
# Three quotients
# ---------------
# The forward quotient needs one more value of :math:`f`, the central one two. The third, the
# complex step, moves :math:`x` in the imaginary direction and reads off the imaginary part.


def forward(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def complex_step(f, x, h):
    return f(torch.complex(x, torch.full_like(x, h))).imag / h


for quotient in (forward, central, complex_step):
    print(f"{quotient.__name__:13}{quotient(torch.sin, x, 0.1).item():.12f}")

# %%
# Seventeen steps
# ---------------
# One step for each power of ten. The central quotient is computed in ``float32`` as well; its error
# is measured against the same value.

exponents = range(17)
steps = [10.0**-k for k in exponents]


def errors(quotient, dtype=torch.float64):
    at = x.to(dtype)
    return [abs(quotient(torch.sin, at, h).item() - dx.item()) for h in steps]


measured = {"forward": errors(forward), "central": errors(central),
            "central, float32": errors(central, torch.float32),
            "complex step": errors(complex_step)}  # fmt: skip
for k in range(0, 17, 2):
    one_sided, two_sided = measured["forward"][k], measured["central"][k]
    print(f"h = 1e-{k:02}  forward {one_sided:.1e}  central {two_sided:.1e}")

# %%
# Where the valley lies
# ---------------------
# Taylor's series gives the central quotient the error :math:`h^2 |f'''|/6`, and rounding adds about
# :math:`\varepsilon|f|/h`. Their sum is least where
#
# .. math:: \frac{h\,|f'''|}{3} = \frac{\varepsilon |f|}{h^2}, \qquad
#           h = \left(\frac{3\,\varepsilon |f|}{|f'''|}\right)^{1/3} ,
#
# with :math:`\varepsilon = 2^{-52}` in ``float64``.

for name, dtype in (("central", torch.float64), ("central, float32", torch.float32)):
    eps = torch.finfo(dtype).eps
    predicted = (3 * eps * math.sin(1) / math.cos(1)) ** (1 / 3)
    least = min(exponents, key=measured[name].__getitem__)
    assert abs(least + math.log10(predicted)) < 0.6  # no nearer power of ten, or its neighbour
    print(f"{name:17} predicted h = {predicted:.1e}, best of these 1e-{least:02}")
    print(f"{'':17} least error {min(measured[name]):.1e}")

# %%
# Elsewhere the formula needs two things
# --------------------------------------
# It forgets that :math:`x + h` is rounded too, which at 1000 is an error a thousand times that of
# :math:`h` at 1: divide by the step that was really taken. And :math:`|f|` has to be the size of
# :math:`f` near the point, not the zero that it may have there. Mean errors over 400 points around
# each place, at the step of the bare formula, at that of the mended one, and at the best of 46.

torch.manual_seed(0)
places = {  # the function, its derivative, the size of its third derivative, and where
    "sin at 1": (torch.sin, torch.cos, lambda x: x.cos(), 1.0),
    "sin at pi": (torch.sin, torch.cos, lambda x: x.cos(), math.pi),
    "sin at 1000": (torch.sin, torch.cos, lambda x: x.cos(), 1000.0),
    "exp at 10": (torch.exp, torch.exp, torch.exp, 10.0),
    "log at 3": (torch.log, lambda x: 1 / x, lambda x: 2 / x**3, 3.0),
}
eps = torch.finfo(torch.float64).eps


def mean_error(f, slope, points, h, taken):
    ahead, behind = points + h, points - h
    step = ahead - behind if taken else 2 * h
    return ((f(ahead) - f(behind)) / step - slope(points)).abs().mean().item()


grid = [10.0 ** (-k / 4) for k in range(4, 50)]
for name, (f, slope, third, place) in places.items():
    at = torch.tensor(place, dtype=torch.float64)
    points = at * (1 + 1e-3 * torch.rand(400, dtype=torch.float64))
    bare = (3 * eps * f(at).abs() / third(at).abs()) ** (1 / 3)
    mended = (3 * eps * f(points).abs().mean() / third(at).abs()) ** (1 / 3)
    best = min(mean_error(f, slope, points, h, taken=True) for h in grid)
    errors_at = (
        mean_error(f, slope, points, bare, False),
        mean_error(f, slope, points, mended, True),
    )
    print(f"{name:12} bare {errors_at[0]:.0e}, mended {errors_at[1]:.0e}, best {best:.0e}")
    assert errors_at[1] < 4 * best
    assert (errors_at[0] > 10 * best) is (name in ("sin at pi", "sin at 1000"))

# %%
# The left wall and the right wall
# --------------------------------
# Left of the valley the error is at most a few units of :math:`\varepsilon/h`, on the right it is
# the first term left out, nearly exactly.

eps = torch.finfo(torch.float64).eps
truncation = [h**2 * math.cos(1) / 6 for h in steps]
rounding = [eps / h for h in steps]
for k in (1, 2, 3, 4):
    assert abs(measured["central"][k] / truncation[k] - 1) < 0.01
for error, left_out, rounded in zip(measured["central"], truncation, rounding):
    assert error < left_out + 3 * rounded
print("h = 1e-03: error / (h**2 cos(1) / 6) =", round(measured["central"][3] / truncation[3], 4))
print("worst error / (both terms):", end=" ")
print(f"{max(e / (t + r) for e, t, r in zip(measured['central'], truncation, rounding)):.2f}")

# %%
# The valley
# ----------
# Both axes are logarithmic, so the two walls are straight: slope 2 for the series, slope -1 for
# rounding. An error of 0 is drawn on the floor.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
styles = {"forward": ("o-", "#e69f00"), "central": ("s-", "#0072b2"),
          "central, float32": ("^-", "#56b4e9"), "complex step": ("d-", "#d55e00")}  # fmt: skip
floor = 1e-17
for name, (style, color) in styles.items():
    axes.loglog(steps, [max(e, floor) for e in measured[name]], style, color=color, label=name)
both = [left_out + rounded for left_out, rounded in zip(truncation, rounding)]
axes.loglog(steps, both, ":", color=grey, label=r"$h^2\cos(1)/6 + \varepsilon/h$")
axes.set(xlabel="step h", ylabel="error of the derivative", ylim=(floor / 3, 10))
axes.legend(frameon=False, fontsize=8)
plt.show()

# %%
# No difference, no cancellation
# ------------------------------
# :math:`\sin(x + ih) = \sin x \cosh h + i \cos x \sinh h`. The imaginary part is the derivative
# times :math:`h`, with an error of :math:`h^2` and nothing to cancel, so the step may be absurdly
# small. It works where :math:`f` is analytic and the program accepts complex numbers. A conjugate
# is enough to make the answer 0, and an absolute value or a real part to make it half, in silence.

tiny = complex_step(torch.sin, x, 1e-200)
torch.testing.assert_close(tiny, dx, rtol=0, atol=2**-52)
square = complex_step(lambda z: z * z.conj(), x, 1e-20)  # x * x for a real x, slope 2
print(f"h = 1e-200, error {abs(tiny - dx).item():.1e}")
print("slope of x * x at 1, written with a conjugate:", square.item())
for name, written in (("abs", lambda z: z.abs() * z), ("real", lambda z: z.real * z)):
    half = complex_step(written, x, 1e-20)
    torch.testing.assert_close(half, torch.ones_like(half))  # and not 2
    print(f"written with {name}: {half.item():.1f}")
torch.testing.assert_close(square, torch.zeros_like(square))

# %%
# What was seen
# -------------
# The best central difference of the sine at 1 has eleven right digits in ``float64``, five in
# ``float32``, and both at a step that must be known beforehand. A smaller step is not a better one:
# at :math:`10^{-16}` nothing of the derivative is left.
