r"""
The direction of steepest descent
=================================

A gradient is a list of slopes, one for each coordinate. That it also points where the function
rises fastest is a theorem, and it can be tried: stand at a point, take a tiny step in each of 360
directions, and see which one falls most. Then stretch a coordinate and do it again. Look at the
cosine that the 360 differences draw, and at the second arrow: the direction that is called steepest
depends on what counts as a step of length one.
"""

# %%
# A function of two variables
# ---------------------------
# Not a quadratic, and not symmetric in its variables:
#
# .. math:: f(x) = \sin x_1 + \tfrac12 x_2^2 - x_1 x_2, \qquad
#           \bar{x} = (\cos x_1 - x_2,\; x_2 - x_1) .

import math

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey, "axes.titlecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
torch.set_default_dtype(torch.float64)


def f(x):
    return x[0].sin() + 0.5 * x[1] ** 2 - x[0] * x[1]


x = torch.tensor([0.4, 1.3], requires_grad=True)
f(x).backward()
at = x.detach()
dx = torch.stack([at[0].cos() - at[1], at[1] - at[0]])
torch.testing.assert_close({"x": dx}, {"x": x.grad})  # by hand, autograd
print("gradient", dx, " length", round(dx.norm().item(), 6))

# %%
# Three hundred and sixty directions
# ----------------------------------
# For a unit vector :math:`v` at angle :math:`\varphi` to the gradient the slope is
#
# .. math:: \langle \bar{x}, v \rangle = |\bar{x}| \cos\varphi ,
#
# which is least, :math:`-|\bar{x}|`, against the gradient. Differences of values of :math:`f` know
# nothing of it.

degrees = torch.arange(360)
angles = degrees * math.pi / 180
directions = torch.stack([angles.cos(), angles.sin()])  # a unit vector in each column
radius = 1e-6
slopes = (f(at[:, None] + radius * directions) - f(at)) / radius
predicted = dx.norm() * torch.cos(angles - torch.atan2(dx[1], dx[0]))
left_out = 5 * radius  # second derivatives times the radius, and rounding
torch.testing.assert_close(slopes, predicted, rtol=0, atol=left_out)  # tolerance: 5e-6
against = (torch.atan2(-dx[1], -dx[0]) * 180 / math.pi) % 360
print(f"steepest of 360: {degrees[slopes.argmin()].item()}, against the gradient {against:.2f}")
assert abs(degrees[slopes.argmin()] - against) <= 0.5

# %%
# Another length, another direction
# ---------------------------------
# Let a step's length be :math:`\max_i |v_i|` and not :math:`|v|`. Of all steps of length one the
# steepest is now :math:`-\mathrm{sign}\,\bar{x}`, by :math:`\sum_i |\bar{x}_i|`.

in_a_square = directions / directions.abs().amax(0)
slopes_square = (f(at[:, None] + radius * in_a_square) - f(at)) / radius
steepest = in_a_square[:, slopes_square.argmin()]
torch.testing.assert_close(steepest, -dx.sign())
print("in the square", steepest, " slope", round(slopes_square.min().item(), 4))
print("in the circle", directions[:, slopes.argmin()], " slope", round(slopes.min().item(), 4))

# %%
# Another unit, another direction
# -------------------------------
# Measure :math:`x` in other units, :math:`x = Sz`. The chain rule gives :math:`\bar{z} = S^\top
# \bar{x}`, and a step of gradient descent in :math:`z` moves :math:`x` by :math:`-\eta\, S S^\top
# \bar{x}`: along another direction as soon as :math:`S` stretches.

S = torch.tensor([[3.0, 0.0], [1.0, 0.5]])
z = torch.linalg.solve(S, at).requires_grad_()
f(S @ z).backward()
dz = S.T @ dx
torch.testing.assert_close({"z": dz}, {"z": z.grad})  # by hand, autograd
eta = 0.1
moved = S @ (z.detach() - eta * dz) - at
torch.testing.assert_close(moved, -eta * S @ S.T @ dx)
cosine = (moved @ -dx) / (moved.norm() * dx.norm())
print(f"angle between the two steps: {math.degrees(math.acos(cosine)):.1f} degrees")

# %%
# The cosine, and two arrows
# --------------------------
# On the left the 360 slopes, every tenth drawn, over the cosine. On the right the point, the step
# in :math:`x` and the one in :math:`z`, both drawn with the same length, on lines of equal value.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
left.plot(degrees, predicted, color=grey, label=r"$|\bar{x}|\cos\varphi$")
left.plot(degrees[::10], slopes[::10], "o", ms=4, color="#0072b2", label="differences of values")
left.axvline(against, color="#d55e00", ls="--", label="against the gradient")
left.set(xlabel="direction in degrees", ylabel="slope", xticks=range(0, 361, 90))
left.legend(frameon=False, fontsize=8, loc="lower left", ncols=1)
one, two = torch.linspace(-0.8, 1.6, 61), torch.linspace(0.1, 2.5, 61)
values = f(torch.stack(torch.meshgrid(one, two, indexing="xy")))
right.contour(one, two, values, levels=14, colors=grey, linewidths=0.6)
for step, color, name in ((-dx, "#d55e00", "step in $x$"), (moved, "#0072b2", "step in $z$")):
    end = at + 0.7 * step / step.norm()
    right.annotate("", end, at, arrowprops={"color": color, "arrowstyle": "->", "lw": 2})
    right.text(*(end + torch.tensor([0.0, -0.12])), name, color=color, ha="center", va="center")
right.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
plt.show()

# %%
# Steepest at the point, and not beyond
# -------------------------------------
# The gradient promises a decrease of :math:`\eta|\bar{x}|^2`. The promise is kept to first order:
# halving a small :math:`\eta` quarters what is missing, so that the missing share of the promise is
# halved. A long step overshoots.

kept = {}
for eta in (0.02, 0.01, 0.005, 3.0):
    decrease = f(at) - f(at - eta * dx)
    kept[eta] = (decrease / (eta * dx @ dx)).item()
    print(f"eta {eta:5}: decrease {decrease.item():9.6f}, {kept[eta]:8.4f} of what was promised")
missing = {eta: eta * (1 - share) for eta, share in kept.items()}  # in units of |dx|^2
assert abs(missing[0.02] / missing[0.01] - 4) < 0.04
assert abs(missing[0.01] / missing[0.005] - 4) < 0.04
assert kept[3.0] < 0

# %%
# What was seen
# -------------
# Of 360 directions on a circle the one nearest to the opposite of the gradient falls most. A circle
# in one set of coordinates is no circle in another, so a step of gradient descent depends on the
# units of the parameters, and the slope along a given direction does not.
