r"""
How large a step may be
=======================

Gradient descent on a quadratic is a linear map, applied again and again. Along each eigenvector of
the Hessian the distance to the minimum is multiplied by :math:`1 - \eta\lambda` in every step, so
for a Hessian that curves upwards in each direction the largest eigenvalue says which learning rates
diverge and the smallest one how long the others take. Here the whole path is written in closed form
and compared with the one that :class:`torch.optim.SGD` takes. Look at the narrow direction of the
valley in the left picture, and at the corner of the curve in the right one.
"""

# %%
# A quadratic and its gradient
# ----------------------------
# :math:`L(\theta) = \tfrac12 |B(\theta - c)|^2` has its minimum at :math:`c` and the Hessian
# :math:`A = B^\top B`. Its gradient is
#
# .. math:: \bar\theta = B^\top B (\theta - c) = A(\theta - c) .

import matplotlib.pyplot as plt
import torch

grey = "#7a7a7a"  # readable on light and on dark
plt.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none", "text.color": grey,
                     "axes.labelcolor": grey, "axes.edgecolor": grey, "axes.titlecolor": grey,
                     "xtick.color": grey, "ytick.color": grey})  # fmt: skip
torch.set_default_dtype(torch.float64)
B = torch.tensor([[0.8, 0.6], [-1.2, 1.6]])
A = B.T @ B  # symmetric: as every Hessian is
c = torch.tensor([0.5, -0.25])
start = torch.tensor([2.0, 1.5])


def loss(theta):
    return 0.5 * (B @ (theta - c)).square().sum()


theta = start.clone().requires_grad_()
loss(theta).backward()
dtheta = B.T @ (B @ (start - c))
torch.testing.assert_close({"theta": dtheta}, {"theta": theta.grad})  # by hand, autograd
print("loss", loss(start).item(), " gradient", dtheta)

# %%
# One step
# --------
# :math:`\theta \leftarrow \theta - \eta\,\bar\theta`. The optimizer computes the same with one
# rounding where the line by hand has two, on processors that multiply and add at once;
# ``torch.add`` with ``alpha`` has its rounding, and its bits.

eta = 0.1
torch.optim.SGD([theta], lr=eta).step()
torch.testing.assert_close(theta.detach(), start - eta * dtheta)
assert torch.equal(theta.detach(), torch.add(start, theta.grad, alpha=-eta))
print("after one step", theta.detach())

# %%
# Curvature in each direction
# ---------------------------
# Let :math:`A q_i = \lambda_i q_i`. A step multiplies the part of :math:`\theta - c` along
# :math:`q_i` by a factor of its own:
#
# .. math:: \theta_{k+1} - c = (I - \eta A)(\theta_k - c), \qquad
#           q_i^\top (\theta_{k} - c) = (1 - \eta\lambda_i)^k \, q_i^\top (\theta_0 - c) .

curvature = torch.tensor([1.0, 4.0])
Q = torch.tensor([[0.8, -0.6], [0.6, 0.8]])  # an eigenvector in each column
along = Q.T @ (start - c)
torch.testing.assert_close(A @ Q, Q * curvature)
torch.testing.assert_close(along, torch.tensor([2.25, 0.5]))
limit = 2 / curvature.max().item()
print("eigenvalues", curvature.tolist(), " 2 / largest =", limit)


def path_in_closed_form(eta, steps):
    k = torch.arange(steps + 1)[:, None]
    return c + ((1 - eta * curvature) ** k * along) @ Q.T


# %%
# The path, by formula and by optimizer
# -------------------------------------
# Thirty steps for each of four learning rates: two that converge, the limit itself, and one beyond.


def path_of_optimizer(eta, steps):
    theta = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([theta], lr=eta)
    visited = [start]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(theta).backward()
        optimizer.step()
        visited.append(theta.detach().clone())
    return torch.stack(visited)


rates = {"0.3 of the limit": 0.3 * limit, "0.9 of the limit": 0.9 * limit,
         "the limit": limit, "1.05 of the limit": 1.05 * limit}  # fmt: skip
paths = {name: path_of_optimizer(eta, 30) for name, eta in rates.items()}
closed = {name: path_in_closed_form(eta, 30) for name, eta in rates.items()}
torch.testing.assert_close(closed, paths)  # by hand, autograd
assert loss(paths["1.05 of the limit"][-1]) > 10 * loss(start)
for name, path in paths.items():
    print(f"{name:18} loss after 30 steps {loss(path[-1]).item():.3e}")

