"""A parameter is moved to another dtype, and is a parameter no longer."""

# cause: bound to another tensor
import torch

w = torch.randn(3, requires_grad=True)
w = w.to(torch.float64)  # here
loss = (torch.randn(5, 3, dtype=torch.float64) @ w).square().mean()
loss.backward()
asked = w
