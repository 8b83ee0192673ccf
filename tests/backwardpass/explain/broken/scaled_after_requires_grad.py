"""A parameter is scaled after it was made to require a gradient."""

# cause: not a leaf
import torch

w = torch.randn(3, requires_grad=True) * 0.1  # here
loss = (torch.randn(5, 3) @ w).square().mean()
loss.backward()
asked = w
