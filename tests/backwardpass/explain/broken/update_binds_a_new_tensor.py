"""A hand-written update binds the name to a new tensor."""

# cause: bound to another tensor
# raises: does not require grad
import torch

w = torch.randn(3, requires_grad=True)
x = torch.randn(5, 3)
for _ in range(2):
    asked = w
    loss = (x @ w).square().mean()
    loss.backward()
    with torch.no_grad():
        w = w - 0.1 * w.grad  # here