# %%
# Which rates converge
# --------------------
# In the long run the largest :math:`|1 - \eta\lambda_i|` decides. With positive eigenvalues it is
# below 1 exactly for :math:`0 < \eta < 2/\lambda_{\max}`, and smallest where the two ends of the
# spectrum tie, at :math:`\eta = 2/(\lambda_{\min} + \lambda_{\max})`. An eigenvalue of 0 leaves its
# part of the distance where it is, and a negative one drives it away at each rate.

etas = torch.linspace(0.02, 1.2, 60) * limit
slowest = torch.stack([(1 - eta * curvature).abs().max() for eta in etas])
measured = []
for eta in etas.tolist():
    far = (path_of_optimizer(eta, 60)[-2:] - c).norm(dim=1)
    measured.append(far[1] / far[0])
measured = torch.stack(measured)
best = 2 / (curvature.min() + curvature.max()).item()
assert ((slowest < 1) == (etas < limit)).all()
assert abs(etas[measured.argmin()] - best) < 0.03 * limit
print(f"fastest rate by formula {best:.4f}, of those tried {etas[measured.argmin()].item():.4f}")
for lowest in (0.0, -1.0):  # beside a largest eigenvalue of 1, and 0.5 is below its limit of 2
    two = torch.tensor([1.0, 1.0], requires_grad=True)
    optimizer = torch.optim.SGD([two], lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        (0.5 * torch.tensor([1.0, lowest]) * two**2).sum().backward()
        optimizer.step()
    formula = torch.tensor([0.5**60, (1 - 0.5 * lowest) ** 60])
    torch.testing.assert_close(two.detach(), formula)
    print(f"smallest eigenvalue {lowest:4}: after 60 steps at {two[1].item():.3g}, from 1")

# %%
# The valley and the corner
# -------------------------
# On the left the first steps of three paths, on lines of equal loss. On the right how much of the
# distance is left after a step, late in the run: dots measured, line by formula.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
grid = torch.cartesian_prod(torch.linspace(-1.6, 2.6, 61), torch.linspace(-2.2, 2.6, 61)) - c
height = (0.5 * (grid @ A * grid).sum(1)).view(61, 61).T
left.contour(torch.linspace(-1.6, 2.6, 61), torch.linspace(-2.2, 2.6, 61), height,
             levels=[0.1, 0.5, 1.5, 3, 5, 8], colors=grey, linewidths=0.7)  # fmt: skip
for (name, path), color in zip(paths.items(), ("#0072b2", "#e69f00", None, "#d55e00")):
    if color:
        left.plot(*path[:8].T, "o-", color=color, ms=4, label=name)
left.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", xlim=(-1.6, 2.6), ylim=(-2.2, 2.6))
left.legend(frameon=False, fontsize=8, loc="lower left")
right.plot(etas / limit, slowest, color=grey, label="by formula")
right.plot(etas / limit, measured, "o", ms=3, color="#0072b2", label="measured")
right.axhline(1, color=grey, ls=":")
right.set(xlabel="learning rate / limit", ylabel="distance after a step / before")
right.legend(frameon=False)
plt.show()

# %%
# Why it takes long
# -----------------
# At the fastest rate the factor is :math:`(\kappa - 1)/(\kappa + 1)` with the condition number
# :math:`\kappa = \lambda_{\max}/\lambda_{\min}`. Scaling the parameters changes :math:`\kappa` and
# with it the number of steps, though the loss is the same function.

for kappa in (2.0, 10.0, 100.0):
    curvature, Q = torch.tensor([1.0, kappa]), torch.eye(2)
    factor = (kappa - 1) / (kappa + 1)
    path = path_in_closed_form(2 / (1 + kappa), 1)
    torch.testing.assert_close((path[1] - c).abs(), factor * along.abs())
    steps = torch.log(torch.tensor(0.001)) / torch.log(torch.tensor(factor))
    print(f"condition {kappa:5.0f}: {int(steps.ceil()):4} steps to a thousandth of the distance")

# %%
# What was seen
# -------------
# The largest curvature sets a hard limit to the step, and at the limit the distance along its
# eigenvector does not shrink at all. Below it every direction converges, each at its own pace.
