r"""
A small circle becomes an ellipse
=================================

Close to a point a smooth map looks linear, and the linear map it looks like is its derivative.
That can be seen: a small circle of inputs is taken through a map of the plane, and what comes out
is nearly an ellipse, the image of the circle under the Jacobian. It can be measured as well: what
the ellipse misses shrinks with the square of the radius. Look at the three rings, and at the
product of two Jacobians at the end.
"""

# %%
# A map of the plane
# ------------------
# Two inputs, two outputs, and a Jacobian without symmetry:
#
# .. math::
#
#    f(x) = \begin{pmatrix} x_1 + \tfrac12 x_2^2 \\ x_2 \cos x_1 \end{pmatrix}, \qquad
#    J = \begin{pmatrix} 1 & x_2 \\ -x_2 \sin x_1 & \cos x_1 \end{pmatrix} .

import math

import matplotlib.pyplot as plt
import torch
from torch.func import jvp

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey, "axes.titlecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
torch.set_default_dtype(torch.float64)


def f(x):
    return torch.stack([x[0] + 0.5 * x[1] ** 2, x[1] * x[0].cos()])


def jacobian(x):
    return torch.stack([torch.stack([torch.ones(()), x[1]]),
                        torch.stack([-x[1] * x[0].sin(), x[0].cos()])])  # fmt: skip


x = torch.tensor([0.9, 0.7])
J = jacobian(x)  # equal sizes: f maps the plane to itself, and is applied twice
torch.testing.assert_close({"J": J}, {"J": torch.func.jacrev(f)(x)})  # by hand, autograd
print(J)

# %%
# Three circles
# -------------
# Ninety points on a circle around :math:`x`, of three sizes: where the map takes them, and where
# :math:`f(x) + Jv` would have them.

angle = torch.linspace(0, 2 * math.pi, 91)
circle = torch.stack([angle.cos(), angle.sin()])
radii = (0.8, 0.4, 0.1)
rings = {r: (f(x[:, None] + r * circle), f(x)[:, None] + J @ (r * circle)) for r in radii}
for r, (image, ellipse) in rings.items():
    far = (image - ellipse).norm(dim=0).max().item()
    print(f"radius {r}: farthest from the ellipse {far:.4f}, in radii {far / r:.4f}")

# %%
# The circle, the image, the ellipse
# ----------------------------------
# The large ring is bent, the middle one a little, the small one is an ellipse to the eye.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
for r, color in zip(radii, ("#0072b2", "#e69f00", "#d55e00")):
    image, ellipse = rings[r]
    left.plot(*(x[:, None] + r * circle), color=color)
    right.plot(*ellipse, color=grey, ls="--", lw=1)
    right.plot(*image, color=color)
left.plot(*x, "o", color=grey, ms=3)
right.plot(*f(x), "o", color=grey, ms=3)
left.set(xlabel="$x_1$", ylabel="$x_2$", title="inputs", aspect="equal")
right.set(xlabel="$y_1$", ylabel="$y_2$", title="outputs; dashed: $f(x) + Jv$", aspect="equal")
plt.show()

# %%
# What is left shrinks with the square
# ------------------------------------
# :math:`f(x + hv) = f(x) + h\,Jv + O(h^2)`. With half the step a quarter is left, where :math:`f`
# is curved along :math:`v`. With a matrix that is wrong by :math:`E` half is left, unless :math:`v`
# is a direction with :math:`Ev = 0`: the third row tries one, and notices nothing.

v = torch.tensor([0.6, -1.1])
other = J + torch.tensor([[0.0, 0.1], [0.0, 0.0]])
blind = torch.tensor([0.6, 0.0])
for name, matrix, along in (("J", J, v), ("another", other, v), ("another, blind", other, blind)):
    remainders = [(f(x + h * along) - f(x) - h * matrix @ along).norm() for h in (0.02, 0.01)]
    shares = (remainders[1] / remainders[0]).item()
    print(f"{name:15} left at h = 0.02 {remainders[0]:.2e}, at half of it {shares:.3f} times that")
    assert abs(shares - (0.5 if name == "another" else 0.25)) < 0.05


# %%
# Linear in the direction
# -----------------------
# The JVP is linear in :math:`v`, exactly and not only for small vectors: it is the derivative that
# is a linear map, not :math:`f`.

v, w = torch.tensor([30.0, -7.0]), torch.tensor([4.0, 110.0])
_, along_v = jvp(f, (x,), (v,))
_, along_w = jvp(f, (x,), (w,))
_, along_both = jvp(f, (x,), (2 * v - 3 * w,))
torch.testing.assert_close(along_both, 2 * along_v - 3 * along_w)
torch.testing.assert_close({"Jv": J @ v, "Jw": J @ w}, {"Jv": along_v, "Jw": along_w})  # by hand
print("J(2v - 3w)  ", along_both)
print("2 Jv - 3 Jw ", 2 * along_v - 3 * along_w)

# %%
# One map after another
# ---------------------
# The ellipse of the ellipse: the derivative of :math:`f \circ f` is the product of two Jacobians,
# each taken where its map is applied. The factor of the map that comes first stands on the right.

twice = torch.func.jacrev(lambda x: f(f(x)))(x)
product = jacobian(f(x)) @ J
torch.testing.assert_close({"J of f(f(x))": product}, {"J of f(f(x))": twice})  # by hand, autograd
swapped = J @ jacobian(f(x))
print("J(f(x)) J(x)", product, "swapped", swapped, sep="\n")

# %%
# What was seen
# -------------
# A derivative is what is left of a map when one looks closely enough: a linear map, exact in every
# direction, whose matrix is the Jacobian. Maps in a row have derivatives in a row.
